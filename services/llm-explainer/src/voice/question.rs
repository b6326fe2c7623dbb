//! What a model is asked about one verdict: once, and once more with the faults named when its answer does not hold.

use domain::{Origin, Reached};
use tracing::Instrument;

use crate::check::{Checked, check};
use crate::evidence::Evidence;
use crate::llm::{Answer, LanguageModel, Unanswered};
use crate::prompt::{Prompt, schema};
use crate::template::Template;
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
) -> Result<Held, String> {
    let verdict = reached.judgement.verdict;
    let first = chat(model, &prompt, evidence).await.map_err(|why| why.to_string())?;
    let rejected = match check(&first.content, verdict, evidence, template) {
        Ok(checked) => return Ok(held(first, checked, reached, template)),
        Err(rejected) => rejected,
    };
    tracing::debug!(deployment.id = %reached.deployment_id, "asking once more, with the faults named: {rejected}");
    let corrected = prompt.corrected(&rejected.faults());
    let mut second = chat(model, &corrected, evidence).await.map_err(|why| why.to_string())?;
    second.prompt_tokens = sum(first.prompt_tokens, second.prompt_tokens);
    second.answer_tokens = sum(first.answer_tokens, second.answer_tokens);
    let checked = check(&second.content, verdict, evidence, template).map_err(|rejected| rejected.to_string())?;
    Ok(held(second, checked, reached, template))
}

/// Both, when both were counted.
fn sum(first: Option<u64>, second: Option<u64>) -> Option<u64> {
    Some(first?.saturating_add(second?))
}

async fn chat(model: &LanguageModel, prompt: &Prompt, evidence: &Evidence<'_>) -> Result<Answer, Unanswered> {
    let span = tracing::info_span!(
        "chat",
        otel.name = format!("chat {}", model.model()),
        otel.kind = "client",
        gen_ai.operation.name = "chat",
        gen_ai.request.model = model.model(),
        gen_ai.usage.input_tokens = tracing::field::Empty,
        gen_ai.usage.output_tokens = tracing::field::Empty,
    );
    let answered = model.ask(prompt, &schema(evidence)).instrument(span.clone()).await;
    if let Ok(answer) = &answered {
        span.record("gen_ai.usage.input_tokens", answer.prompt_tokens);
        span.record("gen_ai.usage.output_tokens", answer.answer_tokens);
    }
    answered
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
