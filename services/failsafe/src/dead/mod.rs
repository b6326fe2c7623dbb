//! `failsafe dead`: what could not be handled, as an operator looks at it, has it handled once more, or takes it out.

mod message;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use chassis::Bus;
use chassis::bus::{Letter, Requeued};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::cli::{Chosen, Dead, DeadDrop, DeadList, DeadRequeue, DeadShow, Output};
use crate::terminal::{Look, Sheet, Style, say};
use message::Show;

/// Most dead letters that are read at once.
const LETTERS_MAX: usize = 10_000;

/// Runs one of the commands.
pub(crate) async fn run(command: &Dead) -> anyhow::Result<ExitCode> {
    match command {
        Dead::List(options) => list(options).await,
        Dead::Show(options) => show(options).await,
        Dead::Requeue(options) => requeue(options).await,
        Dead::Drop(options) => drop_for_good(options).await,
    }
    .map(|()| ExitCode::SUCCESS)
}

async fn list(options: &DeadList) -> anyhow::Result<()> {
    let bus = options.bus.connect().await?;
    let (letters, total) = of_service(&bus, options.service.as_deref()).await?;
    if options.output == Output::Json {
        let rows: Vec<Value> = letters.iter().map(facts).collect();
        say(&format!("{:#}", json!({ "dead_letters": rows, "total": total })));
        return Ok(());
    }
    let mut sheet = Sheet::new(Style::of_stdout());
    if letters.is_empty() {
        sheet.paragraph(0, Look::Plain, "no dead letters");
    } else {
        let head = ["NUMBER", "SERVICE", "WHAT", "AGE", "DELIVERIES", "WHY"];
        let now = OffsetDateTime::now_utc();
        let rows = letters.iter().map(|letter| row(letter, now));
        table(&mut sheet, head.map(str::to_owned), rows.collect());
    }
    if total > letters.len() as u64 && options.service.is_none() {
        sheet.paragraph(0, Look::Dim, &format!("these are the oldest of {total}"));
    }
    say(&sheet.into_text());
    Ok(())
}

/// The dead letters of a service, or of all, and how many there are in all.
async fn of_service(bus: &Bus, service: Option<&str>) -> anyhow::Result<(Vec<Letter>, u64)> {
    let (mut letters, total) = bus.letters(LETTERS_MAX).await?;
    letters.retain(|letter| service.is_none_or(|wanted| letter.service == wanted));
    Ok((letters, total))
}

fn row(letter: &Letter, now: OffsetDateTime) -> [String; 6] {
    [
        letter.number.to_string(),
        letter.service.clone(),
        what(letter),
        age(now - letter.at),
        letter.deliveries.to_string(),
        letter.error.clone(),
    ]
}

/// The kind of event, and about which deployment.
fn what(letter: &Letter) -> String {
    match &letter.message {
        None => format!("event {}, which the stream holds no longer", letter.sequence),
        Some(message) => message.subject.strip_prefix("failsafe.v1.").unwrap_or(&message.subject).to_owned(),
    }
}

/// A table whose last column is not padded; the head is dim.
fn table(sheet: &mut Sheet, head: [String; 6], rows: Vec<[String; 6]>) {
    let width = |column: usize| {
        let cells = rows.iter().chain([&head]).map(|row| row[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let widths: [usize; 6] = std::array::from_fn(|column| if column == 5 { 0 } else { width(column) });
    for (number, row) in [&head].into_iter().chain(&rows).enumerate() {
        let look = if number == 0 { Look::Dim } else { Look::Plain };
        let padded: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let cells: Vec<(Look, &str)> = padded.iter().map(|cell| (look, cell.as_str())).collect();
        sheet.row(&cells);
    }
}

/// `3 min`, `2 h`, `5 d`.
fn age(age: time::Duration) -> String {
    match age.whole_seconds().max(0) {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3_600 => format!("{} min", seconds / 60),
        seconds @ 3_600..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

fn facts(letter: &Letter) -> Value {
    json!({
        "number": letter.number,
        "service": letter.service,
        "error": letter.error,
        "deliveries": letter.deliveries,
        "at": letter.at.format(&Rfc3339).unwrap_or_default(),
        "stream_sequence": letter.sequence,
        "subject": letter.message.as_ref().map(|message| &message.subject),
    })
}

async fn show(options: &DeadShow) -> anyhow::Result<()> {
    let bus = options.bus.connect().await?;
    let letter = find(&bus, options.number).await?;
    let how = if options.body { Show::Whole } else { Show::Short };
    let told = letter.message.as_ref().map(|message| message::json(message, how));
    if options.output == Output::Json {
        let mut all = facts(&letter);
        if let Some(message) = &letter.message {
            all["headers"] = message.headers.iter().map(|(name, value)| json!([name, value])).collect();
            all["bytes"] = message.body.len().into();
        }
        match told {
            Some(Ok(value)) => all["message"] = value,
            Some(Err(why)) => all["unreadable"] = why.into(),
            None => {}
        }
        say(&format!("{all:#}"));
        return Ok(());
    }
    let mut sheet = Sheet::new(Style::of_stdout());
    sheet.item(0, (Look::Bold, &format!("dead letter {}", letter.number)), Look::Plain, &what(&letter));
    let at = letter.at.format(&Rfc3339).unwrap_or_default();
    sheet.paragraph(2, Look::Plain, &format!("given up by {} at {at}, delivery {}", letter.service, letter.deliveries));
    sheet.item(2, (Look::Bad, "✗"), Look::Plain, &letter.error);
    sheet.paragraph(2, Look::Dim, &format!("place {} in the stream of events", letter.sequence));
    for (name, value) in letter.message.iter().flat_map(|message| &message.headers) {
        sheet.paragraph(2, Look::Dim, &format!("{name}: {value}"));
    }
    say(&sheet.into_text());
    match told {
        Some(Ok(value)) => say(&format!("\n{}", message::printable(&value))),
        Some(Err(why)) => say(&format!("\n{}", crate::terminal::safe(&why))),
        None => say("\nThe message itself is not in the stream of events any more."),
    }
    Ok(())
}

async fn find(bus: &Bus, number: u64) -> anyhow::Result<Letter> {
    let found = bus.letter(number).await?;
    found.with_context(|| format!("there is no dead letter {number}: `failsafe dead list` names those that there are"))
}

/// The dead letters that a command is about. All are looked for before anything is done.
async fn chosen(bus: &Bus, chosen: &Chosen) -> anyhow::Result<Vec<Letter>> {
    if chosen.all {
        return Ok(of_service(bus, chosen.service.as_deref()).await?.0);
    }
    let mut letters = Vec::new();
    for number in &chosen.numbers {
        letters.push(find(bus, *number).await?);
    }
    Ok(letters)
}

async fn requeue(options: &DeadRequeue) -> anyhow::Result<()> {
    let bus = options.bus.connect().await?;
    let mut done = Vec::new();
    let mut gone = Vec::new();
    for letter in chosen(&bus, &options.chosen).await? {
        match bus.requeue(&letter).await? {
            Requeued::Done => {
                if options.output == Output::Text {
                    say(&format!("{}: {} is published again", letter.number, what(&letter)));
                }
                done.push(letter.number);
            }
            Requeued::Gone => gone.push(letter.number),
        }
    }
    match options.output {
        Output::Json => say(&json!({ "requeued": done, "gone": gone }).to_string()),
        Output::Text if done.is_empty() && gone.is_empty() => say("no dead letters"),
        Output::Text => {}
    }
    let list: Vec<_> = gone.iter().map(u64::to_string).collect();
    ensure!(
        gone.is_empty(),
        "the stream of events holds the message of {} no longer: submit it anew, and drop the letter",
        list.join(", ")
    );
    Ok(())
}

async fn drop_for_good(options: &DeadDrop) -> anyhow::Result<()> {
    let bus = options.bus.connect().await?;
    let letters = chosen(&bus, &options.chosen).await?;
    if !letters.is_empty() && !options.yes && !is_sure(letters.len())? {
        bail!("nothing is dropped");
    }
    for letter in &letters {
        bus.take_out(letter.number).await?;
    }
    match options.output {
        Output::Json => say(&json!({ "dropped": letters.iter().map(|it| it.number).collect::<Vec<_>>() }).to_string()),
        Output::Text => say(&format!("dropped: {}", letters.len())),
    }
    Ok(())
}

/// Asks whoever sits at the terminal.
fn is_sure(count: usize) -> anyhow::Result<bool> {
    ensure!(std::io::stdin().is_terminal(), "what is dropped is gone for good: say --yes");
    eprint!("Drop {count} dead {} for good? [y/N] ", if count == 1 { "letter" } else { "letters" });
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
