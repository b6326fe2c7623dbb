//! Migrations of Active Record (Rails) in operations. What `down` does, and what the author answers for (`safety_assured`),
//! is left out.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::super::operation::{Deed, Dialect, Language, Operation, Script, Type};
use super::calls::{Arguments, Program};
use super::embedded::{NAMES_BYTES_MAX, definition, sql_in, sql_text};
use super::sql;
use crate::source::Syntax;

use methods::{column_type, in_new_table, in_table, operations, taken_back};

mod methods;

/// Adds what the migration does, if the text is one.
pub(super) fn read(text: &str, script: &mut Script) {
    static CLASS: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?m)^[ \t]*class\s+\S+\s*<\s*\S*Migration\b").expect("the pattern is tested"));
    static PART: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?m)^[ \t]*(?:def (?:self\.)?(?:up|change)\b|(?:add|remove|change|rename|create|drop)_[a-z_]+[ (][:'\x22])")
            .expect("the pattern is tested")
    });
    if !CLASS.is_match(text) && (script.whole || !PART.is_match(text)) {
        return;
    }
    script.language = Language::Framework;
    script.inherits = true;
    let program = Program::of(text, Syntax::Ruby);
    if [
        "algorithm: :inplace",
        "algorithm: :copy",
        "algorithm: :instant",
        "lock: :none",
        "lock: :shared",
        "lock: :exclusive",
        "ENGINE=",
    ]
    .iter()
    .any(|sign| text.contains(sign))
    {
        script.dialect = Dialect::Mysql;
    }
    if !program.code.contains("disable_ddl_transaction!") && script.whole {
        script.open();
    }
    let mut walk = Walk { program: &program, script, blocks: Vec::new(), down_types: HashMap::new() };
    let mut at = 0;
    let mut behind = 0;
    for line in program.code.split_inclusive('\n') {
        let start = at;
        at += line.len();
        // The rest of a call over several lines.
        if start < behind {
            continue;
        }
        behind = walk.line(start, line);
    }
    let mut types = walk.down_types;
    for step in &mut script.steps {
        // A column that the migration itself adds is of the type it was added with.
        if let Operation::AddColumn { table, column } = &step.what {
            types.insert((table.clone(), column.name.clone()), column.ty.clone());
        }
        if let Operation::ChangeType { table, column, from, .. } = &mut step.what
            && from.is_none()
        {
            *from = types.get(&(table.clone(), column.clone())).cloned();
        }
    }
}

/// Most blocks on one line that are looked into.
const INLINE_BLOCKS_MAX: usize = 8;

/// A block or method that is open.
struct Block {
    indentation: usize,
    meaning: Meaning,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Meaning {
    Plain,
    Down,
    /// What is done here is taken back.
    Reverted,
    Assured,
    /// The block of `create_table` or `change_table`.
    Table {
        name: String,
        variable: String,
        is_new: bool,
    },
}

struct Walk<'p, 't, 's> {
    program: &'p Program<'t>,
    script: &'s mut Script,
    blocks: Vec<Block>,
    /// The types that the way down gives back to columns.
    down_types: HashMap<(String, String), Type>,
}

impl Walk<'_, '_, '_> {
    /// Reads a line, and gives the place behind the call on it.
    fn line(&mut self, start: usize, line: &str) -> usize {
        static OPENS: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r"^(?:def|class|module|if|unless|case|while|until|begin|for)\b").expect("the pattern is tested")
        });
        static DEF: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"^def (?:self\.)?([a-z_]+)").expect("the pattern is tested"));
        let trimmed = line.trim();
        let indentation = line.len() - line.trim_start().len();
        if is_word_at(trimmed, "end") || trimmed.starts_with('}') {
            self.blocks.retain(|block| block.indentation < indentation);
            return start;
        }
        if OPENS.is_match(trimmed) {
            let closed = trimmed.ends_with(" end") || trimmed.ends_with(";end");
            // `def up = remove_column(:a, :b)`
            static ENDLESS: LazyLock<Regex> =
                LazyLock::new(|| Regex::new(r"^def (?:self\.)?([a-z_]+) = ").expect("the pattern is tested"));
            if let Some(endless) = ENDLESS.captures(trimmed) {
                if &endless[1] == "down" {
                    return start;
                }
                return self.statement(start + indentation + endless[0].len(), indentation, &mut Vec::new());
            }
            // `def change; remove_column :a, :b; end`
            if let (true, Some(def), Some(body)) = (closed, DEF.captures(trimmed), trimmed.find(';')) {
                if &def[1] != "down" {
                    let blank = trimmed[body + 1..].len() - trimmed[body + 1..].trim_start().len();
                    self.statement(start + indentation + body + 1 + blank, indentation, &mut Vec::new());
                }
                return start;
            }
            if !closed {
                let meaning = match DEF.captures(trimmed) {
                    Some(def) if &def[1] == "down" => Meaning::Down,
                    _ => Meaning::Plain,
                };
                self.blocks.push(Block { indentation, meaning });
            }
            return start;
        }
        self.statement(start + indentation, indentation, &mut Vec::new())
    }

    /// Reads the statement at `at`; `inline` are the one-line blocks it is in.
    fn statement(&mut self, at: usize, indentation: usize, inline: &mut Vec<Meaning>) -> usize {
        static CALL: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r"^(?:((?:[A-Z]\w*(?:::[A-Z]\w*)*|[a-z_]+)(?:\.[a-z_]+)*)\.)?([a-z_]+[!?]?)")
                .expect("the pattern is tested")
        });
        static BLOCK: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r"^[ \t]*(?:(do|\{)[ \t]*(?:\|([^|\n]*)\|)?)[ \t]*").expect("the pattern is tested")
        });
        // `%i[a b].each { |column| remove_column :t, column }`
        static EACH: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r"^(?:%[iw])?\[[^\n]*?\.each[ \t]*\{[ \t]*\|[^|\n]*\|[ \t]*").expect("the pattern is tested")
        });
        let program = self.program;
        let at = EACH.find(&program.code[at..]).map_or(at, |each| at + each.end());
        let code = &program.code[at..];
        let Some(call) = CALL.captures(code) else { return at };
        let receiver = call.get(1).map_or("", |receiver| receiver.as_str());
        let method = call[2].to_owned();
        let name_end = at + call[0].len();
        let (list, end) = argument_list(&program.code, name_end);
        let arguments = program.arguments(list.clone());
        let block = BLOCK.captures(&program.code[end..]);
        if !self.is_down(inline) {
            self.call(receiver, &method, &arguments, at..list.end.max(name_end), inline);
        } else if method == "change_column" {
            self.note_down_type(&arguments);
        }
        let Some(block) = block else { return end };
        let variable = block.get(2).map_or("", |variable| variable.as_str()).trim().to_owned();
        let meaning = meaning(receiver, &method, &arguments, variable);
        let behind = end + block[0].len();
        let rest = program.code[behind..].lines().next().unwrap_or("");
        // Nobody writes more blocks into one line, and each is one level of recursion.
        if inline.len() >= INLINE_BLOCKS_MAX {
            return end;
        }
        if rest.trim().is_empty() {
            self.blocks.push(Block { indentation, meaning });
            return end;
        }
        inline.push(meaning);
        self.statement(behind, indentation, inline).max(end)
    }

    fn is_down(&self, inline: &[Meaning]) -> bool {
        self.meanings(inline).any(|meaning| *meaning == Meaning::Down)
    }

    fn meanings<'m>(&'m self, inline: &'m [Meaning]) -> impl Iterator<Item = &'m Meaning> {
        self.blocks.iter().map(|block| &block.meaning).chain(inline)
    }

    fn note_down_type(&mut self, arguments: &Arguments<'_>) {
        if let (Some(table), Some(column)) = (arguments.place(0), arguments.place(1)) {
            self.down_types.insert((table.to_owned(), column.to_owned()), column_type(arguments, 2));
        }
    }

    fn call(&mut self, receiver: &str, method: &str, arguments: &Arguments<'_>, at: Range<usize>, inline: &[Meaning]) {
        let assured = self.meanings(inline).any(|meaning| *meaning == Meaning::Assured);
        let table = self.meanings(inline).find_map(|meaning| match meaning {
            Meaning::Table { name, variable, is_new } if variable == receiver => Some((name.clone(), *is_new)),
            _ => None,
        });
        self.script.statement();
        if matches!(method, "commit_db_transaction") {
            self.script.close();
            return;
        }
        if assured && !method.starts_with("create_") {
            return;
        }
        if matches!(method, "execute" | "exec_query" | "exec_update" | "select_value") {
            self.embedded(&at);
            return;
        }
        let rows = match method {
            "update_all" => Some(Deed::UpdateAll),
            "delete_all" | "destroy_all" => Some(Deed::DeleteAll),
            _ => None,
        };
        if let Some((deed, table)) = rows.zip(table_of_model(receiver)) {
            self.script.push(Operation::Other { deed, table }, at.clone(), at);
            return;
        }
        if self.meanings(inline).any(|meaning| *meaning == Meaning::Reverted) {
            if let Some(operation) = taken_back(method, arguments) {
                self.script.push(operation, at.clone(), at);
            }
            return;
        }
        let operations = match table {
            Some((table, true)) => {
                self.script.refer(&table, in_new_table(method, arguments));
                Vec::new()
            }
            Some((table, false)) => in_table(&table, method, arguments),
            None => operations(method, arguments),
        };
        for operation in operations {
            self.script.push(operation, at.clone(), at.clone());
        }
    }

    /// The SQL of an `execute`: in its quotes, in `%q(…)`, in the here-document that begins there, or under the name that it is given.
    fn embedded(&mut self, at: &Range<usize>) {
        let program = self.program;
        let behind_name = program.code[at.clone()].find([' ', '(']).map_or(at.end, |end| at.start + end);
        let mut found = self.here(at);
        if found.is_empty() {
            found = sql_in(program, behind_name..at.end);
        }
        if found.is_empty() && at.len() <= NAMES_BYTES_MAX {
            let names = program.code[behind_name..at.end].split(|c: char| !(c.is_alphanumeric() || c == '_'));
            let values = names.filter(|name| !name.is_empty()).filter_map(|name| definition(program, name, at.start));
            found = values.flat_map(|value| self.here(&(value..line_end(program.text, value)))).collect();
        }
        for (start, text) in found {
            sql::read(&text, start, self.script);
        }
    }

    /// The SQL in `%q(…)`, or in the here-document that begins in these bytes.
    fn here(&self, at: &Range<usize>) -> Vec<(usize, String)> {
        static PERCENT: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"[ (]%[qQ]?([(\[{|])").expect("the pattern is tested"));
        let text = self.program.text;
        let behind = line_end(text, at.end);
        let piece = |range: Range<usize>| vec![(range.start, sql_text(&text[range]))];
        if let Some(tag) = text[at.clone()].find("<<") {
            let sign = text[at.start + tag + 2..].trim_start_matches(['~', '-', '\'', '"']);
            let tag: String = sign.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let end = text[behind..]
                .split_inclusive('\n')
                .scan(behind, |place, line| {
                    let start = *place;
                    *place += line.len();
                    Some((start, line))
                })
                .find(|(_, line)| line.trim() == tag)
                .map_or(text.len(), |(start, _)| start);
            return if tag.is_empty() { Vec::new() } else { piece(behind..end) };
        }
        let Some(open) = PERCENT.captures(&text[at.start..behind]).and_then(|percent| percent.get(1)) else {
            return Vec::new();
        };
        let start = at.start + open.end();
        let sign = match open.as_str() {
            "(" => ')',
            "[" => ']',
            "{" => '}',
            _ => '|',
        };
        piece(start..text[start..].find(sign).map_or(text.len(), |end| start + end))
    }
}

/// The end of the line that this place is on.
fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |end| at + end)
}

/// The table of a model as Rails names it, where the call is on the model itself: all its rows are meant.
pub(super) fn table_of_model(receiver: &str) -> Option<String> {
    let mut parts = receiver.split('.');
    let model = parts.next()?.rsplit("::").next()?;
    if !model.starts_with(|c: char| c.is_uppercase()) || parts.any(|scope| !matches!(scope, "unscoped" | "all")) {
        return None;
    }
    let mut table = String::new();
    for (at, c) in model.char_indices() {
        if at > 0 && c.is_uppercase() {
            table.push('_');
        }
        table.extend(c.to_lowercase());
    }
    Some(table + "s")
}

fn is_word_at(text: &str, word: &str) -> bool {
    text.strip_prefix(word).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
}

fn meaning(receiver: &str, method: &str, arguments: &Arguments<'_>, variable: String) -> Meaning {
    let name = || arguments.place(0).unwrap_or("").to_owned();
    match method {
        "safety_assured" => Meaning::Assured,
        "down" if !receiver.is_empty() => Meaning::Down,
        "revert" => Meaning::Reverted,
        "create_table" | "create_join_table" => Meaning::Table { name: name(), variable, is_new: true },
        "change_table" => Meaning::Table { name: name(), variable, is_new: false },
        _ => Meaning::Plain,
    }
}

/// Where the arguments behind a call's name are, and where the call ends.
fn argument_list(code: &str, name_end: usize) -> (Range<usize>, usize) {
    if code[name_end..].starts_with('(') {
        let close = crate::source::closing(code, name_end).unwrap_or(code.len());
        return (name_end + 1..close, (close + 1).min(code.len()));
    }
    let bytes = code.as_bytes();
    let mut depth = 0_i32;
    let mut last = b' ';
    let mut at = name_end;
    while at < bytes.len() {
        let byte = bytes[at];
        match byte {
            b'{' if depth == 0 && !matches!(last, b':' | b',' | b'>' | b'(' | b'=') => break,
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' if depth == 0 => break,
            b')' | b']' | b'}' => depth -= 1,
            b'\n' if depth == 0 && !matches!(last, b',' | b'\\') => break,
            b';' if depth == 0 => break,
            b' ' if depth == 0 => {
                let rest = &code[at + 1..];
                if ["do", "if", "unless", "rescue"]
                    .iter()
                    .any(|word| is_word_at(rest, word) && !rest[word.len()..].starts_with(':'))
                {
                    break;
                }
            }
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            last = byte;
        }
        at += 1;
    }
    (name_end..at, at)
}

#[cfg(test)]
mod tests;
