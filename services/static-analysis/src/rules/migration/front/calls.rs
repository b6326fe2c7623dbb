//! Calls in the text of a program: their name, and their arguments by place and by name. Not a parser: strings and comments are
//! blanked first, and brackets counted.

use std::ops::Range;

use crate::source::{Syntax, code_only, php_heredoc, sigil};

/// A program's text, and the same without what is in strings and comments; places are the same in both.
pub(super) struct Program<'t> {
    pub(super) text: &'t str,
    pub(super) code: String,
    syntax: Syntax,
}

/// The arguments of a call.
#[derive(Debug, Default)]
pub(super) struct Arguments<'t> {
    /// Those without a name.
    pub(super) places: Vec<Value<'t>>,
    /// Those with one.
    pub(super) names: Vec<(String, Value<'t>)>,
}

/// An argument as written, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value<'t> {
    pub(super) text: &'t str,
    pub(super) start: usize,
}

impl<'t> Program<'t> {
    pub(super) fn of(text: &'t str, syntax: Syntax) -> Self {
        Self { text, code: code_only(text, syntax), syntax }
    }

    /// The arguments in these bytes, which are what is between a call's brackets, or behind its name.
    pub(super) fn arguments(&self, range: Range<usize>) -> Arguments<'t> {
        let mut arguments = Arguments::default();
        for part in self.parts(range) {
            let code = &self.code[part.clone()];
            let (key, value) = match self.key(code) {
                Some((key_length, value)) => {
                    let key = &self.text[part.start..part.start + key_length];
                    (Some(literal(key.trim()).to_owned()), part.start + value..part.end)
                }
                None => (None, part),
            };
            let value = trimmed(self.text, value);
            match key {
                Some(key) => arguments.names.push((key, value)),
                None => arguments.places.push(value),
            }
        }
        arguments
    }

    /// The parts of these bytes between the commas that are in no bracket.
    pub(super) fn parts(&self, range: Range<usize>) -> Vec<Range<usize>> {
        let mut parts = Vec::new();
        let mut depth = 0_i32;
        let mut start = range.start;
        for (at, byte) in self.code.as_bytes()[range.clone()].iter().enumerate().map(|(at, b)| (at + range.start, b)) {
            match byte {
                b'(' | b'[' | b'{' => depth += 1,
                b')' | b']' | b'}' => depth -= 1,
                b',' if depth == 0 => {
                    parts.push(start..at);
                    start = at + 1;
                }
                _ => {}
            }
        }
        parts.push(start..range.end);
        parts.retain(|part| !self.text[part.clone()].trim().is_empty());
        parts
    }

    /// Where the name at the beginning of an argument ends, and where its value begins.
    fn key(&self, code: &str) -> Option<(usize, usize)> {
        let blank = code.len() - code.trim_start().len();
        let rest = &code[blank..];
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\'') && self.syntax != Syntax::Python);
        let name = match quote {
            Some(quote) => rest[1..].find(quote).map(|end| end + 2)?,
            None => {
                let colon = usize::from(rest.starts_with(':') && matches!(self.syntax, Syntax::Ruby | Syntax::Elixir));
                colon + rest[colon..].find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len() - colon)
            }
        };
        if name == 0 {
            return None;
        }
        let behind = rest[name..].trim_start();
        let sign = match self.syntax {
            Syntax::Ruby if behind.starts_with("=>") => "=>",
            Syntax::Ruby | Syntax::JavaScript | Syntax::Php | Syntax::Elixir
                if behind.starts_with(':') && !behind.starts_with("::") =>
            {
                ":"
            }
            Syntax::Python if behind.starts_with('=') && !behind.starts_with("==") => "=",
            _ => return None,
        };
        // `:a` is a value, `a ? b : c` too.
        if sign == ":" && rest.starts_with(':') {
            return None;
        }
        let value = blank + name + (rest.len() - name - behind.len()) + sign.len();
        Some((blank + name, value))
    }
}

/// The value without the blanks around it.
fn trimmed(text: &str, range: Range<usize>) -> Value<'_> {
    let text = &text[range.clone()];
    let start = range.start + (text.len() - text.trim_start().len());
    Value { text: text.trim(), start }
}

impl<'t> Arguments<'t> {
    /// The argument at a place, without its quotes.
    pub(super) fn place(&self, number: usize) -> Option<&'t str> {
        self.places.get(number).map(|value| literal(value.text))
    }

    /// The argument of a name, as written.
    pub(super) fn named(&self, name: &str) -> Option<&'t str> {
        self.names.iter().find(|(key, _)| key == name).map(|(_, value)| value.text)
    }

    /// The argument at a place or of a name, without its quotes.
    pub(super) fn at_or_named(&self, number: usize, name: &str) -> Option<&'t str> {
        self.named(name).map(literal).or_else(|| self.place(number))
    }

    /// True when the argument of that name is written so.
    pub(super) fn says(&self, name: &str, value: &str) -> bool {
        self.named(name).is_some_and(|text| text.eq_ignore_ascii_case(value))
    }
}

/// A name or string without what its language puts around it: `:a`, `'a'`, `"a"`, `` `a` ``.
pub(super) fn literal(text: &str) -> &str {
    let text = text.trim();
    let text = text.strip_prefix(':').unwrap_or(text);
    let text = text.strip_prefix("r").filter(|rest| rest.starts_with(['"', '\''])).unwrap_or(text);
    if let Some(inner) = text.strip_prefix("\"\"\"").and_then(|rest| rest.strip_suffix("\"\"\"")) {
        return inner;
    }
    for quote in ['"', '\'', '`'] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner;
        }
    }
    text
}

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
fn joined(program: &Program<'_>, range: Range<usize>) -> Vec<(usize, String)> {
    let mut joined: Vec<(usize, String)> = Vec::new();
    for string in strings(program, range) {
        let text = sql_text(&program.text[string.clone()]);
        let last = joined.last_mut().and_then(|(start, before)| {
            let end = *start + before.len();
            glue(program.code.get(end..string.start)?).map(|glue| (before, glue))
        });
        match last {
            Some((before, glue)) => {
                before.push_str(&glue);
                before.push_str(&text);
            }
            None => joined.push((string.start, text)),
        }
    }
    joined
}

/// What stands in the place of the signs between two strings that are put together, quotes included.
fn glue(between: &str) -> Option<String> {
    let inner = between.trim_matches(['"', '\'', '`']);
    let prefix = inner.len() - inner.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len();
    let inner = if prefix <= 2 { &inner[..inner.len() - prefix] } else { inner };
    let signs = inner.trim();
    let is_glue = signs.chars().all(|c| c == '\\' || c.is_whitespace())
        || signs.starts_with('+') && signs.ends_with('+') && !signs.contains(['\n', ',', ';']);
    // What is put in between is a name, as far as anybody knows.
    let start = between.find(inner).unwrap_or(0);
    let named = |(at, byte): (usize, u8)| {
        let is_named = byte.is_ascii_alphanumeric() && (start..start + inner.len()).contains(&at);
        char::from(if is_named {
            b'x'
        } else if byte == b'\n' {
            b'\n'
        } else {
            b' '
        })
    };
    is_glue.then(|| between.bytes().enumerate().map(named).collect())
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

/// The methods of a migration, by name, that only the way down needs: those called after it, those that nothing else calls, and, where the
/// way up is in sight, those that nobody calls.
pub(super) fn ways_down(code: &str, methods: &[(String, Range<usize>)]) -> Vec<Range<usize>> {
    let goes_down = |name: &str| {
        let lower = name.to_ascii_lowercase();
        ["down", "rollback", "revert"].iter().any(|word| lower.starts_with(word) || lower.ends_with(word))
    };
    let is_entry = |name: &str| matches!(name, "up" | "change");
    let shows_entry = methods.iter().any(|(name, _)| is_entry(name));
    let mut is_down: Vec<bool> = methods.iter().map(|(name, _)| goes_down(name)).collect();
    // A helper of a helper is as far as anybody goes.
    for _ in 0..2 {
        for (number, (name, own)) in methods.iter().enumerate().take(METHODS_MAX) {
            let is_of_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
            let is_mention = |at: &usize| {
                let before = at.checked_sub(1).and_then(|before| code.as_bytes().get(before));
                !own.contains(at) && !is_of_word(before) && !is_of_word(code.as_bytes().get(at + name.len()))
            };
            let mut mentions = code.match_indices(name.as_str()).map(|(at, _)| at).filter(is_mention).peekable();
            let in_way_down = |at: usize| {
                let mut known = methods.iter().zip(&is_down).take(METHODS_MAX);
                known.any(|((_, range), is_down)| *is_down && range.contains(&at))
            };
            let is_known = shows_entry || mentions.peek().is_some();
            is_down[number] |= !is_entry(name) && is_known && mentions.all(in_way_down);
        }
    }
    methods.iter().zip(is_down).filter(|(_, is_down)| *is_down).map(|((_, range), _)| range.clone()).collect()
}

/// Most methods of a migration that are asked who calls them.
const METHODS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_have_places_and_names() {
        let text = ":users, [:a, :b], unique: true, index: { algorithm: :concurrently }, 'x' => 1, :y => nil, A::B";
        let arguments = Program::of(text, Syntax::Ruby).arguments(0..text.len());
        assert_eq!(
            (arguments.place(0), arguments.place(1), arguments.place(2)),
            (Some("users"), Some("[:a, :b]"), Some("A::B"))
        );
        assert!(arguments.says("unique", "true") && arguments.says("x", "1") && arguments.says("y", "nil"));
        assert_eq!(arguments.named("index"), Some("{ algorithm: :concurrently }"));
        let text = "'t', sa.Column('a, b', sa.Integer()), nullable=False, x=a == b";
        let arguments = Program::of(text, Syntax::Python).arguments(0..text.len());
        assert_eq!((arguments.place(0), arguments.places.len()), (Some("t"), 2));
        assert!(arguments.says("nullable", "false") && arguments.says("x", "a == b"));
    }

    #[test]
    fn what_only_the_way_down_calls_belongs_to_it() {
        let code = "up { a(); } down { b(); } a { } b { c(); } c { } d { }";
        let method = |name: &str| {
            let start = code.find(&format!("{name} {{")).unwrap();
            (name.to_owned(), start..start + code[start..].find('}').unwrap())
        };
        let methods: Vec<_> = ["up", "down", "a", "b", "c", "d"].map(method).into();
        let down: Vec<_> =
            ways_down(code, &methods).into_iter().map(|range| &code[range.start..=range.start]).collect();
        assert_eq!(down, ["d", "b", "c", "d"]);
        let shown: Vec<_> = methods.into_iter().filter(|(name, _)| name != "up" && name != "down").collect();
        assert_eq!(ways_down(&code[code.find("a {").unwrap()..], &shown).len(), 0);
    }

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
