//! The proto3 JSON form of messages (<https://protobuf.dev/programming-guides/json/>), by their descriptors.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions};

use crate::{DESCRIPTORS, Malformed};

static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).expect("the build wrote sound descriptors"));

pub(crate) fn descriptor(message: &str) -> MessageDescriptor {
    POOL.get_message_by_name(message).expect("the message is one of ours")
}

/// Reads the JSON form of the message named `message`. Unknown fields are refused: a mistyped field must not be lost silently.
///
/// # Errors
/// What is wrong with the text, and in which line and column.
///
/// # Panics
/// When there is no message of that name.
pub fn from_json<M: Message + Default>(message: &str, text: &[u8]) -> Result<M, Malformed> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let dynamic = DynamicMessage::deserialize_with_options(descriptor(message), &mut json, &options)
        .and_then(|dynamic| json.end().map(|()| dynamic))
        .map_err(|error| Malformed::new(message, format!("not its JSON form: {error}")))?;
    dynamic.transcode_to().map_err(|error| Malformed::new(message, error.to_string()))
}

/// The JSON form of a message named `message`, with the field names of the `.proto` files.
///
/// # Panics
/// When there is no message of that name.
#[must_use]
pub fn to_json<M: Message>(message: &str, value: &M) -> serde_json::Value {
    let mut dynamic = DynamicMessage::new(descriptor(message));
    dynamic.transcode_from(value).expect("the value is of that message");
    let options = SerializeOptions::new().use_proto_field_name(true);
    dynamic.serialize_with_options(serde_json::value::Serializer, &options).expect("every message has a JSON form")
}

/// Whether a gRPC method of that full name (`failsafe.v1.DeploymentService/ListDeployments`) is defined.
#[must_use]
pub fn has_method(name: &str) -> bool {
    let Some((service, method)) = name.split_once('/') else { return false };
    let service = POOL.get_service_by_name(service);
    service.is_some_and(|service| service.methods().any(|known| known.name() == method))
}

/// The JSON form of the body of an event of that kind (`verdict.reached`); `None` when there is no such kind, or the bytes are
/// not of it.
#[must_use]
pub fn body_json(kind: &str, body: &[u8]) -> Option<serde_json::Value> {
    // Messages are named after their kinds, but for the one that is also a gRPC request.
    let parts = kind.split('.').filter_map(|part| part.split_at_checked(1));
    let name: String = match kind {
        domain::Draft::KIND => "SubmitDeploymentRequest".to_owned(),
        _ => parts.map(|(first, rest)| first.to_uppercase() + rest).collect(),
    };
    let message = POOL.get_message_by_name(&format!("failsafe.v1.{name}"))?;
    let dynamic = DynamicMessage::decode(message, body).ok()?;
    let options = SerializeOptions::new().use_proto_field_name(true);
    dynamic.serialize_with_options(serde_json::value::Serializer, &options).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1;

    const MESSAGE: &str = "failsafe.v1.SubmitDeploymentRequest";

    #[test]
    fn both_spellings_of_a_field_are_read() {
        let text = br#"{"repository":"acme/shop","pullRequest":7,"base_branch":"main","deploy_at":"2026-11-20T16:30:00+01:00"}"#;
        let read: v1::SubmitDeploymentRequest = from_json(MESSAGE, text).unwrap();
        assert_eq!((read.pull_request, read.base_branch.as_str()), (7, "main"));
        assert_eq!(read.deploy_at.unwrap().seconds, 1_795_188_600);
        assert_eq!(to_json(MESSAGE, &read)["pull_request"], 7);
    }

    #[test]
    fn every_kind_of_event_has_a_json_form() {
        use crate::Event;
        use domain::{Deployment, Draft, Explanation, Outcome, Reached, Review, Signal};
        for kind in [
            <Draft as Event>::KIND,
            <Deployment as Event>::KIND,
            <Signal as Event>::KIND,
            <Reached as Event>::KIND,
            <Explanation as Event>::KIND,
            <Review as Event>::KIND,
            <Outcome as Event>::KIND,
        ] {
            assert!(body_json(kind, &[]).is_some(), "{kind}");
        }
        assert_eq!((body_json("verdict.undone", &[]), body_json("verdict.reached", &[7])), (None, None));
    }

    #[track_caller]
    fn refused(text: &[u8], part: &str) {
        let error = from_json::<v1::SubmitDeploymentRequest>(MESSAGE, text).unwrap_err();
        assert!(error.problem.contains(part), "{error}");
    }

    #[test]
    fn what_is_wrong_is_said() {
        refused(br#"{"repositry":"acme/shop"}"#, "repositry");
        refused(br#"{"pull_request":"seven"}"#, "line 1 column");
        refused(br#"{"pull_request":7"#, "EOF");
        refused(br#"{"pull_request":7} {}"#, "trailing");
        refused(b"{\"title\":\"\xff\"}", "");
    }
}
