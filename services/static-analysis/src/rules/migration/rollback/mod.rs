//! Whether a new migration can be taken back, framework by framework.

use std::sync::LazyLock;

use domain::Severity;
use regex::Regex;

pub(super) mod alembic;
pub(super) mod braces;
pub(super) mod django;
pub(super) mod javascript;
pub(super) mod liquibase;
pub(super) mod php;
pub(super) mod rails;
pub(super) mod sql_files;

/// The way back that is not there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missing {
    /// The byte of the file to point at: what cannot be taken back.
    pub(super) at: usize,
    /// What is missing, in one sentence.
    pub(super) why: &'static str,
    /// How bad that is.
    pub(super) severity: Severity,
}

impl Missing {
    /// A framework has a place for the way back, and it was left out.
    fn high(at: usize, why: &'static str) -> Self {
        Self { at, why, severity: Severity::High }
    }

    /// The same of what changes the schema, or rows alone: what those were is often known to nobody.
    fn of(self, schema: bool) -> Self {
        if schema { self } else { Self { severity: Severity::Medium, ..self } }
    }
}

/// Whether a program's text holds SQL that changes a schema.
fn has_ddl(text: &str) -> bool {
    static DDL: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?ix) \b(?: alter | create | drop )\s+ (?: \w+\s+ ){0,2}? (?: column | constraint | domain | extension | function | index
            | policy | procedure | schema | sequence | table | trigger | type | view )\b",
        )
        .expect("the pattern is tested")
    });
    DDL.is_match(text)
}

/// The body of a Python function: the rest of its first line behind the colon, or all that is indented more below it.
fn python_body(code: &str, header: usize) -> &str {
    let line_start = code[..header].rfind('\n').map_or(0, |at| at + 1);
    let indentation = indent(&code[line_start..]);
    // The colon that ends the header is behind the parameters' brackets.
    let open = code[header..].find('(').map_or(header, |at| header + at);
    let parameters_end = crate::source::closing(code, open).unwrap_or(header);
    let Some(colon) = code[parameters_end..].find(':').map(|at| parameters_end + at) else { return "" };
    let line_end = code[colon..].find('\n').map_or(code.len(), |at| colon + at);
    if !code[colon + 1..line_end].trim().is_empty() {
        return code[colon + 1..line_end].trim();
    }
    let mut end = line_end;
    for line in code[line_end..].split_inclusive('\n').skip(1) {
        if !line.trim().is_empty() && indent(line) <= indentation {
            break;
        }
        end += line.len();
    }
    code.get(line_end + 1..(end + 1).min(code.len())).unwrap_or("").trim_end()
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '\t']).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_python_function_ends_where_its_indentation_does() {
        let code = "def a(x: int) -> None:\n    b\n\n    c\ndef d(): pass\n";
        assert_eq!(python_body(code, 0), "    b\n\n    c");
        assert_eq!(python_body(code, code.find("def d").unwrap()), "pass");
        assert_eq!(python_body("def a(", 0), "");
        assert_eq!(python_body("def a():\n", 0), "");
    }
}
