//! Changelogs of Liquibase in XML and YAML in operations: what is added, dropped, renamed, retyped, done to rows or said in SQL,
//! outside of rollbacks. For which database is seldom said, so what only PostgreSQL minds is read where something says that it is
//! the one.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::super::operation::{Column, Language, Operation, Script};
use super::sql;
use changes::{CHANGES, Database, operation};

mod changes;
mod yaml;

/// Adds what the change sets do, if the text is a changelog.
pub(super) fn read(text: &str, script: &mut Script) {
    static TAG: LazyLock<Regex> = LazyLock::new(|| {
        let changes = CHANGES.join("|");
        Regex::new(&format!(r"<(/?)(changeSet|rollback|{changes}|column|constraints|where)\b([^<>]*)>"))
            .expect("the pattern is tested")
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
    let mut behind = 0;
    let mut open = Open { database: Database::of(text), ..Open::default() };
    for found in TAG.captures_iter(text) {
        let Some(all) = found.get(0).filter(|all| all.start() >= behind) else { continue };
        let before = comments.partition_point(|comment| comment.start <= all.start());
        if before > 0 && comments[before - 1].contains(&all.start()) {
            continue;
        }
        let tag = Tag {
            name: found.get(2).map_or("", |name| name.as_str()),
            attributes: found.get(3).map_or("", |attributes| attributes.as_str()),
            closes: !found[1].is_empty(),
            at: all.range(),
        };
        if tag.name == "sql" && !tag.closes && !tag.is_alone() && !open.rollback {
            // What is cut off is not read.
            let Some(end) = text[all.end()..].find("</sql>").map(|end| all.end() + end) else { break };
            behind = end;
            // SQL reads CDATA's brackets as signs before the first statement.
            let start = text[all.end()..end].find("<![CDATA[").map_or(all.end(), |start| all.end() + start + 9);
            sql::read(&text[start..end], start, script);
        } else {
            open.tag(&tag, script);
        }
    }
}

/// A tag, and where it stands.
struct Tag<'t> {
    name: &'t str,
    attributes: &'t str,
    closes: bool,
    at: Range<usize>,
}

impl Tag<'_> {
    fn is_alone(&self) -> bool {
        self.attributes.ends_with('/')
    }

    fn attribute(&self, name: &str) -> String {
        attribute(self.attributes, name)
    }
}

/// The tags that are open.
#[derive(Default)]
struct Open {
    /// That of the change set, or of the file.
    database: Database,
    set: Option<Database>,
    rollback: bool,
    dropping: Option<String>,
    adding: Option<String>,
    column: Option<(Column, Range<usize>)>,
    /// A change of rows that may still get a condition.
    rows: Option<(Operation, Range<usize>)>,
}

impl Open {
    fn tag(&mut self, tag: &Tag<'_>, script: &mut Script) {
        let lasts = !tag.closes && !tag.is_alone();
        match tag.name {
            "changeSet" if tag.closes => {
                self.set = None;
                script.close();
            }
            "changeSet" => {
                self.set = Database::of_set(&tag.attribute("dbms"));
                if tag.attribute("runInTransaction") != "false" {
                    script.open();
                }
            }
            "rollback" => self.rollback = lasts,
            _ if self.rollback => {}
            "dropColumn" if tag.closes => self.dropping = None,
            "addColumn" => self.adding = lasts.then(|| tag.attribute("tableName")),
            "column" => self.column(tag, script),
            "constraints" => {
                if let Some((column, _)) = &mut self.column {
                    changes::constrain(column, self.set.unwrap_or(self.database), |name| tag.attribute(name));
                }
            }
            "where" => self.rows = None,
            "delete" | "update" if tag.closes => {
                if let Some((operation, at)) = self.rows.take() {
                    script.push(operation, at.clone(), at);
                }
            }
            _ if tag.closes => {}
            _ => self.change(tag, script),
        }
    }

    fn change(&mut self, tag: &Tag<'_>, script: &mut Script) {
        script.statement();
        if tag.name == "dropColumn" && !tag.is_alone() && tag.attribute("columnName").is_empty() {
            self.dropping = Some(tag.attribute("tableName"));
            return;
        }
        let database = self.set.unwrap_or(self.database);
        let Some(operation) = operation(tag.name, database, |name| tag.attribute(name)) else { return };
        if matches!(tag.name, "delete" | "update") && !tag.is_alone() {
            self.rows = Some((operation, tag.at.clone()));
        } else {
            script.push(operation, tag.at.clone(), tag.at.clone());
        }
    }

    /// A column is listed: one that is added waits for its end, as its constraints stand before that.
    fn column(&mut self, tag: &Tag<'_>, script: &mut Script) {
        if let Some(table) = self.dropping.clone().filter(|_| !tag.closes) {
            script.push(Operation::DropColumn { table, column: tag.attribute("name") }, tag.at.clone(), tag.at.clone());
            return;
        }
        if !tag.closes && self.adding.is_some() {
            let database = self.set.unwrap_or(self.database);
            let mut column = Column::default();
            for (name, value) in attributes(tag.attributes) {
                changes::say(&mut column, database, name, value);
            }
            self.column = Some((column, tag.at.clone()));
        }
        if (tag.closes || tag.is_alone())
            && let Some(((column, at), table)) = self.column.take().zip(self.adding.clone())
        {
            script.push(Operation::AddColumn { table, column }, at.clone(), at);
        }
    }
}

/// The attributes of a tag, and their values.
fn attributes(text: &str) -> impl Iterator<Item = (&str, &str)> {
    static ATTRIBUTE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"([\w:.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')"#).expect("the pattern is tested"));
    ATTRIBUTE.captures_iter(text).filter_map(|found| {
        let value = found.get(2).or(found.get(3))?;
        Some((found.get(1)?.as_str(), value.as_str()))
    })
}

/// The value of an attribute, empty when it is not there.
fn attribute(text: &str, name: &str) -> String {
    attributes(text).find(|(key, _)| *key == name).map_or("", |(_, value)| value).to_owned()
}

fn comments(text: &str) -> Vec<Range<usize>> {
    static COMMENT: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?s)<!--.*?-->").expect("the pattern is tested"));
    COMMENT.find_iter(text).map(|comment| comment.range()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::operation::{Constraint, ConstraintKind, Deed, Generated, Value};
    use super::*;

    fn script(set: &str, body: &str) -> Script {
        let mut script = Script::of_whole_file();
        let text =
            format!("<databaseChangeLog>\n<changeSet id=\"1\" {set}>\n{body}\n</changeSet>\n</databaseChangeLog>\n");
        read(&text, &mut script);
        script
    }

    fn steps(body: &str) -> Vec<Operation> {
        script("", body).steps.into_iter().map(|step| step.what).collect()
    }

    fn in_postgres(body: &str) -> Vec<Operation> {
        script("dbms=\"postgresql\"", body).steps.into_iter().map(|step| step.what).collect()
    }

    #[test]
    fn rows_are_deleted_or_written_without_a_condition() {
        let other = |deed| Operation::Other { deed, table: "a".into() };
        assert_eq!(steps("<delete tableName=\"a\"/>"), [other(Deed::DeleteAll)]);
        assert_eq!(steps("<delete tableName=\"a\">\n</delete>"), [other(Deed::DeleteAll)]);
        let update = "<update tableName=\"a\"><column name=\"b\" value=\"1\"/>";
        assert_eq!(steps(&format!("{update}</update>")), [other(Deed::UpdateAll)]);
        assert_eq!(steps(&format!("{update}<where>b = 2</where></update>")), []);
        assert_eq!(steps("<delete tableName=\"a\"><where>b = 2</where></delete>"), []);
        assert_eq!(steps("<rollback><delete tableName=\"a\"/></rollback>"), []);
    }

    #[test]
    fn what_is_taken_away_is_read() {
        for (change, expected) in [
            ("<dropView viewName=\"v\"/>", Deed::DropObject),
            ("<dropSequence sequenceName=\"v\"/>", Deed::DropObject),
            ("<renameView oldViewName=\"v\" newViewName=\"w\"/>", Deed::RenameObject),
        ] {
            assert_eq!(steps(change)[0].deed(), Some(expected), "{change}");
        }
        let drop = |table: &str| Operation::DropConstraint { table: table.into(), name: "c".into() };
        assert_eq!(steps("<dropPrimaryKey tableName=\"a\" constraintName=\"c\"/>"), [drop("a")]);
        assert_eq!(steps("<dropForeignKeyConstraint baseTableName = 'a' constraintName = 'c'/>"), [drop("a")]);
        let (table, column) = ("a".to_owned(), "b".to_owned());
        assert_eq!(
            steps("<dropDefaultValue tableName=\"a\" columnName=\"b\"/>"),
            [Operation::DropDefault { table: table.clone(), column: column.clone() }]
        );
        assert_eq!(
            steps("<dropNotNullConstraint tableName=\"a\" columnName=\"b\"/>"),
            [Operation::DropNotNull { table, column }]
        );
    }

    #[test]
    fn what_only_postgres_minds_needs_a_sign_of_it() {
        for change in [
            "<createIndex tableName=\"a\" indexName=\"i\"><column name=\"b\"/></createIndex>",
            "<dropIndex tableName=\"a\" indexName=\"i\"/>",
            "<addForeignKeyConstraint baseTableName=\"a\" constraintName=\"f\"/>",
            "<addUniqueConstraint tableName=\"a\" columnNames=\"b\"/>",
            "<addPrimaryKey tableName=\"a\" columnNames=\"b\"/>",
            "<addNotNullConstraint tableName=\"a\" columnName=\"b\"/>",
        ] {
            assert_eq!(steps(change), [], "{change}");
            let found = in_postgres(change);
            assert_eq!((found.len(), found[0].table()), (1, Some("a")), "{change}");
            assert_eq!(steps(&format!("<!-- postgresql -->{change}")).len(), 1, "{change}");
            assert_eq!(steps(&format!("<!-- postgresql, mysql -->{change}")), [], "{change}");
        }
        let unique = "<addUniqueConstraint tableName=\"a\" columnNames=\"b\" forIndexName=\"i\"/>";
        let (name, kind) = (String::new(), ConstraintKind::Unique);
        let constraint = Constraint { name, kind, validated: true, from_index: true };
        assert_eq!(in_postgres(unique), [Operation::AddConstraint { table: "a".into(), constraint }]);
        let added = |column: &str| match in_postgres(&format!(
            "<addColumn tableName=\"a\"><column name=\"b\" {column}/></addColumn>"
        ))
        .remove(0)
        {
            Operation::AddColumn { column, .. } => (column.default, column.generated),
            other => panic!("{column}: {other:?}"),
        };
        assert_eq!(added("defaultValueComputed=\"gen_random_uuid()\""), (Value::Volatile, Generated::No));
        assert_eq!(added("defaultValueComputed=\"now()\""), (Value::Same, Generated::No));
        assert_eq!(added("type=\"bigint\" autoIncrement=\"true\""), (Value::Same, Generated::Identity));
    }

    #[test]
    fn a_change_set_has_a_transaction() {
        let build = "<sql>CREATE INDEX CONCURRENTLY i ON a (b)</sql>";
        assert!(script("", build).steps[0].transaction.is_some());
        assert!(script("runInTransaction=\"false\"", build).steps[0].transaction.is_none());
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
