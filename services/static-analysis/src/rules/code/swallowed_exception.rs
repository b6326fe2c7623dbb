//! A handler of every exception that does nothing. Python has its own, which knows the syntax.

use std::sync::LazyLock;

use domain::{Category, Confidence, Severity};
use regex::Regex;

use super::code_of;
use crate::paths;
use crate::rules::{AddedLine, Check, Hit, Rule};

/// The rule.
pub static RULE: Rule = Rule {
    id: "code.error.swallowed",
    title: "Every exception is swallowed",
    severity: Severity::Low,
    confidence: Confidence::High,
    category: Category::Code,
    cwe: 703,
    hazard: "",
    keywords: &["catch", "rescue"],
    remediation: "Catch what is expected by its type, and log or count what is dropped.",
    references: &["https://cwe.mitre.org/data/definitions/703.html", "https://eslint.org/docs/latest/rules/no-empty"],
    aliases: &["no-empty", "EmptyCatchBlock", "S108", "Lint/SuppressedException"],
    check: Check::Line(check),
};

/// A handler that begins here: of JavaScript, of the catch-all types of Java, C# and PHP, of Ruby.
static OPENED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"\bcatch\s*(?:\(\s*(?:final\s+)?\\?(?:Exception|Throwable|System\.Exception)?\s*\$?\w*\s*\))?\s*\{\s*(\}?)",
    )
    .expect("the pattern is tested")
});
static RESCUE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s*rescue(?:\s+(?:StandardError|Exception))?(?:\s*=>\s*\w+)?\s*$").expect("the pattern is tested")
});

fn check(line: &AddedLine<'_>) -> Vec<Hit> {
    let Some((_, code)) = code_of(line.path(), line.text) else { return Vec::new() };
    let below = || line.below().find(|text| !text.trim().is_empty()).map(str::trim);
    let found = match paths::extension(line.path()) {
        "js" | "jsx" | "mjs" | "cjs" | "ts" | "tsx" | "mts" | "cts" | "java" | "cs" | "php" => {
            OPENED.captures(&code).is_some_and(|found| {
                let rest = found.get(0).map_or("", |whole| code.get(whole.end()..).unwrap_or(""));
                // A comment that says why is enough.
                let said = line.text.contains("//") || line.text.contains("/*");
                let closed = found.get(1).is_some_and(|sign| !sign.is_empty());
                !said && (closed || rest.trim().is_empty() && below().is_some_and(|next| next.starts_with('}')))
            })
        }
        "rb" | "rake" => RESCUE.is_match(&code) && below() == Some("end"),
        _ => false,
    };
    let range = line.text.len() - line.text.trim_start().len()..line.text.trim_end().len();
    found
        .then(|| Hit::at(range, "whatever goes wrong here, a mistake in the code included, leaves no trace"))
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_handler_that_does_nothing_is_found() {
        let low = Severity::Low;
        sample::finds(&RULE, "src/a.ts", &[("try { f(); } catch (e) {}", low), ("  } catch {}", low)]);
        sample::finds(&RULE, "A.java", &[("} catch (Exception e) { }", low)]);
        sample::finds_in_hunk(&RULE, "src/a.js", "+try {\n+  f();\n+} catch (e) {\n+}", &[(12, low)]);
        sample::finds_in_hunk(&RULE, "a.rb", "+begin\n+  f\n+rescue => e\n+end", &[(12, low)]);
    }

    #[test]
    fn one_that_does_something_or_says_why_is_not() {
        sample::finds_nothing(
            &RULE,
            "src/a.ts",
            &["} catch (e) { log(e); }", "} catch (e) {} // there may be none", "} catch (e) {", "p.catch(() => {})"],
        );
        sample::finds_nothing(&RULE, "A.java", &["} catch (IOException e) { }"]);
        sample::finds_nothing(&RULE, "src/a.rs", &["catch {}"]);
    }
}
