//! Why a caller is not let in. The client learns what it can mend; the rest is for the log.

use std::time::Duration;

use tonic::Status;

use super::caller::{Caller, Scope};
use crate::status;

/// Why a caller is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// They did not say who they are.
    Missing,
    /// What they showed is not believed; why is for the log alone, because it would tell an attacker what to try next.
    Invalid(String),
    /// What they showed was theirs, and is past its time.
    Expired,
    /// It is believed, and nobody in the settings is meant by it.
    Claims,
    /// Whether to believe it cannot be found out now.
    IssuerAway(String),
    /// Too many logins from their address failed. How long they have to wait.
    TooManyFailed(Duration),
}

impl Refusal {
    /// Whether it was tried to be somebody, and failed.
    pub(crate) const fn is_failed_login(&self) -> bool {
        matches!(self, Self::Invalid(_) | Self::Expired | Self::Claims)
    }

    /// What the client learns.
    pub(crate) fn status(&self) -> Status {
        match self {
            Self::Missing => status::unauthenticated(
                "CREDENTIALS_MISSING",
                "say who you are: by the header `authorization: Bearer` with an API token or a JWT, or by a client certificate",
            ),
            Self::Invalid(_) => status::unauthenticated("CREDENTIALS_INVALID", "the credentials are not valid here"),
            Self::Expired => {
                status::unauthenticated("CREDENTIALS_EXPIRED", "the credentials have expired: get new ones")
            }
            Self::Claims => status::denied(
                "CLAIMS_NOT_PERMITTED",
                "the settings of this FailSafe permit nothing to whom the token speaks for",
                [],
            ),
            Self::IssuerAway(_) => status::unavailable(
                "ISSUER_UNAVAILABLE",
                "the keys of the token's issuer cannot be fetched now: try again",
            ),
            Self::TooManyFailed(wait) => status::too_many_failed_logins(*wait),
        }
    }

    /// What the log says. It holds no credential.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Missing => "without credentials".to_owned(),
            Self::Invalid(why) => why.clone(),
            Self::Expired => "with credentials that have expired".to_owned(),
            Self::Claims => "with claims that no rule permits".to_owned(),
            Self::IssuerAway(issuer) => format!("because the keys of {issuer} cannot be fetched"),
            Self::TooManyFailed(_) => "unseen, because too many logins from there failed".to_owned(),
        }
    }
}

/// The caller is known, and may not do that.
pub(crate) fn without_scope(caller: &Caller, scope: Scope, what: &str) -> Status {
    let held: Vec<&str> = caller.scopes.iter().map(|scope| scope.name()).collect();
    let message = format!("{what} needs the scope {scope}; {} has {}", caller.name, held.join(", "));
    status::denied("SCOPE_MISSING", &message, [("scope", scope.name())])
}

/// The caller is known, and may not do that on this repository.
pub(crate) fn not_on(caller: &Caller, repository: &str) -> Status {
    let message = format!("{} may not work on {repository}, only on: {}", caller.name, caller.repositories);
    status::denied("REPOSITORY_NOT_PERMITTED", &message, [("repository", repository)])
}

/// The same about a deployment, whose repository the caller did not name and does not learn.
pub(crate) fn not_on_that(caller: &Caller) -> Status {
    let message = format!(
        "the deployment is of a repository on which {} may not work, only on: {}",
        caller.name, caller.repositories
    );
    status::denied("REPOSITORY_NOT_PERMITTED", &message, [])
}
