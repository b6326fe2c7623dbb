//! Program text without its comments and strings, so that a check that looks for words sees code only. Not a parser: it
//! knows how comments, strings and here-documents begin and end, and nothing else.

use crate::paths;

/// How a language writes comments and strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    Python,
    Ruby,
    JavaScript,
    /// Go, Java, C#, Kotlin, Rust, C, PHP and the like.
    Braces,
    Hcl,
    /// PHP with its single quotes and here-documents; the rules about code take it with the other languages of braces.
    Php,
    Elixir,
}

impl Syntax {
    /// The syntax of the file, by its extension.
    pub(crate) fn of(path: &str) -> Option<Self> {
        match &*paths::lower(paths::extension(path)) {
            "py" | "pyi" => Some(Self::Python),
            "rb" | "rake" => Some(Self::Ruby),
            "js" | "jsx" | "mjs" | "cjs" | "ts" | "tsx" | "mts" | "cts" | "vue" | "svelte" => Some(Self::JavaScript),
            "go" | "java" | "kt" | "kts" | "scala" | "cs" | "rs" | "c" | "cc" | "cpp" | "h" | "hpp" | "swift"
            | "php" => Some(Self::Braces),
            "tf" | "hcl" => Some(Self::Hcl),
            _ => None,
        }
    }

    fn line_comments(self) -> &'static [&'static str] {
        match self {
            Self::Python | Self::Ruby | Self::Elixir => &["#"],
            Self::JavaScript | Self::Braces => &["//"],
            Self::Hcl | Self::Php => &["#", "//"],
        }
    }

    fn has_block_comments(self) -> bool {
        matches!(self, Self::JavaScript | Self::Braces | Self::Hcl | Self::Php)
    }

    fn is_quote(self, byte: u8) -> bool {
        match self {
            Self::Python | Self::Ruby | Self::Php | Self::Elixir => matches!(byte, b'"' | b'\''),
            Self::JavaScript => matches!(byte, b'"' | b'\'' | b'`'),
            // A lone quote is a lifetime in Rust, and a character is no string worth blanking.
            Self::Braces => matches!(byte, b'"' | b'`'),
            Self::Hcl => byte == b'"',
        }
    }
}

/// The bytes that a comment, a string or a here-document begins with, in any of the languages.
static BEGINS: [bool; 256] = {
    let mut begins = [false; 256];
    let signs = b"#/\"'`<~";
    let mut sign = 0;
    while sign < signs.len() {
        begins[signs[sign] as usize] = true;
        sign += 1;
    }
    begins
};

/// `text` with everything in comments, and everything between quotes, turned into blanks. Same length, same lines.
pub(crate) fn code_only(text: &str, syntax: Syntax) -> String {
    let mut code = text.as_bytes().to_vec();
    let mut at = 0;
    // Most bytes begin neither a comment nor a string.
    let next = |from: usize| text.as_bytes()[from..].iter().position(|byte| BEGINS[usize::from(*byte)]);
    while let Some(skipped) = next(at) {
        at += skipped;
        let rest = &text.as_bytes()[at..];
        let (skip, blank) = if syntax == Syntax::Php && rest.starts_with(b"#[") {
            // An attribute, and no comment.
            (2, 0..0)
        } else if syntax.line_comments().iter().any(|sign| rest.starts_with(sign.as_bytes())) {
            let end = line_end(rest);
            (end, 0..end)
        } else if syntax.has_block_comments() && rest.starts_with(b"/*") {
            let end = find(&rest[2..], b"*/").map_or(rest.len(), |found| found + 4);
            (end, 0..end)
        } else if syntax.is_quote(rest[0]) {
            string(rest, syntax)
        } else if let Some(inner) = heredoc(rest, syntax) {
            (inner.end, inner)
        } else if let Some(inner) = sigil(rest, syntax) {
            ((inner.end + 1).min(rest.len()), inner)
        } else {
            (1, 0..0)
        };
        for byte in &mut code[at + blank.start..at + blank.end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at += skip;
    }
    // Blanked ranges begin and end at ASCII signs, so that no character is cut.
    String::from_utf8(code).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// How long the string at the beginning of `rest` is, and what is between its quotes.
fn string(rest: &[u8], syntax: Syntax) -> (usize, std::ops::Range<usize>) {
    let quote = rest[0];
    let triple = [quote; 3];
    if matches!(syntax, Syntax::Python | Syntax::Elixir) && rest.starts_with(&triple) {
        let end = find(&rest[3..], &triple).map_or(rest.len(), |found| found + 3);
        return ((end + 3).min(rest.len()), 3..end);
    }
    // Ruby's strings and templates go over lines; others end with theirs, so that a lone quote does no harm below it.
    let over_lines = quote == b'`' || matches!(syntax, Syntax::Ruby | Syntax::Php | Syntax::Elixir);
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' if !(quote == b'`' && syntax == Syntax::Braces) => at += 1,
            b'\n' if !over_lines => return (at, 1..at),
            // What is put into the string may hold strings of its own.
            b'#' if syntax == Syntax::Elixir && rest[at..].starts_with(b"#{") => at += hole_length(&rest[at..]),
            byte if byte == quote => return (at + 1, 1..at),
            _ => {}
        }
        at += 1;
    }
    (rest.len(), 1..rest.len())
}

/// Most bytes of a hole `#{…}` in a string.
const HOLE_BYTES_MAX: usize = 256;

/// How far it is to the bracket that ends the hole that `rest` begins with.
fn hole_length(rest: &[u8]) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in rest.iter().take(HOLE_BYTES_MAX).enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return at,
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    0
}

/// What is between the signs of the sigil that begins with `rest` (`~s(…)`, `~w[…]`, `~S"""…"""`).
pub(crate) fn sigil(rest: &[u8], syntax: Syntax) -> Option<std::ops::Range<usize>> {
    if syntax != Syntax::Elixir || !rest.starts_with(b"~") {
        return None;
    }
    let letters = rest[1..].iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let open = *rest.get(1 + letters).filter(|_| letters > 0)?;
    let close: &[u8] = match open {
        b'(' => b")",
        b'[' => b"]",
        b'{' => b"}",
        b'<' => b">",
        b'"' if rest[1 + letters..].starts_with(b"\"\"\"") => b"\"\"\"",
        b'"' | b'\'' | b'|' | b'/' => &rest[1 + letters..2 + letters],
        _ => return None,
    };
    let start = 1 + letters + close.len();
    let inner = rest.get(start..)?;
    Some(start..start + find(inner, close).unwrap_or(inner.len()))
}

/// The body of the here-document of PHP that begins with `rest` (`<<<SQL`, `<<<'SQL'`): the tag that ends it may be indented, and the code
/// goes on behind it.
pub(crate) fn php_heredoc(rest: &[u8]) -> Option<std::ops::Range<usize>> {
    let sign = rest.strip_prefix(b"<<<")?.trim_ascii_start();
    let sign = sign.strip_prefix(b"'").or(sign.strip_prefix(b"\"")).unwrap_or(sign);
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let tag = &sign[..sign.iter().take_while(|byte| is_of_name(byte)).count()];
    let start = line_end(rest);
    let mut at = start;
    while !tag.is_empty() && at < rest.len() {
        let line = &rest[at + 1..];
        let behind = line.trim_ascii_start().strip_prefix(tag);
        if behind.is_some_and(|behind| !behind.first().is_some_and(is_of_name)) {
            return Some(start..at);
        }
        at += 1 + line_end(line);
    }
    (!tag.is_empty()).then_some(start..rest.len())
}

/// The body of the here-document that begins with `rest` (`<<~SQL`, `<<EOF`), from the end of this line.
fn heredoc(rest: &[u8], syntax: Syntax) -> Option<std::ops::Range<usize>> {
    if syntax == Syntax::Php {
        return php_heredoc(rest);
    }
    if !matches!(syntax, Syntax::Ruby | Syntax::Hcl) || !rest.starts_with(b"<<") {
        return None;
    }
    let sign = &rest[2..];
    let sign = sign.strip_prefix(b"~").or(sign.strip_prefix(b"-")).unwrap_or(sign);
    let sign = sign.strip_prefix(b"'").or(sign.strip_prefix(b"\"")).unwrap_or(sign);
    let length = sign.iter().take_while(|b| b.is_ascii_uppercase() || **b == b'_').count();
    if length == 0 {
        return None;
    }
    let tag = &sign[..length];
    let start = line_end(rest);
    let mut at = start;
    while at < rest.len() {
        let line_start = at + 1;
        let end = line_start.min(rest.len()) + line_end(&rest[line_start.min(rest.len())..]);
        if rest.get(line_start..end)?.trim_ascii() == tag {
            return Some(start..end);
        }
        at = end;
    }
    Some(start..rest.len())
}

fn line_end(bytes: &[u8]) -> usize {
    bytes.iter().position(|b| *b == b'\n').unwrap_or(bytes.len())
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// Where the bracket that opens at `open` closes, in text without strings and comments; `None` when it does not.
pub(crate) fn closing(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// The arguments in `list`, the text between a call's parentheses, at the commas that are not in brackets.
pub(crate) fn arguments(list: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    let mut parts = list.split(|c: char| {
        depth += match c {
            '(' | '[' | '{' => 1,
            ')' | ']' | '}' => -1,
            _ => 0,
        };
        c == ',' && depth == 0
    });
    let mut arguments: Vec<_> = parts.by_ref().map(str::trim).collect();
    if arguments.last().is_some_and(|last| last.is_empty()) {
        arguments.pop();
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(syntax: Syntax, text: &str, expected: &str) {
        let got = code_only(text, syntax);
        assert_eq!(got, expected);
        assert_eq!(got.len(), text.len());
    }

    #[test]
    fn comments_and_strings_are_blank() {
        check(Syntax::Python, "a = 'x' # y\nb", "a = ' '    \nb");
        check(Syntax::Python, "\"\"\"a\nb\"\"\"c", "\"\"\" \n \"\"\"c");
        check(Syntax::Python, "a = 'it\nb = 'x'", "a = '  \nb = ' '");
        check(Syntax::JavaScript, "a /* b */ `c\n${d}` // e", "a         ` \n    `     ");
        check(Syntax::JavaScript, r#""a\"b" c"#, r#""    " c"#);
        check(Syntax::Ruby, "x <<~SQL, 1\n  drop\nSQL\ny", "x <<~SQL, 1\n      \n   \ny");
        check(Syntax::Hcl, "a = \"b\" # c\nd { // e", "a = \" \"    \nd {     ");
        check(Syntax::Braces, "fn f<'a>(x: &'a str) { \"é\" }", "fn f<'a>(x: &'a str) { \"  \" }");
        check(Syntax::Hcl, "<<EOF\nnever closed", "<<EOF\n            ");
        check(Syntax::Php, "#[A]\na('b\nc', \"d\") # e\n// f", "#[A]\na(' \n ', \" \")    \n    ");
        check(Syntax::Php, "a(<<<'SQL'\n  (b\n  SQLX\n  SQL);", "a(<<<'SQL'\n    \n      \n  SQL);");
        check(Syntax::Elixir, "a \"b #{c(\"d\")}\" # e", "a \"           \"    ");
        check(Syntax::Elixir, "a \"\"\"\n\"b\"\n\"\"\"\nc", "a \"\"\"\n   \n\"\"\"\nc");
        check(Syntax::Elixir, "~s|a \"b\"| ~S\"\"\"\n\"\n\"\"\" ~w(a b)a", "~s|     | ~S\"\"\"\n \n\"\"\" ~w(   )a");
    }

    #[test]
    fn brackets_and_arguments_are_matched() {
        assert_eq!(closing("f(a, (b), [c])d", 1), Some(13));
        assert_eq!(closing("f(a", 1), None);
        assert_eq!(arguments("a, f(b, c), [d, e], k=1,"), ["a", "f(b, c)", "[d, e]", "k=1"]);
        assert_eq!(arguments(" "), [""; 0]);
    }
}
