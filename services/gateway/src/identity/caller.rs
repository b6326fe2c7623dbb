//! Who calls, and what they may do. Pure.

use std::fmt;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};

/// Who makes a call, as an extension of its request. It is there on every call that passes the guard.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The name that goes into the audit trail; empty for somebody who did not say who they are.
    pub(crate) name: String,
    /// How they showed who they are.
    pub(crate) kind: Kind,
    /// What they may do.
    pub(crate) scopes: Vec<Scope>,
    /// On which repositories.
    pub(crate) repositories: Repositories,
}

/// How a caller shows who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Not at all: where that is allowed, anybody may do everything.
    Anonymous,
    /// By an API token.
    Token,
    /// By a JWT of an OpenID Connect issuer.
    Workload,
    /// By the TLS certificate of the connection.
    Certificate,
}

impl Kind {
    /// Its name in lowercase.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Token => "token",
            Self::Workload => "workload",
            Self::Certificate => "certificate",
        }
    }
}

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Submit deployments.
    Submit,
    /// Look deployments up, list and watch them, and have them explained.
    Read,
    /// Approve or reject what the policy leaves to people.
    Review,
    /// Go against a BLOCK: approve it, or let it out in an emergency.
    Override,
    /// Tell what happened in production. Not part of `submit`: a finding that was in production counts as known, so that whoever
    /// could submit and also say that it succeeded could wave through what they like.
    Outcome,
    /// All of these, and speaking for others.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Submit, Self::Read, Self::Review, Self::Override, Self::Outcome, Self::Admin];

    /// Its name in lowercase.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Read => "read",
            Self::Review => "review",
            Self::Override => "override",
            Self::Outcome => "outcome",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Caller {
    /// Somebody who did not say who they are, where that is allowed.
    pub(crate) fn anonymous() -> Self {
        Self {
            name: String::new(),
            kind: Kind::Anonymous,
            scopes: vec![Scope::Admin],
            repositories: Repositories::all(),
        }
    }

    /// Whether they may do that.
    pub(crate) fn may(&self, scope: Scope) -> bool {
        self.scopes.iter().any(|held| *held == scope || *held == Scope::Admin)
    }
}

/// Which repositories a caller may work on.
#[derive(Clone, Debug)]
pub(crate) struct Repositories {
    /// What they are limited to, each limit a set of globs of which one has to match; with none, every repository is permitted.
    limits: Vec<Limit>,
}

#[derive(Clone, Debug)]
struct Limit {
    globs: Vec<String>,
    set: GlobSet,
}

impl Repositories {
    /// Every repository.
    pub(crate) const fn all() -> Self {
        Self { limits: Vec::new() }
    }

    /// Those that one of `globs` matches; every one when there are none. `*` stays within one part of a path, `**` does not.
    ///
    /// # Errors
    /// A glob that cannot be read, and why.
    pub(crate) fn matching(globs: &[String]) -> Result<Self, String> {
        if globs.is_empty() {
            return Ok(Self::all());
        }
        let mut set = GlobSetBuilder::new();
        for glob in globs {
            set.add(glob_of(glob)?);
        }
        let set = set.build().map_err(|error| error.to_string())?;
        Ok(Self { limits: vec![Limit { globs: globs.to_vec(), set }] })
    }

    /// That one repository, when it is among these, too.
    pub(crate) fn and_only(mut self, repository: &str) -> Result<Self, String> {
        let literal = globset::escape(repository);
        let one = Self::matching(&[literal])?;
        self.limits.extend(one.limits.into_iter().map(|limit| Limit { globs: vec![repository.to_owned()], ..limit }));
        Ok(self)
    }

    /// Whether there is no limit.
    pub(crate) fn is_all(&self) -> bool {
        self.limits.is_empty()
    }

    /// Whether that repository is one of them.
    pub(crate) fn holds(&self, repository: &str) -> bool {
        self.limits.iter().all(|limit| limit.set.is_match(repository))
    }

    /// The only repository that there is, when the limits name it without a glob.
    pub(crate) fn only(&self) -> Option<&str> {
        self.limits.iter().find_map(|limit| match limit.globs.as_slice() {
            [one] if !one.contains(['*', '?', '[', '{', '\\']) => Some(one.as_str()),
            _ => None,
        })
    }
}

impl fmt::Display for Repositories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_all() {
            return f.write_str("all");
        }
        let limits: Vec<String> = self.limits.iter().map(|limit| limit.globs.join(" ")).collect();
        f.write_str(&limits.join(", within "))
    }
}

/// A glob over texts whose parts are divided by `/`.
///
/// # Errors
/// Why it cannot be read.
pub(crate) fn glob_of(text: &str) -> Result<globset::Glob, String> {
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    let built = GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build();
    built.map_err(|error| error.kind().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(globs: &[&str]) -> Repositories {
        Repositories::matching(&globs.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn a_star_stays_within_one_part_of_a_path() {
        let acme = limited(&["acme/*", "tools"]);
        for (repository, expected) in
            [("acme/shop", true), ("tools", true), ("acme", false), ("acme/a/b", false), ("evil/acme/shop", false)]
        {
            assert_eq!(acme.holds(repository), expected, "{repository}");
        }
        assert!(limited(&["acme/**"]).holds("acme/a/b"));
        assert!(limited(&[]).holds("anything/at/all"));
    }

    #[test]
    fn a_claim_narrows_what_the_settings_permit() {
        let both = limited(&["acme/*"]).and_only("acme/shop").unwrap();
        assert!(both.holds("acme/shop") && !both.holds("acme/other") && both.only() == Some("acme/shop"));
        let neither = limited(&["acme/*"]).and_only("evil/shop").unwrap();
        assert!(!neither.holds("acme/shop") && !neither.holds("evil/shop"));
        // What a claim says is no glob.
        let star = Repositories::all().and_only("*/*").unwrap();
        assert!(!star.holds("acme/shop") && star.only().is_none());
    }

    #[test]
    fn an_admin_may_everything_and_nobody_else_more_than_they_hold() {
        let caller = |scopes: &[Scope]| Caller { scopes: scopes.to_vec(), ..Caller::anonymous() };
        for scope in Scope::ALL {
            assert!(caller(&[Scope::Admin]).may(scope));
            assert!(!caller(&[]).may(scope));
            assert!(caller(&[scope]).may(scope));
        }
        assert!(!caller(&[Scope::Review]).may(Scope::Override));
    }
}
