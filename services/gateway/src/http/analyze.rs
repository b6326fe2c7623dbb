//! `POST /analyze?repo=acme/shop&pr_id=7`: a submission whose body is the diff itself, for `curl --data-binary @x.diff`.

use domain::FieldViolation;
use serde_json::{Map, Value};
use tonic::codegen::http::HeaderValue;

use super::rule::{Captured, Rules};
use super::{Carries, Target, request};

/// Where it is.
pub(super) const PATH: &str = "/analyze";
/// The method that it becomes.
const METHOD: &str = "SubmitDeployment";
/// The short names of the parameters that everybody gives, and the fields that they are.
pub(super) const SHORT: [(&str, &str); 2] = [("repo", "repository"), ("pr_id", "pull_request")];

/// The call that it is; all other parameters are fields of the submission, too.
pub(super) fn target(rules: &Rules, query: Captured) -> Target {
    let rule = rules.all().iter().find(|rule| rule.rpc.name() == METHOD).expect("there is such a method");
    let long =
        |name: String| SHORT.iter().find(|(short, _)| *short == name).map_or(name, |(_, long)| (*long).to_owned());
    let named = query.into_iter().map(|(name, text)| (long(name), text)).collect();
    Target { rpc: rule.rpc.clone(), named, carries: Carries::Diff }
}

/// The body as JSON: it is that already, or a diff, which never begins with a brace.
///
/// # Errors
/// When it is neither.
pub(super) fn object(content_type: Option<&HeaderValue>, body: &[u8]) -> Result<Map<String, Value>, FieldViolation> {
    let is_named = content_type.is_some_and(|named| named.as_bytes().starts_with(b"application/json"));
    if is_named || body.trim_ascii_start().starts_with(b"{") {
        return request::json(body);
    }
    let diff =
        std::str::from_utf8(body).map_err(|error| FieldViolation::new("diff", format!("must be UTF-8: {error}")))?;
    Ok(Map::from_iter([("diff".to_owned(), diff.into())]))
}

#[cfg(test)]
mod tests {
    use super::super::RULES;
    use super::*;

    #[test]
    fn a_body_is_a_diff_unless_it_is_json() {
        let diff = "--- a/x\n+++ b/x\n";
        assert_eq!(object(None, diff.as_bytes()).unwrap()["diff"], diff);
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        assert_eq!(object(Some(&form), diff.as_bytes()).unwrap()["diff"], diff, "as curl names it");
        assert_eq!(object(None, b" {\"title\": \"t\"}").unwrap()["title"], "t");
        let json = HeaderValue::from_static("application/json; charset=utf-8");
        assert_eq!(object(Some(&json), diff.as_bytes()).unwrap_err().field, "body");
        assert_eq!(object(None, b"--- a/\xff").unwrap_err().field, "diff");
    }

    #[test]
    fn the_short_names_are_those_of_fields() {
        let query = [("repo", "acme/shop"), ("pr_id", "7"), ("title", "t")];
        let query = query.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
        let target = target(&RULES, query);
        let names: Vec<_> = target.named.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["repository", "pull_request", "title"]);
        for (_, field) in SHORT {
            assert!(target.rpc.input().get_field_by_name(field).is_some(), "{field}");
        }
    }
}
