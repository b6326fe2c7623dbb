//! TODO
use crate::rules::Rule;
pub(crate) fn rules() -> Vec<&'static Rule> {
    Vec::new()
}
