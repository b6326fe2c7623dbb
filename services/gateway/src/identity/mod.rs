//! Who calls, found out in front of every call: by an API token, by a JWT of an OpenID Connect issuer, or by the TLS certificate
//! of the connection. What is found travels as an extension of the request.
//!
//! It knows the methods by their names and no message: on which repository a call may work is asked where its request is read.

mod caller;
mod certificate;
mod issued;
mod methods;
mod oidc;
mod refusal;
mod token;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Instant;

use chassis::{Process, trace};
use futures::future::BoxFuture;
use time::OffsetDateTime;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::NamedService;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};

use crate::Config;
use crate::rate::FailedLogins;

pub use caller::Scope;
pub(crate) use caller::{Caller, Kind, Repositories};
pub use certificate::Client;
pub use issued::{issue, list, revoke};
pub use oidc::Issuer;
pub(crate) use refusal::{Refusal, not_on, not_on_that, without_scope};
pub use token::{Record, Token};

type Request = http::Request<Body>;
type Parts = http::request::Parts;
type Response = http::Response<Body>;

/// The header in which a caller says who they are; gRPC metadata of the same name.
const AUTHORIZATION: http::HeaderName = http::header::AUTHORIZATION;

/// How callers are known.
#[derive(Debug)]
pub(crate) struct Identity {
    is_required: bool,
    issued: issued::Issued,
    issuers: oidc::Issuers,
    clients: certificate::Clients,
    failed: FailedLogins,
}

impl Identity {
    /// Reads the settings and the tokens that were issued, and follows these until the process is to end.
    ///
    /// # Errors
    /// What is wrong with the settings, or when the bucket of the tokens is away.
    pub(crate) async fn start(config: &Config, process: &Process) -> anyhow::Result<Self> {
        let issued = issued::Issued::read(&process.bus).await?;
        tokio::spawn(issued.clone().follow(process.bus.clone(), process.shutdown.clone()));
        Ok(Self {
            is_required: config.is_authentication_required(),
            issued,
            issuers: oidc::Issuers::new(&config.oidc)?,
            clients: certificate::Clients::new(&config.clients)?,
            failed: FailedLogins::new(config.failed_logins_per_minute_max),
        })
    }

    /// Who makes this call, unless too many logins from where it comes from failed. Then nothing that it shows is looked at.
    async fn caller_unless_too_many_failed(&self, request: &Parts) -> Result<Caller, Refusal> {
        let shows = request.headers.contains_key(AUTHORIZATION);
        let address = peer_of(&request.extensions).map(|peer| peer.ip()).filter(|_| shows);
        if let Some(address) = address {
            self.failed.check(address, Instant::now()).map_err(Refusal::TooManyFailed)?;
        }
        let caller = self.caller(request, OffsetDateTime::now_utc()).await;
        if let (Some(address), Err(refusal)) = (address, &caller)
            && refusal.is_failed_login()
        {
            self.failed.count(address, Instant::now());
        }
        caller
    }

    /// Who makes this call, at the time `now`.
    async fn caller(&self, request: &Parts, now: OffsetDateTime) -> Result<Caller, Refusal> {
        let mut headers = request.headers.get_all(AUTHORIZATION).iter();
        match (headers.next(), headers.next()) {
            (Some(_), Some(_)) => Err(Refusal::Invalid("more than one authorization header".to_owned())),
            (Some(header), None) => self.bearer(header, now).await,
            (None, _) => self.unspoken(request),
        }
    }

    async fn bearer(&self, header: &http::HeaderValue, now: OffsetDateTime) -> Result<Caller, Refusal> {
        let text = header.to_str().map_err(|_| Refusal::Invalid("a header that is no text".to_owned()))?;
        let (scheme, credential) = text.split_once(' ').unwrap_or((text, ""));
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Refusal::Invalid("another scheme than Bearer".to_owned()));
        }
        let credential = credential.trim();
        if credential.starts_with(token::PREFIX) {
            return self.token(credential, now);
        }
        self.issuers.caller(credential, now).await
    }

    fn token(&self, text: &str, now: OffsetDateTime) -> Result<Caller, Refusal> {
        let token = Token::parse(text).ok_or_else(|| Refusal::Invalid("a token whose checksum is wrong".to_owned()))?;
        let record = self.issued.of(&token);
        let record = record.ok_or_else(|| Refusal::Invalid("a token that was never issued".to_owned()))?;
        if record.revoked_at.is_some() {
            return Err(Refusal::Invalid(format!("the token {} of {}, which is revoked", record.id(), record.name)));
        }
        if record.is_expired(now) {
            return Err(Refusal::Expired);
        }
        let repositories = Repositories::matching(&record.repositories).map_err(Refusal::Invalid)?;
        Ok(Caller { name: record.name.clone(), kind: Kind::Token, scopes: record.scopes.clone(), repositories })
    }

    /// A caller without a header: their connection may say who they are.
    fn unspoken(&self, request: &Parts) -> Result<Caller, Refusal> {
        let connection = request.extensions.get::<TlsConnectInfo<TcpConnectInfo>>();
        let certificates = connection.and_then(TlsConnectInfo::peer_certs);
        match certificates.as_ref().and_then(|all| all.first()) {
            Some(own) => {
                let caller = self.clients.of(own);
                caller.ok_or_else(|| Refusal::Invalid("a certificate of nobody in gateway.clients".to_owned()))
            }
            None if self.is_required => Err(Refusal::Missing),
            None => Ok(Caller::anonymous()),
        }
    }
}

/// A service whose callers are known.
#[derive(Clone, Debug)]
pub(crate) struct Guard<S> {
    inner: S,
    identity: Arc<Identity>,
}

impl<S> Guard<S> {
    pub(crate) const fn new(inner: S, identity: Arc<Identity>) -> Self {
        Self { inner, identity }
    }
}

impl<S: NamedService> NamedService for Guard<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request> for Guard<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let identity = Arc::clone(&self.identity);
        // The one that is ready is taken, and another put in its place.
        let another = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, another);
        let (mut request, body) = request.into_parts();
        Box::pin(async move {
            let caller = identity.caller_unless_too_many_failed(&request).await;
            // Nobody behind this needs it, and so nobody can tell it.
            request.headers.remove(AUTHORIZATION);
            let method = request.uri.path().rsplit('/').next().unwrap_or_default();
            let caller = match caller {
                Ok(caller) => caller,
                Err(refusal) => {
                    log(&request, method, &refusal);
                    return Ok(refusal.status().into_http());
                }
            };
            let scope = methods::scope_of(method);
            if !caller.may(scope) {
                tracing::info!(caller = caller.name, method, "refused {method} to {}: lacks {scope}", caller.name);
                return Ok(without_scope(&caller, scope, method).into_http());
            }
            request.extensions.insert(caller);
            inner.call(Request::from_parts(request, body)).await
        })
    }
}

fn log(request: &Parts, method: &str, refusal: &Refusal) {
    let parent = request.headers.get(trace::TRACEPARENT).and_then(|parent| parent.to_str().ok());
    let peer = peer_of(&request.extensions)
        .map_or_else(|| "an unknown address".to_owned(), |address| address.ip().to_string());
    let reason = refusal.reason();
    if matches!(refusal, Refusal::TooManyFailed(_)) {
        // Those that led to it are in the log.
        tracing::debug!(method, peer, "refused {method} from {peer}: {reason}");
        return;
    }
    tracing::warn!(method, peer, traceparent = parent, "refused {method} from {peer}: {reason}");
}

/// The other end of the connection.
pub(crate) fn peer_of(extensions: &http::Extensions) -> Option<SocketAddr> {
    let over_tls = extensions.get::<TlsConnectInfo<TcpConnectInfo>>().map(|info| info.get_ref().remote_addr());
    over_tls.or_else(|| extensions.get::<TcpConnectInfo>().map(TcpConnectInfo::remote_addr)).flatten()
}

/// Who makes this call.
///
/// # Errors
/// When nobody asked on its way here, which is a mistake of ours: then nothing is permitted.
pub(crate) fn caller_of<T>(request: &tonic::Request<T>) -> Result<Caller, tonic::Status> {
    request.extensions().get::<Caller>().cloned().ok_or_else(|| Refusal::Missing.status())
}
