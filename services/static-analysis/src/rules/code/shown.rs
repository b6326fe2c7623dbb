//! What a hunk shows of a program after the change, line by line, before anything is parsed: whether a change can be the cause of
//! what stands on a line, and what names stand for.
//!
//! Rough on purpose, and always on the safe side: what may be is taken to be so, and the syntax tree decides.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;

use domain::diff::{Hunk, LineKind};

/// How many lines below its beginning a change still counts as the cause of what begins there.
pub(crate) const REACH_LINES: usize = 12;

/// How often the whole text is looked through for a place's sake before the answer is taken to be yes, so that a long hunk takes no
/// longer than its length allows.
pub(crate) const SCANS_MAX: u32 = 256;

/// Where a word begins: a line's number among those shown, and a byte of it.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) at: usize,
}

/// The context and the added lines of a hunk.
pub(crate) struct Shown<'a> {
    path: &'a str,
    lines: Vec<(&'a str, bool)>,
    text: OnceCell<String>,
    /// Where each line begins in it.
    begins: OnceCell<Vec<usize>>,
    imports: OnceCell<Vec<Import<'a>>>,
    renamed: OnceCell<Vec<(&'a str, &'a str)>>,
    answers: RefCell<HashMap<&'static str, bool>>,
    quoted: RefCell<HashMap<&'static str, bool>>,
    scans: Cell<u32>,
}

/// An import of a Python program: its lines, and the names in it.
struct Import<'a> {
    lines: std::ops::Range<usize>,
    names: Vec<&'a str>,
}

impl<'a> Shown<'a> {
    pub(crate) fn of(path: &'a str, hunk: &Hunk<'a>) -> Self {
        let new_side = hunk.lines.iter().filter(|line| line.kind != LineKind::Removed);
        let lines = new_side.map(|line| (line.text, line.kind == LineKind::Added)).collect();
        Self {
            path,
            lines,
            text: OnceCell::new(),
            begins: OnceCell::new(),
            imports: OnceCell::new(),
            renamed: OnceCell::new(),
            answers: RefCell::default(),
            quoted: RefCell::default(),
            scans: Cell::default(),
        }
    }

    /// The path of the file.
    pub(crate) fn path(&self) -> &'a str {
        self.path
    }

    /// The lines, from the top down.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.lines.iter().map(|(text, _)| *text)
    }

    /// A line; empty below the last.
    pub(crate) fn line(&self, number: usize) -> &'a str {
        self.lines.get(number).map_or("", |(text, _)| text)
    }

    /// What stands on the line from a place on.
    pub(crate) fn from(&self, place: Place) -> &'a str {
        self.line(place.line).get(place.at..).unwrap_or("")
    }

    /// What stands on the line before a place.
    pub(crate) fn before(&self, place: Place) -> &'a str {
        self.line(place.line).get(..place.at).unwrap_or("")
    }

    /// All lines in one piece.
    pub(crate) fn text(&self) -> &str {
        self.text.get_or_init(|| {
            let mut text = String::with_capacity(self.lines.iter().map(|(line, _)| line.len() + 1).sum());
            for (line, _) in &self.lines {
                text.push_str(line);
                text.push('\n');
            }
            text
        })
    }

    /// What stands in that piece from a place on.
    pub(crate) fn text_from(&self, place: Place) -> &str {
        let begins = self.begins.get_or_init(|| {
            let after = |end: &mut usize, (line, _): &(&str, bool)| {
                let begin = *end;
                *end += line.len() + 1;
                Some(begin)
            };
            self.lines.iter().scan(0, after).collect()
        });
        let begin = begins.get(place.line).copied().unwrap_or(usize::MAX);
        self.text().get(begin.saturating_add(place.at)..).unwrap_or("")
    }

    /// Whether a text is somewhere in the hunk, found once for all that ask.
    pub(crate) fn has(&self, text: &'static str) -> bool {
        self.answer(text, || self.text().contains(text))
    }

    /// Whether a text is somewhere in the hunk between quotes, found once for all that ask.
    pub(crate) fn quotes(&self, text: &'static str) -> bool {
        let known = self.quoted.borrow().get(text).copied();
        known.unwrap_or_else(|| {
            let there = self.text().contains(&format!("\"{text}\""));
            self.quoted.borrow_mut().insert(text, there);
            there
        })
    }

    /// The answer to a question, found once for all that ask.
    pub(crate) fn answer(&self, question: &'static str, find: impl FnOnce() -> bool) -> bool {
        if let Some(known) = self.answers.borrow().get(question) {
            return *known;
        }
        let answer = find();
        self.answers.borrow_mut().insert(question, answer);
        answer
    }

    /// Whether the whole text may still be looked through for a place's sake. Where not, whatever may be is taken to be so.
    pub(crate) fn may_scan(&self) -> bool {
        let may = self.scans.get() < SCANS_MAX;
        self.scans.set(self.scans.get() + u32::from(may));
        may
    }

    /// How often it was looked through.
    #[cfg(test)]
    pub(crate) fn scans(&self) -> u32 {
        self.scans.get()
    }

    /// The packages that a Go program imports under another name: that name, and the path.
    pub(crate) fn renamed(&self) -> &[(&'a str, &'a str)] {
        self.renamed.get_or_init(|| {
            let renamed = |line: &'a str| {
                let line = line.trim();
                let (name, path) = line.strip_prefix("import ").unwrap_or(line).split_once(" \"")?;
                let name = Some(name.trim()).filter(|name| !name.is_empty() && name.bytes().all(is_name_byte))?;
                Some((name, path.split_once('"')?.0))
            };
            self.texts().filter_map(renamed).collect()
        })
    }

    /// Whether one of these lines was added.
    pub(crate) fn is_added(&self, mut lines: std::ops::Range<usize>) -> bool {
        lines.any(|line| self.lines.get(line).is_some_and(|(_, added)| *added))
    }

    /// Whether something that is on this line may be on an added line, too.
    pub(crate) fn is_live(&self, number: usize) -> bool {
        if self.is_added(number..number + 1) {
            return true;
        }
        let mut depth = 0;
        for line in number..(number + REACH_LINES + 1).min(self.lines.len()) {
            if self.is_added(line..line + 1) {
                return true;
            }
            let text = self.line(line);
            depth = open_brackets(text, depth);
            if depth == 0 && !goes_on(text) {
                break;
            }
        }
        let above = (number.saturating_sub(REACH_LINES)..number).rev().take_while(|line| goes_on(self.line(*line)));
        above.into_iter().any(|line| self.is_added(line..line + 1))
    }

    /// Whether an import of a Python program names all of these, and may be on an added line.
    pub(crate) fn imports(&self) -> impl Iterator<Item = (&std::ops::Range<usize>, &[&'a str])> {
        self.imports.get_or_init(|| self.read_imports()).iter().map(|import| (&import.lines, import.names.as_slice()))
    }

    fn read_imports(&self) -> Vec<Import<'a>> {
        let mut imports = Vec::new();
        let mut line = 0;
        while line < self.lines.len() {
            let start = line;
            let text = self.line(line);
            line += 1;
            if !text.contains("import") {
                continue;
            }
            let mut names = words(text).collect::<Vec<_>>();
            let mut open = net_brackets(text) > 0 || text.trim_end().ends_with('\\');
            while open && line < self.lines.len() && line < start + 200 {
                let text = self.line(line);
                names.extend(words(text));
                open = !text.contains(')') && (net_brackets(self.line(start)) > 0 || text.trim_end().ends_with('\\'));
                line += 1;
            }
            imports.push(Import { lines: start..line, names });
        }
        imports
    }
}

/// How many brackets are open at the end of a line, of `depth` before it. What closes without having been opened here belongs to what is
/// above. What closes in a text or a comment does not close what is outside it; where it is not plain, it is taken to be open.
fn open_brackets(text: &str, depth: u32) -> u32 {
    let (mut depth, mut blocks) = (depth, 0_u32);
    let mut opened = Vec::new();
    let mut quote = None;
    let mut bytes = text.bytes().peekable();
    let mut before = b' ';
    while let Some(byte) = bytes.next() {
        match (quote, byte) {
            (Some(_), b'\\') => drop(bytes.next()),
            (Some(of), _) if of == byte => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'' | b'`') => quote = Some(byte),
            // A comment goes up to the end.
            (None, b'#') => break,
            (None, b'/') if bytes.peek().is_some_and(|next| matches!(next, b'/' | b'*')) => break,
            (None, b'{') if before == b' ' => blocks += 1,
            (None, b'(' | b'[' | b'{') => {
                depth += 1;
                opened.push(byte);
            }
            (None, b'}') if blocks > 0 => blocks -= 1,
            (None, b')' | b']' | b'}') => {
                let pairs = |open: &u8| matches!((open, byte), (b'(', b')') | (b'[', b']') | (b'{', b'}'));
                if opened.last().is_none_or(pairs) {
                    opened.pop();
                    depth = depth.saturating_sub(1);
                }
            }
            _ => {}
        }
        before = byte;
    }
    depth + u32::from(quote.is_some())
}

/// How many more brackets open on a line than close on it. The brace of a block does not count; what is between quotes may be wrong.
fn net_brackets(text: &str) -> i32 {
    let (mut depth, mut blocks) = (0, 0);
    let mut before = b' ';
    for byte in text.bytes() {
        match byte {
            b'{' if before == b' ' => blocks += 1,
            b'(' | b'[' | b'{' => depth += 1,
            b'}' if blocks > 0 => blocks -= 1,
            b')' | b']' | b'}' => depth -= 1,
            _ => {}
        }
        before = byte;
    }
    depth
}

/// Whether what is on a line may go on below it.
fn goes_on(text: &str) -> bool {
    let text = text.trim_end();
    text.ends_with([',', '(', '[', '.', '+', '-', '*', '|', '&', '=', '\\', '?', ':'])
        || text.ends_with('{') && !text.ends_with(" {")
        || ["`", "\"\"\"", "'''"].iter().any(|quote| count(text, quote) % 2 == 1)
}

/// How often a quote of one sign or three is in a text.
pub(super) fn count(text: &str, quote: &str) -> usize {
    let sign = quote.as_bytes()[0];
    let signs = text.bytes().filter(|byte| *byte == sign).count();
    if quote.len() == 1 || signs < quote.len() { signs / quote.len() } else { text.matches(quote).count() }
}

/// Letters, digits, underscores and what is beyond ASCII: the parts of a name.
pub(crate) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

/// The names and numbers in a text.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

/// The name at the end of a text; empty when there is none.
pub(crate) fn last_name(text: &str) -> &str {
    let length = text.bytes().rev().take_while(|byte| is_name_byte(*byte)).count();
    &text[text.len() - length..]
}

/// The name at the beginning of a text; empty when there is none.
pub(crate) fn first_name(text: &str) -> &str {
    let length = text.bytes().take_while(|byte| is_name_byte(*byte)).count();
    &text[..length]
}
