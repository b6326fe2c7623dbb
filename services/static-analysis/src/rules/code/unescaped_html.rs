//! A value that becomes markup as it is, in a browser.

use std::sync::LazyLock;

use domain::{Category, Confidence, Severity};
use regex::Regex;

use super::code_of;
use crate::rules::{AddedLine, Check, Hit, Rule};
use crate::source::Syntax;

/// The rule.
pub static RULE: Rule = Rule {
    id: "code.injection.unescaped-html",
    title: "Value becomes HTML as it is",
    severity: Severity::Low,
    confidence: Confidence::Medium,
    category: Category::Code,
    cwe: 79,
    hazard: "",
    keywords: &["innerhtml", "outerhtml", "document.write", "insertadjacenthtml", "v-html"],
    remediation: "Set textContent, or clean the markup with a sanitizer such as DOMPurify.",
    references: &[
        "https://developer.mozilla.org/en-US/docs/Web/API/Element/innerHTML#security_considerations",
        "https://react.dev/reference/react-dom/components/common#dangerously-setting-the-inner-html",
    ],
    aliases: &["react/no-danger", "no-unsanitized/property"],
    check: Check::Line(check),
};

/// Something else than a text that is written out, or nothing, goes into the page.
static MARKUP: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(\.(?:inner|outer)HTML\s*\+?=\s*(?:[A-Za-z_$]|`[^`]*\$\{|[\x22'][^\x22']*[\x22']\s*\+)|\bdangerouslySetInnerHTML\s*=\s*\{\{?\s*(?:__html\s*:\s*)?[A-Za-z_$]|\bdocument\.write(?:ln)?\(\s*(?:[A-Za-z_$]|[\x22'][^\x22']*[\x22']\s*\+)|\.insertAdjacentHTML\(\s*[^,]+,\s*[A-Za-z_$]|\bv-html=)",
    )
    .expect("the pattern is tested")
});

fn check(line: &AddedLine<'_>) -> Vec<Hit> {
    let Some((Syntax::JavaScript, code)) = code_of(line.path(), line.text) else { return Vec::new() };
    let Some(found) = MARKUP.find(line.text) else { return Vec::new() };
    let is_code = code.get(found.range()).is_some_and(|code| code.trim() != "");
    let clean = ["sanitize", "purify", "escape"].iter().any(|word| line.text.to_ascii_lowercase().contains(word));
    if !is_code || clean || found.as_str().ends_with("null") {
        return Vec::new();
    }
    vec![Hit::at(
        found.range(),
        "whoever writes this value can put a script into the page that runs as whoever reads it",
    )]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_value_that_becomes_markup_is_found() {
        let low = Severity::Low;
        sample::finds(
            &RULE,
            "src/a.jsx",
            &[
                ("el.innerHTML = name;", low),
                ("el.innerHTML = `<b>${name}</b>`;", low),
                ("<p dangerouslySetInnerHTML={{ __html: text }} />", low),
                ("document.write(location.hash);", low),
            ],
        );
    }

    #[test]
    fn fixed_and_clean_markup_is_not() {
        sample::finds_nothing(
            &RULE,
            "src/a.js",
            &[
                "el.innerHTML = '';",
                "el.innerHTML = DOMPurify.sanitize(x);",
                "// el.innerHTML = name",
                "x = 'el.innerHTML = name'",
            ],
        );
        sample::finds_nothing(&RULE, "README.md", &["el.innerHTML = name;"]);
    }
}
