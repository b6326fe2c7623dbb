//! Changelogs of Liquibase in XML and YAML in operations: what is added, dropped, renamed, retyped or said in SQL, outside of rollbacks. For
//! which database is seldom said, so what only PostgreSQL minds is read from SQL alone.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::super::operation::{Column, Language, Operation, Script, Type, Value};
use super::sql;

mod yaml;

/// The changes that are read.
const CHANGES: [&str; 10] = [
    "createTable",
    "addColumn",
    "dropTable",
    "dropColumn",
    "renameTable",
    "renameColumn",
    "modifyDataType",
    "dropForeignKeyConstraint",
    "dropUniqueConstraint",
    "sql",
];

/// Adds what the change sets do, if the text is a changelog.
pub(super) fn read(text: &str, script: &mut Script) {
    static TAG: LazyLock<Regex> = LazyLock::new(|| {
        let changes = CHANGES.join("|");
        Regex::new(&format!(r"<(/?)(rollback|{changes}|column|constraints)\b([^<>]*)>")).expect("the pattern is tested")
    });
    let is_xml = text.contains("<databaseChangeLog");
    if !is_xml && !text.contains("databaseChangeLog") {
        return;
    }
    script.language = Language::Framework;
    script.dialect = sql::dialect(text);
    if !is_xml {
        return yaml::read(text, script);
    }
    let comments = comments(text);
    let mut rollback = false;
    let mut behind = 0;
    let mut open = Open::default();
    for found in TAG.captures_iter(text) {
        let (Some(all), Some(name)) = (found.get(0), found.get(2)) else { continue };
        if all.start() < behind {
            continue;
        }
        let before = comments.partition_point(|comment| comment.start <= all.start());
        if before > 0 && comments[before - 1].contains(&all.start()) {
            continue;
        }
        let (closes, alone) = (!found[1].is_empty(), found[3].ends_with('/'));
        let at = all.range();
        match name.as_str() {
            "rollback" => rollback = !closes && !alone,
            _ if rollback => {}
            "dropColumn" if closes => open.dropping = None,
            "addColumn" => open.adding = (!closes && !alone).then(|| attribute(&found[3], "tableName")),
            "column" => open.column(&found[3], closes, at, script),
            "constraints" => {
                if let Some((column, _)) = &mut open.column {
                    column.not_null |= attribute(&found[3], "nullable") == "false";
                }
            }
            "sql" if !closes && !alone => {
                // What is cut off is not read.
                let Some(end) = text[at.end..].find("</sql>").map(|end| at.end + end) else { break };
                behind = end;
                // SQL reads CDATA's brackets as signs before the first statement.
                let start = text[at.end..end].find("<![CDATA[").map_or(at.end, |start| at.end + start + 9);
                sql::read(&text[start..end], start, script);
            }
            _ if closes => {}
            change => {
                script.statement();
                let table = attribute(&found[3], "tableName");
                if change == "dropColumn" && !alone && !found[3].contains("columnName") {
                    open.dropping = Some(table);
                    continue;
                }
                if let Some(operation) = operation(change, table, |name| attribute(&found[3], name)) {
                    script.push(operation, at.clone(), at);
                }
            }
        }
    }
}

/// The tags that are open: the table whose columns are listed, and the column that is added now.
#[derive(Default)]
struct Open {
    dropping: Option<String>,
    adding: Option<String>,
    column: Option<(Column, Range<usize>)>,
}

impl Open {
    /// A column is listed: one that is added waits for its end, as its constraints stand before that.
    fn column(&mut self, attributes: &str, closes: bool, at: Range<usize>, script: &mut Script) {
        let name = attribute(attributes, "name");
        if let Some(table) = self.dropping.clone().filter(|_| !closes) {
            script.push(Operation::DropColumn { table, column: name }, at.clone(), at);
            return;
        }
        if !closes && self.adding.is_some() {
            // Whatever the default is, every row has a value.
            let filled =
                ["defaultValue", "valueComputed", "autoIncrement"].iter().any(|word| attributes.contains(word));
            let default = if filled { Value::Same } else { Value::None };
            self.column = Some((Column { name, default, ..Column::default() }, at));
        }
        if (closes || attributes.ends_with('/'))
            && let Some(((column, at), table)) = self.column.take().zip(self.adding.clone())
        {
            script.push(Operation::AddColumn { table, column }, at.clone(), at);
        }
    }
}

/// What a change of this name does, by its attributes.
fn operation(change: &str, table: String, attribute: impl Fn(&str) -> String) -> Option<Operation> {
    let column = attribute("columnName");
    Some(match change {
        "createTable" => Operation::CreateTable { table, columns: vec![], references: vec![], replaces: false },
        "dropTable" => Operation::DropTable { table },
        "dropColumn" => Operation::DropColumn { table, column },
        "renameTable" => Operation::RenameTable { table: attribute("oldTableName"), to: attribute("newTableName") },
        "renameColumn" => Operation::RenameColumn { table, column: attribute("oldColumnName") },
        "modifyDataType" => {
            Operation::ChangeType { table, column, to: Type::of(&attribute("newDataType")), from: None }
        }
        "dropForeignKeyConstraint" | "dropUniqueConstraint" => {
            Operation::DropConstraint { table, name: attribute("constraintName") }
        }
        _ => return None,
    })
}

/// The value of an attribute, empty when it is not there.
fn attribute(attributes: &str, name: &str) -> String {
    let value = attributes.split_whitespace().find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or("").trim_end_matches('/').trim_matches(['"', '\'']).to_owned()
}

fn comments(text: &str) -> Vec<Range<usize>> {
    static COMMENT: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?s)<!--.*?-->").expect("the pattern is tested"));
    COMMENT.find_iter(text).map(|comment| comment.range()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(body: &str) -> Vec<Operation> {
        let mut script = Script::of_whole_file();
        read(
            &format!("<databaseChangeLog>\n<changeSet id=\"1\">\n{body}\n</changeSet>\n</databaseChangeLog>\n"),
            &mut script,
        );
        script.steps.into_iter().map(|step| step.what).collect()
    }

    #[test]
    fn changes_are_operations() {
        let drop = |column: &str| Operation::DropColumn { table: "a".into(), column: column.into() };
        assert_eq!(steps("<dropColumn tableName=\"a\" columnName=\"b\"/>"), [drop("b")]);
        assert_eq!(
            steps("<dropColumn tableName=\"a\"><column name=\"b\"/><column name=\"c\"/></dropColumn>"),
            [drop("b"), drop("c")]
        );
        let new = steps(
            "<createTable tableName=\"a\"><column name=\"b\"><constraints nullable=\"false\"/></column></createTable>",
        );
        assert!(matches!(new.as_slice(), [Operation::CreateTable { .. }]));
        let added = |column: &str| match steps(&format!("<addColumn tableName=\"a\">{column}</addColumn>")).remove(0) {
            Operation::AddColumn { column, .. } => (column.not_null, column.default),
            other => panic!("{column}: {other:?}"),
        };
        let refuses = "<constraints nullable=\"false\"/></column>";
        assert_eq!(added(&format!("<column name=\"b\" type=\"int\">{refuses}")), (true, Value::None));
        assert_eq!(added(&format!("<column name=\"b\" defaultValueNumeric=\"0\">{refuses}")), (true, Value::Same));
        assert_eq!(added("<column name=\"b\" type=\"int\"/>"), (false, Value::None));
        assert_eq!(steps("<sql><![CDATA[ALTER TABLE a DROP COLUMN b]]></sql>")[0], drop("b"));
        assert_eq!(
            steps("<rollback><dropTable tableName=\"a\"/></rollback>\n<!-- <dropTable tableName=\"a\"/> -->"),
            []
        );
        assert_eq!(steps("<rollback/><dropTable tableName=\"a\"/>"), [Operation::DropTable { table: "a".into() }]);
        assert!(matches!(
            steps("<renameTable oldTableName=\"a\" newTableName=\"b\"/>")[0],
            Operation::RenameTable { .. }
        ));
    }
}
