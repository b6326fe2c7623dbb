//! The OpenAPI 3.1 document of the HTTP paths, made from the same descriptors as everything else, comments included.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{Cardinality, EnumDescriptor, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::rule::{Rule, Rules};
use super::{POOL, analyze};

/// Where it is.
pub(super) const PATH: &str = "/openapi.json";
/// The message of every refusal.
const REFUSAL: &str = "google.rpc.Status";
const REFUSED: &str = "Why a call was refused, or failed.";
/// Messages and enums of this package are named without it.
const PACKAGE: &str = "failsafe.v1";

/// The document.
pub(super) fn document(rules: &Rules) -> Value {
    let mut schemas = Schemas::default();
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for rule in rules.all() {
        let method = rule.method.as_str().to_lowercase();
        paths.entry(rule.path.clone()).or_default().insert(method, operation(rule, &mut schemas));
    }
    let submit = rules.all().iter().find(|rule| rule.rpc.name() == "SubmitDeployment").expect("there is such a method");
    let short = Map::from_iter([("post".to_owned(), analyze_operation(submit, &mut schemas))]);
    paths.insert(analyze::PATH.to_owned(), short);
    let status = POOL.get_message_by_name(REFUSAL).expect("it is in the descriptors");
    schemas.want(&status);
    let service = submit.rpc.parent_service();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "FailSafe",
            "summary": comment(&service.parent_file(), service.path()),
            "description": "The calls of the gRPC service `failsafe.v1.DeploymentService` over HTTP with JSON. Every refusal is a \
                `google.rpc.Status`; its details say which fields are wrong, why, and when to try again.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": { "schemas": schemas.all() },
    })
}

fn operation(rule: &Rule, schemas: &mut Schemas) -> Value {
    let input = rule.rpc.input();
    let in_path: BTreeSet<&str> = rule.path_fields().collect();
    let mut parameters = Vec::new();
    let mut body_fields = Vec::new();
    for field in input.fields() {
        let is_in_path = in_path.contains(field.name());
        if rule.has_body && !is_in_path {
            body_fields.push(field);
        } else {
            parameters.push(parameter(&field, is_in_path, schemas));
        }
    }
    let mut operation = json!({
        "operationId": rule.rpc.name(),
        "summary": first_sentence(&comment(&rule.rpc.parent_file(), rule.rpc.path())),
        "description": comment(&rule.rpc.parent_file(), rule.rpc.path()),
        "responses": responses(rule, schemas),
    });
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if rule.has_body {
        // Without what is in the path.
        let schema = if in_path.is_empty() { schemas.want(&input) } else { schemas.object(&input, &body_fields) };
        operation["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    }
    operation
}

/// The submission whose body is a diff.
fn analyze_operation(submit: &Rule, schemas: &mut Schemas) -> Value {
    let short = |name: &str| analyze::SHORT.iter().find(|(_, long)| *long == name).map(|(short, _)| *short);
    let in_body = ["diff", "stored_diff", "git", "history"];
    let fields = submit.rpc.input().fields().filter(|field| !in_body.contains(&field.name())).collect::<Vec<_>>();
    let parameters = fields.iter().map(|field| {
        let mut parameter = parameter(field, false, schemas);
        if let Some(short) = short(field.name()) {
            parameter["name"] = short.into();
            parameter["required"] = true.into();
        }
        parameter
    });
    let parameters: Vec<Value> = parameters.collect();
    let description = "The body is the diff as it is, as `curl --data-binary @x.diff` sends it, or a submission in JSON. With `wait` the \
                       answer holds the verdict.";
    json!({
        "operationId": "Analyze",
        "summary": "Takes a diff for judgement.",
        "description": description,
        "parameters": parameters,
        "requestBody": {
            "required": true,
            "content": {
                "text/x-diff": { "schema": { "type": "string" } },
                "application/json": { "schema": schemas.want(&submit.rpc.input()) },
            },
        },
        "responses": responses(submit, schemas),
    })
}

fn responses(rule: &Rule, schemas: &mut Schemas) -> Value {
    let output = rule.rpc.output();
    let schema = schemas.want(&output);
    let description = comment(&output.parent_file(), output.path());
    let refusal = json!({ "application/json": { "schema": { "$ref": reference(REFUSAL) } } });
    let mut responses = json!({
        "200": { "description": description, "content": { "application/json": { "schema": schema } } },
        "default": { "description": "It was refused, or failed.", "content": refusal },
    });
    if rule.rpc.is_server_streaming() {
        responses["200"]["content"] = json!({
            "text/event-stream": { "schema": { "type": "string", "description": "Each event's data is one message; its id is \
                `sequence`, which a browser sends again as Last-Event-ID. `end` is the last event, `error` one that breaks off." } },
            "application/x-ndjson": { "schema": schema },
        });
        responses["204"] = json!({ "description": "Nothing more comes." });
    }
    responses
}

fn parameter(field: &FieldDescriptor, is_in_path: bool, schemas: &mut Schemas) -> Value {
    let mut parameter = json!({
        "name": field.name(),
        "in": if is_in_path { "path" } else { "query" },
        "description": comment(&field.parent_message().parent_file(), field.path()),
        "schema": schemas.of_field(field),
    });
    if is_in_path {
        parameter["required"] = true.into();
    }
    parameter
}

/// The schemas of the messages and enums that are spoken of.
#[derive(Debug, Default)]
struct Schemas(BTreeMap<String, Value>);

impl Schemas {
    /// A reference to the schema of `message`, which is made if it is not there.
    fn want(&mut self, message: &MessageDescriptor) -> Value {
        let name = short_name(message.full_name());
        if !self.0.contains_key(&name) {
            // First the name, for a message may hold others of its kind.
            self.0.insert(name.clone(), Value::Null);
            let schema = self.object(message, &message.fields().collect::<Vec<_>>());
            self.0.insert(name, schema);
        }
        json!({ "$ref": reference(message.full_name()) })
    }

    fn object(&mut self, message: &MessageDescriptor, fields: &[FieldDescriptor]) -> Value {
        let mut properties = Map::new();
        for field in fields {
            let mut schema = self.of_field(field);
            let description = comment(&message.parent_file(), field.path());
            if !description.is_empty() {
                schema["description"] = description.into();
            }
            properties.insert(field.name().to_owned(), schema);
        }
        let mut description = comment(&message.parent_file(), message.path());
        if message.full_name() == REFUSAL {
            // Its descriptors come without their comments.
            REFUSED.clone_into(&mut description);
        }
        json!({ "type": "object", "description": description, "properties": properties })
    }

    fn of_field(&mut self, field: &FieldDescriptor) -> Value {
        if field.is_map() {
            return json!({ "type": "object", "additionalProperties": { "type": "string" } });
        }
        let one = self.of_kind(&field.kind());
        if field.cardinality() == Cardinality::Repeated { json!({ "type": "array", "items": one }) } else { one }
    }

    fn of_kind(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::String => json!({ "type": "string" }),
            Kind::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
            Kind::Double | Kind::Float => json!({ "type": "number" }),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => json!({ "type": "integer", "format": "int32" }),
            Kind::Uint32 | Kind::Fixed32 => {
                json!({ "type": "integer", "format": "int64", "minimum": 0, "maximum": u32::MAX })
            }
            // JavaScript's numbers cannot hold them.
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => json!({ "type": "string", "pattern": "^-?[0-9]+$" }),
            Kind::Uint64 | Kind::Fixed64 => json!({ "type": "string", "pattern": "^[0-9]+$" }),
            Kind::Enum(of) => self.want_enum(of),
            Kind::Message(message) => match message.full_name() {
                "google.protobuf.Timestamp" => json!({ "type": "string", "format": "date-time" }),
                "google.protobuf.Duration" => json!({ "type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$" }),
                "google.protobuf.FieldMask" => json!({ "type": "string" }),
                "google.protobuf.Any" => json!({
                    "type": "object",
                    "properties": { "@type": { "type": "string" } },
                    "required": ["@type"],
                    "additionalProperties": true,
                }),
                _ => self.want(message),
            },
        }
    }

    fn want_enum(&mut self, of: &EnumDescriptor) -> Value {
        let file = of.parent_file();
        let words = |value: &prost_reflect::EnumValueDescriptor| {
            let said = comment(&file, value.path());
            format!("- `{}`: {said}", value.name())
        };
        let names: Vec<String> = of.values().map(|value| value.name().to_owned()).collect();
        let all = of.values().map(|value| words(&value)).collect::<Vec<_>>().join("\n");
        let description = format!("{}\n\n{all}", comment(&file, of.path()));
        let schema = json!({ "type": "string", "enum": names, "description": description });
        self.0.insert(short_name(of.full_name()), schema);
        json!({ "$ref": reference(of.full_name()) })
    }

    fn all(self) -> BTreeMap<String, Value> {
        self.0
    }
}

fn short_name(full_name: &str) -> String {
    let own = full_name.strip_prefix(PACKAGE).and_then(|rest| rest.strip_prefix('.'));
    own.unwrap_or(full_name).to_owned()
}

fn reference(full_name: &str) -> String {
    format!("#/components/schemas/{}", short_name(full_name))
}

/// What stands above an element of a file, as one text.
pub(super) fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let above = info.and_then(|info| info.location.iter().find(|place| place.path == path));
    let text = above.and_then(|place| place.leading_comments.as_deref()).unwrap_or_default();
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ").trim().to_owned()
}

fn first_sentence(text: &str) -> String {
    text.split_once(". ").map_or(text.to_owned(), |(first, _)| format!("{first}."))
}

#[cfg(test)]
mod tests {
    use super::super::RULES;
    use super::*;

    const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/openapi.json");

    #[test]
    fn the_document_in_the_repository_is_that_of_the_protos() {
        let made = document(&RULES);
        let kept = std::fs::read_to_string(KEPT).unwrap();
        let kept: Value = serde_json::from_str(&kept).unwrap();
        let told = "deploy/openapi.json is old: start the gateway, and `curl http://127.0.0.1:50080/openapi.json | python3 -m json.tool`";
        assert!(made == kept, "{told} makes the new one");
    }

    /// Every value of that key, wherever it stands.
    fn all<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
        match value {
            Value::Object(object) => {
                found.extend(object.get(key));
                object.values().for_each(|inner| all(inner, key, found));
            }
            Value::Array(items) => items.iter().for_each(|inner| all(inner, key, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_name_is_used_once() {
        let document = document(&RULES);
        let mut references = Vec::new();
        all(&document, "$ref", &mut references);
        assert!(references.len() > 50, "{}", references.len());
        for reference in references {
            let pointer = reference.as_str().unwrap().strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some_and(Value::is_object), "{reference}");
        }
        let mut ids = Vec::new();
        all(&document, "operationId", &mut ids);
        let different: BTreeSet<_> = ids.iter().map(|id| id.as_str().unwrap()).collect();
        assert_eq!((ids.len(), different.len()), (RULES.all().len() + 1, ids.len()));
    }

    #[test]
    fn every_field_of_a_path_is_a_parameter_and_everything_is_described() {
        let document = document(&RULES);
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
                let in_path = parameters.iter().filter(|one| one["in"] == "path").count();
                assert_eq!(in_path, path.matches('{').count(), "{method} {path}");
                assert!(operation["summary"].as_str().is_some_and(|text| text.ends_with('.')), "{method} {path}");
                for parameter in &parameters {
                    assert_ne!(parameter["description"], "", "{method} {path}: {parameter}");
                }
            }
        }
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            assert_ne!(schema["description"], "", "{name}");
        }
    }
}
