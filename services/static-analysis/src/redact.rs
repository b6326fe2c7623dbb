//! What may be shown of a line: an excerpt in which everything secret is replaced by its first characters and its length.
//!
//! When in doubt it hides: beside the secrets the rules saw, whatever looks random, and whatever stands where a password
//! would. An excerpt that shows too little can be looked up in the file; one that shows too much cannot be taken back.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// Most characters of an excerpt.
pub(crate) const EXCERPT_CHARS_MAX: usize = 160;
/// Characters shown before what was found.
const CHARS_BEFORE: usize = 48;
/// Bytes looked at on either side of what was found. Beyond them nothing is shown.
const REACH_BYTES: usize = 2_048;
/// Bytes from which a secret is hidden wherever else it stands on the line. A shorter one is a word like others.
const REPEATED_BYTES_MIN: usize = 4;
/// Most characters shown of a secret.
const SHOWN_CHARS_MAX: usize = 4;

static RANDOM: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"[A-Za-z0-9+/_=-]{20,}").expect("the pattern is tested"));
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?ix)
        (?: pass(?:word|wd|phrase)? | pwd | secret | token | (?:api|access|private|account)[_-]?key | credentials? )
        [0-9a-z_.\]-]* ["'`]? \s*
        (?: (?: => | := | = | : | , | \s ) \s* (?: "([^"]{4,}) | '([^']{4,}) | `([^`]{4,}) )
          | (?: => | := | = | : ) \s* ([^\s"'`,;&()]{6,}) )"#,
    )
    .expect("the pattern is tested")
});
static AUTHORITY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"://[^/\s:@]*:([^\s/@]+)@").expect("the pattern is tested"));

/// At most 160 characters of `text` around `focus`, without control characters and without `secrets`, wherever they stand.
pub(crate) fn excerpt(text: &str, focus: &Range<usize>, secrets: Vec<Range<usize>>) -> String {
    let start = text.floor_char_boundary(focus.start.saturating_sub(REACH_BYTES));
    let end = text.floor_char_boundary(focus.start.saturating_add(REACH_BYTES));
    let part = &text[start..end];
    let hidden = hidden(text, start, part, secrets);
    let first = first_shown(part, focus.start - start);
    let mut shown = Shown::new(start + first > 0 && !text[..start + first].trim().is_empty());
    let mut at = first;
    for range in hidden.into_iter().filter(|range| range.end > first) {
        shown.push(&part[at..range.start.max(at)]);
        // Of a secret that began out of reach nothing is known but that it is one.
        let cut_before = start > 0 && range.start == 0;
        shown.push(&if cut_before { "…".to_owned() } else { mask(&part[range.clone()]) });
        at = range.end;
    }
    let last = if end < text.len() { whole_words(part) } else { part.len() };
    shown.push(&part[at..last.max(at)]);
    shown.finish(end < text.len())
}

/// Where the last word begins that the end of reach may have cut: half a secret is not known for one.
fn whole_words(part: &str) -> usize {
    part.trim_end_matches(|c: char| !c.is_whitespace()).len()
}

/// The ranges of `part` that must not be shown, in order and apart.
fn hidden(text: &str, start: usize, part: &str, secrets: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut values = Vec::new();
    for secret in secrets {
        values.extend(text.get(secret.clone()));
        ranges.push(secret.start.saturating_sub(start)..secret.end.saturating_sub(start));
    }
    for captures in NAMED.captures_iter(part).chain(AUTHORITY.captures_iter(part)) {
        for value in captures.iter().skip(1).flatten() {
            values.push(value.as_str());
            ranges.push(value.range());
        }
    }
    ranges.extend(RANDOM.find_iter(part).filter(|found| looks_random(found.as_str())).map(|found| found.range()));
    // The same secret once more on the line, without anything beside it that tells.
    for value in values.into_iter().filter(|value| value.len() >= REPEATED_BYTES_MIN) {
        ranges.extend(part.match_indices(value).map(|(at, _)| at..at + value.len()));
    }
    for range in &mut ranges {
        *range = range.start.min(part.len())..range.end.min(part.len());
    }
    ranges.sort_by_key(|range| (range.start, range.end));
    ranges.dedup_by(|next, earlier| {
        let touches = next.start <= earlier.end;
        if touches {
            earlier.end = earlier.end.max(next.end);
        }
        touches
    });
    ranges
}

/// True for a long mixture of letters and digits that is not a name made of words and numbers.
fn looks_random(word: &str) -> bool {
    let has = |class: fn(&u8) -> bool| word.as_bytes().iter().any(class);
    let plain = |part: &str| {
        let all = |class: fn(&u8) -> bool| part.as_bytes().iter().all(class);
        part.len() <= 3 || all(u8::is_ascii_lowercase) || all(u8::is_ascii_uppercase) || all(u8::is_ascii_digit)
    };
    has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic) && !word.split(['_', '-', '/']).all(plain)
}

/// Where in `part` the excerpt starts so that `focus` is well inside it, and indentation is not.
fn first_shown(part: &str, focus: usize) -> usize {
    let before = &part[..part.floor_char_boundary(focus)];
    let indentation = before.len() - before.trim_start().len();
    let near = before.char_indices().rev().nth(CHARS_BEFORE - 1).map_or(0, |(at, _)| at);
    near.max(indentation)
}

/// At most the first four characters, at most a fifth of all, and the length.
fn mask(secret: &str) -> String {
    let length = secret.chars().count();
    let first: String = secret.chars().take(SHOWN_CHARS_MAX.min(length / 5)).collect();
    format!("{first}…[{length}]")
}

/// An excerpt in the making.
struct Shown {
    text: String,
    chars: usize,
    cut: bool,
}

impl Shown {
    fn new(cut_before: bool) -> Self {
        let text = if cut_before { "…".to_owned() } else { String::new() };
        Self { chars: text.chars().count(), text, cut: false }
    }

    fn push(&mut self, text: &str) {
        for c in text.chars() {
            let c = if c == '\t' { ' ' } else { c };
            if c.is_control() || is_invisible(c) {
                continue;
            }
            // One place is kept for the sign that something follows.
            if self.chars + 1 >= EXCERPT_CHARS_MAX {
                self.cut = true;
                return;
            }
            self.text.push(c);
            self.chars += 1;
        }
    }

    fn finish(self, cut_behind: bool) -> String {
        let cut = self.cut || cut_behind;
        let mut text = self.text;
        text.truncate(text.trim_end().len());
        if cut && !text.ends_with('…') {
            text.push('…');
        }
        text
    }
}

/// Characters that change how the text around them is shown, or that are not shown at all (Unicode's bidirectional controls,
/// zero-width characters and line separators).
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, secret: &str, expected: &str) {
        let start = text.find(secret).unwrap();
        let range = start..start + secret.len();
        assert_eq!(excerpt(text, &range, vec![range.clone()]), expected);
    }

    #[test]
    fn a_secret_is_replaced_wherever_it_stands() {
        check("  key = 'abcdefghijklmnopqrst'", "abcdefghijklmnopqrst", "key = 'abcd…[20]'");
        check("f(\"hunter22\"); g(\"hunter22\")", "hunter22", "f(\"h…[8]\"); g(\"h…[8]\")");
        check("pin=1234;", "1234", "pin=…[4];");
        check("a\tb\u{1b}[31m\u{202e}c = Zx9Zx9Zx9", "Zx9Zx9Zx9", "a b[31mc = Z…[9]");
    }

    #[test]
    fn a_second_secret_on_the_line_is_hidden_too() {
        check("a = FIRSTFIRST; password = 'swordfish'", "FIRSTFIRST", "a = FI…[10]; password = 's…[9]'");
        check("a = FIRSTFIRST; u = https://me:swordfish@h/", "FIRSTFIRST", "a = FI…[10]; u = https://me:s…[9]@h/");
        check("a = FIRSTFIRST; b = 0a1b2c3d4e5f60718293", "FIRSTFIRST", "a = FI…[10]; b = 0a1b…[20]");
    }

    #[test]
    fn a_long_name_is_no_secret() {
        let line = "CREATE INDEX invoices_by_customer_2 ON invoices_of_2026 (customer_id);";
        assert_eq!(excerpt(line, &(0..line.len()), Vec::new()), line);
    }

    #[test]
    fn an_excerpt_is_short_and_shows_what_was_found() {
        let text = format!("{}eval(x){}", "a ".repeat(5_000), " b".repeat(5_000));
        let shown = excerpt(&text, &(10_000..10_007), Vec::new());
        assert!(shown.chars().count() <= EXCERPT_CHARS_MAX, "{}", shown.chars().count());
        assert!(shown.starts_with("…") && shown.ends_with('…') && shown.contains("eval(x)"), "{shown}");
        assert_eq!(excerpt("", &(0..0), Vec::new()), "");
        assert_eq!(excerpt("    indented", &(4..12), Vec::new()), "indented");
    }
}
