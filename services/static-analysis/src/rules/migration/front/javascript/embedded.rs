//! SQL in the text of a program: in a string, in several put together, in a variable that is declared with it, or in a template
//! behind a tag.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::super::calls::{Arguments, Program, literal};
use super::super::embedded::{joined, sql_text};

/// SQL, and where it begins in the program; of the same length there.
pub(super) struct Said {
    pub(super) start: usize,
    pub(super) text: String,
}

/// Where each variable of a program is given its first value, and where what is gone through by a loop stands.
pub(super) struct Variables<'p> {
    declared: HashMap<&'p str, Vec<usize>>,
    /// The values that were asked for: each is looked through once.
    asked: HashSet<usize>,
}

impl<'p> Variables<'p> {
    pub(super) fn of(code: &'p str) -> Self {
        static DECLARED: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r"\b(?:const|let|var)\s+([A-Za-z_$][\w$]*)\s*(?::\s*[\w<>\[\]]+\s*)?(?:=|\bof\b)\s*")
                .expect("the pattern is tested")
        });
        let mut declared: HashMap<_, Vec<_>> = HashMap::new();
        for found in DECLARED.captures_iter(code) {
            if let (Some(all), Some(name)) = (found.get(0), found.get(1)) {
                declared.entry(name.as_str()).or_default().push(all.end());
            }
        }
        Self { declared, asked: HashSet::new() }
    }

    /// Where the value of a variable begins, as it is at `at`; what is declared below may be of the way down.
    fn value(&self, name: &str, at: usize) -> Option<usize> {
        self.declared.get(name)?.iter().rev().find(|start| **start <= at).copied()
    }
}

/// The SQL in an argument; that of a variable only once.
pub(super) fn in_argument(program: &Program<'_>, variables: &mut Variables<'_>, range: Range<usize>) -> Vec<Said> {
    match variable(&program.code[range.clone()]) {
        Some(name) => of_variable(program, variables, name, range.start),
        None => in_expression(program, range),
    }
}

/// The name, when the text is nothing else.
fn variable(code: &str) -> Option<&str> {
    static NAME: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^\s*([A-Za-z_$][\w$]*)\s*$").expect("the pattern is tested"));
    NAME.captures(code)?.get(1).map(|name| name.as_str())
}

fn of_variable(program: &Program<'_>, variables: &mut Variables<'_>, name: &str, at: usize) -> Vec<Said> {
    let Some(start) = variables.value(name, at) else { return Vec::new() };
    if !variables.asked.insert(start) {
        return Vec::new();
    }
    let range = start..value_end(&program.code, start);
    // A loop goes through a list that may have a name, too.
    let range = match variable(&program.code[range.clone()]).and_then(|list| variables.value(list, start)) {
        Some(start) => start..value_end(&program.code, start),
        None => range,
    };
    let mut said = in_expression(program, range);
    said.retain(|said| is_sql(&said.text));
    said
}

/// Where an expression ends: before a semicolon, a bracket that it is inside of, or a line that does not go on with it.
fn value_end(code: &str, start: usize) -> usize {
    let bytes = code.as_bytes();
    let mut depth = 0_usize;
    let mut at = start;
    let mut last = b'=';
    while at < bytes.len() {
        let byte = bytes[at];
        match byte {
            b'\'' | b'"' | b'`' => {
                let rest = bytes[at + 1..].iter().position(|other| *other == byte);
                at += rest.map_or(0, |rest| rest + 1);
            }
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' if depth == 0 => return at,
            b')' | b']' | b'}' => depth -= 1,
            b';' if depth == 0 => return at,
            b'\n' if depth == 0 => {
                let next = bytes[at..].iter().find(|byte| !byte.is_ascii_whitespace());
                if !matches!(last, b'=' | b'+') && !matches!(next, Some(b'+' | b'.')) {
                    return at;
                }
            }
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            last = byte;
        }
        at += 1;
    }
    code.len()
}

/// The strings of an expression, those together that it adds to one another.
fn in_expression(program: &Program<'_>, range: Range<usize>) -> Vec<Said> {
    joined(program, range).into_iter().map(|(start, text)| Said { start, text }).collect()
}

/// The SQL of the template that begins at `tick`.
pub(super) fn in_template(program: &Program<'_>, tick: usize) -> Option<Said> {
    let end = program.code[tick + 1..].find('`')? + tick + 1;
    let text = sql_text(&program.text[tick + 1..end]);
    is_sql(&text).then_some(Said { start: tick + 1, text })
}

/// True for a text that begins like a statement.
pub(super) fn is_sql(text: &str) -> bool {
    static STATEMENT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?is)^(?:\s+|--[^\n]*(?:\n|$)|/\*.*?\*/)*(?:alter|analyze|begin|call|cluster|comment|commit|create|delete|do|drop|grant|insert|lock|merge|pragma|refresh|reindex|rename|replace|reset|revoke|rollback|select|set|start|truncate|update|vacuum|with)\s",
        )
        .expect("the pattern is tested")
    });
    STATEMENT.is_match(&format!("{text} "))
}

/// The text with the names that Knex puts in the place of `??`, where they are known.
pub(super) fn bound(text: &str, arguments: &Arguments<'_>) -> Option<String> {
    if !text.contains("??") {
        return None;
    }
    let list = arguments.places.get(1)?.text.trim_matches(['[', ']']);
    let mut names = list.split(',').map(literal);
    let mut parts = text.split("??");
    let mut bound = parts.next()?.to_owned();
    for part in parts {
        bound.push_str(names.next().filter(|name| !name.is_empty()).unwrap_or("x"));
        bound.push_str(part);
    }
    Some(bound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Syntax;

    fn said(text: &str, argument: &str) -> Vec<String> {
        let program = Program::of(text, Syntax::JavaScript);
        let mut variables = Variables::of(&program.code);
        let start = text.rfind(argument).unwrap();
        let found = in_argument(&program, &mut variables, start..start + argument.len());
        found.into_iter().map(|said| said.text.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn sql_is_put_together() {
        for (expression, expected) in [
            ("'DROP TABLE a'", "DROP TABLE a"),
            ("'ALTER TABLE a ' + 'DROP COLUMN b'", "ALTER TABLE a DROP COLUMN b"),
            ("'ALTER TABLE a' +\n  \" DROP\" +\n  ` COLUMN b`", "ALTER TABLE a DROP COLUMN b"),
            ("'ALTER TABLE ' + table.a + ' DROP COLUMN b'", "ALTER TABLE xxxxxxx DROP COLUMN b"),
            ("'DROP TABLE ' + name", "DROP TABLE xxxx"),
        ] {
            assert_eq!(said(expression, expression), [expected], "{expression}");
        }
        assert_eq!(said("a ? 'DROP TABLE a' : 'SELECT 1'", "a ? 'DROP TABLE a' : 'SELECT 1'").len(), 2);
    }

    #[test]
    fn sql_in_a_variable_is_found() {
        for text in [
            "const s = `DROP TABLE a`;\nq.query(s)",
            "let s: string =\n  'DROP ' +\n  'TABLE a'\nq.query(s)",
            "for (const s of ['DROP TABLE a']) q.query(s)",
            "const all = [\n  'DROP TABLE a',\n];\nfor (const s of all) { q.query(s) }",
            "const s = 'SELECT 1';\nconst s = 'DROP TABLE a';\nq.query(s)",
        ] {
            assert_eq!(said(text, "s"), ["DROP TABLE a"], "{text}");
        }
        for text in [
            "const t = 'DROP TABLE a';\nq.query(s)",
            "const s = 'a name';\nq.query(s)",
            "const s = f()\n'DROP TABLE a'\nq(s)",
        ] {
            assert_eq!(said(text, "s"), [""; 0], "{text}");
        }
    }

    #[test]
    fn names_take_the_place_of_marks() {
        let text = "'DROP TABLE ??; DROP TABLE ??', ['a']";
        let arguments = Program::of(text, Syntax::JavaScript).arguments(0..text.len());
        assert_eq!(bound("DROP TABLE ??; DROP TABLE ??", &arguments).as_deref(), Some("DROP TABLE a; DROP TABLE x"));
        assert_eq!(bound("DROP TABLE a", &arguments), None);
    }
}
