//! Callers who show a JWT of an OpenID Connect issuer, such as a workflow of GitHub Actions, which needs no stored secret.
//!
//! A token has to be of an issuer of the settings, signed by one of its keys, for our audience, within its time, and has to make
//! the claims that the settings ask for.

mod crypto;
mod keys;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use globset::GlobMatcher;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Validation, dangerous, decode, decode_header};
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;

use super::caller::{Caller, Kind, Repositories, Scope, glob_of};
use super::refusal::Refusal;
use keys::{Found, Keys, Source};

/// How far the clocks of an issuer and of this machine may be apart.
const LEEWAY: Duration = Duration::from_secs(30);
/// The longest JWT, in bytes.
const JWT_BYTES_MAX: usize = 16 * 1024;

/// `[[gateway.oidc]]`: an issuer whose tokens are believed, and what they permit. Several may name one issuer: the first whose claims
/// hold counts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// A short name, such as `github`. It stands with a colon in front of its callers' names in the audit trail.
    pub name: String,
    /// `iss` of its tokens, such as `https://token.actions.githubusercontent.com`.
    pub issuer: String,
    /// What has to be in `aud`: a name of this FailSafe, which the sender asks its issuer for.
    pub audience: String,
    /// Where its keys are; without it, where its own description says that they are.
    #[serde(default)]
    pub jwks_url: Option<String>,
    /// File of the certificates, in PEM, of the authorities that its own certificate may be of, instead of the system's.
    #[serde(default)]
    pub ca_path: Option<PathBuf>,
    /// What the token has to claim: globs, in which `*` stays between two `/`.
    #[serde(default)]
    pub claims: BTreeMap<String, String>,
    /// The claim that is the caller's name.
    #[serde(default = "subject")]
    pub name_claim: String,
    /// The claim that is the one repository that the caller may work on; without it, `repositories` alone count.
    #[serde(default)]
    pub repository_claim: Option<String>,
    /// Which repositories they may work on, as globs; all without any.
    #[serde(default)]
    pub repositories: Vec<String>,
    /// What they may do.
    pub scopes: Vec<Scope>,
    /// After how many seconds its keys are fetched again.
    #[serde(default = "ten_minutes")]
    pub keys_max_age_s: u64,
    /// How many seconds lie between two fetches at least, whatever keys tokens name.
    #[serde(default = "ten")]
    pub keys_retry_s: u64,
}

fn subject() -> String {
    "sub".to_owned()
}

const fn ten_minutes() -> u64 {
    600
}

const fn ten() -> u64 {
    10
}

/// The issuers that are believed.
#[derive(Debug, Default)]
pub(crate) struct Issuers(HashMap<String, Believed>);

#[derive(Debug)]
struct Believed {
    keys: Keys,
    rules: Vec<Rule>,
}

/// One entry of the settings.
#[derive(Debug)]
struct Rule {
    issuer: Issuer,
    claims: Vec<(String, GlobMatcher)>,
    repositories: Repositories,
}

type Claims = serde_json::Map<String, Value>;

impl Issuers {
    /// Reads the settings. Nothing is fetched yet.
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub(crate) fn new(settings: &[Issuer]) -> anyhow::Result<Self> {
        crypto::install();
        let mut issuers = HashMap::new();
        for issuer in settings {
            let rule = Rule::new(issuer).with_context(|| format!("gateway.oidc: the issuer {:?}", issuer.name))?;
            let source = Source {
                issuer: issuer.issuer.clone(),
                jwks_url: issuer.jwks_url.clone(),
                max_age: Duration::from_secs(issuer.keys_max_age_s),
                retry: Duration::from_secs(issuer.keys_retry_s),
            };
            if !issuers.contains_key(&issuer.issuer) {
                let keys = Keys::new(source, issuer.ca_path.as_deref());
                let keys = keys.with_context(|| format!("gateway.oidc: the issuer {:?}", issuer.name))?;
                issuers.insert(issuer.issuer.clone(), Believed { keys, rules: Vec::new() });
            }
            if let Some(believed) = issuers.get_mut(&issuer.issuer) {
                believed.rules.push(rule);
            }
        }
        Ok(Self(issuers))
    }

    /// Whom `token` speaks for at the time `now`.
    ///
    /// # Errors
    /// Why it is not believed.
    pub(crate) async fn caller(&self, token: &str, now: OffsetDateTime) -> Result<Caller, Refusal> {
        let invalid = |why: String| Refusal::Invalid(format!("a JWT {why}"));
        if token.len() > JWT_BYTES_MAX {
            return Err(invalid(format!("has {} bytes", token.len())));
        }
        let header = decode_header(token).map_err(|_| invalid("cannot be read".to_owned()))?;
        if !crypto::ALGORITHMS.contains(&header.alg) {
            return Err(invalid(format!("is signed by {:?}, which is not believed", header.alg)));
        }
        if header.crit.is_some() {
            return Err(invalid("asks for extensions that are not known here".to_owned()));
        }
        // Only to find the keys. Nothing else is believed before the signature is checked.
        let unchecked: Named =
            dangerous::insecure_decode_claims(token).map_err(|_| invalid("cannot be read".to_owned()))?;
        let Some(believed) = self.0.get(&unchecked.iss) else {
            return Err(invalid("is of an issuer that is not believed".to_owned()));
        };
        let key = match believed.keys.find(header.kid.as_deref(), header.alg).await {
            Found::Key(key) => key,
            Found::None => {
                return Err(invalid(format!("of {} names a key that the issuer does not have", unchecked.iss)));
            }
            Found::Away => return Err(Refusal::IssuerAway(unchecked.iss)),
        };
        let audiences: Vec<&str> = believed.rules.iter().map(|rule| rule.issuer.audience.as_str()).collect();
        let validation = validation(header.alg, &unchecked.iss, &audiences);
        let claims = match decode::<Claims>(token, &key.decoding, &validation) {
            Ok(decoded) => decoded.claims,
            // The signature was right.
            Err(error) if matches!(error.kind(), ErrorKind::ExpiredSignature) => return Err(Refusal::Expired),
            Err(error) => return Err(invalid(format!("of {}: {error}", unchecked.iss))),
        };
        let issued_at = claims.get("iat").and_then(Value::as_i64);
        let latest = (now + LEEWAY).unix_timestamp();
        if issued_at.is_some_and(|at| at > latest) {
            return Err(invalid(format!("of {} was issued in the future", unchecked.iss)));
        }
        believed.caller(&claims)
    }
}

fn validation(algorithm: jsonwebtoken::Algorithm, issuer: &str, audiences: &[&str]) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[issuer]);
    validation.set_audience(audiences);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    validation.leeway = LEEWAY.as_secs();
    validation.validate_nbf = true;
    validation
}

/// What is read of a token before it is believed.
#[derive(Deserialize)]
struct Named {
    iss: String,
}

impl Believed {
    /// The caller by the first rule that the claims satisfy.
    fn caller(&self, claims: &Claims) -> Result<Caller, Refusal> {
        let Some(rule) = self.rules.iter().find(|rule| rule.holds(claims)) else {
            return Err(Refusal::Claims);
        };
        let invalid = |claim: &str| Refusal::Invalid(format!("a JWT of {} lacks the claim {claim}", rule.issuer.name));
        let text = |claim: &str| claims.get(claim).and_then(Value::as_str).filter(|text| !text.is_empty());
        let name = text(&rule.issuer.name_claim).ok_or_else(|| invalid(&rule.issuer.name_claim))?;
        let repositories = match &rule.issuer.repository_claim {
            None => rule.repositories.clone(),
            Some(claim) => {
                let repository = text(claim).ok_or_else(|| invalid(claim))?;
                rule.repositories.clone().and_only(repository).map_err(Refusal::Invalid)?
            }
        };
        Ok(Caller {
            name: format!("{}:{name}", rule.issuer.name),
            kind: Kind::Workload,
            scopes: rule.issuer.scopes.clone(),
            repositories,
        })
    }
}

impl Rule {
    fn new(issuer: &Issuer) -> anyhow::Result<Self> {
        ensure!(!issuer.name.is_empty() && !issuer.name.contains(':'), "needs a name without a colon");
        ensure!(!issuer.audience.is_empty(), "needs an audience, or it would believe tokens that are meant for others");
        ensure!(!issuer.scopes.is_empty(), "needs a scope, or its callers may do nothing");
        ensure!(
            !(issuer.claims.is_empty() && issuer.repositories.is_empty()),
            "would let in everybody whom the issuer knows: ask for claims, or name repositories ([\"**\"] for all)"
        );
        let claims = issuer.claims.iter().map(|(claim, glob)| {
            let glob = glob_of(glob).map_err(|why| anyhow::anyhow!("the glob of the claim {claim} {why}"))?;
            Ok((claim.clone(), glob.compile_matcher()))
        });
        let claims = claims.collect::<anyhow::Result<_>>()?;
        let repositories = Repositories::matching(&issuer.repositories);
        let repositories = repositories.map_err(|why| anyhow::anyhow!("a glob of its repositories {why}"))?;
        Ok(Self { issuer: issuer.clone(), claims, repositories })
    }

    /// Whether the claims are those that are asked for. The audience is looked at again, because another rule may ask for another.
    fn holds(&self, claims: &Claims) -> bool {
        let is_ours = match claims.get("aud") {
            Some(Value::String(audience)) => *audience == self.issuer.audience,
            Some(Value::Array(audiences)) => audiences.iter().any(|it| it.as_str() == Some(&self.issuer.audience)),
            _ => false,
        };
        is_ours && self.claims.iter().all(|(claim, glob)| claims.get(claim).is_some_and(|value| says(value, glob)))
    }
}

fn says(value: &Value, glob: &GlobMatcher) -> bool {
    match value {
        Value::String(text) => glob.is_match(text),
        Value::Bool(_) | Value::Number(_) => glob.is_match(value.to_string()),
        Value::Array(values) => values.iter().any(|one| one.as_str().is_some_and(|text| glob.is_match(text))),
        Value::Null | Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn github() -> Issuer {
        Issuer {
            name: "github".to_owned(),
            issuer: "https://issuer.example".to_owned(),
            audience: "failsafe".to_owned(),
            jwks_url: None,
            ca_path: None,
            claims: BTreeMap::from([("repository_owner".to_owned(), "acme".to_owned())]),
            name_claim: subject(),
            repository_claim: Some("repository".to_owned()),
            repositories: vec![],
            scopes: vec![Scope::Submit, Scope::Read],
            keys_max_age_s: 600,
            keys_retry_s: 10,
        }
    }

    fn claims() -> Claims {
        let claims = json!({
            "aud": ["failsafe", "other"], "sub": "repo:acme/shop:ref:refs/heads/main", "repository": "acme/shop",
            "repository_owner": "acme", "ref": "refs/heads/main", "run_attempt": 2,
        });
        claims.as_object().unwrap().clone()
    }

    fn believed(rules: &[Issuer]) -> Believed {
        let source = Source {
            issuer: "https://issuer.example".to_owned(),
            jwks_url: None,
            max_age: Duration::ZERO,
            retry: Duration::ZERO,
        };
        let _ = rustls::crypto::ring::default_provider().install_default();
        let keys = Keys::new(source, None).unwrap();
        Believed { keys, rules: rules.iter().map(|rule| Rule::new(rule).unwrap()).collect() }
    }

    #[test]
    fn the_first_rule_whose_claims_hold_says_what_a_caller_may_do() {
        let on_main = Issuer {
            claims: BTreeMap::from([("ref".to_owned(), "refs/heads/main".to_owned())]),
            scopes: vec![Scope::Outcome],
            ..github()
        };
        let both = believed(&[on_main, github()]);
        let caller = both.caller(&claims()).unwrap();
        assert_eq!(caller.name, "github:repo:acme/shop:ref:refs/heads/main");
        assert_eq!(caller.scopes, [Scope::Outcome]);
        assert!(caller.repositories.holds("acme/shop") && !caller.repositories.holds("acme/other"));
        let mut elsewhere = claims();
        elsewhere.insert("ref".to_owned(), json!("refs/heads/topic"));
        assert_eq!(both.caller(&elsewhere).unwrap().scopes, [Scope::Submit, Scope::Read]);
        elsewhere.insert("repository_owner".to_owned(), json!("evil"));
        assert!(matches!(both.caller(&elsewhere), Err(Refusal::Claims)));
    }

    #[test]
    fn a_claim_that_is_asked_for_has_to_be_there() {
        for missing in ["sub", "repository", "repository_owner", "aud"] {
            let mut claims = claims();
            claims.remove(missing);
            assert!(believed(&[github()]).caller(&claims).is_err(), "without {missing}");
        }
        let numbered = Issuer { claims: BTreeMap::from([("run_attempt".to_owned(), "2".to_owned())]), ..github() };
        assert!(believed(&[numbered]).caller(&claims()).is_ok());
        let other = Issuer { audience: "another".to_owned(), ..github() };
        assert!(believed(&[other]).caller(&claims()).is_err());
    }

    #[test]
    fn an_issuer_that_would_let_in_everybody_stops_the_start() {
        let wrong = [
            (Issuer { claims: BTreeMap::new(), ..github() }, "everybody"),
            (Issuer { scopes: vec![], ..github() }, "scope"),
            (Issuer { audience: String::new(), ..github() }, "audience"),
            (Issuer { name: "a:b".to_owned(), ..github() }, "colon"),
            (Issuer { repositories: vec!["[".to_owned()], ..github() }, "glob"),
            (Issuer { issuer: "http://issuer.example".to_owned(), ..github() }, "https"),
        ];
        let _ = rustls::crypto::ring::default_provider().install_default();
        for (issuer, part) in wrong {
            let error = format!("{:#}", Issuers::new(std::slice::from_ref(&issuer)).unwrap_err());
            assert!(error.contains(part) && error.contains("gateway.oidc"), "{error}");
        }
    }
}
