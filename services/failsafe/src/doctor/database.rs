//! PostgreSQL: the server, the tables, and whether work is left lying.

use chassis::Settings;
use decision::config::DatabaseSettings;
use decision::store::{self, Inspection, Tables};

use super::{Line, clock};
use crate::addresses::program;

const AREA: &str = "PostgreSQL";
/// The oldest version that works, as PostgreSQL numbers them.
const WORKS_SINCE: i32 = 150_000;
/// When so many of the server's connections are in use, in percent, there are soon none.
const FULL_PERCENT: i64 = 80;

/// Looks at all of it.
pub(super) async fn look(settings: &Settings) -> anyhow::Result<Vec<Line>> {
    let settings: DatabaseSettings = settings.table("database")?;
    Ok(match store::inspect(&settings.url).await {
        Ok(inspection) => judged(&inspection, settings.migrate),
        Err(error) => {
            let remedy = "start it, or say where it is: --database-url, database.url in --config FILE. Until then verdicts wait; nothing is lost";
            vec![Line::fail(AREA, "server", format!("cannot be used: {error:#}"), remedy)]
        }
    })
}

fn judged(inspection: &Inspection, migrates: bool) -> Vec<Line> {
    let (used, allowed) = inspection.connections;
    let said = format!(
        "version {}, {used} of {allowed} connections in use, answers in {:.1} ms",
        inspection.version,
        inspection.took.as_secs_f64() * 1_000.0
    );
    let mut lines = vec![if inspection.version_number < WORKS_SINCE {
        Line::fail(AREA, "server", said, "15 is the oldest version that works")
    } else if used * 100 >= allowed * FULL_PERCENT {
        Line::warn(AREA, "server", said, "raise max_connections, or lower database.connections_max")
    } else {
        Line::ok(AREA, "server", said)
    }];
    lines.push(clock(AREA, inspection.clock_ahead, inspection.took.as_secs_f64() / 2.0));
    lines.push(migrations(inspection, migrates));
    if let Some(tables) = &inspection.tables {
        lines.extend(contents(tables));
    }
    lines
}

fn migrations(inspection: &Inspection, migrates: bool) -> Line {
    if !inspection.pending.is_empty() {
        let said = format!("not run: {}", inspection.pending.join(", "));
        let by_hand = format!("`{} audit migrate`, as the role that owns the tables", program());
        let remedy = if migrates { format!("start decision, which runs them; or {by_hand}") } else { by_hand };
        return Line::fail(AREA, "migrations", said, remedy);
    }
    if !inspection.unknown.is_empty() {
        let said = format!("{} were run by a later version than this one", inspection.unknown.len());
        return Line::warn(AREA, "migrations", said, "run this and the services in one version");
    }
    Line::ok(AREA, "migrations", format!("all {} are run", inspection.applied))
}

fn contents(tables: &Tables) -> Vec<Line> {
    let months = if tables.months_missing.is_empty() {
        Line::ok(AREA, "months", "this month's and the next one's tables are there")
    } else {
        let said = format!("missing: {}", tables.months_missing.join(", "));
        Line::fail(AREA, "months", said, "decision makes them every hour: start it, and look at its log")
    };
    let outbox = match tables.unpublished {
        0 => Line::ok(AREA, "outbox", "every verdict is published"),
        count => Line::warn(
            AREA,
            "outbox",
            format!("{count} verdicts are stored and not published"),
            "run this again; when they stay, decision does not run or cannot reach NATS",
        ),
    };
    let overdue = match tables.overdue {
        0 => Line::ok(AREA, "deadlines", format!("none of {} deployments is overdue", tables.deployments)),
        count => Line::fail(
            AREA,
            "deadlines",
            format!("{count} deployments are past their deadline without a verdict"),
            "decision decides them as soon as it runs: start it, and look at its log",
        ),
    };
    vec![months, outbox, overdue]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::State;
    use super::*;

    fn sound() -> Inspection {
        Inspection {
            version: "17.2".to_owned(),
            version_number: 170_002,
            connections: (5, 100),
            clock_ahead: 0.001,
            took: Duration::from_millis(1),
            applied: 3,
            pending: Vec::new(),
            unknown: Vec::new(),
            tables: Some(Tables { months_missing: Vec::new(), unpublished: 0, overdue: 0, deployments: 7 }),
        }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Inspection), name: &str, state: State, part: &str) {
        let mut inspection = sound();
        change(&mut inspection);
        let lines = judged(&inspection, false);
        let line = lines.iter().find(|line| line.name == name).unwrap();
        assert_eq!(line.state, state, "{line:?}");
        assert!(format!("{} {}", line.said, line.remedy).contains(part), "{line:?}");
        let others = lines.iter().filter(|line| line.name != name && line.state != State::Ok);
        assert_eq!(others.count(), 0, "{lines:?}");
    }

    #[test]
    fn each_fault_of_a_database_is_told_with_what_to_do() {
        let tables = |change: fn(&mut Tables)| move |it: &mut Inspection| change(it.tables.as_mut().unwrap());
        check(|_| (), "server", State::Ok, "17.2, 5 of 100 connections");
        check(|it| it.version_number = 140_000, "server", State::Fail, "15 is the oldest");
        check(|it| it.connections = (80, 100), "server", State::Warn, "connections_max");
        check(|it| it.clock_ahead = 60.0, "clock", State::Fail, "NTP");
        check(|it| it.pending = vec!["0004 more".to_owned()], "migrations", State::Fail, "audit migrate");
        check(|it| it.unknown = vec![9], "migrations", State::Warn, "later version");
        check(
            tables(|it| it.months_missing = vec!["events_2027_01".to_owned()]),
            "months",
            State::Fail,
            "events_2027_01",
        );
        check(tables(|it| it.unpublished = 2), "outbox", State::Warn, "not published");
        check(tables(|it| it.overdue = 2), "deadlines", State::Fail, "past their deadline");
    }
}
