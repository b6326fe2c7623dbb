//! Conditions that do not ask what they seem to, and expressions that give away more secrets than they use.

use domain::Severity;

use super::super::report::Report;
use super::super::yaml::Yaml;
use super::expression::{self, Expression};
use super::rule;
use super::workflow::Workflow;
use crate::rules::Rule;

pub(super) const RULES: &[&Rule] = &[&BOT, &CONTAINS, &ALWAYS, &TERNARY, &SECRETS, &UNREDACTED];

const EXPRESSIONS: &[&str] = &["https://docs.github.com/en/actions/reference/workflows-and-actions/expressions"];

static BOT: Rule = Rule {
    cwe: 290,
    hazard: "ci.bot-conditions",
    remediation: "Ask who opened the pull request (github.event.pull_request.user.login), and not who acted last.",
    references: &["https://docs.github.com/en/actions/reference/workflows-and-actions/contexts#github-context"],
    aliases: &["bot-conditions"],
    ..rule("infrastructure.github.bot-condition", "Condition that a stranger can meet in a bot's name", Severity::Low)
};
static CONTAINS: Rule = Rule {
    cwe: 697,
    hazard: "ci.unsound-contains",
    remediation: "Ask for a member of a list: contains(fromJSON('[\"a\", \"b\"]'), value).",
    references: EXPRESSIONS,
    aliases: &["unsound-contains"],
    ..rule("infrastructure.github.unsound-contains", "Condition that a part of a word meets", Severity::Low)
};
static ALWAYS: Rule = Rule {
    cwe: 571,
    hazard: "ci.unsound-condition",
    remediation: "Write the condition without ${{ }}, or end the block with |- or >-, so that no text is left around it.",
    references: EXPRESSIONS,
    aliases: &["unsound-condition"],
    ..rule("infrastructure.github.always-true", "Condition that is always met", Severity::Medium)
};
static TERNARY: Rule = Rule {
    cwe: 670,
    hazard: "ci.unsound-ternary",
    remediation: "Turn the condition round, so that what stands behind && is never empty, 0 or false.",
    references: EXPRESSIONS,
    aliases: &["unsound-ternary"],
    ..rule("infrastructure.github.unsound-ternary", "Choice that always falls to its second side", Severity::Low)
};
static SECRETS: Rule = Rule {
    cwe: 522,
    hazard: "ci.overprovisioned-secrets",
    remediation: "Name the secrets that the job needs.",
    references: &["https://docs.github.com/en/actions/reference/security/secrets"],
    aliases: &["overprovisioned-secrets"],
    ..rule("infrastructure.github.all-secrets", "Every secret given to a job", Severity::Low)
};
static UNREDACTED: Rule = Rule {
    cwe: 532,
    hazard: "ci.unredacted-secrets",
    remediation: "Keep each value in a secret of its own: only whole secrets are blanked out of logs.",
    references: &["https://docs.github.com/en/actions/reference/security/secrets#automatically-redacted-secrets"],
    aliases: &["unredacted-secrets"],
    ..rule("infrastructure.github.unredacted-secret", "Part of a secret that logs will show", Severity::Low)
};

/// The numbers of the accounts of Dependabot and Renovate.
const BOT_IDS: &[&str] = &["29110", "49699333", "27856297", "29139614"];

pub(super) fn check(report: &mut Report<'_, '_>, workflow: &Workflow<'_>) {
    let jobs = workflow.jobs().filter_map(|job| job.node.entry("if"));
    let steps = workflow.steps();
    for (key, value) in jobs.chain(steps.iter().filter_map(|step| step.node.entry("if"))) {
        condition(report, key, value);
    }
    for line in 0..report.view.len() {
        expressions_on(report, line);
    }
}

fn condition(report: &mut Report<'_, '_>, node: Yaml<'_>, value: Yaml<'_>) {
    let Some(text) = value.text() else { return };
    let places = expression::places(text);
    if let [place] = places.as_slice() {
        let around = place.start != 3 || place.end + 2 != text.len();
        let inside = text[..place.start - 3].trim().is_empty() && text[place.end + 2..].trim().is_empty();
        // Other text around it is a mistake, too: the whole is no longer an expression.
        if around && (inside || !text.contains("}} &&") && !text.contains("}} ||")) {
            report.at(&ALWAYS, node, "the text around the expression, if only a line break, makes it true");
        }
    }
    let Some(read) = expression::parse_condition(text.trim()) else { return };
    let mut bot = false;
    let mut part = false;
    read.walk(&mut |expression| {
        bot |= is_bot(expression);
        part |= is_substring(expression);
    });
    if bot {
        report.at(&BOT, node, "the one who acted last need not be the one whose code this is");
    }
    if part {
        report.at(&CONTAINS, node, "a branch called by a part of the text meets the condition, too");
    }
}

fn name(path: &[String]) -> String {
    path.join(".")
}

fn is_bot(expression: &Expression) -> bool {
    let Expression::Binary("==", left, right) = expression else { return false };
    let (context, literal) = match (&**left, &**right) {
        (Expression::Context(context), Expression::Literal(literal))
        | (Expression::Literal(literal), Expression::Context(context)) => (name(context), literal),
        _ => return false,
    };
    match context.as_str() {
        "github.actor" | "github.triggering_actor" | "github.event.pull_request.sender.login" => {
            literal.ends_with("[bot]")
        }
        "github.actor_id" | "github.event.pull_request.sender.id" => BOT_IDS.contains(&literal.as_str()),
        _ => false,
    }
}

fn is_substring(expression: &Expression) -> bool {
    let Expression::Call(function, arguments) = expression else { return false };
    function == "contains" && matches!(arguments.as_slice(), [Expression::Literal(_), Expression::Context(_)])
}

/// Looks at what every expression of a line does with the secrets, wherever it stands.
fn expressions_on(report: &mut Report<'_, '_>, line: usize) {
    let text = report.view.text(line);
    if !text.contains("${{") || text.trim_start().starts_with('#') {
        return;
    }
    let (mut all, mut parts, mut ternary) = (false, false, false);
    for place in expression::places(text) {
        let Some(read) = expression::parse(&text[place]) else { continue };
        read.walk(&mut |expression| {
            all |= takes_all(expression);
            parts |= takes_part(expression);
            ternary |= is_ternary(expression);
        });
    }
    for (found, rule, message) in [
        (all, &SECRETS, "every secret of the repository is given to the job"),
        (parts, &UNREDACTED, "the parts of a secret are not known to be secret, and logs show them"),
        (ternary, &TERNARY, "what stands behind && counts as no, so that the other side is always taken"),
    ] {
        if found {
            report.at_line(rule, line, rule.severity, message);
        }
    }
}

fn is_secrets(expression: &Expression) -> bool {
    matches!(expression, Expression::Context(path) if path.len() == 1 && path[0] == "secrets")
}

fn takes_all(expression: &Expression) -> bool {
    match expression {
        Expression::Call(function, arguments) => function == "tojson" && arguments.iter().any(is_secrets),
        Expression::Context(path) => path.len() == 2 && path[0] == "secrets" && path[1] == "*",
        _ => false,
    }
}

fn takes_part(expression: &Expression) -> bool {
    let Expression::Call(function, arguments) = expression else { return false };
    function == "fromjson"
        && arguments
            .iter()
            .any(|argument| matches!(argument, Expression::Context(path) if path.len() > 1 && path[0] == "secrets"))
}

fn is_ternary(expression: &Expression) -> bool {
    let Expression::Binary("||", left, _) = expression else { return false };
    let Expression::Binary("&&", _, chosen) = &**left else { return false };
    matches!(&**chosen, Expression::Literal(text) if matches!(text.as_str(), "" | "0" | "false" | "null" | "-0"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, steps};

    #[track_caller]
    fn condition(id: &str, condition: &str, found: bool) {
        check(id, &steps("push", &format!("- run: a\n  if: {condition}")), if found { &[7] } else { &[] });
    }

    #[test]
    fn conditions_are_read() {
        condition("bot-condition", "github.actor == 'dependabot[bot]'", true);
        condition("bot-condition", "\"${{ 'x' == a.b || github.actor == 'renovate[bot]' }}\"", true);
        condition("bot-condition", "github.actor_id == 49699333", true);
        condition("bot-condition", "github.actor == 'ann'", false);
        condition("bot-condition", "github.event.pull_request.user.login == 'dependabot[bot]'", false);
        condition("unsound-contains", "contains('refs/heads/main refs/heads/dev', github.ref)", true);
        condition("unsound-contains", "contains(github.ref, 'main')", false);
        condition("unsound-contains", "contains(fromJSON('[\"a\"]'), github.ref)", false);
        condition("always-true", "|\n    ${{ false }}", true);
        condition("always-true", "|-\n    ${{ false }}", false);
        condition("always-true", "${{ false }}", false);
        condition("always-true", "github.ref == 'a'", false);
    }

    #[test]
    fn what_is_done_with_secrets_is_read() {
        let env = |expression: &str| steps("push", &format!("- run: a\n  env:\n    A: ${{{{ {expression} }}}}"));
        check("all-secrets", &env("toJSON(secrets)"), &[8]);
        check("all-secrets", &env("secrets[format('A_{0}', matrix.x)]"), &[8]);
        check("all-secrets", &env("secrets.A"), &[]);
        check("unredacted-secret", &env("fromJSON(secrets.A).b"), &[8]);
        check("unredacted-secret", &env("fromJSON(steps.a.outputs.b).c"), &[]);
        check("unsound-ternary", &env("a.b && '' || 'c'"), &[8]);
        check("unsound-ternary", &env("a.b && 'd' || 'c'"), &[]);
    }
}
