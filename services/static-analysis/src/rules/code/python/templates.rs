//! Text that becomes HTML as it is.

use domain::Severity;

use super::gate::calls;
use super::{Call, Scope, is_constant};
use crate::rules::Rule;
use crate::rules::code::PROGRAM;
use crate::rules::code::gate::Trigger;
use crate::rules::code::program::Report;

pub(super) static RULES: &[&Rule] = &[&JINJA, &MAKO, &MARKUP, &SAFE_STRING];

static JINJA: Rule = Rule {
    id: "code.python.jinja-autoescape",
    title: "Templates that do not escape",
    cwe: 94,
    keywords: &["jinja2", "autoescape", "environment("],
    remediation: "Say autoescape=select_autoescape() where the templates are HTML.",
    references: &["https://jinja.palletsprojects.com/en/stable/api/#autoescaping"],
    aliases: &["B701", "S701"],
    ..PROGRAM
};

static MAKO: Rule = Rule {
    id: "code.python.mako-template",
    title: "Mako template",
    severity: Severity::Info,
    cwe: 80,
    keywords: &["mako", "template("],
    remediation: "Give default_filters=['h'], or escape every value with the filter h.",
    references: &["https://docs.makotemplates.org/en/latest/filtering.html"],
    aliases: &["B702", "S702"],
    ..PROGRAM
};

static MARKUP: Rule = Rule {
    id: "code.python.markup",
    title: "Value is declared to be safe HTML",
    cwe: 79,
    keywords: &["markup"],
    remediation: "Put the value in with Markup('...').format(value) or %, which escape it.",
    references: &["https://markupsafe.palletsprojects.com/en/stable/escaping/"],
    aliases: &["B704", "S704"],
    ..PROGRAM
};

static SAFE_STRING: Rule = Rule {
    id: "code.python.safe-string",
    title: "Value becomes a string that is not escaped",
    cwe: 80,
    keywords: &["safetext", "safeunicode", "safestring", "safebytes"],
    remediation: "Build markup with format_html, which escapes what it fills in.",
    references: &["https://docs.djangoproject.com/en/stable/ref/utils/#module-django.utils.safestring"],
    aliases: &["B703"],
    ..PROGRAM
};

const MARKUPS: &[&str] = &["markupsafe.Markup", "flask.Markup"];

pub(super) fn triggers() -> Vec<Trigger> {
    vec![
        Trigger::of(&[&JINJA]).word(&["jinja2"]).word(&["environment"]),
        Trigger::of(&[&MAKO]).word(&["mako"]).word(&["template"]),
        Trigger::of(&[&MARKUP]).part(calls(MARKUPS)),
    ]
}

pub(super) fn check(scope: &Scope<'_>, call: &Call<'_, '_>, report: &mut Report<'_>) {
    let last = call.last();
    if last == "Environment" && call.has_part("jinja2") && !call.spread {
        let escaped = call.keyword("autoescape").is_some_and(|value| {
            let chosen = value.child_by_field_name("function").map(|function| scope.word(function));
            value.kind() == "true" || chosen.as_deref() == Some("select_autoescape")
        });
        if !escaped {
            report.at(&JINJA, call.node, "values go into the page as they are, tags and scripts included");
        }
    }
    if last == "Template" && call.has_part("mako") {
        report.at(&MAKO, call.node, "values go into the page as they are, unless each is filtered");
    }
    if MARKUPS.contains(&call.name.as_str()) && call.args.first().is_some_and(|text| !is_constant(scope, *text)) {
        report.at(&MARKUP, call.node, "this value is not escaped in the page, whatever is in it");
    }
    if matches!(last, "SafeText" | "SafeUnicode" | "SafeString" | "SafeBytes")
        && scope.has_imported("django.utils.safestring")
        && call.args.first().is_some_and(|text| !is_constant(scope, *text))
    {
        report.at(&SAFE_STRING, call.node, "this value is not escaped in the page, whatever is in it");
    }
}
