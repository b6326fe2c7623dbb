//! What a model is asked about one verdict: once, and once more with the faults named when its answer does not hold.

use domain::{Origin, Reached};

use crate::check::{Checked, check};
use crate::evidence::Evidence;
use crate::llm::{Answer, LanguageModel};
use crate::prompt::{Prompt, schema};
use crate::template::Template;
use crate::voice::without::Without;
use crate::words::Words;

/// Words of a model that hold, and how they came about.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Held {
    /// What holds of its answer.
    pub(super) words: Words,
    /// The model, and how well it did.
    pub(super) origin: Origin,
}

/// What the model says to `prompt`, as far as it holds; or why there is nothing, in one sentence.
pub(super) async fn ask(
    model: &LanguageModel,
    prompt: Prompt,
    reached: &Reached,
    evidence: &Evidence<'_>,
    template: &Template,
) -> Result<Held, Without> {
    let verdict = reached.judgement.verdict;
    let first = model.ask(&prompt, &schema(evidence)).await?;
    let rejected = match check(&first.content, verdict, evidence, template) {
        Ok(checked) => return Ok(held(first, checked, reached, template)),
        Err(rejected) => rejected,
    };
    tracing::debug!(deployment.id = %reached.deployment_id, "asking once more, with the faults named: {rejected}");
    let corrected = prompt.corrected(&rejected.faults());
    let mut second = model.ask(&corrected, &schema(evidence)).await?;
    second.prompt_tokens = sum(first.prompt_tokens, second.prompt_tokens);
    second.answer_tokens = sum(first.answer_tokens, second.answer_tokens);
    let checked = check(&second.content, verdict, evidence, template);
    let checked = checked.map_err(|rejected| Without::new("rejected", rejected.to_string()))?;
    Ok(held(second, checked, reached, template))
}

/// Both, when both were counted.
fn sum(first: Option<u64>, second: Option<u64>) -> Option<u64> {
    Some(first?.saturating_add(second?))
}

fn held(answer: Answer, checked: Checked, reached: &Reached, template: &Template) -> Held {
    let origin = Origin::Model {
        name: answer.model,
        digest: answer.digest,
        grounding: Some(checked.grounding()),
        claims_dropped: u32::try_from(checked.dropped.len()).unwrap_or(u32::MAX),
        prompt_tokens: answer.prompt_tokens,
        answer_tokens: answer.answer_tokens,
    };
    let mut words = checked.words;
    if !checked.dropped.is_empty() {
        for dropped in &checked.dropped {
            tracing::debug!(deployment.id = %reached.deployment_id, "dropped from {}: {}", dropped.part, dropped.fault);
        }
        words.uncertain.push(template.sentences.count("left-out", checked.dropped.len() as u64, &[]));
    }
    Held { words, origin }
}
