//! One line of the log: for people, or as JSON. Either names the service, the deployment and the trace that it belongs to,
//! whoever logs it, so that a line can be read alone.

use std::fmt::{self, Write};

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use serde::Serialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use crate::trace::{self, UNSEEN};

/// What every line tells of the spans that it stands in, and under which name.
const OF_SPANS: [(&str, &str); 2] = [("failsafe.service", "service"), ("deployment.id", "deployment.id")];
/// Ends each field that is kept of a span: no name and no id holds it.
const END: char = '\u{1f}';

/// What the log keeps of a span: of all its fields only those that lines tell, or each span would be written out for nobody.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OfSpans;

impl<'writer> FormatFields<'writer> for OfSpans {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut told = Told { writer, result: Ok(()) };
        fields.record(&mut told);
        told.result
    }

    fn add_fields(&self, current: &'writer mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        self.format_fields(current.as_writer(), fields)
    }
}

/// Writes down the fields that are told.
struct Told<'writer> {
    writer: Writer<'writer>,
    result: fmt::Result,
}

impl Visit for Told<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if let Some((_, name)) = OF_SPANS.iter().find(|(name, _)| *name == field.name()) {
            self.result = self.result.and(write!(self.writer, "{name}={value:?}{END}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

/// How a line is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Line {
    ForPeople,
    Json,
}

impl<S> FormatEvent<S, OfSpans> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(&self, context: &FmtContext<'_, S, OfSpans>, writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let now = OffsetDateTime::now_utc();
        match self {
            Self::ForPeople => {
                let mut fields = Fields::default();
                event.record(&mut fields);
                let mut fields = fields.0;
                let message = fields.remove("message").map(|message| text(&message)).unwrap_or_default();
                of_spans(context, |name, value| {
                    fields.entry(name).or_insert_with(|| value.into());
                });
                for_people(writer, event, now, &message, fields)
            }
            Self::Json => json(writer, context, event, now),
        }
    }
}

/// Tells what the spans around the event say, the innermost first; of one that was recorded again the latest word first. Without a span
/// it is what is handled without one.
fn of_spans<S>(context: &FmtContext<'_, S, OfSpans>, mut tell: impl FnMut(&'static str, &str))
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    for span in context.event_scope().into_iter().flatten() {
        let extensions = span.extensions();
        let Some(told) = extensions.get::<FormattedFields<OfSpans>>() else { continue };
        for (name, value) in told.fields.rsplit(END).filter_map(|field| field.split_once('=')) {
            OF_SPANS.iter().filter(|(_, known)| *known == name).for_each(|(_, name)| tell(name, value));
        }
    }
    // An error: nothing is.
    let _ = UNSEEN.try_with(|unseen| {
        tell("service", unseen.service);
        unseen.deployment.get().iter().for_each(|id| tell("deployment.id", &id.to_string()));
    });
}

fn json<S>(
    mut writer: Writer<'_>,
    context: &FmtContext<'_, S, OfSpans>,
    event: &Event<'_>,
    now: OffsetDateTime,
) -> fmt::Result
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let metadata = event.metadata();
    let mut object = Object::begun();
    object.add("timestamp", &now.format(&Rfc3339).map_err(|_| fmt::Error)?);
    object.add("level", metadata.level().as_str());
    event.record(&mut object);
    of_spans(context, |name, value| object.add(name, value));
    let otel = Context::current();
    let span = otel.span();
    let span = span.span_context();
    if span.is_valid() {
        object.add("trace_id", &span.trace_id().to_string());
        object.add("span_id", &span.span_id().to_string());
    } else if let Some(id) = trace::current().as_deref().and_then(trace::id_in) {
        object.add("trace_id", id);
    }
    object.add("target", metadata.target());
    writeln!(writer, "{}", object.ended())
}

/// A JSON object that is written as its members come. The first of a name counts.
struct Object {
    text: Vec<u8>,
    names: Vec<&'static str>,
}

impl Object {
    fn begun() -> Self {
        let mut text = Vec::with_capacity(512);
        text.push(b'{');
        Self { text, names: Vec::with_capacity(16) }
    }

    fn add<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) {
        if self.names.contains(&name) {
            return;
        }
        if !self.names.is_empty() {
            self.text.push(b',');
        }
        self.names.push(name);
        // Neither memory nor a text or a number refuses.
        let _ = serde_json::to_writer(&mut self.text, name);
        self.text.push(b':');
        let _ = serde_json::to_writer(&mut self.text, value);
    }

    fn ended(mut self) -> String {
        self.text.push(b'}');
        String::from_utf8(self.text).unwrap_or_default()
    }
}

impl Visit for Object {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field.name(), &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field.name(), &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field.name(), &value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field.name(), &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field.name(), &value);
    }
}

fn for_people(
    mut writer: Writer<'_>,
    event: &Event<'_>,
    now: OffsetDateTime,
    message: &str,
    mut fields: Map<String, Value>,
) -> fmt::Result {
    let level = *event.metadata().level();
    let colour = match level {
        tracing::Level::ERROR => "31",
        tracing::Level::WARN => "33",
        tracing::Level::INFO => "32",
        _ => "34",
    };
    let (colour, dim, plain) = match writer.has_ansi_escapes() {
        true => (format!("\u{1b}[{colour}m"), "\u{1b}[2m", "\u{1b}[0m"),
        false => (String::new(), "", ""),
    };
    let time = now.format(format_description!("[hour]:[minute]:[second].[subsecond digits:3]"));
    let time = time.map_err(|_| fmt::Error)?;
    let service = fields.remove("service").map(|service| format!("{}: ", text(&service))).unwrap_or_default();
    let mut rest = String::new();
    for (name, value) in &fields {
        write!(rest, " {name}={}", text(value))?;
    }
    let (service, message, rest) = (harmless(&service), harmless(message), harmless(&rest));
    writeln!(writer, "{dim}{time}{plain} {colour}{level:<5}{plain} {service}{message}{dim}{rest}{plain}")
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Without what would move a terminal's cursor or change its colours: names in a log come from strangers.
fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The fields of an event.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, OnceLock};

    use domain::DeploymentId;
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::{Registry, fmt};

    use super::*;

    /// What is logged while `act` runs.
    fn logged(line: Line, act: impl FnOnce()) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        let writer = Arc::new(file.reopen().unwrap());
        let layer = fmt::layer().fmt_fields(OfSpans).event_format(line).with_ansi(false).with_writer(writer);
        tracing::subscriber::with_default(Registry::default().with(layer), act);
        std::fs::read_to_string(file.path()).unwrap()
    }

    fn within_spans() {
        let outer = tracing::info_span!("outer", failsafe.service = "ingest", deployment.id = tracing::field::Empty);
        outer.record("deployment.id", "2390b58a");
        let inner = tracing::info_span!(parent: &outer, "inner", messaging.message.id = "m");
        inner.in_scope(|| tracing::warn!(files = 2, "a \u{1b}[31mred\nline"));
    }

    #[test]
    fn a_line_of_json_names_the_service_and_the_deployment_of_the_spans_around_it() {
        let line: Value = serde_json::from_str(&logged(Line::Json, within_spans)).unwrap();
        assert_eq!(line["service"], "ingest");
        assert_eq!(line["deployment.id"], "2390b58a");
        assert_eq!((&line["level"], &line["files"]), (&"WARN".into(), &2.into()));
        assert_eq!(line["message"], "a \u{1b}[31mred\nline");
        assert!(line["messaging.message.id"].is_null(), "{line}");
        assert!(OffsetDateTime::parse(line["timestamp"].as_str().unwrap(), &Rfc3339).is_ok());
    }

    #[test]
    fn a_line_for_people_is_one_line_that_cannot_paint_the_terminal() {
        let line = logged(Line::ForPeople, within_spans);
        assert!(line.ends_with("WARN  ingest: a  [31mred line deployment.id=2390b58a files=2\n"), "{line:?}");
        assert!(!line.contains('\u{1b}'), "{line:?}");
    }

    #[test]
    fn a_line_of_json_names_what_is_handled_without_a_span() {
        let id = "2390b58a-c653-5a88-a9a1-c2e65e719444";
        let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00".to_owned();
        let unseen = trace::Unseen { service: "ingest", traceparent, deployment: OnceLock::new() };
        let act = || {
            UNSEEN.sync_scope(unseen, || {
                trace::tell_deployment(DeploymentId::parse(id).unwrap());
                tracing::info!("said");
            });
        };
        let line: Value = serde_json::from_str(&logged(Line::Json, act)).unwrap();
        assert_eq!((&line["service"], &line["deployment.id"]), (&"ingest".into(), &id.into()));
        assert_eq!(line["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    }

    #[test]
    fn what_a_line_says_itself_goes_before_the_spans_around_it() {
        let act = || {
            let span = tracing::info_span!("span", failsafe.service = "ingest");
            span.in_scope(|| tracing::info!(service = "decision", "said"));
        };
        let line: Value = serde_json::from_str(&logged(Line::Json, act)).unwrap();
        assert_eq!(line["service"], "decision");
    }
}
