//! A statement to PostgreSQL as telemetry sees it: a span of the transaction's trace, and how long it took. Its parameters are
//! told to nobody.

use std::time::Instant;

use chassis::metrics::list::STATEMENTS;
use tracing::field::Empty;
use tracing::{Instrument, Span};

const SYSTEM: &str = "postgresql";

/// Whatever sends one statement and waits for its answer.
pub(super) trait Statement<T>: Future<Output = Result<T, sqlx::Error>> + Send + Sized {
    /// The same, known by `summary`: what it does, and to which table first (`INSERT events`).
    fn named(self, summary: &'static str) -> impl Future<Output = Result<T, sqlx::Error>> + Send {
        async move {
            let (span, began) = (span(summary), Instant::now());
            let answered = self.instrument(span.clone()).await;
            let error = answered.as_ref().err().map(kind).unwrap_or_default();
            if let Err(failed) = &answered {
                span.record("otel.status_code", "ERROR").record("error.type", &error);
                if let sqlx::Error::Database(database) = failed {
                    span.record("db.response.status_code", database.code().as_deref());
                }
            }
            STATEMENTS.record(began.elapsed().as_secs_f64(), [SYSTEM, summary, &error]);
            answered
        }
    }
}

impl<T, F: Future<Output = Result<T, sqlx::Error>> + Send> Statement<T> for F {}

/// Nothing without a trace around it, or each look for work that is not there would be a trace of its own.
fn span(summary: &'static str) -> Span {
    if Span::current().is_none() {
        return Span::none();
    }
    let (operation, table) = summary.split_once(' ').unwrap_or((summary, ""));
    tracing::info_span!(
        "statement",
        otel.name = summary,
        otel.kind = "client",
        otel.status_code = Empty,
        error.type = Empty,
        db.system.name = SYSTEM,
        db.query.summary = summary,
        db.operation.name = operation,
        db.collection.name = (!table.is_empty()).then_some(table),
        db.response.status_code = Empty,
    )
}

/// The SQLSTATE, or what kind of failure of the connection it is.
fn kind(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(database) => database.code().map_or_else(|| "database".to_owned(), |code| code.into()),
        sqlx::Error::PoolTimedOut => "pool_timeout".to_owned(),
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolClosed => "connection".to_owned(),
        _ => "_OTHER".to_owned(),
    }
}
