//! From the answer of a call to that of an HTTP request: the messages of its body, and its status as an HTTP code with the JSON form
//! of `google.rpc.Status`.

use axum::body::Body;
use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt;
use prost_reflect::{DynamicMessage, MessageDescriptor, SerializeOptions};
use serde_json::{Value, json};
use tonic::codegen::http::{HeaderValue, Response, StatusCode, header};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::POOL;

/// What stands before a message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// The messages of an answer, one after the other.
pub(super) struct Messages {
    body: tonic::body::Body,
    buffer: BytesMut,
    is_over: bool,
}

impl Messages {
    pub(super) fn new(body: tonic::body::Body) -> Self {
        Self { body, buffer: BytesMut::new(), is_over: false }
    }

    /// The next message; `None` when there are no more and all is well.
    ///
    /// # Errors
    /// The status that the call ended with, when that is not OK.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        loop {
            if let Some(message) = self.take() {
                return Ok(Some(message));
            }
            if self.is_over {
                return Ok(None);
            }
            match self.body.frame().await.transpose()? {
                None => self.is_over = true,
                Some(frame) => match frame.into_data() {
                    Ok(data) => self.buffer.extend_from_slice(&data),
                    Err(frame) => {
                        self.is_over = true;
                        let status = frame.trailers_ref().and_then(Status::from_header_map);
                        if let Some(status) = status.filter(|status| status.code() != Code::Ok) {
                            return Err(status);
                        }
                    }
                },
            }
        }
    }

    fn take(&mut self) -> Option<Bytes> {
        let prefix = self.buffer.first_chunk::<PREFIX_BYTES>()?;
        let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
        if self.buffer.len() < PREFIX_BYTES + length {
            return None;
        }
        self.buffer.advance(PREFIX_BYTES);
        Some(self.buffer.split_to(length).freeze())
    }
}

/// `message` with what stands before it.
pub(super) fn framed(message: &DynamicMessage) -> Bytes {
    use prost::Message;
    let length = message.encoded_len();
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + length);
    framed.extend_from_slice(&[0]);
    framed.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    message.encode(&mut framed).expect("a buffer that grows takes every message");
    framed.freeze()
}

/// The JSON form of an encoded message, with the field names of the `.proto` files.
pub(super) fn json_of(message: &MessageDescriptor, bytes: Bytes) -> Result<(DynamicMessage, Value), Status> {
    let read = DynamicMessage::decode(message.clone(), bytes);
    let read = read.map_err(|error| Status::internal(format!("an answer that cannot be read: {error}")))?;
    let json = json_form(&read)?;
    Ok((read, json))
}

fn json_form(message: &DynamicMessage) -> Result<Value, Status> {
    let options = SerializeOptions::new().use_proto_field_name(true);
    let json = message.serialize_with_options(serde_json::value::Serializer, &options);
    json.map_err(|error| Status::internal(format!("an answer without a JSON form: {error}")))
}

/// A value in JSON, ended by a line feed for those who read it in a terminal.
pub(super) fn line_of(value: &Value) -> String {
    format!("{value}\n")
}

/// An answer in JSON.
pub(super) fn in_json(code: StatusCode, value: &Value) -> Response<Body> {
    of_json(code, line_of(value))
}

/// An answer that is JSON already.
pub(super) fn of_json(code: StatusCode, json: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(json.into());
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A status as an answer; one that says when to try again says it in the headers too.
pub(super) fn refusal(status: &Status) -> Response<Body> {
    let retry = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let code = match status.code() {
        // Too much of one request, not too many requests.
        Code::ResourceExhausted if retry.is_none() => StatusCode::PAYLOAD_TOO_LARGE,
        code => http_code(code),
    };
    let mut response = in_json(code, &status_json(status));
    if let Some(delay) = retry {
        // In whole seconds, and not too early.
        let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status.code() == Code::Unauthenticated {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// The JSON form of the `google.rpc.Status` that a status is.
pub(super) fn status_json(status: &Status) -> Value {
    let message = POOL.get_message_by_name("google.rpc.Status").expect("it is in the descriptors");
    let details = Bytes::copy_from_slice(status.details());
    let detailed = (!details.is_empty()).then(|| json_of(&message, details)).transpose();
    match detailed {
        Ok(Some((_, json))) => json,
        _ => json!({ "code": status.code() as i32, "message": status.message() }),
    }
}

/// The HTTP code of a gRPC code, as `google.rpc.Code` gives it.
fn http_code(code: Code) -> StatusCode {
    let number = match code {
        Code::Ok => 200,
        Code::Cancelled => 499,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => 400,
        Code::Unauthenticated => 401,
        Code::PermissionDenied => 403,
        Code::NotFound => 404,
        Code::AlreadyExists | Code::Aborted => 409,
        Code::ResourceExhausted => 429,
        Code::Unknown | Code::Internal | Code::DataLoss => 500,
        Code::Unimplemented => 501,
        Code::Unavailable => 503,
        Code::DeadlineExceeded => 504,
    };
    StatusCode::from_u16(number).expect("a code of three digits")
}

#[cfg(test)]
mod tests {
    use domain::FieldViolation;

    use super::*;
    use crate::status;

    fn text(response: Response<Body>) -> Value {
        let body = futures::executor::block_on(response.into_body().collect()).unwrap().to_bytes();
        serde_json::from_slice(&body).unwrap()
    }

    #[test]
    fn a_wrong_field_is_told_in_json() {
        let response = refusal(&status::invalid(&[FieldViolation::new("diff", "is cut")]));
        assert_eq!(response.status(), 400);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        let expected = json!({
            "code": 3,
            "message": "diff: is cut",
            "details": [{
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "field_violations": [{ "field": "diff", "description": "is cut" }],
            }],
        });
        assert_eq!(text(response), expected);
    }

    #[test]
    fn who_has_to_wait_is_told_how_long() {
        let response = refusal(&status::too_often(std::time::Duration::from_millis(1_200)));
        assert_eq!(
            (response.status().as_u16(), &response.headers()[header::RETRY_AFTER]),
            (429, &HeaderValue::from(2))
        );
        let told = text(response);
        assert!(told["details"].as_array().unwrap().iter().any(|one| one["retry_delay"] == "1.200s"), "{told}");
        assert_eq!(refusal(&status::bus_away()).status(), 503);
        assert_eq!(refusal(&Status::resource_exhausted("too long")).status(), 413);
    }

    #[test]
    fn a_status_without_details_is_told_too() {
        let response = refusal(&Status::not_found("no such deployment"));
        assert_eq!(response.status(), 404);
        assert_eq!(text(response), json!({ "code": 5, "message": "no such deployment" }));
    }
}
