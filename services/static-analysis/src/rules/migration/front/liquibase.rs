//! Changelogs of Liquibase in XML in operations: what is dropped, renamed, retyped or said in SQL, outside of rollbacks. For
//! which database is seldom said, so what only PostgreSQL minds is read from SQL alone.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::super::operation::{Language, Operation, Script, Type};
use super::sql;

/// Adds what the change sets do, if the text is a changelog.
pub(super) fn read(text: &str, script: &mut Script) {
    static TAG: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"<(/?)(rollback|dropTable|dropColumn|renameTable|renameColumn|modifyDataType|dropForeignKeyConstraint|dropUniqueConstraint|sql|column)\b([^<>]*)>",
        )
        .expect("the pattern is tested")
    });
    if !text.contains("<databaseChangeLog") {
        return;
    }
    script.language = Language::Framework;
    script.dialect = sql::dialect(text);
    let comments = comments(text);
    let mut rollback = false;
    let mut behind = 0;
    // The table whose columns a `dropColumn` lists.
    let mut dropping: Option<String> = None;
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
            "dropColumn" if closes => dropping = None,
            "sql" if !closes && !alone => {
                // What is cut off is not read.
                let Some(end) = text[at.end..].find("</sql>").map(|end| at.end + end) else { break };
                behind = end;
                // SQL reads CDATA's brackets as signs before the first statement.
                let start = text[at.end..end].find("<![CDATA[").map_or(at.end, |start| at.end + start + 9);
                sql::read(&text[start..end], start, script);
            }
            _ if closes => {}
            "column" => {
                let column = attribute(&found[3], "name");
                if let Some(table) = dropping.clone() {
                    script.push(Operation::DropColumn { table, column }, at.clone(), at);
                }
            }
            change => {
                script.statement();
                let table = attribute(&found[3], "tableName");
                if change == "dropColumn" && !alone && !found[3].contains("columnName") {
                    dropping = Some(table);
                    continue;
                }
                if let Some(operation) = operation(change, table, &found[3]) {
                    script.push(operation, at.clone(), at);
                }
            }
        }
    }
}

fn operation(change: &str, table: String, attributes: &str) -> Option<Operation> {
    let column = attribute(attributes, "columnName");
    Some(match change {
        "dropTable" => Operation::DropTable { table },
        "dropColumn" => Operation::DropColumn { table, column },
        "renameTable" => Operation::RenameTable {
            table: attribute(attributes, "oldTableName"),
            to: attribute(attributes, "newTableName"),
        },
        "renameColumn" => Operation::RenameColumn { table, column: attribute(attributes, "oldColumnName") },
        "modifyDataType" => {
            Operation::ChangeType { table, column, to: Type::of(&attribute(attributes, "newDataType")), from: None }
        }
        "dropForeignKeyConstraint" | "dropUniqueConstraint" => {
            Operation::DropConstraint { table, name: attribute(attributes, "constraintName") }
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
        assert_eq!(steps("<createTable tableName=\"a\"><column name=\"b\"/></createTable>"), []);
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
