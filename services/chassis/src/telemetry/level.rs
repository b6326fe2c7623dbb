//! What is logged, changeable while the process runs.

use std::fmt;

use anyhow::Context;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::reload::Handle;

/// What is logged: directives as in `RUST_LOG`, such as `info` or `info,decision=debug`.
pub struct Level {
    read: Box<dyn Fn() -> Option<String> + Send + Sync>,
    write: Box<dyn Fn(EnvFilter) -> anyhow::Result<()> + Send + Sync>,
}

impl Level {
    pub(super) fn new<S: 'static>(handle: Handle<EnvFilter, S>) -> Self {
        let writing = handle.clone();
        Self {
            read: Box::new(move || handle.with_current(ToString::to_string).ok()),
            write: Box::new(move |filter| writing.reload(filter).context("the logs are gone")),
        }
    }

    /// The directives that hold now.
    #[must_use]
    pub fn get(&self) -> String {
        (self.read)().unwrap_or_default()
    }

    /// Has `directives` hold from now on.
    ///
    /// # Errors
    /// When they cannot be read; then the others go on.
    pub fn set(&self, directives: &str) -> anyhow::Result<()> {
        anyhow::ensure!(!directives.trim().is_empty(), "say what is to be logged, such as info or info,decision=debug");
        let filter = EnvFilter::builder().parse(directives.trim());
        (self.write)(filter.with_context(|| format!("cannot log {directives:?}: say info or info,decision=debug"))?)
    }
}

impl fmt::Debug for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Level").field(&self.get()).finish()
    }
}
