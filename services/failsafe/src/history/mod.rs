//! `failsafe history`: what FailSafe knows of repositories' pasts, and filling it from a clone.

mod import;
mod log;
mod rows;

use std::path::Path;

use anyhow::ensure;
use ml_scoring::history::{CHANGES_MIN, Change, Import, Repository};
use ml_scoring::kept;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::cli::{self, Output};
use crate::progress::Progress;
use crate::terminal::{Look, Sheet, Style, answer, say};
use rows::RowsOut;

/// Runs one of the commands.
pub(crate) async fn run(command: &cli::History) -> anyhow::Result<()> {
    match command {
        cli::History::Import(options) => import_into(options).await,
        cli::History::List(options) => list(options).await,
        cli::History::Rows(options) => write_rows(options),
    }
}

/// Hands a clone's history to the running services.
async fn import_into(options: &cli::HistoryImport) -> anyhow::Result<()> {
    // Before the long work, so that a wrong address is told at once.
    let bus = options.bus.connect().await?;
    let history = read(&options.git, |_| Ok(()))?;
    kept::import(&bus, &options.repository, &history).await?;
    let whole = history.imported().is_some_and(|import| import.whole);
    let words = format!(
        "{} changes of {}, {} of them taken back, are known to every running ml-scoring from now on.{}",
        history.len(),
        options.repository.as_str(),
        history.failures(),
        if whole {
            ""
        } else {
            "\nThe clone is shallow: whoever is not in it counts as unknown. `git fetch --unshallow` helps."
        },
    );
    answer(options.output, &words, &facts(options.repository.as_str(), &history));
    Ok(())
}

/// Prints the repositories whose past is known.
async fn list(options: &cli::OnBus) -> anyhow::Result<()> {
    let histories = kept::written(&options.bus.connect().await?).await?;
    if options.output == Output::Json {
        let rows: Vec<Value> = histories.iter().map(|(name, history)| facts(name, history)).collect();
        say(&format!("{:#}", json!({ "repositories": rows })));
        return Ok(());
    }
    if histories.is_empty() {
        say("Of no repository's past anything is known: `failsafe history import` fills it, and so do deployments.");
        return Ok(());
    }
    let mut sheet = Sheet::new(Style::of_stdout());
    for (name, history) in &histories {
        let counted = format!("{:>9} changes, {:>5} failed", history.len(), history.failures());
        let day = |change: Option<&Change>| {
            change
                .and_then(|change| OffsetDateTime::from_unix_timestamp(change.at).ok())
                .map_or_else(String::new, |at| at.date().to_string())
        };
        let span = format!("{} to {}", day(history.changes().next()), day(history.changes().next_back()));
        let import = match history.imported() {
            Some(import) => format!("imported up to {:.12}", import.head),
            None if history.len() < CHANGES_MIN => format!("too few to go by, {CHANGES_MIN} are needed"),
            None => "as submitted, without an import".to_owned(),
        };
        sheet.row(&[(Look::Plain, name), (Look::Plain, &counted), (Look::Plain, &span), (Look::Dim, &import)]);
    }
    say(&sheet.into_text());
    Ok(())
}

fn facts(name: &str, history: &Repository) -> Value {
    json!({
        "repository": name,
        "changes": history.len(),
        "failures": history.failures(),
        "since": history.changes().next().map(|change| change.at),
        "until": history.changes().next_back().map(|change| change.at),
        "imported_up_to": history.imported().map(|import| &import.head),
        "whole": history.imported().is_some_and(|import| import.whole),
    })
}

/// Writes the rows that a model is trained with.
fn write_rows(options: &cli::HistoryRows) -> anyhow::Result<()> {
    let mut rows = RowsOut::default();
    let history = read(&options.git, |imported| {
        rows.add(&options.project, &imported);
        Ok(())
    })?;
    let written = rows.write(&options.out, &history)?;
    let words = format!(
        "{} {} written to {}: {} were taken back within 30 days, and of {} it is too early to tell.",
        written.rows,
        if written.pull_requests_only { "merged pull requests" } else { "changes of the main line" },
        options.out.display(),
        written.failures,
        written.immature,
    );
    let facts = json!({
        "written_to": options.out.display().to_string(),
        "rows": written.rows,
        "failures": written.failures,
        "too_early_to_tell": written.immature,
        "pull_requests_only": written.pull_requests_only,
    });
    answer(options.output, &words, &facts);
    Ok(())
}

/// The history that a clone tells up to the commit `head`, for one question.
pub(crate) fn of_clone(folder: &Path, head: &str, from: Import) -> anyhow::Result<Repository> {
    import::import(folder, head, from, |_| Ok(()))
}

/// The history that a clone tells, with a line of progress.
fn read(
    git: &cli::Git,
    mut seen: impl FnMut(import::Imported<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<Repository> {
    let whole = !log::is_shallow(&git.git)?;
    let total = log::count(&git.git, &git.head)?;
    ensure!(total > 0, "there is no change on {}", git.head);
    let mut progress = Progress::start("changes");
    progress.of(total);
    progress.say("reading git's history");
    let mut done = 0;
    let from = Import { head: log::commit(&git.git, &git.head)?, whole };
    let history = import::import(&git.git, &git.head, from, |imported| {
        done += 1;
        progress.step(done);
        seen(imported)
    });
    progress.end();
    history
}
