//! The rule page: every rule on one Markdown page, made from the rules themselves so that it cannot disagree with them.

use std::fmt::Write as _;

use domain::Category;

use crate::rules::Rule;

const HEAD: &str = "\
# The static rules

Made by `failsafe rules list --format markdown`; a test holds this page against the rules. `failsafe rules show ID` says more
of one: how to mend what it finds, and where its facts come from. A finding in a file known as a test or an example is
less severe than stated here.
";

/// The page of `rules`, by category and family, in order of their ids.
#[must_use]
pub fn page(rules: &[&Rule]) -> String {
    let mut page = format!("{HEAD}\n{} rules.\n", rules.len());
    for category in Category::ALL {
        let mut of_category: Vec<_> = rules.iter().filter(|rule| rule.category == category).collect();
        of_category.sort_by_key(|rule| rule.id);
        if of_category.is_empty() {
            continue;
        }
        let name = category.name();
        let _ = write!(page, "\n## {}{}: {} rules\n\n", name[..1].to_uppercase(), &name[1..], of_category.len());
        page.push_str("| rule | severity | confidence | CWE | what it finds |\n| --- | --- | --- | --- | --- |\n");
        for rule in of_category {
            let cwe = if rule.cwe == 0 { String::new() } else { rule.cwe.to_string() };
            let title = rule.title.replace('|', "\\|");
            let (severity, confidence) = (rule.severity.name(), rule.confidence.name());
            let _ = writeln!(page, "| `{}` | {severity} | {confidence} | {cwe} | {title} |", rule.id);
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Law};

    #[test]
    fn the_page_in_the_repository_is_that_of_the_rules() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/RULES.md");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        let page = page(Law::new(&Config::default()).unwrap().rules());
        assert!(written == page, "RULES.md is out of date: `just rules` makes it anew");
    }
}
