//! What a terminal can show: colours, a width, and text that is safe to print.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};

use serde_json::Value;

use crate::cli::Output;

/// Prints a line. That nobody reads on (`failsafe list | head`) is no error.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Answers in words, or by the facts in JSON.
pub(crate) fn answer(output: Output, words: &str, facts: &Value) {
    match output {
        Output::Text => say(words),
        Output::Json => say(&format!("{facts:#}")),
    }
}

/// Prints the beginning of a line.
pub(crate) fn begin(text: &str) {
    let mut stdout = std::io::stdout();
    let _ = write!(stdout, "{text}").and_then(|()| stdout.flush());
}

/// A line below all others that is written anew and again; nothing where no terminal would show it.
#[derive(Debug)]
pub(crate) struct Live {
    is_seen: bool,
}

impl Live {
    /// A line that is shown where both outputs are a terminal and `is_wanted`.
    pub(crate) fn new(is_wanted: bool) -> Self {
        Self { is_seen: is_wanted && std::io::stdout().is_terminal() && std::io::stderr().is_terminal() }
    }

    /// Writes it anew.
    pub(crate) fn show(&self, text: &str) {
        if self.is_seen {
            let mut out = std::io::stderr();
            let _ = write!(out, "\r\x1b[K{}", safe(text)).and_then(|()| out.flush());
        }
    }

    /// Takes it away.
    pub(crate) fn clear(&self) {
        self.show("");
    }
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    /// Whether colours are wanted.
    pub(crate) colour: bool,
    /// How many characters a line may have.
    pub(crate) width: usize,
}

impl Style {
    /// Characters in a line where nobody says.
    const WIDTH: usize = 100;

    /// What the standard output can show, and its owner wants (<https://no-color.org>).
    pub(crate) fn of_stdout() -> Self {
        Self::of(std::io::stdout().is_terminal())
    }

    /// The same of the standard error.
    pub(crate) fn of_stderr() -> Self {
        Self::of(std::io::stderr().is_terminal())
    }

    fn of(is_terminal: bool) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let width = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        Self { colour: is_terminal && !refused, width: width.unwrap_or(Self::WIDTH).clamp(60, 120) }
    }
}

/// How a piece of text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Plain,
    Bold,
    Dim,
    Good,
    Doubtful,
    Bad,
}

impl Look {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Good => "1;32",
            Self::Doubtful => "1;33",
            Self::Bad => "1;31",
        }
    }
}

/// Lines for people, one below the other.
#[derive(Debug)]
pub(crate) struct Sheet {
    style: Style,
    text: String,
}

impl Sheet {
    pub(crate) const fn new(style: Style) -> Self {
        Self { style, text: String::new() }
    }

    /// The lines, without the last line's end.
    pub(crate) fn into_text(self) -> String {
        self.text.trim_end().to_owned()
    }

    /// An empty line.
    pub(crate) fn space(&mut self) {
        self.text.push('\n');
    }

    /// A rule over the whole width, with a title in it.
    pub(crate) fn rule(&mut self, title: &str) {
        let line = "─".repeat(self.style.width.saturating_sub(title.chars().count() + 4));
        self.painted(&format!("── {title} {line}"), Look::Dim);
    }

    /// A paragraph behind `indent` spaces, broken into lines.
    pub(crate) fn paragraph(&mut self, indent: usize, look: Look, text: &str) {
        self.item(indent, (Look::Plain, ""), look, text);
    }

    /// A paragraph behind a mark; its further lines stand below its first word.
    pub(crate) fn item(&mut self, indent: usize, (mark_look, mark): (Look, &str), look: Look, text: &str) {
        let hanging = if mark.is_empty() { 0 } else { mark.chars().count() + 1 };
        let width = self.style.width.saturating_sub(indent + hanging).max(20);
        for (number, line) in wrapped(&safe(text), width).iter().enumerate() {
            let _ = write!(self.text, "{:indent$}", "");
            if number == 0 && !mark.is_empty() {
                self.piece(mark, mark_look);
                self.text.push(' ');
            } else {
                let _ = write!(self.text, "{:hanging$}", "");
            }
            self.painted(line, look);
        }
    }

    /// A line that is cut at its end rather than broken: a line of code.
    pub(crate) fn code(&mut self, indent: usize, text: &str) {
        let width = self.style.width.saturating_sub(indent + 2).max(20);
        let text = safe(text);
        let mut cut: String = text.chars().take(width).collect();
        if cut.len() < text.len() {
            cut.pop();
            cut.push('…');
        }
        let _ = write!(self.text, "{:indent$}", "");
        self.painted(&format!("│ {cut}"), Look::Dim);
    }

    /// A line of a table. It is not broken, so that a program can read it, too.
    pub(crate) fn row(&mut self, cells: &[(Look, &str)]) {
        for (number, (look, cell)) in cells.iter().enumerate() {
            self.text.push_str(if number == 0 { "" } else { "  " });
            self.piece(&safe(cell), *look);
        }
        self.text.truncate(self.text.trim_end_matches(' ').len());
        self.text.push('\n');
    }

    fn painted(&mut self, text: &str, look: Look) {
        self.piece(text, look);
        self.text.push('\n');
    }

    fn piece(&mut self, text: &str, look: Look) {
        if self.style.colour && look != Look::Plain && !text.is_empty() {
            let _ = write!(self.text, "\x1b[{}m{text}\x1b[0m", look.code());
        } else {
            self.text.push_str(text);
        }
    }
}

/// `text` in one line, without what would move the cursor, change colours or turn the direction: it came from strangers.
pub(crate) fn safe(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => line.push_str("  "),
            '\n' | '\r' => line.push(' '),
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => line.push('\u{fffd}'),
            _ if character.is_control() => line.push('\u{fffd}'),
            _ => line.push(character),
        }
    }
    line
}

/// `text` in lines of at most `width` characters, broken between words; a longer word is broken where it must be.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut room = width;
    for word in text.split_whitespace() {
        let mut rest = word;
        let chars = word.chars().count();
        let gap = usize::from(room < width);
        if chars + gap > room && gap > 0 {
            lines.push(String::new());
            room = width;
        }
        while rest.chars().count() > width {
            let cut = rest.char_indices().nth(width).map_or(rest.len(), |(at, _)| at);
            lines.last_mut().expect("there is a line").push_str(&rest[..cut]);
            lines.push(String::new());
            rest = &rest[cut..];
        }
        let line = lines.last_mut().expect("there is a line");
        if !line.is_empty() {
            line.push(' ');
            room -= 1;
        }
        line.push_str(rest);
        room = room.saturating_sub(rest.chars().count());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("one two  three", 80), ["one two three"]);
        assert_eq!(wrapped("", 7), [""]);
        assert_eq!(wrapped("a elephantine b", 7), ["a", "elephan", "tine b"]);
        assert_eq!(wrapped("größer größer", 6), ["größer", "größer"]);
    }

    #[test]
    fn what_strangers_wrote_cannot_steer_the_terminal() {
        assert_eq!(safe("a\x1b[31mb\tc\nd\u{202e}e"), "a\u{fffd}[31mb  c d\u{fffd}e");
    }

    #[test]
    fn colours_are_only_used_where_wanted() {
        let print = |colour| {
            let mut sheet = Sheet::new(Style { colour, width: 24 });
            sheet.item(2, (Look::Bad, "x"), Look::Plain, "it is blocked for good reasons");
            sheet.into_text()
        };
        assert_eq!(print(false), "  x it is blocked for\n    good reasons");
        assert_eq!(print(true), "  \x1b[1;31mx\x1b[0m it is blocked for\n    good reasons");
    }
}
