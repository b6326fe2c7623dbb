//! What a change takes away from how a service is run and checked: timeouts, tests, owners, checks in CI, lockfiles.

use super::Rule;

pub mod ci_check_disabled;
pub mod code_owners_removed;
pub mod flag_removed;
pub mod install_script;
pub mod licence_changed;
pub mod lockfile_alone;
pub mod test_deleted;
pub mod timeout_removed;

/// The rules of this sort.
pub(super) static RULES: &[&Rule] = &[
    &ci_check_disabled::RULE,
    &code_owners_removed::RULE,
    &flag_removed::RULE,
    &install_script::RULE,
    &licence_changed::RULE,
    &lockfile_alone::RULE,
    &test_deleted::RULE,
    &timeout_removed::RULE,
];
