//! The names of files as diffs spell them: quoted, prefixed, followed by a time.

use std::borrow::Cow;

/// How a diff names the side on which a file does not exist.
pub(super) const NOTHING: &str = "/dev/null";

/// The name at the beginning of `text`, and what stands behind it: a name in quotes ends with them, any other at `end`.
pub(super) fn name(text: &str, end: Option<char>) -> Result<(Cow<'_, str>, &str), &'static str> {
    if let Some(quoted) = text.strip_prefix('"') {
        return unquote(quoted);
    }
    let length = end.and_then(|end| text.find(end)).unwrap_or(text.len());
    let (name, rest) = text.split_at(length);
    if name.is_empty() { Err("the name of the file is missing") } else { Ok((Cow::Borrowed(name), rest)) }
}

/// Takes a name out of git's quotes, the first of which is gone already: the escapes of C, bytes in octal digits.
fn unquote(text: &str) -> Result<(Cow<'_, str>, &str), &'static str> {
    const UNKNOWN: &str = "the quoted name of the file holds an escape that git does not write";
    let bytes = text.as_bytes();
    let mut name = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => return Ok((Cow::Owned(String::from_utf8_lossy(&name).into_owned()), &text[at..])),
            b'\\' => {
                let escape = *bytes.get(at).ok_or(UNKNOWN)?;
                at += 1;
                name.push(match escape {
                    b'a' => 0x07,
                    b'b' => 0x08,
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'v' => 0x0b,
                    b'f' => 0x0c,
                    b'r' => b'\r',
                    b'"' | b'\\' => escape,
                    b'0'..=b'3' => {
                        let digits = bytes.get(at - 1..at + 2).ok_or(UNKNOWN)?;
                        at += 2;
                        digits.iter().try_fold(0_u8, |value, digit| match digit {
                            b'0'..=b'7' => Ok(value * 8 + (digit - b'0')),
                            _ => Err(UNKNOWN),
                        })?
                    }
                    _ => return Err(UNKNOWN),
                });
            }
            _ => name.push(byte),
        }
    }
    Err("the quoted name of the file has no end")
}

/// The two names of a `diff --git` line, where they can be told apart: in quotes, or because they are the same name
/// behind prefixes or behind none. Renames need no telling apart: lines of their own name both sides.
pub(super) fn both(names: &str) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    if names.starts_with('"') {
        let (old, rest) = name(names, None).ok()?;
        return Some((old, name(rest.strip_prefix(' ')?, None).ok()?.0));
    }
    if let Some((old, quoted)) = names.split_once(" \"") {
        return Some((Cow::Borrowed(old), unquote(quoted).ok()?.0));
    }
    let same = || names.split_at_checked(names.len() / 2).filter(|(old, new)| new.strip_prefix(' ') == Some(*old));
    let middle = behind_prefixes(names).or_else(|| Some(same()?.0.len()))?;
    Some((Cow::Borrowed(&names[..middle]), Cow::Borrowed(&names[middle + 1..])))
}

/// Where the first name ends in `a/name b/name`, with prefixes of any length.
fn behind_prefixes(names: &str) -> Option<usize> {
    let begin = names.find('/')? + 1;
    let mut slash = 0;
    for (end, _) in names.match_indices(' ').filter(|(end, _)| *end > begin) {
        if slash < end {
            slash = end + names[end..].find('/')?;
        }
        // The lengths agree for one `end` at most, so that all this is linear.
        if slash + 1 + (end - begin) == names.len() && names[slash + 1..] == names[begin..end] {
            return Some(end);
        }
    }
    None
}

/// Both names without their first folders, if nothing else tells them apart: `a/` and `b/`, `i/` and `w/`, `old/` and
/// `new/`. Without prefixes the names are the same, and stay.
pub(super) fn without_prefixes<'n>(old: &'n str, new: &'n str) -> (&'n str, &'n str) {
    match (old.split_once('/'), new.split_once('/')) {
        (Some((a, bare_old)), Some((b, bare_new))) if a != b && bare_old == bare_new => (bare_old, bare_new),
        _ => (old, new),
    }
}

/// A name as a path: without NUL, which no file system has and PostgreSQL does not take.
pub(super) fn path(name: &str) -> String {
    name.replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_name(text: &str, expected: Result<(&str, &str), &str>) {
        match (name(text, Some('\t')), expected) {
            (Ok((name, rest)), Ok(expected)) => assert_eq!((name.as_ref(), rest), expected),
            (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
            (got, expected) => panic!("{text:?}: got {got:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn a_name_is_plain_or_in_the_quotes_of_c() {
        check_name("a/x", Ok(("a/x", "")));
        check_name("a/x y\t2024-01-01", Ok(("a/x y", "\t2024-01-01")));
        check_name(r#""a/\303\244\t\"\\\a\b\n\v\f\r" rest"#, Ok(("a/ä\t\"\\\u{7}\u{8}\n\u{b}\u{c}\r", " rest")));
        check_name(r#""a/ä""#, Ok(("a/ä", "")));
        check_name(r#""a/\377""#, Ok(("a/\u{fffd}", "")));
        check_name("", Err("missing"));
        check_name("\t2024", Err("missing"));
        check_name("\"a/x", Err("no end"));
        check_name(r#""a/\x41""#, Err("escape"));
        check_name(r#""a/\478""#, Err("escape"));
        check_name(r#""a/\08""#, Err("escape"));
        check_name(r#""a/\30"#, Err("escape"));
        check_name(r#""a\"#, Err("escape"));
    }

    #[track_caller]
    fn check_both(names: &str, expected: Option<(&str, &str)>) {
        let got = both(names);
        assert_eq!(got.as_ref().map(|(old, new)| (old.as_ref(), new.as_ref())), expected, "{names}");
    }

    #[test]
    fn the_names_of_a_git_line_are_told_apart_where_they_can_be() {
        check_both("a/x b/x", Some(("a/x", "b/x")));
        check_both("x x", Some(("x", "x")));
        check_both("a/x y b/x y", Some(("a/x y", "b/x y")));
        check_both("a/x b/x b/x b/x", Some(("a/x b/x", "b/x b/x")));
        check_both("i/dir/ä w/dir/ä", Some(("i/dir/ä", "w/dir/ä")));
        check_both(r#""a/\303\244" "b/\303\244""#, Some(("a/ä", "b/ä")));
        check_both(r#"a/x "b/\303\244""#, Some(("a/x", "b/ä")));
        check_both(r#""a/\303\244" b/x"#, Some(("a/ä", "b/x")));
        check_both("a/x b/y", None);
        check_both("before/x after/x", Some(("before/x", "after/x")));
        check_both("source/x new/x", Some(("source/x", "new/x")));
        check_both("new/x source/x", Some(("new/x", "source/x")));
        check_both("x/y x/y", Some(("x/y", "x/y")));
        check_both("a/b a/b a/b a/b", Some(("a/b a/b", "a/b a/b")));
        check_both("a/ b/ c", None);
        check_both("a//b c//b", Some(("a//b", "c//b")));
        check_both("ää", None);
        check_both("", None);
    }
}
