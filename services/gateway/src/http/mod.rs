//! The same calls over HTTP with JSON: each request becomes the gRPC call that the rules in the `.proto` files say, in this process,
//! through the same door. So authentication, limits, deadlines and traces are the same, and no method is written twice.

mod analyze;
mod answer;
mod host;
mod openapi;
mod page;
mod request;
mod rule;
mod stream;

use std::convert::Infallible;
use std::future::{poll_fn, ready};
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::middleware;
use axum::routing::get;
use bytes::Bytes;
use domain::FieldViolation;
use futures::future::BoxFuture;
use http_body::Frame;
use http_body_util::{BodyExt, LengthLimitError, Limited, StreamBody};
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use proto::v1::deployment_service_server::SERVICE_NAME;
use serde_json::{Map, Value};
use tonic::codegen::Service;
use tonic::codegen::http::header::HeaderName;
use tonic::codegen::http::{self, HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use tonic::{Code, Status};
use tonic_web::GrpcWebLayer;
use tower::Layer as _;
use tower_http::cors::{AllowHeaders, Any, CorsLayer};

use self::answer::{Messages, framed, in_json, json_of, line_of, of_json, refusal};
use self::rule::{Captured, Rules};
use crate::service::QUICK_BYTES_MAX;
use crate::{Config, status};

type Request = http::Request<Body>;

/// Ours, and those of the details of our errors.
static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let mut pool = DescriptorPool::decode(proto::DESCRIPTORS).expect("the build wrote sound descriptors");
    let errors = tonic_types::pb::FILE_DESCRIPTOR_SET;
    pool.decode_file_descriptor_set(errors).expect("the descriptors of errors are sound");
    pool
});
static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::of(&POOL, SERVICE_NAME));

/// What a browser sends again with a stream that broke off: the id of the last event.
const LAST_EVENT_ID: &str = "last-event-id";
/// The field that this becomes, where a request has it.
const RESUMED_AT: &str = "after_sequence";
/// Headers that say something about the HTTP request and nothing about the call.
const OF_HTTP_ALONE: [HeaderName; 10] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::TE,
    header::TRANSFER_ENCODING,
    // How messages of gRPC are compressed; there are none on this side.
    HeaderName::from_static("grpc-accept-encoding"),
    HeaderName::from_static("grpc-encoding"),
];

/// All paths, answered by `calls` at `address`.
///
/// # Errors
/// The setting that cannot be read.
pub(crate) fn routes<S>(calls: S, config: &Config, address: SocketAddr) -> anyhow::Result<Router>
where
    S: Service<http::Request<tonic::body::Body>, Response = Response<tonic::body::Body>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    let page = Bytes::from(page::html(&RULES));
    let document = Bytes::from(line_of(&openapi::document(&RULES)));
    let mut router = Router::new()
        .route("/", get(move || ready(page::answer(page.clone()))))
        .route(openapi::PATH, get(move || ready(of_json(StatusCode::OK, document.clone()))));
    if config.grpc_web {
        router = router.route_service(&format!("/{SERVICE_NAME}/{{method}}"), GrpcWebLayer::new().layer(calls.clone()));
    }
    let transcoder =
        Transcoder { calls, bytes_max: config.request_bytes_max(), origins: config.cors_origins.clone().into() };
    let hosts = host::permitted(config, address);
    router = router.fallback_service(transcoder).layer(middleware::from_fn_with_state(hosts, host::check));
    Ok(match cors(&config.cors_origins)? {
        Some(cors) => router.layer(cors),
        None => router,
    })
}

/// Which pages of other origins may call; `None` when none may.
fn cors(origins: &[String]) -> anyhow::Result<Option<CorsLayer>> {
    if origins.is_empty() {
        return Ok(None);
    }
    let of_answers = ["grpc-status", "grpc-message", "grpc-status-details-bin", "retry-after"];
    let cors = CorsLayer::new()
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(of_answers.map(HeaderName::from_static));
    if origins.iter().any(|origin| origin == "*") {
        return Ok(Some(cors.allow_origin(Any)));
    }
    let parsed = origins.iter().map(|origin| {
        let parsed = origin.parse::<HeaderValue>();
        parsed.with_context(|| format!("gateway.cors_origins: {origin:?} is no origin such as https://ci.acme.example"))
    });
    Ok(Some(cors.allow_origin(parsed.collect::<anyhow::Result<Vec<_>>>()?)))
}

/// Turns HTTP requests into calls, and what these answer back.
#[derive(Clone)]
struct Transcoder<S> {
    calls: S,
    bytes_max: usize,
    /// The origins of pages that may call.
    origins: Arc<[String]>,
}

/// What a request asks for.
struct Target {
    rpc: MethodDescriptor,
    /// What path and query say, field by field.
    named: Captured,
    carries: Carries,
}

/// What the body of a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carries {
    Nothing,
    Json,
    /// A diff as it is, or JSON.
    Diff,
}

impl<S> Service<Request> for Transcoder<S>
where
    S: Service<http::Request<tonic::body::Body>, Response = Response<tonic::body::Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (mut calls, bytes_max, origins) = (self.calls.clone(), self.bytes_max, Arc::clone(&self.origins));
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            if parts.method != Method::GET && is_of_another_page(&parts.headers, &origins) {
                let message = "pages of this origin may not call: gateway.cors_origins names those that may";
                return Ok(refusal(&status::denied("ORIGIN_NOT_PERMITTED", message, [])));
            }
            let target = match target_of(&parts.method, &parts.uri, &parts.headers) {
                Ok(target) => target,
                Err(refused) => return Ok(*refused),
            };
            let rpc = target.rpc.clone();
            let form = stream::Form::wanted(&parts.headers);
            let call = call_of(target, parts, body, bytes_max);
            let Ok(()) = poll_fn(|cx| calls.poll_ready(cx)).await;
            let Ok(answered) = calls.call(call).await;
            let refused = Status::from_header_map(answered.headers()).filter(|status| status.code() != Code::Ok);
            Ok(match refused {
                Some(status) => refusal(&status),
                None => answer(Messages::new(answered.into_body()), &rpc, form).await,
            })
        })
    }
}

/// Whether a browser sends it for a page that is not permitted. Browsers send simple requests before they ask, and only keep the
/// answer back; what they say of the page's origin, the page cannot change.
fn is_of_another_page(headers: &HeaderMap, permitted: &[String]) -> bool {
    headers
        .get(header::ORIGIN)
        .is_some_and(|origin| !permitted.iter().any(|one| one == "*" || one.as_bytes() == origin.as_bytes()))
}

async fn answer(mut messages: Messages, rpc: &MethodDescriptor, form: stream::Form) -> Response<Body> {
    if rpc.is_server_streaming() {
        return stream::answer(messages, rpc.output(), form).await;
    }
    let answered = async {
        let message = messages.next().await?.ok_or_else(|| Status::internal("the call has no answer"))?;
        messages.next().await?;
        json_of(&rpc.output(), message)
    };
    match answered.await {
        Ok((_, json)) => in_json(StatusCode::OK, &json),
        Err(status) => refusal(&status),
    }
}

/// What a request asks for; else the answer that says that there is no such thing.
fn target_of(method: &Method, uri: &http::Uri, headers: &HeaderMap) -> Result<Target, Box<Response<Body>>> {
    let query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let query = query.map(|(name, text)| (name.into_owned(), text.into_owned()));
    if uri.path() == analyze::PATH {
        if *method != Method::POST {
            return Err(Box::new(no_such_method(uri.path(), &[&Method::POST])));
        }
        return Ok(analyze::target(&RULES, query.collect()));
    }
    let (rule, captured) = RULES.find(method, uri.path()).map_err(|others| {
        Box::new(match others.as_slice() {
            [] => refusal(&Status::not_found(format!("there is no {}: / lists what there is", uri.path()))),
            others => no_such_method(uri.path(), others),
        })
    })?;
    // What the path says goes over the query.
    let mut named: Captured = query.chain(captured).collect();
    if let Some(last) = headers.get(LAST_EVENT_ID).and_then(|last| last.to_str().ok())
        && rule.rpc.input().get_field_by_name(RESUMED_AT).is_some()
    {
        named.push((RESUMED_AT.to_owned(), last.to_owned()));
    }
    let carries = if rule.has_body { Carries::Json } else { Carries::Nothing };
    Ok(Target { rpc: rule.rpc.clone(), named, carries })
}

fn no_such_method(path: &str, others: &[&Method]) -> Response<Body> {
    let allowed = others.iter().map(|method| method.as_str()).collect::<Vec<_>>().join(", ");
    let mut response = refusal(&Status::unimplemented(format!("{path} takes {allowed}")));
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    let allowed = HeaderValue::from_str(&allowed).expect("methods are words");
    response.headers_mut().insert(header::ALLOW, allowed);
    response
}

/// The call that a request becomes: its headers, and all that is known of its connection. The body is read when the call reads its
/// own, which is after who calls was looked at and whether there is room for one more.
fn call_of(
    target: Target,
    parts: http::request::Parts,
    body: Body,
    bytes_max: usize,
) -> http::Request<tonic::body::Body> {
    let path = format!("/{}/{}", target.rpc.parent_service().full_name(), target.rpc.name());
    let mut headers = parts.headers;
    let content_type = headers.get(header::CONTENT_TYPE).cloned();
    OF_HTTP_ALONE.iter().for_each(|name| drop(headers.remove(name)));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    let message = async move {
        let message = read(target, content_type, body, bytes_max).await?;
        Ok::<_, Status>(Frame::data(framed(&message)))
    };
    let body = tonic::body::Body::new(StreamBody::new(futures::stream::once(message)));
    let mut call = http::Request::new(body);
    *call.method_mut() = Method::POST;
    *call.uri_mut() = path.parse().expect("the name of a method is a path");
    *call.version_mut() = http::Version::HTTP_2;
    *call.headers_mut() = headers;
    *call.extensions_mut() = parts.extensions;
    call
}

/// Reads the message that a request is; a long one without holding up other calls.
async fn read(
    target: Target,
    content_type: Option<HeaderValue>,
    body: Body,
    bytes_max: usize,
) -> Result<DynamicMessage, Status> {
    if target.carries == Carries::Nothing {
        return message_of(&target, Map::new());
    }
    let bytes = Limited::new(body, bytes_max).collect().await.map_err(|error| unread(&*error, bytes_max))?.to_bytes();
    let is_quick = bytes.len() <= QUICK_BYTES_MAX;
    let parse = move || {
        let object = match target.carries {
            Carries::Diff => analyze::object(content_type.as_ref(), &bytes),
            _ => request::json(&bytes),
        };
        message_of(&target, object.map_err(|violation| status::invalid(&[violation]))?)
    };
    if is_quick {
        return parse();
    }
    tokio::task::spawn_blocking(parse).await.map_err(|error| {
        tracing::error!("the reading of a request failed: {error}");
        Status::unknown("the request could not be read")
    })?
}

fn message_of(target: &Target, object: Map<String, Value>) -> Result<DynamicMessage, Status> {
    let message = request::message(&target.rpc.input(), &target.named, object);
    message.map_err(|violations: Vec<FieldViolation>| status::invalid(&violations))
}

fn unread(error: &(dyn std::error::Error + Send + Sync + 'static), bytes_max: usize) -> Status {
    if error.is::<LengthLimitError>() {
        status::too_long(bytes_max)
    } else {
        Status::cancelled("the request broke off")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_long_body_is_read_beside_other_calls() {
        let (rule, named) = RULES.find(&Method::POST, "/v1/deployments").unwrap();
        let target = Target { rpc: rule.rpc.clone(), named, carries: Carries::Json };
        // Many small values take longer to read than a long one.
        let labels = vec!["a label"; 200_000];
        let body = serde_json::json!({ "repository": "acme/shop", "labels": labels }).to_string();
        assert!(body.len() > QUICK_BYTES_MAX);
        // There is one thread for calls: were the body read on it, nothing else would happen meanwhile.
        let reading = tokio::spawn(read(target, None, body.into(), usize::MAX));
        let mut others = 0;
        while !reading.is_finished() {
            tokio::task::yield_now().await;
            others += 1;
        }
        assert!(reading.await.unwrap().is_ok());
        assert!(others > 100, "{others}");
    }
}
