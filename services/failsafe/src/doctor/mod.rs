//! `failsafe doctor`: an installation looked over from outside. Each line says what is, and what to do where something is wrong.
//! Nothing is changed.

mod bus;
mod certificates;
mod database;
mod services;

use std::process::ExitCode;

use chassis::bus::checkup::Checkup;
use serde::Serialize;

use crate::cli::{Doctor, Output};
use crate::terminal::{Look, Sheet, Style, say};

/// A clock that is this far off makes times and deadlines doubtful, in seconds; and one that makes them wrong.
const SKEW_DOUBTFUL: f64 = 2.0;
const SKEW_WRONG: f64 = 30.0;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warn,
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Line {
    /// What it belongs to: `NATS`.
    area: &'static str,
    name: String,
    state: State,
    /// What is.
    said: String,
    /// What to do; empty where nothing is to be done.
    remedy: String,
}

impl Line {
    fn ok(area: &'static str, name: impl Into<String>, said: impl Into<String>) -> Self {
        Self { area, name: name.into(), state: State::Ok, said: said.into(), remedy: String::new() }
    }

    fn warn(area: &'static str, name: impl Into<String>, said: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { area, name: name.into(), state: State::Warn, said: said.into(), remedy: remedy.into() }
    }

    fn fail(area: &'static str, name: impl Into<String>, said: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { area, name: name.into(), state: State::Fail, said: said.into(), remedy: remedy.into() }
    }
}

/// Looks at everything. Exits 1 when something fails.
pub(crate) async fn run(options: &Doctor) -> anyhow::Result<ExitCode> {
    let settings = options.settings()?;
    let checkup = Checkup::connect(&settings.table("nats")?).await;
    let mut lines = bus::look(&checkup, &settings.table("nats")?).await;
    lines.extend(database::look(&settings).await?);
    lines.extend(certificates::look(&settings, &options.asking.server)?);
    lines.extend(services::look(&options.asking.server, checkup.as_ref().ok()).await);
    lines.extend(services::look_at_model(&settings).await?);
    match options.asking.output {
        Output::Json => say(&serde_json::to_string_pretty(&lines)?),
        Output::Text => say(&printed(&lines, Style::of_stdout())),
    }
    let fails = lines.iter().any(|line| line.state == State::Fail);
    Ok(if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn printed(lines: &[Line], style: Style) -> String {
    let mut sheet = Sheet::new(style);
    let mut area = "";
    for line in lines {
        if line.area != area {
            if !area.is_empty() {
                sheet.space();
            }
            area = line.area;
            sheet.paragraph(0, Look::Bold, area);
        }
        let (look, word) = match line.state {
            State::Ok => (Look::Good, "ok  "),
            State::Warn => (Look::Doubtful, "warn"),
            State::Fail => (Look::Bad, "fail"),
        };
        sheet.item(2, (look, word), Look::Plain, &format!("{}: {}", line.name, line.said));
        if !line.remedy.is_empty() {
            sheet.item(7, (Look::Dim, "→"), Look::Plain, &line.remedy);
        }
    }
    let count = |state| lines.iter().filter(|line| line.state == state).count();
    let (warnings, failures) = (count(State::Warn), count(State::Fail));
    sheet.space();
    let (look, words) = match (failures, warnings) {
        (0, 0) => (Look::Good, "All is well.".to_owned()),
        (0, warnings) => (Look::Doubtful, format!("Nothing fails; warnings: {warnings}.")),
        (failures, warnings) => (Look::Bad, format!("Failing: {failures}; warnings: {warnings}.")),
    };
    sheet.paragraph(0, look, &words);
    sheet.into_text()
}

/// A clock that is `ahead` of this machine's by so many seconds, give or take `doubt`.
fn clock(area: &'static str, ahead: f64, doubt: f64) -> Line {
    let off = (ahead.abs() - doubt).max(0.0);
    let side = if ahead < 0.0 { "behind" } else { "ahead of" };
    let said = format!("{:.3} s {side} this machine's, give or take {doubt:.3} s", ahead.abs());
    let remedy = "deadlines, ages and the order of events go by these clocks: have both machines' set by NTP";
    if off >= SKEW_WRONG {
        Line::fail(area, "clock", said, remedy)
    } else if off >= SKEW_DOUBTFUL {
        Line::warn(area, "clock", said, remedy)
    } else {
        Line::ok(area, "clock", said)
    }
}

/// `1.5 MiB`.
fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut units = ["bytes", "KiB", "MiB", "GiB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for larger in units {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    if unit == "bytes" { format!("{bytes} bytes") } else { format!("{value:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_judged_by_what_is_certain_of_it() {
        let state = |ahead, doubt| clock("NATS", ahead, doubt).state;
        assert_eq!(state(0.5, 0.1), State::Ok);
        assert_eq!(state(-2.5, 0.1), State::Warn);
        assert_eq!(state(2.5, 1.0), State::Ok);
        assert_eq!(state(-40.0, 1.0), State::Fail);
    }

    #[test]
    fn sizes_are_told_in_units_that_fit() {
        assert_eq!([size(0), size(1023), size(1536), size(5 << 30)], ["0 bytes", "1023 bytes", "1.5 KiB", "5.0 GiB"]);
    }

    #[test]
    fn each_line_says_what_is_and_what_to_do() {
        let lines =
            [Line::ok("NATS", "server", "2.12.1"), Line::fail("PostgreSQL", "server", "it is away", "start it")];
        let expected = "NATS\n  ok   server: 2.12.1\n\nPostgreSQL\n  fail server: it is away\n       → start it\n\nFailing: 1; warnings: 0.";
        assert_eq!(printed(&lines, Style { colour: false, width: 80 }), expected);
    }
}
