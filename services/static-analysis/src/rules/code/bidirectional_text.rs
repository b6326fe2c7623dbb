//! Signs that turn the direction of writing, so that a program reads otherwise than it runs.

use domain::{Category, Confidence, Severity};

use crate::rules::{AddedLine, Check, Hit, Rule};
use crate::source::Syntax;

/// The rule.
pub static RULE: Rule = Rule {
    id: "code.text.bidirectional",
    title: "Sign that turns the direction of writing",
    severity: Severity::Medium,
    confidence: Confidence::High,
    category: Category::Code,
    cwe: 838,
    hazard: "",
    keywords: &[
        "\u{202a}", "\u{202b}", "\u{202c}", "\u{202d}", "\u{202e}", "\u{2066}", "\u{2067}", "\u{2068}", "\u{2069}",
        "\u{200e}", "\u{200f}",
    ],
    remediation: "Take the sign out, or write it as an escape.",
    references: &["https://trojansource.codes/", "https://www.unicode.org/reports/tr55/"],
    aliases: &["B613", "G116", "PLE2502"],
    check: Check::Line(check),
};

fn check(line: &AddedLine<'_>) -> Vec<Hit> {
    if Syntax::of(line.path()).is_none() {
        return Vec::new();
    }
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
    let Some((start, sign)) = line.text.char_indices().find(|(_, c)| turns(*c)) else { return Vec::new() };
    let hit = Hit::at(
        start..start + sign.len_utf8(),
        "what follows is shown in another order than it is read by the compiler",
    );
    // The marks only help signs at the edge of a text that is written from right to left.
    let mark = matches!(sign, '\u{200e}' | '\u{200f}');
    vec![if mark { hit.severity(Severity::Low) } else { hit }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_sign_that_turns_the_text_is_found_in_programs() {
        let medium = Severity::Medium;
        sample::finds(&RULE, "src/a.go", &[("// \u{202e} } if admin {", medium), ("x := \"\u{2066}\"", medium)]);
        sample::finds(&RULE, "src/a.py", &[("# \u{200f}", Severity::Low)]);
    }

    #[test]
    fn other_signs_and_other_files_are_not() {
        sample::finds_nothing(&RULE, "src/a.go", &["// שלום \u{2028} é"]);
        sample::finds_nothing(&RULE, "README.md", &["\u{202e}"]);
    }
}
