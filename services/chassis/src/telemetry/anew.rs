//! A filter that is asked about each span and each event.
//!
//! What a layer's filter says is noted for the thread, until the span or event comes that it was said of. Where every filter always takes what
//! comes from one place, none is asked again, and the note of what was asked before counts: of a library that wanted to know whether
//! a line of its own would be logged (`log::log_enabled!`), which it was not. Then ours is lost, too
//! (<https://github.com/tokio-rs/tracing/issues/2519>).

use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata};
use tracing_subscriber::layer::{Context, Filter};

/// The same filter, asked anew each time.
#[derive(Debug)]
pub(super) struct Anew<F>(pub(super) F);

impl<S, F: Filter<S>> Filter<S> for Anew<F> {
    fn callsite_enabled(&self, of: &'static Metadata<'static>) -> Interest {
        let interest = self.0.callsite_enabled(of);
        if interest.is_always() { Interest::sometimes() } else { interest }
    }

    fn enabled(&self, of: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        self.0.enabled(of, context)
    }

    fn event_enabled(&self, event: &Event<'_>, context: &Context<'_, S>) -> bool {
        self.0.event_enabled(event, context)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.0.max_level_hint()
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        self.0.on_new_span(attributes, id, context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        self.0.on_record(id, values, context);
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        self.0.on_enter(id, context);
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        self.0.on_exit(id, context);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        self.0.on_close(id, context);
    }
}
