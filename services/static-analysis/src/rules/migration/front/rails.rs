//! Migrations of Active Record (Rails) in operations. What `down` does, and what the author answers for (`safety_assured`),
//! is left out.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::super::operation::{
    Column, Constraint, ConstraintKind, Deed, Dialect, Generated, Index, Language, Operation, Script, Type, Value,
};
use super::calls::{Arguments, Program, literal, sql_text, strings};
use super::{sql, values};
use crate::source::Syntax;

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
            Regex::new(r"^(?:([a-z_]+(?:\.[a-z_]+)*)\.)?([a-z_]+[!?]?)").expect("the pattern is tested")
        });
        static BLOCK: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r"^[ \t]*(?:(do|\{)[ \t]*(?:\|([^|\n]*)\|)?)[ \t]*").expect("the pattern is tested")
        });
        let program = self.program;
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

    /// The SQL of an `execute`: in its quotes, or in the here-document that begins there.
    fn embedded(&mut self, at: &Range<usize>) {
        let text = self.program.text;
        let line_end = text[at.end..].find('\n').map_or(text.len(), |end| at.end + end);
        let mut found = strings(self.program, at.clone());
        if let Some(tag) = text[at.clone()].find("<<") {
            let sign = text[at.start + tag + 2..].trim_start_matches(['~', '-', '\'', '"']);
            let tag: String = sign.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let end = text[line_end..]
                .split_inclusive('\n')
                .scan(line_end, |place, line| {
                    let start = *place;
                    *place += line.len();
                    Some((start, line))
                })
                .find(|(_, line)| line.trim() == tag)
                .map_or(text.len(), |(start, _)| start);
            found = std::iter::once(line_end..end).filter(|_| !tag.is_empty()).collect();
        }
        for range in found {
            sql::read(&sql_text(&text[range.clone()]), range.start, self.script);
        }
    }
}

fn is_word_at(text: &str, word: &str) -> bool {
    text.strip_prefix(word).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
}

fn meaning(receiver: &str, method: &str, arguments: &Arguments<'_>, variable: String) -> Meaning {
    let name = || arguments.place(0).unwrap_or("").to_owned();
    match method {
        "safety_assured" => Meaning::Assured,
        "down" if !receiver.is_empty() => Meaning::Down,
        // What is reverted here was done by another migration, or is said backwards.
        "revert" => Meaning::Down,
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

/// The type at a place of the arguments, with its limits.
fn column_type(arguments: &Arguments<'_>, place: usize) -> Type {
    let mut ty = Type::of(arguments.place(place).unwrap_or(""));
    let number = |name: &str| arguments.named(name).and_then(|number| number.parse().ok());
    if ty.arguments.is_empty() {
        ty.arguments = ["limit", "precision", "scale"].iter().filter_map(|name| number(name)).collect();
    }
    ty.array = arguments.says("array", "true");
    ty
}

fn default_value(arguments: &Arguments<'_>, ty: &Type) -> Value {
    match arguments.named("default") {
        None | Some("nil") => Value::None,
        Some(text) if text.starts_with("->") || text.starts_with("proc") || text.starts_with("lambda") => {
            let inner = text.find(['"', '\'']).and_then(|start| {
                let end = text.rfind(['"', '\'']).filter(|end| *end > start)?;
                Some(&text[start + 1..end])
            });
            inner.map_or(Value::Unknown, values::of_sql)
        }
        // Rails quotes a string, but not for a uuid.
        Some(text) if ty.name == "uuid" && text.contains("()") => values::of_sql(literal(text)),
        Some(_) => Value::Same,
    }
}

fn new_column(name: &str, arguments: &Arguments<'_>, type_place: usize) -> Column {
    let ty = column_type(arguments, type_place);
    let generated = match (ty.name.as_str(), arguments.says("stored", "true")) {
        ("virtual", true) => Generated::Stored,
        ("virtual", false) => Generated::Virtual,
        _ => Generated::No,
    };
    let default = default_value(arguments, &ty);
    let not_null = arguments.says("null", "false");
    Column { name: name.to_owned(), ty, not_null, default, generated, ..Column::default() }
}

/// What a call on the migration does.
fn operations(method: &str, arguments: &Arguments<'_>) -> Vec<Operation> {
    let place = |number| arguments.place(number).unwrap_or("").to_owned();
    let table = place(0);
    match method {
        "create_table" => {
            let replaces = arguments.named("force").is_some_and(|force| !matches!(force, "false" | "nil"));
            let key = arguments
                .named("id")
                .map(|key| Type::of(literal(key.split("type:").nth(1).unwrap_or(key).trim_matches(['{', '}', ' ']))))
                .filter(|key| !matches!(key.name.as_str(), "false" | ""));
            let key = key.map(|ty| Column { name: "id".to_owned(), ty, primary: true, ..Column::default() });
            vec![Operation::CreateTable { table, columns: key.into_iter().collect(), references: vec![], replaces }]
        }
        "create_join_table" => {
            let replaces = arguments.named("force").is_some_and(|force| !matches!(force, "false" | "nil"));
            let mut names = [table, place(1)];
            names.sort();
            let table = arguments.named("table_name").map_or_else(|| names.join("_"), |name| literal(name).to_owned());
            vec![Operation::CreateTable { table, columns: vec![], references: vec![], replaces }]
        }
        "drop_table" => {
            arguments.places.iter().map(|name| Operation::DropTable { table: literal(name.text).to_owned() }).collect()
        }
        "rename_table" => vec![Operation::RenameTable { table, to: place(1) }],
        "revert" if !table.is_empty() => vec![Operation::Other { deed: Deed::Revert, table: String::new() }],
        "rename_enum_value" | "rename_enum" | "rename_schema" => {
            vec![Operation::Other { deed: Deed::RenameObject, table: String::new() }]
        }
        "drop_schema" => vec![Operation::Other { deed: Deed::DropSchema, table: String::new() }],
        "drop_enum" | "disable_extension" => vec![Operation::Other { deed: Deed::DropObject, table: String::new() }],
        "create_enum" => vec![Operation::Other { deed: Deed::CreateEnum, table: String::new() }],
        "validate_foreign_key"
        | "validate_check_constraint"
        | "validate_constraint"
        | "validate_not_null_constraint"
        | "validate_text_limit_constraint" => {
            let name = arguments.named("name").map(literal).unwrap_or("").to_owned();
            let name = if method == "validate_constraint" { place(1) } else { name };
            vec![Operation::ValidateConstraint { table, name }]
        }
        _ => on_table(&table, method, arguments, 1),
    }
}

/// The table that a call in the block of `create_table` makes the new one refer to.
fn in_new_table(method: &str, arguments: &Arguments<'_>) -> Option<String> {
    let name = arguments.place(0)?.to_owned();
    let key = arguments.named("foreign_key").filter(|key| !matches!(*key, "false" | "nil"));
    match method {
        "references" | "belongs_to" => {
            let other = key?.split("to_table:").nth(1).map(|rest| rest.split([',', '}']).next().unwrap_or(""));
            Some(other.map_or(name, |other| literal(other).to_owned()))
        }
        "foreign_key" => Some(name),
        _ => None,
    }
}

/// What a call in the block of `change_table` does.
fn in_table(table: &str, method: &str, arguments: &Arguments<'_>) -> Vec<Operation> {
    let method = match method {
        "remove" => "remove_columns",
        "rename" => "rename_column",
        "change" => "change_column",
        "change_default" => "change_column_default",
        "change_null" => "change_column_null",
        "index" => "add_index",
        "references" | "belongs_to" => "add_reference",
        "foreign_key" => "add_foreign_key",
        "check_constraint" => "add_check_constraint",
        "exclusion_constraint" => "add_exclusion_constraint",
        "unique_constraint" => "add_unique_constraint",
        "timestamps" => "add_timestamps",
        "column" => "add_column",
        other => other,
    };
    let known = on_table(table, method, arguments, 0);
    let is_type =
        ["json", "jsonb", "string", "text", "integer", "bigint", "boolean", "datetime", "uuid", "virtual", "decimal"];
    if known.is_empty() && is_type.contains(&method) {
        let mut column = new_column(arguments.place(0).unwrap_or(""), arguments, usize::MAX);
        column.ty = Type::of(method);
        if method == "virtual" && arguments.says("stored", "true") {
            column.generated = Generated::Stored;
        }
        return vec![Operation::AddColumn { table: table.to_owned(), column }];
    }
    known
}

/// What a call does to `table`; its other arguments begin at `first`.
fn on_table(table: &str, method: &str, arguments: &Arguments<'_>, first: usize) -> Vec<Operation> {
    let table = table.to_owned();
    let place = |number: usize| arguments.place(first + number).unwrap_or("").to_owned();
    let constraint = |kind, name: String, validated| Constraint {
        name,
        kind,
        validated,
        from_index: arguments.named("using_index").is_some(),
    };
    let validated = !arguments.says("validate", "false");
    let name = arguments.named("name").map(literal).unwrap_or("").to_owned();
    match method {
        "add_column" => vec![Operation::AddColumn { table, column: new_column(&place(0), arguments, first + 1) }],
        "add_timestamps" => {
            vec![Operation::AddColumn { table, column: new_column("created_at", arguments, usize::MAX) }]
        }
        "remove_column" | "remove_columns" => {
            let count = if method == "remove_column" { 1 } else { usize::MAX };
            let columns = arguments.places.iter().skip(first).take(count);
            columns
                .map(|column| Operation::DropColumn { table: table.clone(), column: literal(column.text).to_owned() })
                .collect()
        }
        "remove_timestamps" | "remove_reference" | "remove_belongs_to" => {
            vec![Operation::DropColumn { table, column: place(0) }]
        }
        "rename_column" => vec![Operation::RenameColumn { table, column: place(0) }],
        "change_column" => {
            let column = place(0);
            let change = Operation::ChangeType {
                table: table.clone(),
                column: column.clone(),
                to: column_type(arguments, first + 1),
                from: None,
            };
            let not_null = arguments.says("null", "false").then_some(Operation::SetNotNull { table, column });
            std::iter::once(change).chain(not_null).collect()
        }
        "change_column_default" => vec![Operation::SetDefault { table, column: place(0) }],
        "change_column_null" if place(1) == "false" => vec![Operation::SetNotNull { table, column: place(0) }],
        "change_column_null" => vec![Operation::DropNotNull { table, column: place(0) }],
        "add_index" => {
            let columns =
                arguments.places.get(first).map_or(1, |columns| columns.text.matches([':', '"', '\'']).count());
            let index = Index {
                unique: arguments.says("unique", "true"),
                concurrently: arguments.says("algorithm", ":concurrently"),
                guarded: arguments.says("if_not_exists", "true"),
                columns,
                blocks: blocks(arguments),
            };
            vec![Operation::CreateIndex { table, index }]
        }
        "remove_index" => {
            let concurrently = arguments.says("algorithm", ":concurrently");
            vec![Operation::DropIndex {
                table: Some(table),
                concurrently,
                guarded: arguments.says("if_exists", "true"),
            }]
        }
        "add_reference" | "add_belongs_to" => added_reference(&table, &place(0), arguments),
        "add_foreign_key" => vec![Operation::AddConstraint {
            table,
            constraint: constraint(ConstraintKind::ForeignKey, name, validated),
        }],
        "add_check_constraint" => {
            let kind = values::not_null_column(&place(0)).map_or(ConstraintKind::Check, ConstraintKind::NotNull);
            vec![Operation::AddConstraint { table, constraint: constraint(kind, name, validated) }]
        }
        "remove_check_constraint" => vec![Operation::DropConstraint { table, name }],
        "add_not_null_constraint" => vec![Operation::AddConstraint {
            table,
            constraint: constraint(ConstraintKind::NotNull(place(0)), name, validated),
        }],
        "add_text_limit_constraint" => {
            vec![Operation::AddConstraint { table, constraint: constraint(ConstraintKind::Check, name, validated) }]
        }
        "add_exclusion_constraint" => {
            vec![Operation::AddConstraint { table, constraint: constraint(ConstraintKind::Exclusion, name, true) }]
        }
        "add_unique_constraint" => {
            vec![Operation::AddConstraint { table, constraint: constraint(ConstraintKind::Unique, name, true) }]
        }
        _ => Vec::new(),
    }
}

/// True for options of MySQL that ask for what it need not do: to copy the table, or to lock it.
fn blocks(arguments: &Arguments<'_>) -> bool {
    arguments.says("algorithm", ":copy") || arguments.says("lock", ":shared") || arguments.says("lock", ":exclusive")
}

/// A reference is a column, an index unless told otherwise, and a foreign key if told so.
fn added_reference(table: &str, name: &str, arguments: &Arguments<'_>) -> Vec<Operation> {
    let table = table.to_owned();
    let mut column = new_column(&format!("{name}_id"), arguments, usize::MAX);
    column.ty = Type::of("bigint");
    let mut operations = vec![Operation::AddColumn { table: table.clone(), column }];
    let index = arguments.named("index").unwrap_or("true");
    if !matches!(index, "false" | "nil") {
        let concurrently = index.contains(":concurrently");
        let blocks = ["algorithm: :copy", "lock: :shared", "lock: :exclusive"].iter().any(|sign| index.contains(sign));
        let index = Index { unique: index.contains("unique: true"), concurrently, guarded: false, columns: 1, blocks };
        operations.push(Operation::CreateIndex { table: table.clone(), index });
    }
    if let Some(key) = arguments.named("foreign_key").filter(|key| !matches!(*key, "false" | "nil")) {
        let validated = !key.contains("validate: false");
        if validated {
            operations.push(Operation::Other { deed: Deed::AddReferenceWithKey, table: table.clone() });
        }
        let constraint =
            Constraint { name: String::new(), kind: ConstraintKind::ForeignKey, validated, from_index: false };
        operations.push(Operation::AddConstraint { table, constraint });
    }
    operations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(body: &str) -> Vec<Operation> {
        let text = format!("class X < ActiveRecord::Migration[7.1]\n{body}\nend\n");
        let mut script = Script::of_whole_file();
        read(&text, &mut script);
        script.steps.into_iter().map(|step| step.what).collect()
    }

    fn change(body: &str) -> Vec<Operation> {
        steps(&format!("  def change\n    {body}\n  end"))
    }

    #[test]
    fn calls_are_operations() {
        let drop = |table: &str, column: &str| Operation::DropColumn { table: table.into(), column: column.into() };
        assert_eq!(change("remove_column :users, :email, :string"), [drop("users", "email")]);
        assert_eq!(change("remove_columns :users, :a, :b, type: :string"), [drop("users", "a"), drop("users", "b")]);
        assert_eq!(change("change_table :users do |t|\n      t.remove :email\n    end"), [drop("users", "email")]);
        assert_eq!(change("execute 'ALTER TABLE users DROP COLUMN email'"), [drop("users", "email")]);
        assert_eq!(
            change("execute <<~SQL\n      ALTER TABLE users\n        DROP COLUMN email;\n    SQL"),
            [drop("users", "email")]
        );
        let index = Index { concurrently: true, columns: 1, ..Index::default() };
        assert_eq!(
            change("add_index :users,\n      :name,\n      algorithm: :concurrently"),
            [Operation::CreateIndex { table: "users".into(), index }]
        );
        assert_eq!(change("add_reference :a, :b, index: false, foreign_key: { validate: false }").len(), 2);
        assert_eq!(change("add_reference(:a, :b, foreign_key: true)").len(), 4);
        assert!(
            matches!(change("add_column :a, :b, :json, null: false").as_slice(), [Operation::AddColumn { column, .. }] if column.not_null && column.ty.name == "json")
        );
    }

    #[test]
    fn what_goes_down_and_what_is_answered_for_is_left_out() {
        assert_eq!(change("safety_assured { remove_column :a, :b }"), []);
        assert_eq!(change("safety_assured do\n      remove_column :a, :b\n    end\n    drop_table :c").len(), 1);
        assert_eq!(
            change("reversible do |dir|\n      dir.down { drop_table :a }\n      dir.up { drop_table :b }\n    end")
                .len(),
            1
        );
        assert_eq!(change("reversible do |dir|\n      dir.down do\n        drop_table :a\n      end\n    end"), []);
        assert_eq!(change("revert do\n      create_table :a\n    end"), []);
        assert_eq!(steps("  def up; end\n  def down\n    drop_table :a\n  end"), []);
        assert_eq!(steps("  def down; end\n  def up\n    drop_table :a\n  end").len(), 1);
    }

    #[test]
    fn a_column_that_was_just_added_has_a_known_type() {
        let found = change("add_column :a, :b, :xml\n    change_column :a, :b, :text");
        assert!(matches!(&found[1], Operation::ChangeType { from: Some(from), .. } if from.name == "xml"));
    }

    #[test]
    fn the_way_down_says_what_a_type_was() {
        let found = steps(
            "  def up\n    change_column :a, :b, :string, limit: 50\n  end\n  def down\n    change_column :a, :b, :string, limit: 20\n  end",
        );
        assert!(
            matches!(&found[0], Operation::ChangeType { from: Some(from), to, .. } if from.arguments == [20] && to.arguments == [50])
        );
    }
}
