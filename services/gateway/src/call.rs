//! What holds for every call, before and behind what it does: its span in the caller's trace, its deadline, the limits on calls
//! at a time and of one client, and the status that it ended with.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use chassis::metrics::list::RPC;
use chassis::trace;
use futures::future::BoxFuture;
use http_body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::NamedService;
use tonic::{Code, Status};
use tracing::{Instrument, Span};

use crate::identity::Caller;
use crate::rate::{Client, Rates};
use crate::{SERVICE, status};

type Request = http::Request<Body>;
type Response = http::Response<Body>;

/// When the client's patience ends, as an extension of its request; absent when it did not say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(pub(crate) Instant);

/// When the call is cut off, as an extension of its request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CutOff(pub(crate) Instant);

/// The place of a call among those that are answered at a time, as an extension of its request: a call that only waits gives it
/// up.
#[derive(Clone, Debug)]
pub(crate) struct Seat(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl Seat {
    /// Gives the place to another call.
    pub(crate) fn leave(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// A gRPC service with its calls watched over.
#[derive(Clone, Debug)]
pub(crate) struct Door<S> {
    inner: S,
    permits: Arc<Semaphore>,
    rates: Arc<Rates>,
    limit: Duration,
    request_bytes_max: usize,
}

impl<S> Door<S> {
    pub(crate) fn new(inner: S, config: &crate::Config) -> Self {
        let permits = Arc::new(Semaphore::new(config.concurrency_max.min(Semaphore::MAX_PERMITS)));
        let rates = Arc::new(Rates::new(config.calls_per_second_max));
        Self { inner, permits, rates, limit: config.deadline(), request_bytes_max: config.request_bytes_max() }
    }
}

impl<S: NamedService> NamedService for Door<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request> for Door<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let span = span_of(&request);
        let patience = request.headers().get("grpc-timeout").and_then(|text| timeout_of(text.to_str().ok()?));
        if let Some(patience) = patience {
            request.extensions_mut().insert(Deadline(Instant::now() + patience));
        }
        let limit = patience.map_or(self.limit, |patience| patience.min(self.limit));
        request.extensions_mut().insert(CutOff(Instant::now() + limit));
        let ending = Ending { span: span.clone(), method: method_of(&request), began: Instant::now(), code: None };
        if let Err(wait) = self.rates.count(Client::of(&request)) {
            return Box::pin(async move { Ok(ending.refuse(status::too_often(wait))) });
        }
        // Before the request is read, so that the limit is one on memory too.
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            let busy = status::exhausted("GATEWAY_BUSY", "the gateway answers as many calls as it may: try again");
            return Box::pin(async { Ok(ending.refuse(busy)) });
        };
        let seat = Seat(Arc::new(Mutex::new(Some(permit))));
        request.extensions_mut().insert(seat.clone());
        let request_bytes_max = self.request_bytes_max;
        let answering = self.inner.call(request).instrument(span);
        Box::pin(async move {
            let Ok(answered) = tokio::time::timeout(limit, answering).await else {
                return Ok(ending.refuse(status::too_late(limit)));
            };
            seat.leave();
            let Ok(response) = answered;
            Ok(match Status::from_header_map(response.headers()) {
                Some(refusal) => ending.refuse(status::of_unread(refusal, request_bytes_max)),
                None => response.map(|inner| Body::new(Told { inner, ending })),
            })
        })
    }
}

/// The method that is called; a name that a caller made up is none.
fn method_of(request: &Request) -> String {
    let method = request.uri().path().trim_start_matches('/');
    if proto::has_method(method) { method.to_owned() } else { "_OTHER".to_owned() }
}

fn span_of(request: &Request) -> Span {
    let method = &method_of(request);
    let caller = request.extensions().get::<Caller>();
    let span = tracing::info_span!(
        "call",
        otel.name = method,
        otel.kind = "server",
        otel.status_code = tracing::field::Empty,
        error.type = tracing::field::Empty,
        failsafe.service = SERVICE,
        rpc.system.name = "grpc",
        rpc.method = method,
        rpc.response.status_code = tracing::field::Empty,
        deployment.id = tracing::field::Empty,
        user.name = caller.map(|caller| caller.name.as_str()).filter(|name| !name.is_empty()),
        failsafe.caller.kind = caller.map(|caller| caller.kind.name()),
    );
    let parent = request.headers().get(trace::TRACEPARENT).and_then(|parent| parent.to_str().ok());
    trace::continue_from(&span, parent);
    span
}

/// Reads `grpc-timeout`: up to eight digits and a unit, by the specification of gRPC over HTTP/2.
fn timeout_of(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3_600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

/// Writes into the span how its call ended, whenever that is. A call that is dropped was cancelled by its client.
struct Ending {
    span: Span,
    method: String,
    began: Instant,
    code: Option<Code>,
}

impl Ending {
    fn refuse(mut self, status: Status) -> Response {
        self.code = Some(status.code());
        status.into_http()
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let code = self.code.unwrap_or(Code::Cancelled);
        let name = status::name(code);
        self.span.record("rpc.response.status_code", &name);
        if status::is_ours(code) {
            self.span.record("otel.status_code", "ERROR").record("error.type", &name);
        }
        let took = self.began.elapsed().as_secs_f64();
        self.span.in_scope(|| RPC.record(took, ["grpc", &self.method, &name]));
    }
}

/// The body of an answer, whose trailers tell how the call ended.
struct Told {
    inner: Body,
    ending: Ending,
}

impl http_body::Body for Told {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let span = self.ending.span.clone();
        let polled = span.in_scope(|| Pin::new(&mut self.inner).poll_frame(cx));
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(status) = frame.trailers_ref().and_then(Status::from_header_map)
        {
            self.ending.code = Some(status.code());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<Duration>) {
        assert_eq!(timeout_of(text), expected, "{text:?}");
    }

    #[test]
    fn a_deadline_is_digits_and_a_unit() {
        check("1H", Some(Duration::from_secs(3_600)));
        check("2M", Some(Duration::from_secs(120)));
        check("10S", Some(Duration::from_secs(10)));
        check("99999999m", Some(Duration::from_millis(99_999_999)));
        check("5u", Some(Duration::from_micros(5)));
        check("5n", Some(Duration::from_nanos(5)));
        for wrong in ["", "S", "10", "10s", "+1S", "-1S", "123456789S", "1 S", "1ß"] {
            check(wrong, None);
        }
    }
}
