//! Migrations of Django: `RunSQL` and `RunPython` go back only when told how. What the schema operations do, Django undoes.

use std::sync::LazyLock;

use regex::Regex;

use super::Missing;
use crate::source::{Syntax, arguments, closing, code_only};

static OPERATION: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b(RunSQL|RunPython)[ \t]*\(").expect("the pattern is tested"));

/// What is missing to take the migration in this new file back.
pub(in crate::rules::migration) fn missing(text: &str) -> Option<Missing> {
    let code = code_only(text, Syntax::Python);
    if !code.contains("Migration") {
        return None;
    }
    let mut behind = 0;
    for found in OPERATION.captures_iter(&code) {
        let (Some(all), Some(name)) = (found.get(0), found.get(1)) else { continue };
        // Each bracket is looked for once: what is inside an operation is that operation's.
        if all.start() < behind {
            continue;
        }
        // What is cut off is not judged.
        let close = closing(&code, all.end() - 1)?;
        behind = close;
        let (keyword, why) = if name.as_str() == "RunSQL" {
            ("reverse_sql", "RunSQL without reverse_sql cannot be taken back")
        } else {
            ("reverse_code", "RunPython without reverse_code cannot be taken back")
        };
        let arguments_text = &code[all.end()..close];
        // What does nothing on the way there needs no way back.
        let nothing = arguments(arguments_text).first().is_some_and(|first| first.ends_with(".noop"));
        if !nothing && !has_reverse(&arguments(&code[all.end()..close]), keyword) {
            return Some(Missing::high(name.start(), why));
        }
    }
    None
}

/// True when the reverse operation is given, by its name or as the second argument.
fn has_reverse(arguments: &[&str], keyword: &str) -> bool {
    let named = |argument: &&str| {
        argument.split_once('=').filter(|(_, value)| !value.starts_with('=')).map(|(name, _)| name.trim().to_owned())
    };
    let by_name = arguments.iter().find(|argument| named(argument).as_deref() == Some(keyword));
    let value = by_name.and_then(|argument| argument.split_once('=')).map(|(_, value)| value.trim());
    // `*args` and `**options` may hold it.
    let unknown = arguments.iter().any(|argument| argument.starts_with('*'));
    let second = arguments.get(1).filter(|argument| named(argument).is_none()).copied();
    unknown || value.or(second).is_some_and(|value| value != "None")
}

#[cfg(test)]
mod tests {
    use domain::Severity;

    use crate::rules::migration::rollback_missing::RULE;
    use crate::sample;

    #[track_caller]
    fn check(operation: &str, found: bool) {
        let text = format!("class Migration(migrations.Migration):\n    operations = [\n        {operation},\n    ]\n");
        let expected: Vec<_> = found.then_some((3, Severity::High)).into_iter().collect();
        sample::finds_in_file(&RULE, "shop/migrations/0107_invoices.py", &text, &expected);
    }

    #[test]
    fn an_operation_of_ones_own_needs_its_reverse() {
        check("migrations.RunSQL('UPDATE a SET b = 1')", true);
        check("migrations.RunSQL('UPDATE a SET b = 1', None)", true);
        check("migrations.RunSQL(sql='UPDATE a, b', hints={'a': 1, 'b': 2})", true);
        check("migrations.RunPython(forwards)", true);
        check("migrations.RunPython(code=forwards, elidable=True)", true);
        check("migrations.RunSQL('UPDATE a SET b = 1', 'UPDATE a SET b = 0')", false);
        check("migrations.RunSQL(sql='x', reverse_sql=migrations.RunSQL.noop)", false);
        check("migrations.RunPython(forwards, migrations.RunPython.noop)", false);
        check("migrations.RunPython(forwards, reverse_code=backwards)", false);
        check("RunSQL(*SQL)", false);
        check("migrations.AddField('a', 'b', models.TextField())", false);
        check("migrations.RunPython(migrations.RunPython.noop)", false);
        check("# migrations.RunSQL('x')\n        x", false);
    }
}
