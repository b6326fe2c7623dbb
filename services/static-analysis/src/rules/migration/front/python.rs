//! Migrations in Python, of Django and of Alembic, in operations.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::super::operation::{Language, Script};
use super::calls::{Arguments, Program};
use super::embedded::sql_in;
use super::sql;
use crate::source::{Syntax, closing};

mod alembic;
mod django;

/// Adds what the migration does, if the text is one.
pub(super) fn read(text: &str, script: &mut Script) {
    static REVISION: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?m)^(?:down_)?revision\b[^=\n]*=").expect("the pattern is tested"));
    let program = Program::of(text, Syntax::Python);
    script.language = Language::Framework;
    if REVISION.is_match(&program.code) {
        alembic::read(&program, script);
    } else if program.code.contains("Migration") && program.code.contains("operations") {
        django::read(&program, script);
    }
}

/// Every call of a pattern whose first group is its name, with its arguments; one that is cut off ends the search.
fn calls<'t>(
    program: &Program<'t>,
    within: Range<usize>,
    pattern: &Regex,
) -> Vec<(String, Range<usize>, Arguments<'t>)> {
    let mut calls: Vec<(String, Range<usize>, Arguments<'t>)> = Vec::new();
    for found in pattern.captures_iter(&program.code[within.clone()]) {
        let (Some(all), Some(name)) = (found.get(0), found.get(1)) else { continue };
        // Each bracket is looked for once: what is inside a call is that call's.
        if calls.last().is_some_and(|(_, last, _)| last.contains(&(within.start + all.start()))) {
            continue;
        }
        let open = within.start + all.end() - 1;
        let Some(close) = closing(&program.code, open) else { break };
        let arguments = program.arguments(open + 1..close);
        calls.push((name.as_str().to_owned(), within.start + all.start()..close + 1, arguments));
    }
    calls
}

/// From there to the next line that is not indented, where `start` is behind the header of a function.
fn indented(code: &str, start: usize) -> Range<usize> {
    let mut end = start;
    for line in code[start..].split_inclusive('\n') {
        if end > start && !line.trim().is_empty() && !line.starts_with([' ', '\t', ')']) {
            break;
        }
        end += line.len();
    }
    start..end
}

fn embedded(program: &Program<'_>, within: Range<usize>, script: &mut Script) {
    for (start, sql) in sql_in(program, within) {
        sql::read(&sql, start, script);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::operation::Operation;
    use super::*;

    /// What the migration in this text does.
    pub(super) fn steps(text: &str) -> Vec<Operation> {
        let mut script = Script::of_whole_file();
        read(text, &mut script);
        script.steps.into_iter().map(|step| step.what).collect()
    }
}
