//! Text that others wrote, made harmless: one line, bounded, without characters that hide, reorder or command.
//!
//! Pure. Knows nothing of deployments.

use std::borrow::Cow;

/// `text` on one line of at most `chars_max` characters: every run of white space is one space, and control, invisible
/// and direction-changing characters are gone. What is cut off is marked by `…`.
#[must_use]
pub(crate) fn one_line(text: &str, chars_max: usize) -> Cow<'_, str> {
    if text.len() <= chars_max && is_plain(text) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len().min(chars_max * 2));
    let mut chars = 0;
    let mut space = false;
    for c in text.chars() {
        if c.is_whitespace() {
            space = chars > 0;
        } else if !is_hidden(c) {
            let needed = 1 + usize::from(space);
            if chars + needed > chars_max {
                cut(&mut line, chars, chars_max);
                return Cow::Owned(line);
            }
            if space {
                line.push(' ');
                space = false;
            }
            line.push(c);
            chars += needed;
        }
    }
    Cow::Owned(line)
}

/// Whether it is one line already, as nearly all text is: visible ASCII with single spaces between.
fn is_plain(text: &str) -> bool {
    let mut after_space = true;
    text.bytes().all(|byte| {
        let is_second = after_space && byte == b' ';
        after_space = byte == b' ';
        !is_second && matches!(byte, b' '..=b'~')
    }) && !text.ends_with(' ')
}

/// Makes room for the mark that says that something is missing.
fn cut(line: &mut String, chars: usize, chars_max: usize) {
    if chars == chars_max {
        line.pop();
    }
    if chars_max > 0 {
        line.push('…');
    }
}

/// Control characters, and the format characters (Unicode's Cf and its like) with which text says to a machine what a
/// person does not see.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// `text` as a sentence: trimmed, with a capital first letter and something that ends it.
#[must_use]
pub(crate) fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut chars = text.chars();
    let mut sentence: String = chars.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    sentence.push_str(chars.as_str());
    if !sentence.is_empty() && !sentence.ends_with(['.', '!', '?', '…']) {
        sentence.push('.');
    }
    sentence
}

/// `text` without what ends it, to be part of a longer sentence.
#[must_use]
pub(crate) fn clause(text: &str) -> &str {
    text.trim().trim_end_matches(['.', '!', ';', ':', ',']).trim_end()
}

/// `1 file`, `3 files`.
#[must_use]
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

/// `a`, `a and b`, `a, b and c`.
#[must_use]
pub(crate) fn list<T: AsRef<str>>(items: &[T]) -> String {
    let Some((last, first)) = items.split_last() else { return String::new() };
    if first.is_empty() {
        return last.as_ref().to_owned();
    }
    let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
    format!("{} and {}", first.join(", "), last.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_and_hides_nothing() {
        assert_eq!(one_line("  a\n\tb \r\n", 10), "a b");
        assert_eq!(one_line("AL\u{200b}LO\u{ad}W\u{1b}[31m", 20), "ALLOW[31m");
        assert_eq!(one_line("\u{202e}evil\u{2066}", 20), "evil");
        assert_eq!(one_line("ok\u{e0041}\u{e004c}", 20), "ok", "tag characters smuggle text past people");
        assert_eq!(one_line("a  b", 10), "a b");
        assert_eq!(one_line("abcdef", 6), "abcdef");
        assert_eq!(one_line("abcdefg", 6), "abcde…");
        assert_eq!(one_line("abcde fg", 6), "abcde…");
        assert_eq!(one_line("äöüß", 3), "äö…");
        assert_eq!(one_line("abc", 0), "");
    }

    #[test]
    fn english_is_right_in_the_singular_and_the_plural() {
        assert_eq!(count(1, "file", "files"), "1 file");
        assert_eq!(count(0, "file", "files"), "0 files");
        assert_eq!(list::<&str>(&[]), "");
        assert_eq!(list(&["a"]), "a");
        assert_eq!(list(&["a", "b", "c"]), "a, b and c");
        assert_eq!(sentence("an AWS key "), "An AWS key.");
        assert_eq!(sentence("Really?"), "Really?");
        assert_eq!(clause("Rotate the key. "), "Rotate the key");
    }
}
