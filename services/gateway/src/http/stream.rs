//! Answers that go on: server-sent events for browsers and `curl -N`, or one JSON object a line.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::stream::{self, Stream};
use prost_reflect::{DynamicMessage, MessageDescriptor, ReflectMessage};
use serde_json::Value;
use tonic::Status;
use tonic::codegen::http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use super::answer::{Messages, json_of, refusal, status_json};

/// How often a silent stream says that it is still there, so that nothing on the way takes it for dead.
const STILL_HERE: Duration = Duration::from_secs(15);

/// How the messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Server-sent events, by the HTML standard.
    Events,
    /// One JSON object a line.
    Lines,
}

impl Form {
    /// What the client would rather read.
    pub(super) fn wanted(headers: &HeaderMap) -> Self {
        let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        let lines = accept.contains("application/x-ndjson") || accept.contains("application/json");
        if lines && !accept.contains("text/event-stream") { Self::Lines } else { Self::Events }
    }

    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Events => "text/event-stream",
            Self::Lines => "application/x-ndjson",
        }
    }
}

/// The answer to a call whose messages come one after the other. A call that ends badly before the first one has its own HTTP code,
/// and one that ends well has none: 204 is what keeps a browser from asking again.
pub(super) async fn answer(mut messages: Messages, of: MessageDescriptor, form: Form) -> Response<Body> {
    let first = match tokio::time::timeout(STILL_HERE, messages.next()).await {
        Ok(Ok(Some(first))) => Some(first),
        Ok(Ok(None)) => {
            let mut nothing = Response::new(Body::empty());
            *nothing.status_mut() = StatusCode::NO_CONTENT;
            return nothing;
        }
        Ok(Err(status)) => return refusal(&status),
        Err(_) => None,
    };
    let mut response = Response::new(Body::from_stream(told(first, messages, of, form)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn told(
    first: Option<Bytes>,
    messages: Messages,
    of: MessageDescriptor,
    form: Form,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold(Some((first, messages)), move |state| {
        let of = of.clone();
        async move {
            let (first, mut messages) = state?;
            let next = match first {
                Some(first) => Ok(Some(first)),
                None => match tokio::time::timeout(STILL_HERE, messages.next()).await {
                    Ok(next) => next,
                    Err(_) => return Some((Ok(still_here(form)), Some((None, messages)))),
                },
            };
            let told = next.and_then(|next| next.map(|bytes| json_of(&of, bytes)).transpose());
            Some(match told {
                Ok(Some((message, json))) => (Ok(one(form, &message, &json)), Some((None, messages))),
                Ok(None) => (Ok(end(form)), None),
                Err(status) => (Ok(broken_off(form, &status)), None),
            })
        }
    })
}

/// One message. An event is named after what it holds, and has the place in the stream for its id.
fn one(form: Form, message: &DynamicMessage, json: &Value) -> Bytes {
    if form == Form::Lines {
        return format!("{json}\n").into();
    }
    let mut event = String::new();
    let sequence = message.get_field_by_name("sequence").and_then(|place| place.as_u64());
    if let Some(sequence @ 1..) = sequence {
        event.push_str(&format!("id: {sequence}\n"));
    }
    let of = message.descriptor();
    let mut chosen = of.oneofs().flat_map(|oneof| oneof.fields().collect::<Vec<_>>());
    if let Some(field) = chosen.find(|field| message.has_field(field)) {
        event.push_str(&format!("event: {}\n", field.name()));
    }
    event.push_str(&format!("data: {json}\n\n"));
    event.into()
}

/// A client that would connect again by itself learns that nothing more comes.
fn end(form: Form) -> Bytes {
    match form {
        Form::Events => Bytes::from_static(b"event: end\ndata: {}\n\n"),
        Form::Lines => Bytes::new(),
    }
}

fn broken_off(form: Form, status: &Status) -> Bytes {
    let json = status_json(status);
    match form {
        Form::Events => format!("event: error\ndata: {json}\n\n").into(),
        Form::Lines => format!("{}\n", serde_json::json!({ "error": json })).into(),
    }
}

fn still_here(form: Form) -> Bytes {
    match form {
        Form::Events => Bytes::from_static(b": still here\n\n"),
        Form::Lines => Bytes::from_static(b"\n"),
    }
}

#[cfg(test)]
mod tests {
    use proto::v1;

    use super::super::POOL;
    use super::*;

    fn stage(sequence: u64) -> (DynamicMessage, Value) {
        use prost::Message;
        let stage = v1::watch_deployment_response::Stage::Superseded(v1::Superseded { by: "x\ny".to_owned() });
        let told = v1::WatchDeploymentResponse { sequence, at: None, stage: Some(stage) };
        let of = POOL.get_message_by_name("failsafe.v1.WatchDeploymentResponse").unwrap();
        json_of(&of, told.encode_to_vec().into()).unwrap()
    }

    #[test]
    fn a_stage_is_one_event_or_one_line() {
        let (message, json) = stage(7);
        let event = "id: 7\nevent: superseded\ndata: {\"sequence\":\"7\",\"superseded\":{\"by\":\"x\\ny\"}}\n\n";
        assert_eq!(one(Form::Events, &message, &json), event);
        let line = "{\"sequence\":\"7\",\"superseded\":{\"by\":\"x\\ny\"}}\n";
        assert_eq!(one(Form::Lines, &message, &json), line);
        let (message, json) = stage(0);
        let event = one(Form::Events, &message, &json);
        assert!(event.starts_with(b"event: "), "what has no place has no id: {event:?}");
    }

    #[test]
    fn who_accepts_anything_gets_events() {
        let form = |accept: &'static str| {
            Form::wanted(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]))
        };
        assert_eq!((form("*/*"), Form::wanted(&HeaderMap::new())), (Form::Events, Form::Events));
        assert_eq!((form("application/x-ndjson"), form("application/json")), (Form::Lines, Form::Lines));
        assert_eq!(form("text/event-stream"), Form::Events);
    }
}
