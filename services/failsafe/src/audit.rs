//! `failsafe audit`: verifying, exporting and dropping the audit trail. How it is kept is for `decision` to know.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use decision::chain::{Head, Month};
use decision::checkpoint::{Checkpoint, Statement, read_signing_key, read_verifying_key};
use decision::store::{self, Audit, Fault};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::cli::{self, Output};
use crate::progress::Progress;
use crate::terminal::{answer, say};

/// Runs one of the commands.
pub(crate) async fn run(command: &cli::Audit) -> anyhow::Result<ExitCode> {
    match command {
        cli::Audit::Verify(options) => return verify(options).await,
        cli::Audit::Export(options) => export(options).await,
        cli::Audit::Checkpoint(options) => checkpoint(options).await,
        cli::Audit::Drop(options) => drop_month(options).await,
        cli::Audit::Migrate(database) => store::migrate(&database.url()?).await,
    }
    .map(|()| ExitCode::SUCCESS)
}

async fn verify(options: &cli::Verify) -> anyhow::Result<ExitCode> {
    let statements = statements(options)?;
    let audit = Audit::connect(&options.database.url()?).await?;
    let wanted = |month: Month| options.month.is_none_or(|only| only == month);
    let months: Vec<Head> = audit.months().await?.into_iter().filter(|head| wanted(head.month)).collect();
    let dropped: Vec<_> = audit.dropped().await?.into_iter().filter(|dropped| wanted(dropped.head.month)).collect();
    let mut told = Vec::new();
    for dropped in &dropped {
        let Head { month, events, hash } = dropped.head;
        told.push(Told {
            words: format!("{month}  dropped on {}, after {events} events ending in {hash}", dropped.at.date()),
            facts: json!({ "month": month.to_string(), "state": "dropped", "events": events, "head": hash.to_string() }),
        });
    }
    let known = |month: Month| months.iter().chain(dropped.iter().map(|one| &one.head)).any(|head| head.month == month);
    for month in options.month.into_iter().chain(statements.iter().map(|statement| statement.month)) {
        ensure!(known(month), "nothing is known of the month {month}, and no checkpoint says that it was dropped");
    }
    let mut broken = false;
    for head in months {
        let mut progress = Progress::start("events");
        progress.say("walking the chain");
        progress.of(usize::try_from(head.events)?);
        let mut walked = 0;
        let fault = audit
            .verify(head.month, &statements, |done| {
                walked = done;
                progress.step(usize::try_from(done).unwrap_or(usize::MAX));
            })
            .await?;
        progress.end();
        match fault {
            None => told.push(Told {
                words: format!("{}  whole: {walked} events", head.month),
                facts: json!({ "month": head.month.to_string(), "state": "whole", "events": walked }),
            }),
            Some(fault) => {
                broken = true;
                told.push(Told::of_fault(&fault));
            }
        }
    }
    match options.output {
        Output::Json => {
            let months: Vec<_> = told.into_iter().map(|told| told.facts).collect();
            say(&format!("{:#}", json!({ "whole": !broken, "months": months })));
        }
        Output::Text => told.iter().for_each(|told| say(&told.words)),
    }
    Ok(ExitCode::from(u8::from(broken)))
}

/// What is to be said of a month, to people and to programs.
struct Told {
    words: String,
    facts: Value,
}

impl Told {
    fn of_fault(fault: &Fault) -> Self {
        let link = fault.link.map_or_else(|| "none".to_owned(), |link| link.to_string());
        let event = fault.event_id.map_or_else(|| "none".to_owned(), |id| id.to_string());
        Self {
            words: format!("{}  BROKEN at link {link}, event {event}: {}", fault.month, fault.what),
            facts: json!({
                "month": fault.month.to_string(),
                "state": "broken",
                "link": fault.link,
                "event_id": fault.event_id.map(|id| id.to_string()),
                "what": fault.what,
            }),
        }
    }
}

/// What the checkpoints state, whose signatures hold.
fn statements(options: &cli::Verify) -> anyhow::Result<Vec<Statement>> {
    let key = options.key.as_deref().map(read_verifying_key).transpose()?;
    let checked = options.checkpoint.iter().map(|path| {
        let checkpoint = read_checkpoint(path)?;
        if let Some(key) = &key {
            checkpoint.ensure_signed_by(key).with_context(|| path.display().to_string())?;
        }
        Ok(checkpoint.statement)
    });
    checked.collect()
}

fn read_checkpoint(path: &Path) -> anyhow::Result<Checkpoint> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Checkpoint::from_json(&text).with_context(|| path.display().to_string())
}

async fn export(options: &cli::Export) -> anyhow::Result<()> {
    let audit = Audit::connect(&options.database.url()?).await?;
    let mut output = output(&options.output)?;
    let mut progress = Progress::start("events");
    progress.say("writing");
    let mut written = 0;
    let exported = audit.export(options.month, options.since, |line| {
        written += 1;
        progress.step(written);
        writeln!(output, "{line}").context("cannot write")
    });
    exported.await?;
    progress.end();
    output.flush().context("cannot write")
}

async fn checkpoint(options: &cli::MakeCheckpoint) -> anyhow::Result<()> {
    let key = options.database.key_path(options.key.as_ref())?;
    let key = key.as_deref().map(read_signing_key).transpose()?;
    let audit = Audit::connect(&options.database.url()?).await?;
    let month = match options.month {
        Some(month) => month,
        None => {
            let now = Month::at(OffsetDateTime::now_utc());
            let over = audit.months().await?.into_iter().map(|head| head.month).filter(|month| *month < now);
            over.max().context("no month is over yet: name one by --month")?
        }
    };
    if let Some(fault) = audit.verify(month, &[], |_| ()).await? {
        anyhow::bail!("the chain of {month} is broken, so nothing is stated of it: {}", fault.what);
    }
    let checkpoint = Checkpoint::new(audit.statement(month).await?, key.as_ref());
    if checkpoint.signature.is_none() {
        eprintln!("failsafe: the checkpoint is NOT SIGNED: no month is dropped on it; name a key by --key");
    }
    let mut output = output(&options.output)?;
    output.write_all(checkpoint.to_json().as_bytes()).and_then(|()| output.flush()).context("cannot write")
}

async fn drop_month(options: &cli::Drop) -> anyhow::Result<()> {
    let key = options.database.key_path(options.key.as_ref())?;
    let key = key.context("name the key that the checkpoint has to be signed by: --key FILE")?;
    let key = read_verifying_key(&key)?;
    let checkpoint = read_checkpoint(&options.checkpoint)?;
    let (month, named) = (checkpoint.statement.month, options.month);
    ensure!(month == named, "{} is a checkpoint of {month}, not of {named}", options.checkpoint.display());
    let audit = Audit::connect(&options.database.url()?).await?;
    let events = audit.drop_month(&checkpoint, &key, Duration::days(i64::from(options.older_than))).await?;
    let kept = options.checkpoint.display().to_string();
    let words = format!("{month} is dropped: {events} events. Keep {kept}: it is what is left of them.");
    let facts = json!({ "month": month.to_string(), "state": "dropped", "events": events, "checkpoint": kept });
    answer(options.output, &words, &facts);
    Ok(())
}

fn output(path: &PathBuf) -> anyhow::Result<Box<dyn Write>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(BufWriter::new(std::io::stdout())));
    }
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Box::new(BufWriter::new(file)))
}
