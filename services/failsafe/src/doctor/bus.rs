//! NATS: the server, what it keeps, and who reads.

use std::time::Duration;

use chassis::bus::checkup::{Checkup, Reader, StreamFacts};
use chassis::bus::{Deaf, is_of};
use chassis::settings::NatsSettings;
use proto::event::{DEAD_STREAM, STREAM};

use super::{Line, clock, size};
use crate::addresses::program;

const AREA: &str = "NATS";
/// The first version that is asked for in production.
const DURABLE_SINCE: (u32, u32) = (2, 12);
/// The first that works at all.
const WORKS_SINCE: (u32, u32) = (2, 9);
/// So many messages that wait for one reader are a backlog.
const WAITING_MANY: u64 = 1_000;
/// How long until a reader that looks like none is looked at again.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// A store that is fuller than this, in percent, is soon full.
const FULL_PERCENT: u64 = 80;
/// The services that read by consumers of their own, and the names that those begin with.
const READERS: [&str; 5] =
    [ingest::SERVICE, static_analysis::SERVICE, ml_scoring::SERVICE, decision::SERVICE, llm_explainer::SERVICE];

/// Looks at all of it.
pub(super) async fn look(checkup: &anyhow::Result<Checkup>, settings: &NatsSettings) -> Vec<Line> {
    let checkup = match checkup {
        Ok(checkup) => checkup,
        Err(error) => {
            let remedy = if error.is::<Deaf>() {
                "say who you are: nats.user and nats.password of the operator (deploy/identity.md, NATS)"
            } else {
                "start `nats-server -js`, or say where it is: --nats-url, nats.url in --config FILE"
            };
            return vec![Line::fail(AREA, "server", format!("cannot be used: {error:#}"), remedy)];
        }
    };
    let mut lines = Vec::new();
    if let Err(error) = look_on(checkup, settings, &mut lines).await {
        lines.push(Line::fail(AREA, "server", format!("it went away: {error:#}"), "run this again"));
    }
    lines
}

async fn look_on(checkup: &Checkup, settings: &NatsSettings, lines: &mut Vec<Line>) -> anyhow::Result<()> {
    let server = checkup.server().await?;
    let said = format!(
        "version {}, messages of at most {}, answers in {:.1} ms",
        server.version,
        size(server.payload_max as u64),
        server.round_trip.as_secs_f64() * 1_000.0
    );
    lines.push(if server.version_numbers < WORKS_SINCE {
        Line::fail(AREA, "server", said, "2.9 is the oldest version that works")
    } else {
        Line::ok(AREA, "server", said)
    });
    lines.push(durability(server.version_numbers));
    match checkup.store().await {
        Ok(store) => lines.push(match store.bytes_max {
            None => Line::ok(AREA, "store", format!("{}, without a limit of the account", size(store.bytes))),
            Some(most) => {
                let said = format!("{} of {}", size(store.bytes), size(most));
                if store.bytes.saturating_mul(100) >= most.saturating_mul(FULL_PERCENT) {
                    let remedy =
                        "raise the account's limit, or lower nats.days_kept: a full store takes no more submissions";
                    Line::fail(AREA, "store", said, remedy)
                } else {
                    Line::ok(AREA, "store", said)
                }
            }
        }),
        Err(error) => {
            let remedy = "start the server with JetStream: `nats-server -js`, or a `jetstream` block in its file";
            lines.push(Line::fail(AREA, "store", format!("{error:#}"), remedy));
            return Ok(());
        }
    }
    match checkup.clock_ahead().await? {
        Some((ahead, took)) => lines.push(clock(AREA, ahead, took.as_secs_f64() / 2.0)),
        None => lines.push(Line::ok(AREA, "clock", "not known before the streams are there")),
    }
    let mut streams = checkup.streams().await?;
    let is_unread = |facts: &StreamFacts| facts.readers.iter().any(is_unread);
    if streams.iter().filter_map(|(_, facts)| facts.as_ref()).any(is_unread) {
        // Between two requests for messages a reader looks as if it were none.
        tokio::time::sleep(LOOK_AGAIN_AFTER).await;
        streams = checkup.streams().await?;
    }
    for (name, facts) in streams {
        match facts {
            None => lines.push(Line::fail(
                AREA,
                format!("stream {name}"),
                "it is not there",
                "the first service that starts makes it: start FailSafe",
            )),
            Some(facts) => look_at_stream(&facts, settings, lines),
        }
    }
    Ok(())
}

/// What is known of how safe an acknowledged message is. A client is not told the setting itself.
fn durability(version: (u32, u32)) -> Line {
    if version < DURABLE_SINCE {
        return Line::warn(
            AREA,
            "durability",
            "this version writes to disk every two minutes: a power failure can lose messages that were acknowledged",
            "in production use 2.12 or newer with `sync_interval: always` (deploy/nats.conf)",
        );
    }
    Line::ok(
        AREA,
        "durability",
        "`sync_interval: always` is possible; whether it is set the server does not tell: see deploy/nats.conf",
    )
}

fn look_at_stream(facts: &StreamFacts, settings: &NatsSettings, lines: &mut Vec<Line>) {
    let said = format!("{} messages, {}, kept for {} days", facts.messages, size(facts.bytes), settings.days_kept);
    let name = format!("stream {}", facts.name);
    lines.push(if facts.differences.is_empty() {
        Line::ok(AREA, name, said)
    } else {
        let differences = facts.differences.join("; ");
        let remedy = format!("it is as it was made; `nats stream edit {}` changes it, or the settings do", facts.name);
        Line::warn(AREA, name, differences, remedy)
    });
    if facts.name == DEAD_STREAM {
        lines.push(if facts.messages == 0 {
            Line::ok(AREA, "dead letters", "none")
        } else {
            let remedy = format!("look at them: `{} dead list`", program());
            Line::warn(AREA, "dead letters", facts.messages.to_string(), remedy)
        });
    }
    lines.extend(facts.readers.iter().map(look_at_reader));
    if facts.name == STREAM {
        lines.extend(
            READERS.iter().filter(|service| !facts.readers.iter().any(|reader| is_of(&reader.name, service))).map(
                |service| {
                    let remedy = format!("start {service}: what is published before is kept for it");
                    Line::fail(AREA, format!("reader {service}"), "it has never read anything", remedy)
                },
            ),
        );
    }
}

/// Whether nobody asks for what waits. A busy service asks for no more than it can take: it is then known by what it handles.
const fn is_unread(reader: &Reader) -> bool {
    reader.pulling == 0 && reader.unacknowledged == 0
}

fn look_at_reader(reader: &Reader) -> Line {
    let name = format!("reader {}", reader.name);
    let mut said = format!("{} waiting, {} being handled", reader.waiting, reader.unacknowledged);
    if reader.redelivered > 0 {
        said.push_str(&format!(", {} of them again", reader.redelivered));
    }
    if is_unread(reader) {
        let service = READERS.iter().find(|service| is_of(&reader.name, service)).unwrap_or(&"the service");
        let remedy = format!("start {service}: nobody reads what waits for it");
        said.push_str(", and nobody reads");
        return if reader.waiting > 0 {
            Line::fail(AREA, name, said, remedy)
        } else {
            Line::warn(AREA, name, said, remedy)
        };
    }
    if reader.redelivered > 0 {
        let remedy = "what it handles fails or takes too long: its log says why";
        return Line::warn(AREA, name, said, remedy);
    }
    if reader.waiting >= WAITING_MANY {
        return Line::warn(
            AREA,
            name,
            said,
            "it falls behind: start another instance of it, or look at what it waits for",
        );
    }
    Line::ok(AREA, name, said)
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[track_caller]
    fn check(waiting: u64, unacknowledged: usize, redelivered: usize, pulling: usize, expected: State, part: &str) {
        let name = "decision-signal".to_owned();
        let line = look_at_reader(&Reader { name, waiting, unacknowledged, redelivered, pulling });
        assert_eq!(line.state, expected, "{line:?}");
        assert!(format!("{} {}", line.said, line.remedy).contains(part), "{line:?}");
    }

    #[test]
    fn a_reader_is_judged_by_what_waits_and_whether_anybody_takes_it() {
        check(0, 0, 0, 1, State::Ok, "0 waiting");
        check(5, 64, 0, 0, State::Ok, "64 being handled");
        check(5_000, 64, 0, 1, State::Warn, "falls behind");
        check(0, 3, 2, 1, State::Warn, "2 of them again");
        check(0, 0, 0, 0, State::Warn, "start decision");
        check(1, 0, 0, 0, State::Fail, "nobody reads");
    }
}
