//! Migrations of Laravel, Phinx and Doctrine: `up` without a `down` that does something, or a `change` with SQL.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::{Missing, has_ddl};
use crate::source::{Syntax, closing, code_only};

/// What is missing to take the migration in this new file back.
pub(in crate::rules::migration) fn missing(text: &str) -> Option<Missing> {
    static CLASS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\bextends\s+\\?(?:[A-Za-z]+\\)*(?:Abstract)?(?:Base)?Migration\b").expect("the pattern is tested")
    });
    static IRREVERSIBLE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"->\s*(?:execute|query)\s*\(").expect("the pattern is tested"));
    let code = code_only(&without_hash_comments(text), Syntax::Braces);
    if !CLASS.is_match(&code) {
        return None;
    }
    if let Some((at, body)) = method(&code, "change") {
        let body = &code[body];
        let found = IRREVERSIBLE.find(body).filter(|_| !body.contains("isMigratingUp"));
        return found.map(|_| Missing::high(at, "change runs SQL, which Phinx cannot turn round: write up and down"));
    }
    let (at, up) = method(&code, "up")?;
    if does_nothing(&code[up.clone()]) {
        return None;
    }
    let missing = match method(&code, "down").map(|(at, down)| (at, does_nothing(&code[down]))) {
        None => Missing::high(at, "the migration has a method up and no method down"),
        Some((at, true)) => Missing::high(at, "the migration's method down does nothing, or refuses"),
        Some((_, false)) => return None,
    };
    // With the strings, which may hold SQL: places are the same in both.
    Some(missing.of(changes_schema(&text[up])))
}

/// Whether a way up changes more than rows.
fn changes_schema(up: &str) -> bool {
    static CALL: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\bSchema\s*::\s*(?:connection\s*\([^)]*\)\s*->\s*)?(?:create|table|drop|rename)|->\s*(?:table|createTable|dropTable)\s*\(")
            .expect("the pattern is tested")
    });
    CALL.is_match(up) || has_ddl(up)
}

/// Where a method's name is, and where its body is; nothing when the body is cut off.
fn method(code: &str, name: &str) -> Option<(usize, Range<usize>)> {
    static METHOD: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\bfunction\s+(up|down|change)\s*(\()").expect("the pattern is tested"));
    let found = METHOD.captures_iter(code).find(|found| &found[1] == name)?;
    let parameters = closing(code, found.get(2)?.start())?;
    let open = parameters + code[parameters..].find('{')?;
    let close = closing(code, open)?;
    Some((found.get(1)?.start(), open + 1..close))
}

fn does_nothing(body: &str) -> bool {
    let body = body.trim().trim_end_matches(';').trim();
    matches!(body, "" | "return" | "return null" | "return true")
        || body.starts_with("throw ")
        || body.starts_with("$this->throwIrreversibleMigrationException")
}

/// PHP has comments that begin with a hash, and attributes that do (`#[…]`).
fn without_hash_comments(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim_start();
        if trimmed.starts_with('#') && !trimmed.starts_with("#[") {
            // Blanks of the same length in bytes, so that places stay.
            code.push_str(&" ".repeat(line.trim_end_matches('\n').len()));
            code.push_str(if line.ends_with('\n') { "\n" } else { "" });
        } else {
            code.push_str(line);
        }
    }
    code
}

#[cfg(test)]
mod tests {
    use domain::Severity;

    use crate::rules::migration::rollback_missing::RULE;
    use crate::sample;

    #[track_caller]
    fn check(body: &str, line: Option<u32>) {
        let text = format!("<?php\nreturn new class extends Migration\n{{\n{body}}};\n");
        let expected: Vec<_> = line.map(|line| (line, Severity::High)).into_iter().collect();
        sample::finds_in_file(&RULE, "database/migrations/2026_01_01_000000_a.php", &text, &expected);
    }

    #[test]
    fn up_needs_a_down_that_does_something() {
        let up = "    public function up(): void\n    {\n        Schema::create('a', function (Blueprint $t) { $t->id(); });\n    }\n";
        let down = |body: &str| format!("{up}    public function down(): void\n    {{\n        {body}\n    }}\n");
        check(&down("Schema::dropIfExists('a');"), None);
        check(up, Some(4));
        check(&down("//"), Some(8));
        check(&down("# nothing"), Some(8));
        check(&down("throw new Exception('no');"), Some(8));
        check("    public function up(): void\n    {\n    }\n", None);
        check("    public function change(): void\n    {\n        $this->table('a')->create();\n    }\n", None);
        check("    public function change(): void\n    {\n        $this->execute('x');\n    }\n", Some(4));
    }

    #[test]
    fn what_changes_rows_alone_is_worth_less() {
        let check = |up: &str, severity: Severity| {
            let text = format!(
                "<?php\nreturn new class extends Migration\n{{\n    public function up()\n    {{\n        {up}\n    }}\n    public function down()\n    {{\n    }}\n}};\n"
            );
            sample::finds_in_file(&RULE, "database/migrations/2026_01_01_000000_a.php", &text, &[(8, severity)]);
        };
        check("DB::table('a')->update(['b' => 1]);", Severity::Medium);
        check("Status::whereNull('a')->delete();", Severity::Medium);
        check("if (Schema::hasTable('a')) { A::where('b', 1)->delete(); }", Severity::Medium);
        check("Schema::table('a', function ($t) { $t->dropColumn('b'); });", Severity::High);
        check("Schema::dropIfExists('a');", Severity::High);
        check("DB::statement('ALTER TABLE a MODIFY b INT');", Severity::High);
        check("$this->addSql('CREATE UNIQUE INDEX i ON a (b)');", Severity::High);
        check("$this->table('a')->addColumn('b', 'string')->save();", Severity::High);
    }

    #[test]
    fn other_classes_are_no_migrations() {
        let text = "<?php\nclass A extends Controller\n{\n    public function up() { return 1; }\n}\n";
        sample::finds_in_file(&RULE, "database/migrations/a.php", text, &[]);
    }
}
