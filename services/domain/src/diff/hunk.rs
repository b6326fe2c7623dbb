//! Line by line through a diff, and through its hunks by what their headers promise.

use super::{DiffError, Hunk, Line, LineKind};

/// What is left of a diff.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    /// Not read yet.
    pub(super) rest: &'a str,
    /// Number of the line read last, from 1.
    pub(super) line: usize,
}

impl<'a> Cursor<'a> {
    /// The next line, without its end.
    #[inline]
    pub(super) fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let (line, rest) = match line_end(self.rest.as_bytes()) {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
            None => (self.rest, ""),
        };
        self.rest = rest;
        self.line += 1;
        // Asked of every line, and a comparison of texts would be a call.
        let returns = line.as_bytes().last() == Some(&b'\r');
        Some(&line[..line.len() - usize::from(returns)])
    }

    /// The next line, to be read again.
    pub(super) fn peek(mut self) -> Option<&'a str> {
        self.next()
    }

    pub(super) fn error(&self, message: impl Into<String>) -> DiffError {
        DiffError::new(self.line, message)
    }
}

/// Where the first line feed is. Lines are short: eight bytes at a time outrun what is made for long texts, whose start costs more
/// than it saves.
#[inline]
fn line_end(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const FEEDS: u64 = u64::from_le_bytes([b'\n'; 8]);
    let (eights, rest) = bytes.as_chunks::<8>();
    for (eight, at) in eights.iter().zip(0..) {
        let others = u64::from_le_bytes(*eight) ^ FEEDS;
        // The lowest bit that is set is the highest one of the first byte that is zero.
        let zeros = others.wrapping_sub(ONES) & !others & (ONES << 7);
        if zeros != 0 {
            return Some(at * 8 + zeros.trailing_zeros() as usize / 8);
        }
    }
    rest.iter().position(|byte| *byte == b'\n').map(|at| bytes.len() - rest.len() + at)
}

/// Why the combined diff of a merge is refused.
pub(super) const COMBINED: &str = "this is the combined diff of a merge, which leaves out lines that one parent already \
     has: send `git diff BASE HEAD`, or for a merge commit `git diff COMMIT^1 COMMIT`";

/// What a hunk's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Promise<'a> {
    old_lines: u32,
    new_lines: u32,
    /// Number of the first line in the new file, or of the line that would follow.
    number: u32,
    section: &'a str,
}

/// What a file's hunks came to.
#[derive(Default)]
pub(super) struct Body<'a> {
    /// Empty when only counts were asked for.
    pub(super) hunks: Vec<Hunk<'a>>,
    pub(super) added: u32,
    pub(super) removed: u32,
}

/// What to keep of what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// Hunks and lines.
    Lines,
    /// Only their counts.
    Counts,
}

/// Reads the hunks of one file, of which there must be one.
pub(super) fn hunks<'a>(cursor: &mut Cursor<'a>, keep: Keep) -> Result<Body<'a>, DiffError> {
    let mut body = Body::default();
    if !cursor.rest.starts_with("@@") {
        return Err(DiffError::new(
            cursor.line + 1,
            "no hunk (@@ -1,2 +1,2 @@) follows the file's header: was the diff cut short?",
        ));
    }
    while cursor.rest.starts_with("@@") {
        let hunk = hunk(cursor, keep, &mut body)?;
        if keep == Keep::Lines {
            body.hunks.push(hunk);
        }
    }
    if goes_on(cursor) {
        return Err(DiffError::new(
            cursor.line + 1,
            "the hunk before this line holds more lines than its header promises",
        ));
    }
    Ok(body)
}

/// Whether the next line looks like one more line of the hunk that has just been read to its end.
fn goes_on(cursor: &Cursor<'_>) -> bool {
    match cursor.rest.as_bytes().first() {
        Some(b'+' | b' ') => true,
        // A mail's signature, or the header of the next file of a plain `diff -u`.
        Some(b'-') => {
            let line = cursor.peek().unwrap_or_default();
            !(matches!(line, "-- " | "--") || line.starts_with("--- ") && follows_new_name(*cursor))
        }
        _ => false,
    }
}

/// Whether the line after the next one is the second half of a file's header.
pub(super) fn follows_new_name(mut cursor: Cursor<'_>) -> bool {
    cursor.next();
    cursor.rest.starts_with("+++ ")
}

fn hunk<'a>(cursor: &mut Cursor<'a>, keep: Keep, body: &mut Body<'a>) -> Result<Hunk<'a>, DiffError> {
    let header = cursor.next().unwrap_or_default();
    let begin = cursor.line;
    let promise = promise(header).map_err(|message| cursor.error(message))?;
    let (mut old, mut new, mut number) = (promise.old_lines, promise.new_lines, promise.number);
    // A header may promise anything: what it may reserve is bounded by the text that is there.
    let room = if keep == Keep::Lines { old.saturating_add(new).min(1_024) as usize } else { 0 };
    let mut lines = Vec::with_capacity(room.min(cursor.rest.len()));
    while old > 0 || new > 0 {
        let Some(line) = cursor.next() else {
            return Err(cursor
                .error(short(header, begin, old, new) + ", and the diff ends here: was its end cut off or trimmed?"));
        };
        let kind = match line.as_bytes().first() {
            Some(b'+') => LineKind::Added,
            Some(b'-') => LineKind::Removed,
            // Mailers and `diff --suppress-blank-empty` take the space off an empty line.
            Some(b' ') | None => LineKind::Context,
            // `\ No newline at end of file`, in whatever language.
            Some(b'\\') => continue,
            Some(_) => return Err(cursor.error(short(header, begin, old, new) + " when this line ends it")),
        };
        let (from_old, from_new) = (u32::from(kind != LineKind::Added), u32::from(kind != LineKind::Removed));
        if old < from_old || new < from_new {
            return Err(cursor.error(short(header, begin, old, new) + " and a line of another sign comes"));
        }
        old -= from_old;
        new -= from_new;
        if keep == Keep::Lines {
            lines.push(Line { kind, number, text: line.get(1..).unwrap_or_default() });
        }
        number += from_new;
        body.added = body.added.saturating_add(1 - from_old);
        body.removed = body.removed.saturating_add(1 - from_new);
    }
    if cursor.rest.starts_with('\\') {
        cursor.next();
    }
    Ok(Hunk { section: promise.section, lines })
}

fn short(header: &str, begin: usize, old: u32, new: u32) -> String {
    let ranges = header.find(" @@").map_or(header, |end| &header[..end]);
    format!("the hunk `{ranges} @@` of line {begin} still lacks {old} old and {new} new lines")
}

/// Reads `@@ -1,2 +1,2 @@ section`.
fn promise(header: &str) -> Result<Promise<'_>, String> {
    if header.starts_with("@@@") {
        return Err(COMBINED.to_owned());
    }
    let parts = || {
        let ranges = header.strip_prefix("@@ -")?;
        let (ranges, section) = ranges.split_once(" @@")?;
        let (old, new) = ranges.split_once(" +")?;
        Some((range(old)?, range(new)?, section.strip_prefix(' ').unwrap_or(section)))
    };
    let ((_, old_lines), (start, new_lines), section) =
        parts().ok_or_else(|| "must be a hunk's header such as @@ -1,2 +1,2 @@".to_owned())?;
    // Of a hunk that adds nothing git gives the line before it.
    let number = if new_lines == 0 { start.checked_add(1) } else { Some(start) };
    match number {
        Some(number) if number > 0 && number.checked_add(new_lines).is_some() => {
            Ok(Promise { old_lines, new_lines, number, section })
        }
        _ => Err("the hunk's header gives lines that no file has".to_owned()),
    }
}

/// Reads `3,4`, or `3`, which means `3,1`.
fn range(text: &str) -> Option<(u32, u32)> {
    let number = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?;
    match text.split_once(',') {
        Some((start, count)) => Some((number(start)?, number(count)?)),
        None => Some((number(text)?, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_at_its_first_feed() {
        let text = "\u{b}\t\u{8a}\u{10a}é\n\n1234567\n12345678\n123456789\n\r\n\u{0}\n\u{1}\nlast";
        for start in (0..text.len()).filter(|start| text.is_char_boundary(*start)) {
            let rest = &text[start..];
            assert_eq!(line_end(rest.as_bytes()), rest.find('\n'), "{rest:?}");
        }
        assert_eq!(line_end(b""), None);
    }

    #[track_caller]
    fn check(header: &str, expected: Option<(u32, u32, u32, &str)>) {
        let got = promise(header).ok();
        assert_eq!(got.map(|it| (it.old_lines, it.new_lines, it.number, it.section)), expected, "{header}");
    }

    #[test]
    fn a_hunk_header_gives_counts_number_and_section() {
        check("@@ -1,2 +3,4 @@", Some((2, 4, 3, "")));
        check("@@ -1 +1 @@", Some((1, 1, 1, "")));
        check("@@ -10,0 +11,2 @@ fn main() {", Some((0, 2, 11, "fn main() {")));
        check("@@ -5,2 +4,0 @@  indented", Some((2, 0, 5, " indented")));
        check("@@ -1,3 +0,0 @@", Some((3, 0, 1, "")));
        check("@@ -0,0 +1 @@ @@ twice @@", Some((0, 1, 1, "@@ twice @@")));
        check("@@ -1,2 +0,4 @@", None);
        check("@@ -1,2 +1,2", None);
        check("@@ -1,2 +1,2@@", None);
        check("@@ -a +1 @@", None);
        check("@@ -+1 ++1 @@", None);
        check("@@ - + @@", None);
        check("@@ -1,2 +4294967295,2 @@", None);
        check("@@ -1,2 +4294967296 @@", None);
        check("@@@ -1 -1 +1 @@@", None);
    }
}
