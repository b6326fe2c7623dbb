//! A request that is run as code.

use std::sync::LazyLock;

use domain::{Category, Confidence, Severity};
use regex::Regex;

use super::code_of;
use crate::rules::{AddedLine, Check, Hit, Rule};
use crate::source::Syntax;

/// The rule.
pub static RULE: Rule = Rule {
    id: "code.injection.eval-of-input",
    title: "Input is run as code",
    severity: Severity::High,
    confidence: Confidence::High,
    category: Category::Code,
    cwe: 95,
    hazard: "",
    keywords: &["eval", "exec", "function(", "system(", "popen("],
    remediation: "Parse the input for what it is (JSON, a number, a name from a list) and never run it.",
    references: &[
        "https://docs.python.org/3/library/functions.html#eval",
        "https://developer.mozilla.org/en-US/docs/Web/JavaScript/Reference/Global_Objects/eval#never_use_direct_eval!",
        "https://www.php.net/manual/en/function.eval.php",
    ],
    aliases: &["B307", "B605", "G702"],
    check: Check::Line(check),
};

static PYTHON: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:^|[^.\w])((?:eval|exec|os\.system|os\.popen)\s*\([^)]*?(?:\brequest\.|\bflask\.request\b|\binput\s*\(|\bsys\.argv\b|\bself\.request\.))")
        .expect("the pattern is tested")
});
static JAVASCRIPT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:^|[^.\w])((?:eval|(?:new\s+)?Function|(?:child_process\.)?exec(?:Sync)?)\s*\([^;]*?\b(?:req|request|ctx|ctx\.request)\.(?:body|query|params|headers|cookies)\b|\beval\s*\([^)]*\b(?:location\.(?:hash|search|href)|document\.(?:URL|cookie)))")
        .expect("the pattern is tested")
});
static RUBY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:^|[^.\w])((?:eval|instance_eval|system|exec)[\s(]+[^)]*?\b(?:params\s*\[|request\.|cookies\s*\[))")
        .expect("the pattern is tested")
});
static PHP: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:^|[^>:\w])((?:eval|assert|system|exec|shell_exec|passthru|popen)\s*\([^;]*?\$_(?:GET|POST|REQUEST|COOKIE|SERVER)\b)").expect("the pattern is tested")
});

fn check(line: &AddedLine<'_>) -> Vec<Hit> {
    let Some((syntax, code)) = code_of(line.path(), line.text) else { return Vec::new() };
    let pattern = match syntax {
        Syntax::Python => &PYTHON,
        Syntax::JavaScript => &JAVASCRIPT,
        Syntax::Ruby => &RUBY,
        Syntax::Braces if line.path().ends_with(".php") => &PHP,
        Syntax::Braces | Syntax::Hcl | Syntax::Php | Syntax::Elixir => return Vec::new(),
    };
    let found = pattern.captures(&code).and_then(|captures| captures.get(1));
    found.map(|found| Hit::at(found.range(), "what a stranger sends is run as code")).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn input_that_is_run_is_found() {
        let high = Severity::High;
        sample::finds(
            &RULE,
            "app.py",
            &[
                ("result = eval(request.args['formula'])", high),
                ("exec(input())", high),
                ("os.system(\"ping \" + request.form['host'])", high),
            ],
        );
        sample::finds(
            &RULE,
            "app.js",
            &[
                ("const r = eval(req.body.formula);", high),
                ("new Function(req.query.f)();", high),
                ("exec(`ls ${x}` + req.query.dir, done);", high),
            ],
        );
        sample::finds(&RULE, "app.rb", &[("eval(params[:code])", high)]);
        sample::finds(&RULE, "app.php", &[("eval($_GET['c']);", high)]);
    }

    #[test]
    fn other_calls_of_that_name_are_not() {
        sample::finds_nothing(
            &RULE,
            "app.py",
            &[
                "model.eval(request.data)",
                "ast.literal_eval(request.args['x'])",
                "# eval(request.args['x'])",
                "x = \"eval(request.args)\"",
                "eval('1 + 1')",
                "retrieval(request.args)",
            ],
        );
        sample::finds_nothing(
            &RULE,
            "app.js",
            &["pattern.exec(req.body.text)", "evaluate(req.body)", "// eval(req.body)"],
        );
        sample::finds_nothing(&RULE, "notes.md", &["eval(req.body.formula)"]);
    }
}
