//! Migrations of Alembic: `upgrade` does something and `downgrade` does nothing.

use std::sync::LazyLock;

use regex::Regex;

use super::{Missing, python_body};
use crate::source::{Syntax, code_only};

static FUNCTION: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?m)^(?:async )?def (upgrade|downgrade)[ \t]*\(").expect("the pattern is tested"));
static REVISION: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?m)^(?:down_)?revision\b[^=\n]*=").expect("the pattern is tested"));

/// What is missing to take the migration in this new file back.
pub(in crate::rules::migration) fn missing(text: &str) -> Option<Missing> {
    let code = code_only(text, Syntax::Python);
    if !REVISION.is_match(&code) {
        return None;
    }
    let function = |name: &str| {
        FUNCTION
            .captures_iter(&code)
            .find(|found| &found[1] == name)
            .and_then(|found| found.get(0))
            .map(|found| found.start())
    };
    let upgrade = function("upgrade")?;
    // A merge of two branches changes nothing, either way.
    if does_nothing(python_body(&code, upgrade)) {
        return None;
    }
    match function("downgrade") {
        None => Some(Missing::high(upgrade, "the migration has a function upgrade and no function downgrade")),
        Some(at) => {
            let body = python_body(&code, at);
            if body.trim_start_matches(['"', '\'', ' ', '\n']).starts_with("raise") {
                Some(Missing::high(at, "the migration says of itself that it cannot be taken back"))
            } else {
                does_nothing(body).then(|| Missing::high(at, "the migration's function downgrade does nothing"))
            }
        }
    }
}

/// True when there is nothing but `pass`, `...`, `return` and strings.
fn does_nothing(body: &str) -> bool {
    body.lines()
        .map(|line| line.trim().trim_matches(['"', '\'', ' ', ';']))
        .all(|line| matches!(line, "" | "pass" | "..." | "return" | "return None"))
}

#[cfg(test)]
mod tests {
    use domain::Severity;

    use crate::rules::migration::rollback_missing::RULE;
    use crate::sample;

    #[track_caller]
    fn check(functions: &str, line: Option<u32>) {
        let text = format!("\"\"\"invoices\"\"\"\nrevision = 'ab12'\ndown_revision: str = '0011'\n\n{functions}");
        let expected: Vec<_> = line.map(|line| (line, Severity::High)).into_iter().collect();
        sample::finds_in_file(&RULE, "alembic/versions/ab12_invoices.py", &text, &expected);
    }

    #[test]
    fn upgrade_needs_a_downgrade_that_does_something() {
        let up = "def upgrade() -> None:\n    op.create_table('invoices')\n\n\n";
        check(&format!("{up}def downgrade() -> None:\n    op.drop_table('invoices')\n"), None);
        check(&format!("{up}def downgrade():\n    pass\n"), Some(9));
        check(&format!("{up}def downgrade(): pass\n"), Some(9));
        check(&format!("{up}def downgrade():\n    # op.drop_table('invoices')\n    \"\"\"Nothing.\"\"\"\n"), Some(9));
        check(&format!("{up}def downgrade():\n    raise NotImplementedError('no')\n"), Some(9));
        check(up, Some(5));
        check("def upgrade():\n    pass\n\n\ndef downgrade():\n    pass\n", None);
    }
}
