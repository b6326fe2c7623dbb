//! `failsafe token`: making, listing and revoking API tokens.

use std::process::ExitCode;

use gateway::identity::{self, Record, Token};
use serde_json::json;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::cli::{self, CreateToken, Lifetime, Output};
use crate::terminal::{Look, Sheet, Style, answer, say};

/// Does what the command says.
pub(crate) async fn run(command: &cli::Token) -> anyhow::Result<ExitCode> {
    match command {
        cli::Token::Create(options) => create(options).await?,
        cli::Token::List { output, bus } => {
            let records = identity::list(&bus.connect().await?).await?;
            match output {
                Output::Json => say(&serde_json::to_string_pretty(&records)?),
                Output::Text => say(table(&records, OffsetDateTime::now_utc(), Style::of_stdout()).trim_end()),
            }
        }
        cli::Token::Revoke { named, output, bus } => {
            let revoked = identity::revoke(&bus.connect().await?, named, OffsetDateTime::now_utc()).await?;
            let each = revoked.iter().map(|record| format!("revoked: the token {} of {}", record.id(), record.name));
            let words = each.collect::<Vec<_>>().join("\n");
            let words = if revoked.is_empty() { format!("{named} was revoked before") } else { words };
            answer(*output, &words, &json!({ "revoked": revoked }));
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn create(options: &CreateToken) -> anyhow::Result<()> {
    let token = Token::new()?;
    let created_at = OffsetDateTime::now_utc().replace_nanosecond(0)?;
    let expires_at = match options.expires {
        Lifetime::Unlimited => None,
        Lifetime::Of(time) => Some(created_at + time),
    };
    let record = Record {
        name: options.name.clone(),
        sha256: token.hash(),
        scopes: options.scopes.clone(),
        repositories: options.repositories.clone(),
        created_at,
        expires_at,
        revoked_at: None,
    };
    // Before anything is connected to.
    record.check().map_err(anyhow::Error::msg)?;
    identity::issue(&options.bus.connect().await?, &record).await?;
    eprintln!(
        "token {} of {}: {} on {}, until {}. It is shown this once:",
        record.id(),
        record.name,
        scopes(&record),
        repositories(&record),
        record.expires_at.map_or_else(|| "it is revoked".to_owned(), day)
    );
    answer(options.output, token.reveal(), &json!({ "token": token.reveal(), "record": record }));
    Ok(())
}

fn table(records: &[Record], now: OffsetDateTime, style: Style) -> String {
    let mut sheet = Sheet::new(style);
    if records.is_empty() {
        sheet.paragraph(0, Look::Plain, "No token was made yet: failsafe token create --help");
    }
    for record in records {
        let (look, state) = match (record.revoked_at, record.expires_at) {
            (Some(at), _) => (Look::Dim, format!("revoked {}", day(at))),
            (None, Some(at)) if record.is_expired(now) => (Look::Dim, format!("expired {}", day(at))),
            (None, Some(at)) => (Look::Plain, format!("until {}", day(at))),
            (None, None) => (Look::Doubtful, "for ever".to_owned()),
        };
        sheet.row(&[
            (look, record.id()),
            (look, &format!("{:<20}", record.name)),
            (look, &format!("{state:<18}")),
            (look, &format!("{:<16}", scopes(record))),
            (Look::Dim, &repositories(record)),
        ]);
    }
    sheet.into_text()
}

fn scopes(record: &Record) -> String {
    record.scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>().join(",")
}

fn repositories(record: &Record) -> String {
    if record.repositories.is_empty() { "all repositories".to_owned() } else { record.repositories.join(" ") }
}

fn day(at: OffsetDateTime) -> String {
    at.format(format_description!("[year]-[month]-[day]")).unwrap_or_default()
}
