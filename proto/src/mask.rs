//! Which fields of an answer are wanted: `google.protobuf.FieldMask`, by the descriptors.

use std::collections::BTreeMap;

use prost::Message;
use prost_reflect::{DynamicMessage, Kind, MessageDescriptor, Value};
use prost_types::FieldMask;

use crate::Malformed;
use crate::json::descriptor;

/// The fields that are wanted, and what is wanted of them; all of a field when nothing stands below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Wanted(BTreeMap<String, Wanted>);

/// The fields of an answer that somebody wants. Paths go through lists: `verdicts.number` is the number of each verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    message: MessageDescriptor,
    /// `None` for everything.
    wanted: Option<Wanted>,
}

impl Mask {
    /// Reads a mask over the message named `message`; without one, or with `*`, everything is wanted.
    ///
    /// # Errors
    /// The path that names no field.
    ///
    /// # Panics
    /// When there is no message of that name.
    pub fn of(message: &str, mask: Option<FieldMask>) -> Result<Self, Malformed> {
        let message = descriptor(message);
        let mut paths = mask.map(|mask| mask.paths).unwrap_or_default();
        if paths.is_empty() || paths.iter().any(|path| path == "*") {
            return Ok(Self { message, wanted: None });
        }
        // The longest first, so that a whole field goes over its parts.
        paths.sort_by_key(|path| std::cmp::Reverse(path.len()));
        let mut wanted = Wanted::default();
        for path in &paths {
            add(&mut wanted, &message, path)?;
        }
        Ok(Self { message, wanted: Some(wanted) })
    }

    /// `answer` with nothing in it that is not wanted.
    ///
    /// # Panics
    /// When it is not of the message that the mask is for.
    #[must_use]
    pub fn apply<M: Message + Default>(&self, answer: M) -> M {
        let Some(wanted) = &self.wanted else { return answer };
        let mut dynamic = DynamicMessage::new(self.message.clone());
        dynamic.transcode_from(&answer).expect("the answer is of that message");
        prune(&mut dynamic, wanted);
        dynamic.transcode_to().expect("it has lost some fields, and is the same message")
    }
}

fn add(wanted: &mut Wanted, message: &MessageDescriptor, path: &str) -> Result<(), Malformed> {
    let (mut level, mut within) = (wanted, Some(message.clone()));
    for name in path.split('.') {
        let field = within.as_ref().and_then(|message| message.get_field_by_name(name));
        let Some(field) = field else {
            let of = within.as_ref().map_or("a value", |message| message.name());
            return Err(Malformed::new("read_mask", format!("{path:?}: {name:?} is no field of {of}")));
        };
        level = level.0.entry(name.to_owned()).or_default();
        within = match field.kind() {
            Kind::Message(message) if !field.is_map() => Some(message),
            _ => None,
        };
    }
    // The whole of it, whatever else was wanted of it.
    level.0.clear();
    Ok(())
}

fn prune(message: &mut DynamicMessage, wanted: &Wanted) {
    let present: Vec<_> = message.fields().map(|(field, _)| field).collect();
    for field in present {
        match wanted.0.get(field.name()) {
            None => message.clear_field(&field),
            Some(whole) if whole.0.is_empty() => {}
            Some(part) => match message.get_field_mut(&field) {
                Value::Message(inner) => prune(inner, part),
                Value::List(items) => {
                    items.iter_mut().filter_map(Value::as_message_mut).for_each(|one| prune(one, part))
                }
                _ => {}
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1;

    const MESSAGE: &str = "failsafe.v1.GetDeploymentResponse";

    fn mask(paths: &[&str]) -> Result<Mask, Malformed> {
        let paths = paths.iter().map(ToString::to_string).collect();
        Mask::of(MESSAGE, Some(FieldMask { paths }))
    }

    fn answer() -> v1::GetDeploymentResponse {
        let verdict = |number| v1::VerdictReached { number, event_id: "e".to_owned(), ..Default::default() };
        v1::GetDeploymentResponse {
            superseded_by: "x".to_owned(),
            verdicts: vec![verdict(2), verdict(1)],
            deployment: Some(v1::Deployment { title: "t".to_owned(), author: "a".to_owned(), ..Default::default() }),
            ..Default::default()
        }
    }

    #[test]
    fn what_is_not_wanted_is_left_out() {
        let only = mask(&["verdicts.number", "deployment.author"]).unwrap().apply(answer());
        let numbers: Vec<_> = only.verdicts.iter().map(|one| (one.number, one.event_id.as_str())).collect();
        assert_eq!(numbers, [(2, ""), (1, "")]);
        assert_eq!(only.deployment, Some(v1::Deployment { author: "a".to_owned(), ..Default::default() }));
        assert_eq!(only.superseded_by, "");
        let whole = mask(&["verdicts", "verdicts.number"]).unwrap().apply(answer());
        assert_eq!(whole.verdicts, answer().verdicts);
        for all in [mask(&[]), mask(&["*", "verdicts"]), Mask::of(MESSAGE, None)] {
            assert_eq!(all.unwrap().apply(answer()), answer());
        }
    }

    #[test]
    fn a_path_that_names_no_field_is_refused() {
        let refused = |path| mask(&[path]).unwrap_err().problem;
        assert_eq!(refused("verdict"), "\"verdict\": \"verdict\" is no field of GetDeploymentResponse");
        assert_eq!(refused("deployment.authors"), "\"deployment.authors\": \"authors\" is no field of Deployment");
        assert_eq!(refused("superseded_by.x"), "\"superseded_by.x\": \"x\" is no field of a value");
    }
}
