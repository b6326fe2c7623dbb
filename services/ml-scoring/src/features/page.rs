//! The feature page: the table as Markdown, made from the table itself so that it cannot disagree with it.

use std::fmt::Write as _;

use super::FEATURES;

const HEAD: &str = "\
# The features

Made by `failsafe model features --format markdown`; a test holds this page against the table. A model takes the formula of a
value x, then counts how far that is from its mean in training; a value that is not known counts as the mean. Where a
value comes from:

- **diff**: counted and recognised in the change itself; always known;
- **submission**: what the sender says of the pull request (title, author, commits, times);
- **history**: the past of the touched files, the author and the repository, as it was known at that time. With none of it known
  the model uses a weight of its own for that.
";

const FOOT: &str = "
## References

- T. L. Graves, A. F. Karr, J. S. Marron, H. Siy: *Predicting Fault Incidence Using Software Change History*, IEEE TSE 26(7), 2000.
- A. E. Hassan: *Predicting Faults Using the Complexity of Code Changes*, ICSE 2009.
- Y. Kamei et al.: *A Large-Scale Empirical Study of Just-in-Time Quality Assurance*, IEEE TSE 39(6), 2013.
- S. Kim, T. Zimmermann, E. J. Whitehead, A. Zeller: *Predicting Faults from Cached History*, ICSE 2007.
- N. Nagappan, T. Ball: *Use of Relative Code Churn Measures to Predict System Defect Density*, ICSE 2005.
- Z. Zeng, Y. Zhang, H. Zhang, L. Zhang: *Deep Just-in-Time Defect Prediction: How Far Are We?*, ISSTA 2021.
";

/// The page of [`FEATURES`], in their order: what is learnt, then what only scenarios look at.
#[must_use]
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    for (title, scenario_only) in [("Learnt from outcomes", false), ("For the scenario `demo-seed` alone", true)] {
        let part: Vec<_> = FEATURES.iter().filter(|feature| feature.scenario_only == scenario_only).collect();
        let _ = write!(page, "\n## {title}: {}\n\n", part.len());
        page.push_str(
            "| feature | source | unit | formula | what it is | why |\n| --- | --- | --- | --- | --- | --- |\n",
        );
        for feature in part {
            let (source, formula) = (feature.source.name(), feature.transform.formula());
            let (name, unit, definition, why) = (feature.name, feature.unit, feature.definition, feature.why);
            let _ = writeln!(page, "| `{name}` | {source} | {unit} | {formula} | {definition} | {why} |");
        }
    }
    page.push_str(FOOT);
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_the_repository_is_that_of_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/FEATURES.md");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == page(), "FEATURES.md is out of date: `just features` makes it anew");
    }
}
