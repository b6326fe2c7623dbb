//! How Dependabot is told to work.

use domain::Severity;

use super::super::report::Report;
use super::super::yaml::Document;
use super::rule;
use crate::rules::Rule;

pub(super) const RULES: &[&Rule] = &[&EXECUTION, &COOLDOWN];

static EXECUTION: Rule = Rule {
    cwe: 829,
    hazard: "ci.dependabot-execution",
    remediation: "Remove insecure-external-code-execution, or set it to deny.",
    references: &[
        "https://docs.github.com/en/code-security/dependabot/working-with-dependabot/dependabot-options-reference#insecure-external-code-execution--",
    ],
    aliases: &["dependabot-execution"],
    ..rule("infrastructure.github.dependabot-execution", "Dependabot runs the code of what it updates", Severity::Low)
};
static COOLDOWN: Rule = Rule {
    cwe: 829,
    hazard: "ci.dependabot-cooldown",
    remediation: "Set cooldown.default-days to 7 or more: most packages that were taken over are found within days.",
    references: &[
        "https://docs.github.com/en/code-security/dependabot/working-with-dependabot/dependabot-options-reference#cooldown-",
    ],
    aliases: &["dependabot-cooldown"],
    ..rule("infrastructure.github.dependabot-cooldown", "Dependabot takes what was published just now", Severity::Info)
};

const DAYS_MIN: i64 = 7;

pub(super) fn check(report: &mut Report<'_, '_>, document: &Document) {
    for update in document.root().list("updates") {
        if let Some((key, _)) =
            update.entry("insecure-external-code-execution").filter(|(_, value)| value.text() == Some("allow"))
        {
            report.at(&EXECUTION, key, "a package that was taken over has Dependabot's secrets");
        }
        let days = update.at(&["cooldown", "default-days"]);
        if days.is_none_or(|days| days.number().is_some_and(|days| days < DAYS_MIN))
            && document.whole
            && report.view.whole
        {
            report.at(
                &COOLDOWN,
                days.unwrap_or(update),
                "a release of this morning is proposed before anybody has looked at it",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check_at;

    #[test]
    fn settings_of_dependabot_are_judged() {
        let update = |lines: &str| format!("version: 2\nupdates:\n- package-ecosystem: npm\n  directory: /\n{lines}");
        let path = ".github/dependabot.yml";
        check_at(path, "dependabot-execution", &update("  insecure-external-code-execution: allow\n"), &[5]);
        check_at(path, "dependabot-execution", &update("  insecure-external-code-execution: deny\n"), &[]);
        check_at(path, "dependabot-cooldown", &update(""), &[3]);
        check_at(path, "dependabot-cooldown", &update("  cooldown: {default-days: 3}\n"), &[5]);
        check_at(path, "dependabot-cooldown", &update("  cooldown: {default-days: 7}\n"), &[]);
    }
}
