//! Changelogs of Liquibase in XML, YAML and JSON: a change set that Liquibase cannot turn round by itself, without a rollback.

use std::sync::LazyLock;

use domain::Severity;
use regex::Regex;

use super::Missing;

/// What Liquibase cannot turn round by itself.
const ONE_WAY: &str = "sql|sqlFile|insert|update|delete|loadData|loadUpdateData|dropTable|dropColumn|dropIndex|dropView|dropSequence|dropProcedure|dropForeignKeyConstraint|dropPrimaryKey|dropUniqueConstraint|dropDefaultValue|modifyDataType|createProcedure|customChange|executeCommand|mergeColumns|alterSequence";

/// What is missing to take the change sets in this new file back.
pub(in crate::rules::migration) fn missing(path: &str, text: &str) -> Option<Missing> {
    static XML_SET: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"<(/?)changeSet\b[^>]*>").expect("the pattern is tested"));
    static XML_CHANGE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(&format!(r"<({ONE_WAY})\b")).expect("the pattern is tested"));
    static KEY_SET: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"(?m)^[ \t-]*"?\bchangeSet"?[ \t]*:"#).expect("the pattern is tested"));
    static KEY_CHANGE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(&format!(r#"(?m)(?:^[ \t]*-[ \t]+|")({ONE_WAY})"?[ \t]*:"#)).expect("the pattern is tested")
    });
    if !text.contains("databaseChangeLog") {
        return None;
    }
    let is_xml = path.to_ascii_lowercase().ends_with(".xml");
    let text = &if is_xml { without_comments(text) } else { text.to_owned() };
    let (set, change, back) =
        if is_xml { (&XML_SET, &XML_CHANGE, "<rollback") } else { (&KEY_SET, &KEY_CHANGE, "rollback") };
    let starts: Vec<_> = set
        .captures_iter(text)
        .filter(|found| found.get(1).is_none_or(|slash| slash.is_empty()))
        .filter_map(|found| found.get(0))
        .map(|found| found.start())
        .collect();
    let mut rows_only = None;
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    for (start, end) in starts.iter().copied().zip(ends) {
        let body = &text[start..end];
        let mut changes = change.captures_iter(body).filter_map(|found| found.get(1)).peekable();
        if body.contains(back) || changes.peek().is_none() {
            continue;
        }
        let missing = Missing::high(start, "the change set has no rollback, and Liquibase cannot make one for it");
        // Rows that stay behind hurt nobody; the program before did without them.
        if changes.all(|change| matches!(change.as_str(), "insert" | "loadData")) {
            rows_only = rows_only.or(Some(Missing { severity: Severity::Medium, ..missing }));
        } else {
            return Some(missing);
        }
    }
    rows_only
}

/// The text with blanks for what is in XML comments; of the same length.
fn without_comments(text: &str) -> String {
    static COMMENT: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?s)<!--.*?-->").expect("the pattern is tested"));
    COMMENT.replace_all(text, |found: &regex::Captures<'_>| " ".repeat(found[0].len())).into_owned()
}

#[cfg(test)]
mod tests {
    use domain::Severity;

    use crate::rules::migration::rollback_missing::RULE;
    use crate::sample;

    #[track_caller]
    fn check(path: &str, text: &str, line: Option<u32>) {
        let expected: Vec<_> = line.map(|line| (line, Severity::High)).into_iter().collect();
        sample::finds_in_file(&RULE, path, text, &expected);
    }

    #[test]
    fn a_change_set_that_goes_one_way_needs_a_rollback() {
        let xml = |inside: &str| {
            format!(
                "<databaseChangeLog>\n<changeSet id=\"1\" author=\"a\">\n<createTable tableName=\"a\"/>\n</changeSet>\n<changeSet id=\"2\" author=\"a\">\n{inside}\n</changeSet>\n</databaseChangeLog>\n"
            )
        };
        let path = "db/changelog/2.xml";
        check(path, &xml("<addColumn tableName=\"a\"/>"), None);
        let insert = "<insert tableName=\"a\"><column name=\"b\"/></insert>";
        sample::finds_in_file(&RULE, path, &xml(insert), &[(5, Severity::Medium)]);
        check(path, &xml(&format!("{insert}<delete tableName=\"a\"/>")), Some(5));
        check(path, &xml("<sql>UPDATE a SET b = 1</sql>"), Some(5));
        check(path, &xml("<sql>UPDATE a SET b = 1</sql>\n<rollback/>"), None);
        check(path, &xml("<dropColumn tableName=\"a\" columnName=\"b\"/>"), Some(5));
        check(path, &xml("<!-- <sql>x</sql> --><createIndex indexName=\"i\"/>"), None);
        let yaml = "databaseChangeLog:\n  - changeSet:\n      id: 1\n      author: a\n      changes:\n        - sql:\n            sql: UPDATE a SET b = 1\n";
        let path = "db/changelog/2.yaml";
        check(path, yaml, Some(2));
        check(path, &format!("{yaml}      rollback:\n        - sql:\n            sql: UPDATE a SET b = 0\n"), None);
        check(
            path,
            "databaseChangeLog:\n  - changeSet:\n      id: 1\n      changes:\n        - createTable:\n            tableName: a\n",
            None,
        );
        check(path, "databaseChangeLog:\n  - include:\n      file: a.sql\n", None);
    }
}
