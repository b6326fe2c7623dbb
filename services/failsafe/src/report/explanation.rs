//! The explanation, and who wrote it.

use std::time::Duration;

use proto::v1;
use proto::v1::explanation_written::Origin;

use super::{in_seconds, to_the_second, verdict_look};
use crate::terminal::{Look, Sheet};

/// The explanation that counts; `took` tells how long after its submission a deployment was first explained.
pub(super) fn print(sheet: &mut Sheet, known: &v1::GetDeploymentResponse, took: Option<Duration>) {
    let Some(explanation) = known.explanations.first() else { return };
    let first = explanation.request_id.is_empty().then_some(took).flatten();
    let after = match first {
        Some(took) => format!("after {}", in_seconds(took)),
        None => written_at(explanation),
    };
    sheet.space();
    sheet.item(2, (Look::Bold, "Explanation"), Look::Dim, &after);
    words(sheet, explanation);
}

/// Every explanation, and how each was made.
pub(super) fn print_all(sheet: &mut Sheet, known: &v1::GetDeploymentResponse) {
    for explanation in &known.explanations {
        sheet.space();
        let (_, verdict, _) = verdict_look(explanation.verdict());
        let again = if explanation.request_id.is_empty() { "" } else { ", asked for" };
        let when = format!("of verdict {} ({verdict}), {}{again}", explanation.verdict_number, written_at(explanation));
        sheet.item(2, (Look::Bold, "Explanation"), Look::Dim, &when);
        words(sheet, explanation);
        if let Some(Origin::Model(model)) = &explanation.origin
            && !model.digest.is_empty()
        {
            sheet.paragraph(4, Look::Dim, &format!("digest {}", model.digest));
        }
        let took = explanation.took.and_then(|took| Duration::try_from(took).ok()).unwrap_or_default();
        sheet.paragraph(4, Look::Dim, &format!("in {} by the explainer {}", in_seconds(took), explanation.producer));
    }
    if known.explanations.is_empty() {
        sheet.paragraph(2, Look::Dim, "not explained yet");
    }
}

fn written_at(explanation: &v1::ExplanationWritten) -> String {
    explanation.written_at.map(|at| format!("{} UTC", to_the_second(at.seconds))).unwrap_or_default()
}

fn words(sheet: &mut Sheet, explanation: &v1::ExplanationWritten) {
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
        Some(Origin::Model(model)) => by_model(model),
        Some(Origin::FromEvidence(origin)) => {
            format!(
                "put together from the evidence by rules, not by a language model: {}",
                origin.because.trim_end_matches('.')
            )
        }
        None => "of unknown origin".to_owned(),
    }
}

/// The model, and what it took to get words from it that hold.
fn by_model(model: &v1::ModelOrigin) -> String {
    let mut words = format!("written by the language model {}", model.name);
    if let Some(grounding) = model.grounding {
        // Rounded down: 100 % is only said when every claim held.
        words.push_str(&format!("; {:.0} % of its claims held", (grounding * 100.0).floor()));
        match model.claims_dropped {
            0 => {}
            1 => words.push_str(", 1 was left out"),
            many => words.push_str(&format!(", {many} were left out")),
        }
    }
    if let (Some(asked), Some(answered)) = (model.prompt_tokens, model.answer_tokens) {
        words.push_str(&format!("; {asked} tokens asked, {answered} answered"));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(model: v1::ModelOrigin, expected: &str) {
        assert_eq!(by_model(&model), format!("written by the language model llama3.2:3b{expected}"));
    }

    #[test]
    fn how_well_a_model_did_is_said_as_far_as_it_is_known() {
        let model = v1::ModelOrigin { name: "llama3.2:3b".to_owned(), ..Default::default() };
        check(model.clone(), "");
        check(v1::ModelOrigin { grounding: Some(1.0), ..model.clone() }, "; 100 % of its claims held");
        let counted =
            v1::ModelOrigin { grounding: Some(2.0 / 3.0), claims_dropped: 2, prompt_tokens: Some(1_226), ..model };
        check(counted.clone(), "; 66 % of its claims held, 2 were left out");
        check(
            v1::ModelOrigin { claims_dropped: 1, answer_tokens: Some(182), ..counted },
            "; 66 % of its claims held, 1 was left out; 1226 tokens asked, 182 answered",
        );
    }
}
