//! What a migration of Ecto's does to the rows of a table through a repository.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::super::super::operation::{Deed, Operation, Script};
use super::super::calls::{Arguments, Program};
use super::super::rails::table_of_model;

/// Most bytes of the query that is piped into a call.
const QUERY_BYTES_MAX: usize = 2_048;

/// `Repo.delete_all(Post)`, `from(p in "posts") |> Repo.update_all(set: [a: 1])`; nothing where only some rows are meant.
pub(super) fn worked_on(
    program: &Program<'_>,
    script: &Script,
    verb: &str,
    arguments: &Arguments<'_>,
    at: Range<usize>,
) -> Option<Operation> {
    let is_piped = program.code[..at.start].trim_end().ends_with("|>");
    let query = if is_piped {
        let start = statement_start(&program.code, at.start);
        start..at.start
    } else {
        let first = arguments.places.first()?;
        // `from p in Post, where: p.a > 1` has commas of its own.
        let end = if first.text.starts_with("from ") { at.end } else { first.start + first.text.len() };
        first.start..end
    };
    let query = variable(program, query.clone(), at.start).unwrap_or(query);
    let text = program.text.get(query.clone())?;
    if !is_of_all(script, &program.code[query]) {
        return None;
    }
    let deed = if verb == "update_all" { Deed::UpdateAll } else { Deed::DeleteAll };
    Some(Operation::Other { deed, table: table_of(text)? })
}

/// Where the query begins that is piped into the call at `at`: behind the last empty line, or the line that opens the function.
fn statement_start(code: &str, at: usize) -> usize {
    let line_start = code[..at].rfind('\n').map_or(0, |end| end + 1);
    // On one line with the call: `"posts" |> Repo.delete_all()`
    if !code[line_start..at].trim_start().starts_with("|>") {
        return line_start;
    }
    let mut start = line_start;
    for line in code[..line_start].split_inclusive('\n').rev() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.ends_with(" do") || trimmed.ends_with("->") || trimmed == "end" {
            break;
        }
        start -= line.len();
        if at - start > QUERY_BYTES_MAX {
            break;
        }
    }
    start
}

/// What the variable that stands for the query was set to.
fn variable(program: &Program<'_>, query: Range<usize>, at: usize) -> Option<Range<usize>> {
    let name = program.code.get(query)?.trim().trim_end_matches("|>").trim();
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name {
        return None;
    }
    let first = (at.saturating_sub(QUERY_BYTES_MAX)..at).find(|first| program.code.is_char_boundary(*first))?;
    let set = program.code[first..at].rfind(&format!("{name} ="))?;
    Some(first + set..at)
}

/// True for a query that leaves no row out. To ask for the nulls of a column that the migration itself adds leaves none out either.
fn is_of_all(script: &Script, query: &str) -> bool {
    static NARROWS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\b(?:where|or_where|join|inner_join|limit|having|intersect|except|subquery|get|filter)\b")
            .expect("the pattern is tested")
    });
    static NULLS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\bwhere\(?[ \t]*(?:\[\w+\],[ \t]*)?(?:(\w+):[ \t]*nil|is_nil\(\w+\.(\w+)\))[ \t]*\)")
            .expect("the pattern is tested")
    });
    let is_added = |name: &str| {
        script.steps.iter().any(|step| matches!(&step.what, Operation::AddColumn { column, .. } if column.name == name))
    };
    let mut narrows = NARROWS.find_iter(query);
    let Some(first) = narrows.next() else { return true };
    let nulls =
        NULLS.captures(&query[first.start()..]).filter(|nulls| nulls.get(0).is_some_and(|all| all.start() == 0));
    let column = nulls.as_ref().and_then(|nulls| nulls.get(1).or(nulls.get(2)));
    narrows.next().is_none() && column.is_some_and(|column| is_added(column.as_str()))
}

/// The table of `"posts"`, `Shop.Post`, `from(p in Post, …)`, or of a pipe that begins with one of them.
fn table_of(query: &str) -> Option<String> {
    static SOURCE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"(?s)^\s*(?:\w+[ \t]*=[ \t]*)?(?:from[ (]\s*(?:\w+\s+in\s+)?)?(?:"(\w+)"|\{"(\w+)"|((?:[A-Z]\w*\.)*[A-Z]\w*))"#)
            .expect("the pattern is tested")
    });
    let found = SOURCE.captures(query)?;
    match found.get(1).or(found.get(2)) {
        Some(table) => Some(table.as_str().to_owned()),
        None => table_of_model(found.get(3)?.as_str().rsplit('.').next()?),
    }
}
