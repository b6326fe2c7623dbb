//! `failsafe history`: what FailSafe knows of repositories' pasts, and filling it from a clone.

mod import;
mod log;
mod rows;

use anyhow::ensure;

use crate::cli;
use crate::progress::Progress;
use crate::terminal::say;
use rows::RowsOut;

/// Runs one of the commands.
pub(crate) async fn run(command: &cli::History) -> anyhow::Result<()> {
    match command {
        cli::History::Rows(options) => write_rows(options),
    }
}

/// Writes the rows that a model is trained with.
fn write_rows(options: &cli::HistoryRows) -> anyhow::Result<()> {
    let mut rows = RowsOut::default();
    let history = read(&options.git, |imported| {
        rows.add(&options.project, &imported);
        Ok(())
    })?;
    let written = rows.write(&options.out, &history)?;
    say(&format!(
        "{} {} written to {}: {} were taken back within 30 days, and of {} it is too early to tell.",
        written.rows,
        if written.pull_requests_only { "merged pull requests" } else { "changes of the main line" },
        options.out.display(),
        written.failures,
        written.immature,
    ));
    Ok(())
}

/// The history that a clone tells, with a line of progress.
fn read(
    git: &cli::Git,
    mut seen: impl FnMut(import::Imported<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<ml_scoring::history::Repository> {
    let whole = !log::is_shallow(&git.git)?;
    let total = log::count(&git.git, &git.head)?;
    ensure!(total > 0, "there is no change on {}", git.head);
    let mut progress = Progress::start("changes");
    progress.of(total);
    progress.say("reading git's history");
    let mut done = 0;
    let history = import::import(&git.git, &git.head, whole.then(String::new), |imported| {
        done += 1;
        progress.step(done);
        seen(imported)
    });
    progress.end();
    history
}
