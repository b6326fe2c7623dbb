//! SQL put together from pieces: a value that holds a quote becomes a statement of its own.

use std::sync::LazyLock;

use domain::{Category, Confidence, Severity};
use regex::Regex;

use super::{code_of, program};
use crate::rules::{AddedLine, Check, Hit, Rule};
use crate::source::Syntax;

/// The rule. Whether the value comes from a stranger is not on the line, so that it asks for a look and does not block.
pub static RULE: Rule = Rule {
    id: "code.injection.sql-concatenation",
    title: "SQL is built by concatenation",
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    category: Category::Code,
    cwe: 89,
    hazard: "",
    keywords: &["select ", "insert into", "update ", "delete from"],
    remediation: "Pass values as parameters of the statement; take names of tables and columns from a fixed list.",
    references: &[
        "https://cheatsheetseries.owasp.org/cheatsheets/SQL_Injection_Prevention_Cheat_Sheet.html",
        "https://docs.python.org/3/library/sqlite3.html#how-to-use-placeholders-to-bind-values-in-sql-queries",
    ],
    aliases: &["B608", "S608", "G201", "G202"],
    check: Check::Line(check),
};

/// In capitals or in small letters throughout: `Select a plan from` is prose.
const STATEMENT: &str = r"(?:SELECT\s[^\x22'`]*?\bFROM\s|INSERT\s+INTO\s|UPDATE\s+\S+\s+SET\s|DELETE\s+FROM\s|select\s[^\x22'`]*?\bfrom\s|insert\s+into\s|update\s+\S+\s+set\s|delete\s+from\s)";

fn pattern(form: &str) -> Regex {
    Regex::new(&form.replace("STATEMENT", STATEMENT)).expect("the pattern is tested")
}

/// A template with a hole, unless a tag makes parameters of its holes.
static JAVASCRIPT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?x) (?:^|[\s(,=:+?]) ` \s* STATEMENT [^`]* \$\{ \s* [a-z_] | ["'] \s* STATEMENT [^"]*? ["'] \s* \+ \s* [a-zA-Z_]"#,
    )
});
static OTHERS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?x) " \s* STATEMENT [^"]*? " \s* (?: \+ \s* [a-zA-Z_] | \. \s* \$ | \.format\( )
        | \b(?:Sprintf|String\.format|format!)\( \s* "\s* STATEMENT [^"]* (?: %[sv] | \{[a-z_]*\} )
        | \$" \s* STATEMENT [^"]* \{ [a-z_] | " \s* STATEMENT [^"]* (?: \#\{ | \{\$ | '\$[a-z] )"#,
    )
});

/// Where values stand. Before that a hole can only be a name, which no parameter can replace.
static HAS_VALUE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(?:where|values|set|having|limit|offset|like|and|or|on)\b|=").expect("the pattern is tested")
});

/// Whether a statement has places for values, and not only for names.
pub(super) fn has_value(statement: &str) -> bool {
    HAS_VALUE.is_match(statement)
}

fn check(line: &AddedLine<'_>) -> Vec<Hit> {
    let Some((syntax, code)) = code_of(line.path(), line.text) else { return Vec::new() };
    // Those are parsed: see the modules of these languages.
    if program::Language::of(line.path()).is_some() {
        return Vec::new();
    }
    let pattern = match syntax {
        Syntax::Python => return Vec::new(),
        Syntax::JavaScript => &JAVASCRIPT,
        Syntax::Ruby | Syntax::Braces => &OTHERS,
        Syntax::Hcl | Syntax::Php | Syntax::Elixir => return Vec::new(),
    };
    let Some(found) = pattern.find(line.text) else { return Vec::new() };
    // What is left of the line without its strings tells a comment from code; and what is only logged is not run.
    let start = found.start() + found.as_str().find(['"', '\'', '`']).unwrap_or(0);
    let is_code = code.as_bytes().get(start).is_some_and(|byte| matches!(byte, b'"' | b'\'' | b'`'));
    static LOGGED: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)\b(?:log(?:ger|ging)?|console|println|print|printf|raise|throw|error|errorf|warn|debug|info)\b\s*[.(!]?").expect("the pattern is tested")
    });
    if !is_code || LOGGED.is_match(&code[..start]) || !HAS_VALUE.is_match(found.as_str()) {
        return Vec::new();
    }
    vec![Hit::at(found.range(), "a value is put into SQL as text, where it can change the statement")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_value_in_the_text_of_a_statement_is_found() {
        let medium = Severity::Medium;
        sample::finds(
            &RULE,
            "app.py",
            &[
                ("cur.execute(f\"SELECT * FROM users WHERE name = '{name}'\")", medium),
                ("cur.execute(\"SELECT * FROM users WHERE id = %s\" % user_id)", medium),
                ("q = \"DELETE FROM users WHERE id = \" + user_id", medium),
                ("q = \"UPDATE users SET a = {}\".format(a)", medium),
            ],
        );
        sample::finds(
            &RULE,
            "app.ts",
            &[
                ("db.query(`SELECT * FROM users WHERE id = ${id}`);", medium),
                ("db.query(\"SELECT * FROM users WHERE id = \" + req.params.id);", medium),
            ],
        );
        sample::finds(&RULE, "App.java", &[("st.executeQuery(\"SELECT * FROM users WHERE id = \" + id);", medium)]);
        sample::finds(&RULE, "app.go", &[("db.Query(fmt.Sprintf(\"SELECT * FROM users WHERE id = %s\", id))", medium)]);
        sample::finds(&RULE, "app.rb", &[("User.find_by_sql(\"SELECT * FROM users WHERE id = #{id}\")", medium)]);
        sample::finds(&RULE, "app.php", &[("$db->query(\"SELECT * FROM users WHERE id = \" . $id);", medium)]);
    }

    #[test]
    fn parameters_comments_and_prose_are_not() {
        sample::finds_nothing(
            &RULE,
            "app.py",
            &[
                "cur.execute(\"SELECT * FROM users WHERE id = %s\", (user_id,))",
                "cur.execute(\"SELECT a FROM b\" \" WHERE c = ?\", [c])",
                "# f\"SELECT * FROM users WHERE id = {id}\"",
                "log.info(f\"select one from the list {items}\")",
                "raise ValueError(\"update x set y \" + z)",
            ],
        );
        sample::finds_nothing(
            &RULE,
            "app.ts",
            &[
                "sql`SELECT * FROM users WHERE id = ${id}`",
                "db.query('SELECT * FROM users WHERE id = $1', [id]);",
                "const label = 'Select a plan from ' + name;",
            ],
        );
        sample::finds_nothing(
            &RULE,
            "app.go",
            &[
                "query := \"SELECT version FROM `\" + table + \"` ORDER BY version\"",
                "query := \"INSERT INTO \" + table + \" (a) VALUES (?)\"",
            ],
        );
        sample::finds_nothing(&RULE, "README.md", &["\"SELECT * FROM users WHERE id = \" + id"]);
    }
}
