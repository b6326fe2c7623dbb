//! SQL in the text of a program: in a string, in several that are put together, or under a name.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::calls::Program;
use crate::source::{Syntax, php_heredoc, sigil};

/// The string literals in these bytes of a program, each with the bytes between its quotes.
pub(super) fn strings(program: &Program<'_>, range: Range<usize>) -> Vec<Range<usize>> {
    let bytes = program.code.as_bytes();
    let mut found = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let quote = bytes[at];
        let rest = &program.text.as_bytes()[at..];
        let other = match program.syntax {
            Syntax::Php if quote == b'<' => php_heredoc(rest),
            Syntax::Elixir if quote == b'~' => sigil(rest, program.syntax),
            _ => None,
        };
        if let Some(inner) = other {
            found.push(at + inner.start..at + inner.end);
            at += inner.end + 1;
            continue;
        }
        if !matches!(quote, b'"' | b'\'' | b'`') || (quote == b'`' && program.syntax != Syntax::JavaScript) {
            at += 1;
            continue;
        }
        let has_triple = matches!(program.syntax, Syntax::Python | Syntax::Elixir);
        let triple = has_triple && bytes[at..range.end].starts_with(&[quote; 3]);
        let width = if triple { 3 } else { 1 };
        let start = at + width;
        let end = (start..range.end).find(|end| bytes[*end..range.end].starts_with(&vec![quote; width]));
        let Some(end) = end else { break };
        found.push(start..end);
        at = end + width;
    }
    found
}

/// A longer expression without a string is not looked through for names,
pub(super) const NAMES_BYTES_MAX: usize = 200;
/// nor are more mentions of a name: each would be looked at for every use.
const MENTIONS_MAX: usize = 64;

/// The SQL that an expression holds, each piece with the place it begins at: what the program puts together of strings is one piece. An
/// expression of names alone has the strings that they stand for.
pub(super) fn sql_in(program: &Program<'_>, range: Range<usize>) -> Vec<(usize, String)> {
    let written = joined(program, range.clone());
    if !written.is_empty() || range.len() > NAMES_BYTES_MAX {
        return written;
    }
    let names = program.code[range.clone()].split(|c: char| !is_of_name(c)).filter(|name| !name.is_empty());
    let values = names.filter_map(|name| definition(program, name, range.start));
    values.flat_map(|value| value_at(program, value)).collect()
}

/// Where the value begins that a name is given: the last time before that place, or the first behind it.
pub(super) fn definition(program: &Program<'_>, name: &str, before: usize) -> Option<usize> {
    let code = &program.code;
    let mut last = None;
    for (at, _) in code.match_indices(name).take(MENTIONS_MAX) {
        if code[..at].ends_with(|c: char| is_of_name(c) || c == '.') {
            continue;
        }
        let behind = &code[at + name.len()..];
        // `sql: string = …` says what it is in between.
        let line = behind.split(['\n', ';', ',', '(', '{']).next().unwrap_or("");
        let Some(sign) = line.find('=') else { continue };
        let between = line[..sign].trim();
        let is_given =
            !line[sign + 1..].starts_with(['=', '>', '~']) && (between.is_empty() || between.starts_with(':'));
        if !is_given || behind.starts_with(is_of_name) {
            continue;
        }
        let value = at + name.len() + sign + 1;
        if at > before {
            return last.or(Some(value));
        }
        last = Some(value);
    }
    last
}

/// The strings of the value that begins there: one, or those in its brackets.
fn value_at(program: &Program<'_>, start: usize) -> Vec<(usize, String)> {
    let start = start + (program.code[start..].len() - program.code[start..].trim_start().len());
    let rest = &program.code[start..];
    let head = rest.split(['"', '\'', '`', '\n']).next().unwrap_or("");
    if let Some(open) = head.find(['(', '[']) {
        let close = crate::source::closing(&program.code, start + open).unwrap_or(program.code.len());
        return joined(program, start + open + 1..close);
    }
    // No more than the prefix of a string stands before its quote.
    let is_string = head.len() <= 2 && rest[head.len()..].starts_with(['"', '\'', '`']);
    let limit = program.code.len();
    if is_string { joined(program, start..limit).into_iter().take(1).collect() } else { Vec::new() }
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// The strings in these bytes, those that are put together as one: `'a' 'b'`, `'a' + b + 'c'`. Each place stays where it was.
pub(super) fn joined(program: &Program<'_>, range: Range<usize>) -> Vec<(usize, String)> {
    let mut joined: Vec<(usize, String)> = Vec::new();
    let mut end = range.start;
    for string in strings(program, range.clone()) {
        let text = sql_text(&program.text[string.clone()]);
        match joined.last_mut().zip(program.code.get(end..string.start).and_then(glue)) {
            Some(((_, before), glue)) => *before += &(glue + &text),
            None => joined.push((string.start, text)),
        }
        end = string.end;
    }
    let rest = program.code.get(end..range.end).unwrap_or("").split(['\n', ',', ')', ';']).next().unwrap_or("");
    if let Some(((_, before), glue)) = joined.last_mut().zip(glue(&format!("{rest}+"))).filter(|_| rest.len() > 1) {
        before.push_str(&glue[..rest.len()]);
    }
    joined
}

/// What stands in the place of the signs between two strings that are put together, quotes included: of a name in between, a word.
fn glue(between: &str) -> Option<String> {
    static SUM: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^(?:\\|\+\s*(?:[\w$.]+(?:\(\w*\))?\s*\+\s*)*)?$").expect("the pattern is tested")
    });
    let inner = between.trim_matches(['"', '\'', '`']);
    let prefix = inner.len() - inner.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len();
    let inner = if prefix <= 2 { &inner[..inner.len() - prefix] } else { inner };
    let named = between.find(inner).unwrap_or(0)..between.find(inner).unwrap_or(0) + inner.len();
    let fill = |(at, byte): (usize, u8)| match byte {
        b'\n' => '\n',
        byte if named.contains(&at) && (byte.is_ascii_alphanumeric() || b"_$.()".contains(&byte)) => 'x',
        _ => ' ',
    };
    SUM.is_match(inner.trim()).then(|| between.bytes().enumerate().map(fill).collect())
}

/// SQL in a program's string, with what the program puts into it replaced by a word of the same length.
pub(super) fn sql_text(text: &str) -> String {
    let mut sql = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['#', '$', '{', '\\']) {
        sql.push_str(&rest[..at]);
        rest = &rest[at..];
        let hole = ["#{", "${", "{"].iter().find(|open| rest.starts_with(**open));
        let close = hole.and_then(|_| rest.find('}')).filter(|close| !rest[..*close].contains('\n'));
        match close {
            Some(close) => {
                sql.push_str(&"x".repeat(close + 1));
                rest = &rest[close + 1..];
            }
            None if rest.starts_with("\\n") || rest.starts_with("\\\"") || rest.starts_with("\\'") => {
                sql.push(' ');
                sql.push(if rest.starts_with("\\n") { '\n' } else { rest.as_bytes()[1] as char });
                rest = &rest[2..];
            }
            None => {
                sql.push_str(&rest[..1]);
                rest = &rest[1..];
            }
        }
    }
    sql.push_str(rest);
    sql
}

/// The SQL that an argument is, and where it begins: its strings, with whatever they are joined by replaced by a word of the same length.
pub(super) fn as_one(program: &Program<'_>, argument: Range<usize>) -> Option<(String, usize)> {
    let parts = strings(program, argument);
    let start = parts.first()?.start;
    let mut sql = String::new();
    let mut at = start;
    for part in parts {
        let between = program.text.get(at..part.start)?;
        // `'a ' . 'b'` is one text, `'a_' . $b . ' c'` has something in it that nobody knows.
        let is_known = !between.contains(|c: char| c.is_alphanumeric() || c == '$');
        sql.push_str(&(if is_known { " " } else { "x" }).repeat(between.len()));
        sql.push_str(&sql_text(program.text.get(part.clone())?));
        at = part.end;
    }
    Some((sql, start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_found_between_their_quotes() {
        let text = "op.execute(\"\"\"a 'b'\"\"\", 'c')";
        let program = Program::of(text, Syntax::Python);
        let found: Vec<_> = strings(&program, 0..text.len()).into_iter().map(|range| &text[range]).collect();
        assert_eq!(found, ["a 'b'", "c"]);
        let joined = |text: &str| {
            let text = text.to_owned();
            let program = Program::of(&text, Syntax::Python);
            let end = text.find('\n').unwrap_or(text.len());
            sql_in(&program, 0..end).into_iter().map(|(_, sql)| sql).collect::<Vec<_>>()
        };
        assert_eq!(joined("f('ALTER TABLE a ' 'DROP b')"), ["ALTER TABLE a    DROP b"]);
        assert_eq!(joined("f('ALTER TABLE ' + ab + f' DROP b')"), ["ALTER TABLE     xx      DROP b"]);
        assert_eq!(joined("f('a', 'b')"), ["a", "b"]);
        assert_eq!(joined("f(SQL)\nSQL = 'DROP TABLE a'\nSQLS = 'b'"), ["DROP TABLE a"]);
        assert_eq!(joined("f(text(sql))\nsql: str = ['a', f'b']\nx = 'c'"), ["a", "b"]);
        assert_eq!(joined("f(SQL)\nSQL = g\nx = 'c' if SQL == 'd' else 'e'"), [""; 0]);
        let text = "DB::statement('a ' . 'b_' . $c . ' d', <<<SQL\n e {$f}\nSQL);";
        let program = Program::of(text, Syntax::Php);
        assert_eq!(as_one(&program, 0..text.find(", <<<").unwrap()).unwrap().0, "a      b_xxxxxxxxxx d");
        assert_eq!(strings(&program, 0..text.len()).len(), 4);
        let text = "execute ~s|a \"b\"|, \"c #{d(\"e\")}\", \"\"\"\n f\n\"\"\"";
        let program = Program::of(text, Syntax::Elixir);
        let found: Vec<_> = strings(&program, 0..text.len()).into_iter().map(|range| &text[range]).collect();
        assert_eq!(found, ["a \"b\"", "c #{d(\"e\")}", "\n f\n"]);
        assert_eq!(sql_text("a #{b} ${c} {d} \\n$1 é\\'"), "a xxxx xxxx xxx  \n$1 é '");
    }
}
