//! What may be shown of a line: an excerpt in which everything secret is replaced by its first characters and its length.
//!
//! When in doubt it hides: beside the secrets the rules saw, whatever looks random, and whatever stands where a password
//! would. An excerpt that shows too little can be looked up in the file; one that shows too much cannot be taken back.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use regex::Regex;

/// Most characters of an excerpt.
pub(crate) const EXCERPT_CHARS_MAX: usize = 160;
/// Characters shown before what was found.
const CHARS_BEFORE: usize = 48;
/// Bytes looked at on either side of what was found. Beyond them nothing is shown.
const REACH_BYTES: usize = 2_048;
/// Bytes from which a secret is hidden wherever else it stands on the line. A shorter one is a word like others.
const REPEATED_BYTES_MIN: usize = 4;
/// Bytes from which a secret is hidden inside of other words, too, on other lines than its own.
const INSIDE_BYTES_MIN: usize = 8;
/// Most characters shown of a secret.
const SHOWN_CHARS_MAX: usize = 4;
/// Bytes on either side of what was found in which a secret may begin that reaches into an excerpt.
const FAR_BYTES: usize = 16 << 10;
/// Bytes of all secrets of one diff that are looked for on other lines. With more, no line is shown at all.
const HIDDEN_BYTES_MAX: usize = 1 << 20;
/// Most characters kept of a reason that somebody wrote.
const REASON_CHARS_MAX: usize = 200;

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

/// The secrets of a diff, as they are found.
#[derive(Default)]
pub(crate) struct Hidden<'d> {
    secrets: HashSet<&'d str>,
    bytes: usize,
}

impl<'d> Hidden<'d> {
    pub(crate) fn add(&mut self, secret: &'d str) {
        if secret.len() >= REPEATED_BYTES_MIN && self.bytes <= HIDDEN_BYTES_MAX && self.secrets.insert(secret) {
            self.bytes += secret.len();
        }
    }

    /// All of them, ready to be looked for.
    pub(crate) fn known(&self) -> Known {
        if self.bytes > HIDDEN_BYTES_MAX {
            return Known::TooMany;
        }
        if self.secrets.is_empty() {
            return Known::None;
        }
        AhoCorasick::new(&self.secrets).map_or(Known::TooMany, Known::These)
    }
}

/// What must not be shown anywhere.
pub(crate) enum Known {
    None,
    These(AhoCorasick),
    /// More than can be looked for.
    TooMany,
}

impl Known {
    /// Where secrets stand in `text`.
    fn within(&self, text: &str) -> Vec<Range<usize>> {
        let secrets = match self {
            Self::None => return Vec::new(),
            Self::These(secrets) => secrets,
            Self::TooMany => {
                let all = 0..text.len();
                return vec![all];
            }
        };
        let word = |at: Option<&u8>| at.is_some_and(u8::is_ascii_alphanumeric);
        let stands_alone = |range: &Range<usize>| {
            let before = range.start.checked_sub(1).and_then(|at| text.as_bytes().get(at));
            !word(before) && !word(text.as_bytes().get(range.end))
        };
        let found = secrets.find_overlapping_iter(text).map(|found| found.range());
        found.filter(|range| range.len() >= INSIDE_BYTES_MIN || stands_alone(range)).collect()
    }

    /// `text` without what must not be shown.
    pub(crate) fn without(&self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        let mut at = 0;
        for range in apart(self.within(text)) {
            shown.push_str(&text[at..range.start]);
            shown.push_str(&mask(&text[range.clone()]));
            at = range.end;
        }
        shown + &text[at..]
    }
}

/// A reason that somebody wrote beside the code, which may quote it.
pub(crate) fn reason(text: &str, known: &Known) -> String {
    let hidden = hidden(text, 0, text, Vec::new(), known);
    masked(text, 0..text.len(), hidden, Shown::new(false, REASON_CHARS_MAX), |_| false).finish(false)
}

/// What a message says, where it was put together from what the code says.
pub(crate) fn message(text: Cow<'static, str>, known: &Known) -> String {
    match text {
        Cow::Borrowed(text) => text.to_owned(),
        Cow::Owned(text) => known.without(&text),
    }
}

/// At most 160 characters of `text` around `focus`, without control characters and without `secrets`, wherever they stand.
pub(crate) fn excerpt(text: &str, focus: &Range<usize>, secrets: Vec<Range<usize>>, known: &Known) -> String {
    let start = text.floor_char_boundary(focus.start.saturating_sub(REACH_BYTES));
    let end = text.floor_char_boundary(focus.start.saturating_add(REACH_BYTES));
    let part = &text[start..end];
    let hidden = hidden(text, start, part, secrets, known);
    let first = first_shown(part, focus.start - start);
    let shown = Shown::new(start + first > 0 && !text[..start + first].trim().is_empty(), EXCERPT_CHARS_MAX);
    let last = if end < text.len() { whole_words(part) } else { part.len() };
    // Of a secret that began out of reach nothing is known but that it is one.
    let is_cut = |range: &Range<usize>| start > 0 && range.start == 0;
    masked(part, first..last, hidden, shown, is_cut).finish(end < text.len())
}

/// Shows this range of `part` without what is hidden.
fn masked(
    part: &str,
    range: Range<usize>,
    hidden: Vec<Range<usize>>,
    mut shown: Shown,
    is_cut: impl Fn(&Range<usize>) -> bool,
) -> Shown {
    let mut at = range.start;
    for secret in hidden.into_iter().filter(|secret| secret.end > range.start) {
        shown.push(&part[at..secret.start.max(at)]);
        shown.push(&if is_cut(&secret) { "…".to_owned() } else { mask(&part[secret.clone()]) });
        at = secret.end;
    }
    shown.push(&part[at..range.end.max(at)]);
    shown
}

/// Where the last word begins that the end of reach may have cut: half a secret is not known for one.
fn whole_words(part: &str) -> usize {
    part.trim_end_matches(|c: char| !c.is_whitespace()).len()
}

/// The ranges of `part` that must not be shown, in order and apart.
fn hidden(text: &str, start: usize, part: &str, secrets: Vec<Range<usize>>, known: &Known) -> Vec<Range<usize>> {
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
    let far = text.floor_char_boundary(start.saturating_sub(FAR_BYTES));
    let end = text.ceil_char_boundary((start + part.len()).saturating_add(FAR_BYTES));
    let in_part = |at: usize| (far + at).saturating_sub(start);
    ranges.extend(known.within(&text[far..end]).into_iter().map(|range| in_part(range.start)..in_part(range.end)));
    for range in &mut ranges {
        *range = range.start.min(part.len())..range.end.min(part.len());
    }
    ranges.retain(|range| !range.is_empty());
    apart(ranges)
}

/// Ranges in order, those that touch joined.
fn apart(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
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
    chars_max: usize,
    cut: bool,
}

impl Shown {
    fn new(cut_before: bool, chars_max: usize) -> Self {
        let text = if cut_before { "…".to_owned() } else { String::new() };
        Self { chars: text.chars().count(), text, chars_max, cut: false }
    }

    fn push(&mut self, text: &str) {
        for c in text.chars() {
            let c = if c == '\t' { ' ' } else { c };
            if c.is_control() || is_invisible(c) {
                continue;
            }
            // One place is kept for the sign that something follows.
            if self.chars + 1 >= self.chars_max {
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

    fn nothing() -> Known {
        Hidden::default().known()
    }

    #[track_caller]
    fn check(text: &str, secret: &str, expected: &str) {
        let start = text.find(secret).unwrap();
        let range = start..start + secret.len();
        assert_eq!(excerpt(text, &range, vec![range.clone()], &nothing()), expected);
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
        assert_eq!(excerpt(line, &(0..line.len()), Vec::new(), &nothing()), line);
    }

    #[test]
    fn an_excerpt_is_short_and_shows_what_was_found() {
        let text = format!("{}eval(x){}", "a ".repeat(5_000), " b".repeat(5_000));
        let shown = excerpt(&text, &(10_000..10_007), Vec::new(), &nothing());
        assert!(shown.chars().count() <= EXCERPT_CHARS_MAX, "{}", shown.chars().count());
        assert!(shown.starts_with("…") && shown.ends_with('…') && shown.contains("eval(x)"), "{shown}");
        assert_eq!(excerpt("", &(0..0), Vec::new(), &nothing()), "");
        assert_eq!(excerpt("    indented", &(4..12), Vec::new(), &nothing()), "indented");
    }

    #[test]
    fn what_was_found_elsewhere_is_hidden_too() {
        let mut hidden = Hidden::default();
        ["swordfish77", "admin", "abc"].into_iter().for_each(|secret| hidden.add(secret));
        let known = hidden.known();
        let shown = |text: &str| excerpt(text, &(0..1), Vec::new(), &known);
        assert_eq!(shown("login('xswordfish77x', admin, abc)"), "login('xsw…[11]x', a…[5], abc)");
        assert_eq!(shown("administrator"), "administrator");
        let far = format!("{}swordfish77 {}", "x ".repeat(1_018), "y ".repeat(3_000));
        assert!(!excerpt(&far, &(0..1), Vec::new(), &known).contains("sword"));
        assert_eq!(reason("said swordfish77, really", &known), "said sw…[11], really");
        assert_eq!(message("the name swordfish77 is no word".to_owned().into(), &known), "the name sw…[11] is no word");
        let many: Vec<_> = (0..100_000).map(|number| format!("secret{number:08}")).collect();
        let mut hidden = Hidden::default();
        many.iter().for_each(|secret| hidden.add(secret));
        assert_eq!(excerpt("anything", &(0..1), Vec::new(), &hidden.known()), "a…[8]");
    }
}
