//! The explanation, and who wrote it.

use std::time::Duration;

use proto::v1;
use proto::v1::explanation_written::Origin;

use super::in_seconds;
use crate::terminal::{Look, Sheet};

pub(super) fn print(sheet: &mut Sheet, known: &v1::GetDeploymentResponse, took: Option<Duration>) {
    let Some(explanation) = known.explanations.first() else { return };
    sheet.space();
    let after = took.map(|took| format!("after {}", in_seconds(took))).unwrap_or_default();
    sheet.item(2, (Look::Bold, "Explanation"), Look::Dim, &after);
    sheet.paragraph(4, Look::Plain, &explanation.headline);
    claims(sheet, "Why", &explanation.why);
    claims(sheet, "What to do", &explanation.what_to_do);
    if !explanation.uncertain.is_empty() {
        sheet.paragraph(4, Look::Bold, "Not certain");
        for doubt in &explanation.uncertain {
            sheet.item(6, (Look::Dim, "•"), Look::Plain, doubt);
        }
    }
    sheet.paragraph(4, Look::Dim, &format!("({})", origin(explanation)));
}

fn claims(sheet: &mut Sheet, title: &str, claims: &[v1::Claim]) {
    if claims.is_empty() {
        return;
    }
    sheet.paragraph(4, Look::Bold, title);
    for claim in claims {
        let evidence = match claim.evidence.is_empty() {
            true => String::new(),
            false => format!(" [{}]", claim.evidence.join(", ")),
        };
        sheet.item(6, (Look::Dim, "•"), Look::Plain, &format!("{}{evidence}", claim.text));
    }
}

/// Who wrote it.
pub(super) fn origin(explanation: &v1::ExplanationWritten) -> String {
    match &explanation.origin {
        Some(Origin::Model(model)) => format!("written by the language model {}", model.name),
        Some(Origin::FromEvidence(origin)) => {
            format!(
                "put together from the evidence by rules, not by a language model: {}",
                origin.because.trim_end_matches('.')
            )
        }
        None => "of unknown origin".to_owned(),
    }
}
