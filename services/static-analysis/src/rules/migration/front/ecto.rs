//! Migrations of Ecto (Elixir) in operations. They are for PostgreSQL unless they say otherwise. What `down` does, and the SQL that only
//! goes down, is left out.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::super::operation::{Dialect, Language, Operation, Script, Type};
use super::calls::{Arguments, Program, ways_down};
use super::embedded::as_one;
use super::sql;
use crate::source::{Syntax, closing};

mod rows;
mod tables;

/// Most calls or blocks in one another that are looked into.
const NESTED_MAX: usize = 8;

/// Adds what the migration does, if the text is one.
pub(super) fn read(text: &str, script: &mut Script) {
    static USES: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?m)^[ \t]*(?:use|import)[ \t]+(?:[A-Z]\w*\.)*Migration\b").expect("the pattern is tested")
    });
    static CALL: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(concat!(
            r"(?m)(?:^|\bdo:?|->|;)[ \t]*(alter|create|create_if_not_exists|drop|drop_if_exists|rename|execute|add",
            r"|add_if_not_exists|modify|remove|remove_if_exists|timestamps)(?:\(|[ \t]+|\r?$)",
            r"|\b(?:[A-Z]\w*\.)*(?:\w*[Rr]epo(?:\(\))?|SQL)\.(update_all|delete_all|query!?|query_many!?)\(",
        ))
        .expect("the pattern is tested")
    });
    if !USES.is_match(text) && script.whole {
        return;
    }
    let program = Program::of(text, Syntax::Elixir);
    script.language = Language::Framework;
    script.dialect = dialect(text);
    if script.whole && !says_without_transaction(&program.code) {
        script.open();
    }
    let down = ways_down(&program.code, &functions(&program.code));
    let mut walk = Walk {
        program: &program,
        script,
        tables: Vec::new(),
        open: Vec::new(),
        before: HashMap::new(),
        restated: HashSet::new(),
        skipped: Vec::new(),
    };
    for found in CALL.captures_iter(&program.code) {
        let start = start_of(&found);
        walk.tables.retain(|table| table.end > start);
        walk.open.retain(|end| *end > start);
        if walk.open.len().max(walk.tables.len()) > NESTED_MAX {
            continue;
        }
        let name = name_of(&found);
        // Of what is cut off nothing more is known.
        let Some(list) = argument_list(&program.code, name.end) else { break };
        walk.open.push(list.end);
        if down.iter().any(|range| range.contains(&start)) {
            walk.down_call(&program.code[name], list, start);
        } else {
            walk.call(&program.code[name], list, start);
        }
    }
    let Walk { before, restated, .. } = walk;
    settle(script, &before, &restated);
}

/// Leaves out what was so before, as the way down says, or the migration itself when it adds the column.
fn settle(script: &mut Script, before: &HashMap<(String, String), Before>, restated: &HashSet<usize>) {
    let mut types: HashMap<_, _> = before.iter().map(|(column, before)| (column.clone(), before.ty.clone())).collect();
    for (number, step) in script.steps.iter_mut().enumerate() {
        match &mut step.what {
            Operation::AddColumn { table, column } => {
                types.insert((table.clone(), column.name.clone()), column.ty.clone());
            }
            Operation::ChangeType { table, column, to, from } if from.is_none() => {
                let known = types.get(&(table.clone(), column.clone()));
                let is_restated = restated.contains(&number);
                match known {
                    Some(ty) if ty == to || ty.name.is_empty() && is_restated => {
                        step.what = Operation::Unknown { schema: true };
                    }
                    Some(ty) if !ty.name.is_empty() => *from = Some(ty.clone()),
                    _ if is_restated => *to = Type::default(),
                    _ => {}
                }
            }
            Operation::SetNotNull { table, column }
                if before.get(&(table.clone(), column.clone())).is_some_and(|before| before.not_null) =>
            {
                step.what = Operation::Unknown { schema: true };
            }
            _ => {}
        }
    }
}

/// By the adapter that the migration names.
fn dialect(text: &str) -> Dialect {
    if text.contains("Postgres") {
        Dialect::Postgres
    } else if text.contains("MyXQL") || text.contains("engine: ") {
        Dialect::Mysql
    } else if text.contains("SQLite3") {
        Dialect::Sqlite
    } else if text.contains(".Tds") {
        Dialect::SqlServer
    } else {
        Dialect::Postgres
    }
}

fn says_without_transaction(code: &str) -> bool {
    static SAYS: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"@disable_ddl_transaction[ \t]*\(?true").expect("the pattern is tested"));
    SAYS.is_match(code)
}

/// The functions by name, each from there to the next one.
fn functions(code: &str) -> Vec<(String, Range<usize>)> {
    static DEF: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?m)^[ \t]*defp?[ \t]+([a-z_]\w*[?!]?)").expect("the pattern is tested"));
    let names: Vec<_> = DEF.captures_iter(code).filter_map(|found| found.get(1)).collect();
    let ends = names.iter().skip(1).map(|name| name.start()).chain([code.len()]);
    names.iter().zip(ends).map(|(name, end)| (name.as_str().to_owned(), name.start()..end)).collect()
}

/// The first of the two groups that is there: the name of the call.
fn name_of(found: &Captures<'_>) -> Range<usize> {
    found.get(1).or(found.get(2)).map_or(0..0, |name| name.range())
}

/// Where the call begins; of one on a repository, where its receiver does.
fn start_of(found: &Captures<'_>) -> usize {
    match found.get(1) {
        Some(name) => name.start(),
        None => found.get(0).map_or(0, |all| all.start()),
    }
}

/// What a column was.
struct Before {
    ty: Type,
    not_null: bool,
}

/// The block of `create table` or `alter table`.
struct Table {
    name: String,
    is_new: bool,
    end: usize,
}

struct Walk<'p, 't, 's> {
    program: &'p Program<'t>,
    script: &'s mut Script,
    tables: Vec<Table>,
    /// Where the calls end that the next one is in.
    open: Vec<usize>,
    /// What the way down makes of columns.
    before: HashMap<(String, String), Before>,
    /// The steps whose type may be the old one.
    restated: HashSet<usize>,
    /// What only goes down in the midst of what goes up.
    skipped: Vec<Range<usize>>,
}

impl Walk<'_, '_, '_> {
    /// Reads a call on the way up.
    fn call(&mut self, name: &str, list: Range<usize>, start: usize) {
        self.skipped.retain(|range| range.end > start);
        if self.skipped.iter().any(|range| range.contains(&start)) {
            return;
        }
        let arguments = self.program.arguments(list.clone());
        let at = start..list.end;
        self.script.statement();
        match name {
            "alter" => self.open_table(list, &arguments, start, false),
            "create" | "create_if_not_exists" => self.create(name, list, &arguments, at),
            "execute" => self.execute(&arguments),
            verb @ ("update_all" | "delete_all") => {
                if let Some(operation) = rows::worked_on(self.program, self.script, verb, &arguments, at.clone()) {
                    self.script.push(operation, at.clone(), at);
                }
            }
            verb if verb.starts_with("query") => {
                // The repository may come first.
                if let Some(argument) = arguments.places.iter().find(|value| value.text.contains(['"', '~'])) {
                    self.embedded(argument.start..argument.start + argument.text.len());
                }
            }
            verb @ ("drop" | "drop_if_exists" | "rename") => {
                for operation in tables::operations(self.program, verb, list, &arguments) {
                    self.script.push(operation, at.clone(), at.clone());
                }
            }
            verb => self.in_table(verb, &arguments, at),
        }
    }

    fn create(&mut self, name: &str, list: Range<usize>, arguments: &Arguments<'_>, at: Range<usize>) {
        let guarded = name != "create";
        match tables::thing(self.program, list.clone()) {
            Some((kind, inner)) if kind == "table" => {
                let table = inner.place(0).unwrap_or("").to_owned();
                let made = Operation::CreateTable { table, columns: vec![], references: vec![], replaces: false };
                self.script.push(made, at.clone(), at.clone());
                self.open_table(list, arguments, at.start, true);
            }
            Some((kind, inner)) => {
                if let Some(operation) = tables::created(self.program, &kind, &inner, guarded) {
                    self.script.push(operation, at.clone(), at);
                }
            }
            None => {}
        }
    }

    /// The block behind `alter table(:a)` begins.
    fn open_table(&mut self, list: Range<usize>, arguments: &Arguments<'_>, start: usize, is_new: bool) {
        let Some((_, inner)) = tables::thing(self.program, list.clone()) else { return };
        let name = inner.place(0).unwrap_or("").to_owned();
        let inline = arguments.names.iter().find(|(key, _)| key == "do").map(|(_, value)| value);
        let end = match inline {
            Some(value) => value.start + value.text.len(),
            None => block_end(&self.program.code, start, list.end),
        };
        self.tables.push(Table { name, is_new, end });
    }

    fn in_table(&mut self, verb: &str, arguments: &Arguments<'_>, at: Range<usize>) {
        let operations = match self.tables.last() {
            Some(Table { name, is_new: true, .. }) => {
                let references = tables::in_new_table(self.program, arguments);
                let name = name.clone();
                self.script.refer(&name, references);
                Vec::new()
            }
            Some(Table { name, .. }) => tables::in_table(self.program, name, verb, arguments),
            // Of a hunk that does not show the table, what is taken away is known all the same.
            None if !self.script.whole && verb.starts_with("remove") => {
                tables::in_table(self.program, "", verb, arguments)
            }
            None => Vec::new(),
        };
        for operation in operations {
            if tables::is_restated(arguments) {
                self.restated.insert(self.script.steps.len());
            }
            self.script.push(operation, at.clone(), at.clone());
        }
    }

    /// `execute "up"`, `execute("up", "down")`, `execute(fn -> … end, fn -> … end)`
    fn execute(&mut self, arguments: &Arguments<'_>) {
        if let Some(first) = arguments.places.first()
            && first.text.starts_with(['"', '\'', '~'])
        {
            self.embedded(first.start..first.start + first.text.len());
        }
        if let Some(down) = arguments.places.get(1) {
            self.skipped.push(down.start..down.start + down.text.len());
        }
    }

    fn embedded(&mut self, argument: Range<usize>) {
        if let Some((text, start)) = as_one(self.program, argument) {
            sql::read(&text, start, self.script);
        }
    }

    /// Notes what the way down makes of columns: that is what they were before.
    fn down_call(&mut self, name: &str, list: Range<usize>, start: usize) {
        let arguments = self.program.arguments(list.clone());
        match (name, self.tables.last()) {
            ("alter", _) => self.open_table(list, &arguments, start, false),
            ("modify", Some(table)) => {
                let column = arguments.place(0).unwrap_or("").to_owned();
                let ty = tables::column_type(&arguments, arguments.places.get(1).map_or("", |ty| ty.text));
                let before = Before { ty, not_null: arguments.says("null", "false") };
                self.before.insert((table.name.clone(), column), before);
            }
            _ => {}
        }
    }
}

/// Where the arguments behind a call's name are; nothing when they are cut off.
fn argument_list(code: &str, name_end: usize) -> Option<Range<usize>> {
    if code[name_end..].starts_with('(') {
        return closing(code, name_end).map(|close| name_end + 1..close);
    }
    let mut depth = 0_i32;
    let mut last = b' ';
    // Of a string over several lines the quotes are left, and one of three is one as well.
    let mut is_in_string = false;
    for (at, byte) in code.bytes().enumerate().skip(name_end) {
        match byte {
            b'"' | b'\'' => is_in_string = !is_in_string,
            _ if is_in_string => {}
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' if depth == 0 => return Some(name_end..at),
            b')' | b']' | b'}' => depth -= 1,
            b'\n' if depth == 0 && last != b',' && !code[..at].trim_end().ends_with("<>") => {
                return Some(name_end..at);
            }
            b'd' | b'e' if depth == 0 && last != b',' && is_block_word(code, at) => return Some(name_end..at),
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            last = byte;
        }
    }
    (depth == 0).then_some(name_end..code.len())
}

/// True for the `do` that opens a block, which `do:` is not, and the `end` that closes it.
fn is_block_word(code: &str, at: usize) -> bool {
    let behind = code[at..].strip_prefix("do").or(code[at..].strip_prefix("end"));
    let is_word = behind.is_some_and(|rest| rest.is_empty() || rest.starts_with(|c: char| c.is_whitespace()));
    code[..at].ends_with([' ', '\t']) && is_word
}

/// Where the block ends that begins with the call at `start`: at the `end` that is indented as that line is.
fn block_end(code: &str, start: usize, list_end: usize) -> usize {
    let line_start = code[..start].rfind('\n').map_or(0, |at| at + 1);
    let indentation = code[line_start..].len() - code[line_start..].trim_start().len();
    let mut at = list_end;
    for (number, line) in code[list_end..].split_inclusive('\n').enumerate() {
        at += line.len();
        let trimmed = line.trim();
        if number == 0 {
            // `do remove :a end`
            if trimmed.len() > ")do".len() && trimmed.ends_with(" end") {
                return at;
            }
            continue;
        }
        let is_end = trimmed.strip_prefix("end").is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()));
        if is_end && line.len() - line.trim_start().len() <= indentation {
            return at;
        }
    }
    at
}

#[cfg(test)]
mod tests;
