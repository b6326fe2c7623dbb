//! One line of the log: for people, or as JSON. Either names the service, the deployment and the trace that it belongs to,
//! whoever logs it, so that a line can be read alone.

use std::fmt::{self, Write};

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// What every line tells of the spans that it stands in, and under which name.
const OF_SPANS: [(&str, &str); 2] = [("failsafe.service", "service"), ("deployment.id", "deployment.id")];

/// How a line is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Line {
    ForPeople,
    Json,
}

impl<S> FormatEvent<S, JsonFields> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut fields = fields.0;
        let message = fields.remove("message").map(|message| text(&message)).unwrap_or_default();
        add_spans(&mut fields, context);
        let now = OffsetDateTime::now_utc();
        match self {
            Self::ForPeople => for_people(writer, event, now, &message, fields),
            Self::Json => json(writer, event, now, message, fields),
        }
    }
}

/// Adds what the spans around the event say, where it does not say so itself.
fn add_spans<S>(fields: &mut Map<String, Value>, context: &FmtContext<'_, S, JsonFields>)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    for span in context.event_scope().into_iter().flatten() {
        let extensions = span.extensions();
        let Some(formatted) = extensions.get::<FormattedFields<JsonFields>>() else { continue };
        let Ok(Value::Object(mut of_span)) = serde_json::from_str(&formatted.fields) else { continue };
        for (name, as_name) in OF_SPANS {
            if let Some(value) = of_span.remove(name)
                && !fields.contains_key(as_name)
            {
                fields.insert(as_name.to_owned(), value);
            }
        }
    }
}

fn json(
    mut writer: Writer<'_>,
    event: &Event<'_>,
    now: OffsetDateTime,
    message: String,
    fields: Map<String, Value>,
) -> fmt::Result {
    let metadata = event.metadata();
    let mut line = Map::new();
    let now = now.format(&Rfc3339).map_err(|_| fmt::Error)?;
    line.insert("timestamp".to_owned(), now.into());
    line.insert("level".to_owned(), metadata.level().as_str().into());
    line.insert("message".to_owned(), message.into());
    line.extend(fields);
    let otel = Context::current();
    let span = otel.span().span_context().clone();
    if span.is_valid() {
        line.insert("trace_id".to_owned(), span.trace_id().to_string().into());
        line.insert("span_id".to_owned(), span.span_id().to_string().into());
    }
    line.insert("target".to_owned(), metadata.target().into());
    writeln!(writer, "{}", Value::Object(line))
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
