//! Changelogs of Liquibase in YAML in operations, by their keys and indentation: so that a hunk can be read, too.

use std::collections::HashMap;
use std::ops::Range;

use super::super::super::operation::{Column, Operation, Script};
use super::changes::{self, CHANGES, Database, operation};
use super::sql;

/// Adds what the change sets do.
pub(super) fn read(text: &str, script: &mut Script) {
    let database = Database::of(text);
    let mut reader = Reader { script, database, set: None, above: Vec::new(), rollback: None, change: None };
    let mut at = 0;
    // What is below such a column belongs to a text of several lines.
    let mut inside: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let body = line.trim();
        let indent = line.len() - line.trim_start().len();
        if body.is_empty() || inside.is_some_and(|column| indent > column) {
            continue;
        }
        inside = None;
        let Some((column, key, value)) = key(body, indent) else { continue };
        let value_at = start + line.trim_end().len() - value.len();
        reader.leave(column, start);
        let is_sql = reader.key(column, key, value, start + indent..start + line.trim_end().len());
        if is_sql || value.starts_with(['|', '>']) {
            inside = Some(column);
        }
        if is_sql {
            let lines = text[at..].split_inclusive('\n');
            let rest = lines.take_while(|line| line.trim().is_empty() || line.len() - line.trim_start().len() > column);
            let end = at + rest.map(str::len).sum::<usize>();
            let begin = if value.starts_with(['|', '>']) { at } else { value_at };
            let quoted = usize::from(text[begin..end].starts_with(['"', '\'']));
            sql::read(
                text[begin + quoted..end].trim_end().trim_end_matches(['"', '\'']),
                begin + quoted,
                reader.script,
            );
        }
    }
    reader.leave(0, text.len());
}

/// The key on a line, its value, and the column that it begins in; a list's dashes before it are blanks.
fn key(body: &str, indent: usize) -> Option<(usize, &str, &str)> {
    let rest = body.trim_start_matches(['-', ' ']);
    let column = indent + body.len() - rest.len();
    let (key, value) = rest.split_once(':')?;
    let key = key.trim_matches(['"', '\'']);
    let plain = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (plain && (value.is_empty() || value.starts_with(' '))).then(|| (column, key, value.trim()))
}

/// A change that is being read.
struct Change<'t> {
    kind: &'t str,
    column: usize,
    at: Range<usize>,
    attributes: HashMap<&'t str, &'t str>,
    columns: Vec<(Column, Range<usize>)>,
}

struct Reader<'s, 't> {
    script: &'s mut Script,
    /// That of the file, and of the change set.
    database: Database,
    set: Option<Database>,
    /// The keys that the line is below, and their columns.
    above: Vec<(usize, &'t str)>,
    /// The column of the way back that the line is in.
    rollback: Option<usize>,
    change: Option<Change<'t>>,
}

impl<'t> Reader<'_, 't> {
    /// Ends what a key in this column is not inside of.
    fn leave(&mut self, column: usize, at: usize) {
        while self.above.last().is_some_and(|(above, _)| *above >= column) {
            self.above.pop();
        }
        self.rollback = self.rollback.filter(|rollback| *rollback < column);
        if let Some(mut change) = self.change.take_if(|change| change.column >= column) {
            change.at.end = change.at.end.min(at);
            self.tell(change);
        }
    }

    /// Reads a key; says whether its value is SQL.
    fn key(&mut self, column: usize, key: &'t str, value: &'t str, at: Range<usize>) -> bool {
        let parent = self.above.last().map_or("", |(_, key)| *key);
        self.above.push((column, key));
        if key == "rollback" {
            self.rollback = self.rollback.or(Some(column));
        }
        if self.rollback.is_some() {
            return false;
        }
        let database = self.set.unwrap_or(self.database);
        let Some(change) = &mut self.change else {
            self.of_set(parent, key, value);
            if parent == "changes" && CHANGES.contains(&key) {
                // `dropTable: { tableName: a }`
                let attributes = pairs(value).collect();
                self.change = Some(Change { kind: key, column, at, attributes, columns: Vec::new() });
            }
            return false;
        };
        change.at.end = at.end;
        match (parent, key) {
            ("sql", "sql") => return true,
            (_, "column") => change.columns.push((Column::default(), at)),
            ("column", "constraints") => {
                if let Some((column, _)) = change.columns.last_mut() {
                    let said: HashMap<_, _> = pairs(value).collect();
                    changes::constrain(column, database, |name| said.get(name).copied().unwrap_or("").to_owned());
                }
            }
            ("column", _) => {
                if let Some((column, _)) = change.columns.last_mut() {
                    changes::say(column, database, key, bare(value));
                }
            }
            ("constraints", _) => {
                if let Some((column, _)) = change.columns.last_mut() {
                    let said = |name: &str| if name == key { bare(value).to_owned() } else { String::new() };
                    changes::constrain(column, database, said);
                }
            }
            (parent, _) if parent == change.kind => _ = change.attributes.insert(key, bare(value)),
            _ => {}
        }
        false
    }

    /// What is said about a change set, which has a transaction of its own.
    fn of_set(&mut self, parent: &str, key: &str, value: &str) {
        match (parent, key) {
            (_, "changeSet") => {
                self.set = None;
                self.script.open();
            }
            ("changeSet", "dbms") => self.set = Database::of_set(bare(value)),
            ("changeSet", "runInTransaction") if bare(value) == "false" => self.script.close(),
            _ => {}
        }
    }

    fn tell(&mut self, change: Change<'t>) {
        let attribute = |name: &str| change.attributes.get(name).copied().unwrap_or("").to_owned();
        let table = attribute("tableName");
        self.script.statement();
        let columns = change.columns;
        match change.kind {
            "addColumn" => {
                for (column, at) in columns {
                    self.script.push(Operation::AddColumn { table: table.clone(), column }, at.clone(), at);
                }
            }
            "dropColumn" if !change.attributes.contains_key("columnName") => {
                for (column, at) in columns {
                    self.script.push(
                        Operation::DropColumn { table: table.clone(), column: column.name },
                        at.clone(),
                        at,
                    );
                }
            }
            "delete" | "update" if change.attributes.contains_key("where") => {}
            kind => {
                let database = self.set.unwrap_or(self.database);
                if let Some(operation) = operation(kind, database, attribute) {
                    self.script.push(operation, change.at.clone(), change.at);
                }
            }
        }
    }
}

/// The keys and values of `{ tableName: a, columnName: b }`.
fn pairs(value: &str) -> impl Iterator<Item = (&str, &str)> {
    let pairs = value.trim_matches(['{', '}']).split(',').filter_map(|pair| pair.split_once(':'));
    pairs.map(|(key, value)| (key.trim(), bare(value)))
}

/// A value without its quotes.
fn bare(value: &str) -> &str {
    value.trim().trim_matches(['"', '\''])
}

#[cfg(test)]
mod tests {
    use super::super::super::super::operation::{Deed, Value};
    use super::*;

    fn steps(changes: &str) -> Vec<Operation> {
        let mut script = Script::of_whole_file();
        let changes = changes.replace('\n', "\n      ");
        let text =
            format!("databaseChangeLog:\n- changeSet:\n    id: 1\n    author: a\n    changes:\n      {changes}\n");
        super::super::read(&text, &mut script);
        script.steps.into_iter().map(|step| step.what).collect()
    }

    #[test]
    fn changes_are_operations() {
        let drop = |column: &str| Operation::DropColumn { table: "a".into(), column: column.into() };
        assert_eq!(steps("- dropColumn:\n    tableName: a\n    columnName: \"b\""), [drop("b")]);
        assert_eq!(steps("- dropColumn: { tableName: a, columnName: b }"), [drop("b")]);
        assert_eq!(
            steps(
                "- dropColumn:\n    tableName: a\n    columns:\n    - column:\n        name: b\n    - column:\n        name: c"
            ),
            [drop("b"), drop("c")]
        );
        assert_eq!(
            steps("- dropTable:\n    tableName: a\n- renameTable:\n    oldTableName: b\n    newTableName: c"),
            [Operation::DropTable { table: "a".into() }, Operation::RenameTable { table: "b".into(), to: "c".into() }]
        );
        let added = |column: &str| {
            let change =
                format!("- addColumn:\n    tableName: a\n    columns:\n      - column:\n          name: b\n{column}");
            match steps(&change).remove(0) {
                Operation::AddColumn { column, .. } => (column.not_null, column.default),
                other => panic!("{column}: {other:?}"),
            }
        };
        let refuses = "          constraints:\n            nullable: false";
        assert_eq!(added(refuses), (true, Value::None));
        assert_eq!(added(&format!("          defaultValueNumeric: 0\n{refuses}")), (true, Value::Same));
        assert_eq!(added("          type: int"), (false, Value::None));
    }

    #[test]
    fn rows_and_what_only_postgres_minds_are_read() {
        let other = |deed| Operation::Other { deed, table: "a".into() };
        assert_eq!(steps("- delete:\n    tableName: a"), [other(Deed::DeleteAll)]);
        assert_eq!(steps("- delete: { tableName: a }"), [other(Deed::DeleteAll)]);
        let update = "- update:\n    tableName: a\n    columns:\n    - column:\n        name: b\n        value: 1";
        assert_eq!(steps(update), [other(Deed::UpdateAll)]);
        assert_eq!(steps(&format!("{update}\n    where: b = 2")), []);
        assert_eq!(steps("- delete:\n    where: b = 2\n    tableName: a"), []);
        let index = "- createIndex:\n    tableName: a\n    indexName: i\n    columns:\n    - column:\n        name: b";
        assert_eq!(steps(index), []);
        assert!(matches!(steps(&format!("# postgresql\n{index}")).as_slice(), [Operation::CreateIndex { .. }]));
        let set = |dbms: &str| {
            let mut script = Script::of_whole_file();
            let index = index.replace('\n', "\n    ");
            let text = format!("databaseChangeLog:\n- changeSet:\n    dbms: {dbms}\n    changes:\n    {index}\n");
            super::super::read(&text, &mut script);
            script.steps.len()
        };
        assert_eq!((set("postgresql"), set("\"mysql, postgresql\""), set("mysql")), (1, 1, 0));
    }

    #[test]
    fn a_change_set_has_a_transaction() {
        let build = "- sql:\n    sql: CREATE INDEX CONCURRENTLY i ON a (b)";
        let is_in_one = |more: &str| {
            let mut script = Script::of_whole_file();
            let build = build.replace('\n', "\n    ");
            let text = format!("databaseChangeLog:\n- changeSet:\n    id: 1\n{more}    changes:\n    {build}\n");
            super::super::read(&text, &mut script);
            script.steps[0].transaction.is_some()
        };
        assert!(is_in_one("") && !is_in_one("    runInTransaction: false\n"));
    }

    #[test]
    fn sql_is_read_as_such_and_the_way_back_is_not_read() {
        let drop = || Operation::DropColumn { table: "a".into(), column: "b".into() };
        assert_eq!(steps("- sql:\n    sql: ALTER TABLE a DROP COLUMN b"), [drop()]);
        assert_eq!(steps("- sql:\n    sql: \"ALTER TABLE a DROP COLUMN b\""), [drop()]);
        assert_eq!(
            steps(
                "- sql:\n    splitStatements: true\n    sql: |\n      ALTER TABLE a\n        DROP COLUMN b;\n- dropTable:\n    tableName: c"
            ),
            [drop(), Operation::DropTable { table: "c".into() }]
        );
        assert_eq!(steps("- createTable:\n    tableName: a\nrollback:\n- dropTable:\n    tableName: a").len(), 1);
        assert_eq!(steps("# - dropTable:\n#     tableName: a"), []);
    }
}
