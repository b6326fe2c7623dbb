//! Settings of the Law: table `[static_analysis]`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

/// `[static_analysis]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Most findings in one signal; the least severe beyond it are counted and left out.
    pub findings_max: usize,
    /// Bytes of a line looked at at once, from 4096. A longer line (minified code) is read in overlapping parts of this
    /// length, so that no line takes more than its share of time.
    pub line_window_bytes: usize,
    /// Files of rules of one's own, or folders of such files.
    pub rules_paths: Vec<PathBuf>,
    /// Ids of rules whose findings are left out.
    pub rules_disabled: Vec<String>,
    /// How severe the findings of a rule are, by its id, instead of what the rule says: info, low, medium, high or critical.
    pub severities: BTreeMap<String, String>,
    /// Paths whose findings do not count, as globs; they are kept and marked.
    pub paths_excluded: Vec<String>,
    /// How many deployments one process judges at a time.
    pub in_flight_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            findings_max: 500,
            line_window_bytes: 8_192,
            rules_paths: Vec::new(),
            rules_disabled: Vec::new(),
            severities: BTreeMap::new(),
            paths_excluded: Vec::new(),
            in_flight_max: 64,
        }
    }
}
