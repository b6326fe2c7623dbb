//! Migrations in Go (goose) and C# (Entity Framework): an up without a down that does something.

use std::sync::LazyLock;

use regex::Regex;

use super::Missing;
use crate::source::{Syntax, closing, code_only};

/// What is missing to take a migration in Go back: `goose.AddMigrationContext(up, nil)`.
pub(in crate::rules::migration) fn missing_in_go(text: &str) -> Option<Missing> {
    static ADD: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\bgoose\.AddMigration(?:NoTx)?(?:Context)?\(\s*(\w+)\s*,\s*(\w+)\s*\)")
            .expect("the pattern is tested")
    });
    let code = code_only(text, Syntax::Braces);
    let add = ADD.captures(&code)?;
    let at = add.get(0)?.start();
    if &add[1] == "nil" {
        return None;
    }
    if &add[2] == "nil" {
        return Some(Missing::high(at, "the migration is registered without a function that takes it back"));
    }
    let header = code.find(&format!("func {}(", &add[2]))?;
    let open = header + code[header..].find("{\n")?;
    let body = code[open + 1..closing(&code, open)?].trim();
    let refuses = body.starts_with("return errors.New(") || body.starts_with("return fmt.Errorf(");
    (body == "return nil" || refuses)
        .then(|| Missing::high(header, "the function that takes the migration back does nothing, or refuses"))
}

/// What is missing to take a migration of Entity Framework back: an empty `Down`.
pub(in crate::rules::migration) fn missing_in_csharp(text: &str) -> Option<Missing> {
    static METHOD: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\boverride\s+void\s+(Up|Down)\s*\(\s*(?:MigrationBuilder\s+\w+)?\s*\)\s*(\{)")
            .expect("the pattern is tested")
    });
    let code = code_only(text, Syntax::Braces);
    let method = |name: &str| {
        let found = METHOD.captures_iter(&code).find(|found| &found[1] == name)?;
        let open = found.get(2)?.start();
        Some((found.get(1)?.start(), code[open + 1..closing(&code, open)?].trim().to_owned()))
    };
    let (up, body) = method("Up")?;
    if body.is_empty() {
        return None;
    }
    match method("Down") {
        None => Some(Missing::high(up, "the migration has a method Up and no method Down")),
        Some((at, body)) if body.is_empty() || body.starts_with("throw ") => {
            Some(Missing::high(at, "the migration's method Down does nothing, or refuses"))
        }
        Some(_) => None,
    }
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
    fn a_migration_in_go_has_two_functions() {
        let go = |down: &str, body: &str| {
            format!(
                "package m\n\nfunc init() {{\n\tgoose.AddMigrationContext(up1, {down})\n}}\n\nfunc down1(ctx context.Context, tx *sql.Tx) error {{\n\t{body}\n}}\n"
            )
        };
        let path = "migrations/00001_a.go";
        check(path, &go("down1", "_, err := tx.Exec(\"DROP TABLE a\")\n\treturn err"), None);
        check(path, &go("nil", "return nil"), Some(4));
        check(path, &go("down1", "return nil"), Some(7));
        check(path, "package m\n\nfunc a() {}\n", None);
    }

    #[test]
    fn a_migration_of_entity_framework_has_a_down() {
        let cs = |down: &str| {
            format!(
                "public partial class A : Migration\n{{\n    protected override void Up(MigrationBuilder b)\n    {{\n        b.CreateTable(\"a\");\n    }}\n{down}}}\n"
            )
        };
        let path = "Data/Migrations/20260101_A.cs";
        check(
            path,
            &cs("    protected override void Down(MigrationBuilder b)\n    {\n        b.DropTable(\"a\");\n    }\n"),
            None,
        );
        check(path, &cs("    protected override void Down(MigrationBuilder b)\n    {\n    }\n"), Some(7));
        check(path, &cs(""), Some(3));
    }
}
