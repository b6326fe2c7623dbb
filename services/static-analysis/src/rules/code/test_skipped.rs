//! A test that is switched off.

use std::sync::LazyLock;

use domain::{Category, Confidence, Severity};
use regex::Regex;

use super::code_of;
use crate::rules::{AddedLine, Check, Hit, Rule};
use crate::source::Syntax;

/// The rule.
pub static RULE: Rule = Rule {
    id: "code.test.skipped",
    title: "Test switched off",
    severity: Severity::Low,
    confidence: Confidence::High,
    category: Category::Code,
    cwe: 0,
    hazard: "",
    keywords: &["skip", "ignore", "disabled", "xit(", "xdescribe(", "xtest("],
    remediation: "Mend the test or delete it; until then name the issue that will bring it back.",
    references: &[
        "https://docs.pytest.org/en/stable/how-to/skipping.html",
        "https://jestjs.io/docs/api#testskipname-fn",
        "https://pkg.go.dev/testing#T.Skip",
        "https://doc.rust-lang.org/book/ch11-02-running-tests.html#ignoring-tests-unless-specifically-requested",
    ],
    aliases: &[],
    check: Check::Line(check),
};

static PYTHON: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s*@(?:pytest\.mark\.skip|unittest\.skip)\b").expect("the pattern is tested"));
static JAVASCRIPT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s*(?:(?:it|test|describe|context|suite)\.skip|xit|xdescribe|xtest)\s*\(")
        .expect("the pattern is tested")
});
static RUBY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s*(?:(?:xit|xdescribe|xcontext)\s|skip(?:\s+[\x22']|\s*$|\())").expect("the pattern is tested")
});
static BRACES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"^\s*(?:t\.Skip(?:f|Now)?\(|#\[ignore\b|@(?:Disabled|Ignore)\b|\[(?:Ignore|Skip)\b|\$this->markTestSkipped\()",
    )
    .expect("the pattern is tested")
});

fn check(line: &AddedLine<'_>) -> Vec<Hit> {
    let Some((syntax, code)) = code_of(line.path(), line.text) else { return Vec::new() };
    let pattern = match syntax {
        Syntax::Python => &PYTHON,
        Syntax::JavaScript => &JAVASCRIPT,
        Syntax::Ruby if !crate::paths::is_own_test(line.path()) => return Vec::new(),
        Syntax::Ruby => &RUBY,
        Syntax::Braces => &BRACES,
        Syntax::Hcl | Syntax::Php | Syntax::Elixir => return Vec::new(),
    };
    let range = code.len() - code.trim_start().len()..line.text.trim_end().len();
    pattern.is_match(&code).then(|| Hit::at(range, "the test no longer runs")).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_test_that_is_switched_off_is_found() {
        let low = Severity::Low;
        sample::finds(
            &RULE,
            "tests/test_pay.py",
            &[("@pytest.mark.skip(reason=\"flaky\")", low), ("    @unittest.skip('x')", low)],
        );
        sample::finds(&RULE, "pay.test.ts", &[("  it.skip('pays', () => {", low), ("xdescribe('a', () => {", low)]);
        sample::finds(&RULE, "pay_test.go", &[("\tt.Skip(\"flaky\")", low)]);
        sample::finds(&RULE, "src/lib.rs", &[("    #[ignore = \"slow\"]", low)]);
        sample::finds(&RULE, "PayTest.java", &[("    @Disabled(\"flaky\")", low)]);
        sample::finds(&RULE, "spec/pay_spec.rb", &[("    skip 'flaky'", low)]);
    }

    #[test]
    fn other_things_that_are_skipped_are_not() {
        sample::finds_nothing(&RULE, "src/list.ts", &["list.skip(10)", "// it.skip('x')", "query.skip(page)"]);
        sample::finds_nothing(&RULE, "src/a.py", &["# @pytest.mark.skip", "@pytest.mark.skipif(WINDOWS)"]);
        sample::finds_nothing(&RULE, "app/models/a.rb", &["skip 'validation'"]);
        sample::finds_nothing(&RULE, "src/lib.rs", &["// #[ignore]", "let skip = 1;"]);
    }
}
