//! From an HTTP request to the message of the call: path, query and JSON become one object, which is read by the descriptors. Pure.

use domain::FieldViolation;
use prost_reflect::{DeserializeOptions, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value};

/// How deep a parameter such as `history.author_changes` may lead.
const DEPTH_MAX: usize = 8;

/// Reads the message: the fields of `body`, and over them those that path and query name.
///
/// # Errors
/// Every part that is wrong.
pub(super) fn message(
    of: &MessageDescriptor,
    named: &[(String, String)],
    body: Map<String, Value>,
) -> Result<DynamicMessage, Vec<FieldViolation>> {
    let mut wrong = Vec::new();
    let mut object = body;
    for (name, text) in named {
        if let Err(problem) = put(&mut object, of, name, text) {
            wrong.push(FieldViolation::new(name, problem));
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    read(of, Value::Object(object)).map_err(|problem| vec![FieldViolation::new("body", problem)])
}

/// The JSON object that a body is; an empty body is an empty object.
///
/// # Errors
/// What is wrong with it, and where.
pub(super) fn json(body: &[u8]) -> Result<Map<String, Value>, FieldViolation> {
    if body.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(body).map_err(|error| FieldViolation::new("body", format!("must be a JSON object: {error}")))
}

fn read(of: &MessageDescriptor, object: Value) -> Result<DynamicMessage, String> {
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    DynamicMessage::deserialize_with_options(of.clone(), object, &options).map_err(|error| error.to_string())
}

/// Puts one parameter into `object`, after it was tried alone, so that a fault is told by its name.
fn put(object: &mut Map<String, Value>, of: &MessageDescriptor, name: &str, text: &str) -> Result<(), String> {
    let (mut level, mut message, mut path) = (object, of.clone(), name);
    for _ in 0..DEPTH_MAX {
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        let field = message.get_field_by_name(first).or_else(|| message.get_field_by_json_name(first));
        let field = field.ok_or_else(|| format!("{first:?} is no field of {}", message.name()))?;
        let Some(rest) = rest else {
            let value = value(&field, text)?;
            let alone = Map::from_iter([(field.name().to_owned(), listed(&field, None, value.clone()))]);
            read(&message, Value::Object(alone)).map_err(|error| in_form(&field).map_or(error, str::to_owned))?;
            let by_json_name = level.remove(field.json_name());
            let before = level.remove(field.name()).or(by_json_name);
            level.insert(field.name().to_owned(), listed(&field, before, value));
            return Ok(());
        };
        let Kind::Message(inner) = field.kind() else { return Err(format!("{first:?} has no fields")) };
        let known = level.remove(field.json_name()).or_else(|| level.remove(field.name()));
        level.insert(field.name().to_owned(), known.filter(Value::is_object).unwrap_or_else(|| Map::new().into()));
        level = level.get_mut(field.name()).and_then(Value::as_object_mut).ok_or("is no object")?;
        (message, path) = (inner, rest);
    }
    Err("leads too deep".to_owned())
}

/// How a value is written, where its parser does not say.
fn in_form(field: &FieldDescriptor) -> Option<&'static str> {
    match field.kind() {
        Kind::Uint32 | Kind::Uint64 | Kind::Fixed32 | Kind::Fixed64 => Some("must be a whole number from 0 on"),
        Kind::Int32 | Kind::Int64 | Kind::Sint32 | Kind::Sint64 | Kind::Sfixed32 | Kind::Sfixed64 => {
            Some("must be a whole number")
        }
        Kind::Float | Kind::Double => Some("must be a number"),
        Kind::Message(message) => match message.full_name() {
            "google.protobuf.Duration" => Some("must be seconds, such as 8s or 2.5s"),
            "google.protobuf.Timestamp" => Some("must be a time, such as 2026-11-20T15:30:00Z"),
            _ => None,
        },
        _ => None,
    }
}

/// A parameter of a list may stand there several times.
fn listed(field: &FieldDescriptor, before: Option<Value>, value: Value) -> Value {
    if !field.is_list() {
        return value;
    }
    let mut all = match before {
        Some(Value::Array(all)) => all,
        _ => Vec::new(),
    };
    all.push(value);
    Value::Array(all)
}

/// The JSON form of a text. Numbers may be quoted there, so that only truth needs to be told apart.
fn value(field: &FieldDescriptor, text: &str) -> Result<Value, String> {
    match field.kind() {
        Kind::Bool if text.is_empty() || text == "true" => Ok(true.into()),
        Kind::Bool if text == "false" => Ok(false.into()),
        Kind::Bool => Err("must be true or false".to_owned()),
        Kind::Message(message) if message.full_name() == "google.protobuf.FieldMask" => Ok(camel(text).into()),
        _ => Ok(text.into()),
    }
}

/// Paths of fields are written as in the `.proto` files or as in JSON; JSON's own form of a mask knows only the latter.
fn camel(text: &str) -> String {
    let mut camel = String::with_capacity(text.len());
    let mut up = false;
    for letter in text.chars() {
        match letter {
            '_' => up = true,
            letter if std::mem::take(&mut up) => camel.push(letter.to_ascii_uppercase()),
            letter => camel.push(letter),
        }
    }
    camel
}

#[cfg(test)]
mod tests {
    use proto::v1;

    use super::super::POOL;
    use super::*;

    fn read_named(
        message_name: &str,
        named: &[(&str, &str)],
        body: &str,
    ) -> Result<DynamicMessage, Vec<FieldViolation>> {
        let named: Vec<_> = named.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let of = POOL.get_message_by_name(&format!("failsafe.v1.{message_name}")).unwrap();
        message(&of, &named, json(body.as_bytes()).map_err(|one| vec![one])?)
    }

    #[test]
    fn path_query_and_body_become_one_message() {
        let named = [
            ("repository", "acme/shop"),
            ("labels", "a"),
            ("labels", "b"),
            ("wait", "2.5s"),
            ("history.authorChanges", "3"),
        ];
        let body = r#"{"pullRequest": 7, "repository": "other", "history": {"file_reverts": 1}, "commits": 2}"#;
        let read: v1::SubmitDeploymentRequest =
            read_named("SubmitDeploymentRequest", &named, body).unwrap().transcode_to().unwrap();
        assert_eq!((read.repository.as_str(), read.pull_request, read.commits), ("acme/shop", 7, Some(2)));
        assert_eq!(read.labels, ["a", "b"]);
        assert_eq!(read.wait, Some(prost_types::Duration { seconds: 2, nanos: 500_000_000 }));
        let history = read.history.unwrap();
        assert_eq!((history.author_changes, history.file_reverts), (Some(3.0), Some(1.0)));
    }

    #[test]
    fn every_kind_of_parameter_is_read() {
        let named = [
            ("page_size", "20"),
            ("verdict", "VERDICT_BLOCK"),
            ("since", "2026-11-20T15:30:00Z"),
            ("overruled", ""),
            ("against_verdict", "false"),
            ("min_risk", "0.25"),
            ("read_mask", "deployments.deployment_id,nextPageToken"),
        ];
        let read: v1::ListDeploymentsRequest =
            read_named("ListDeploymentsRequest", &named, "").unwrap().transcode_to().unwrap();
        assert_eq!((read.page_size, read.verdict(), read.min_risk), (20, v1::Verdict::Block, Some(0.25)));
        assert_eq!(
            (read.since.unwrap().seconds, read.overruled, read.against_verdict),
            (1_763_652_600 + 31_536_000, true, false)
        );
        assert_eq!(read.read_mask.unwrap().paths, ["deployments.deployment_id", "next_page_token"]);
    }

    #[track_caller]
    fn refused(named: &[(&str, &str)], body: &str, expected: &[(&str, &str)]) {
        let wrong = read_named("ListDeploymentsRequest", named, body).unwrap_err();
        assert_eq!(wrong.len(), expected.len(), "{wrong:?}");
        for (violation, (field, part)) in wrong.iter().zip(expected) {
            assert!(violation.field == *field && violation.description.contains(part), "{violation:?}");
        }
    }

    #[test]
    fn each_wrong_parameter_is_named() {
        let many =
            [("page_size", "many"), ("verdict", "NO"), ("since", "today"), ("overruled", "yes"), ("nonsense", "1")];
        let told = [
            ("page_size", "must be a whole number"),
            ("verdict", "NO"),
            ("since", "must be a time"),
            ("overruled", "true or false"),
            ("nonsense", "no field"),
        ];
        refused(&many, "", &told);
        refused(&[("min_risk", "low")], "", &[("min_risk", "must be a number")]);
        refused(&[("page_size.x", "1")], "", &[("page_size.x", "has no fields")]);
        refused(&[], "[]", &[("body", "JSON object")]);
        refused(&[], r#"{"page_size": 1"#, &[("body", "JSON object")]);
        refused(&[], r#"{"nonsense": 1}"#, &[("body", "nonsense")]);
    }
}
