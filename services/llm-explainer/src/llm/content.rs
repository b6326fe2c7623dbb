//! What a model wrote, without what models are known to wrap around it, and whether it has read what it was given.
//!
//! Pure.

use super::Unanswered;
use crate::prompt::Prompt;

/// The smallest context that a server is run with.
const CONTEXT_MIN: u64 = 2_048;
/// Characters of one token, at the least, in a text like a prompt.
const CHARS_PER_TOKEN_MIN: u64 = 3;
/// Characters of one token, at the most, in any text and for any tokenizer.
pub(super) const CHARS_PER_TOKEN_MAX: u64 = 8;

/// The answer inside of `content`: without the thoughts before it, and without the fence of Markdown around it.
pub(super) fn unwrapped(content: &str) -> &str {
    unfenced(after_thoughts(content.trim()))
}

/// What follows the thoughts. Some templates open them in the prompt, so that only their end is written. An answer, which
/// begins with a brace or a fence, may hold such a mark as text.
fn after_thoughts(content: &str) -> &str {
    if content.starts_with(['{', '`']) {
        return content;
    }
    match content.split_once("</think>") {
        Some((_, answer)) => answer.trim(),
        // Thoughts that never end leave no answer.
        None if content.starts_with("<think>") => "",
        None => content,
    }
}

fn unfenced(content: &str) -> &str {
    let Some(inside) = content.strip_prefix("```").and_then(|rest| rest.strip_suffix("```")) else { return content };
    let inside = inside.trim();
    inside.strip_prefix("json").or_else(|| inside.strip_prefix("JSON")).unwrap_or(inside).trim()
}

/// Complains when a prompt of which the server has counted `tokens` cannot have been read whole by a model of that
/// `context`, in tokens, without what is kept free for its answer.
///
/// A small count proves nothing: some versions of Ollama leave out what they still knew from the question before. What
/// does is a count that fills the context (a longer prompt is cut to that length), and one that is exactly the size of a
/// smaller context than was asked for, when the prompt is longer than that: such sizes are powers of two.
pub(super) fn read_whole(prompt: &Prompt, tokens: u64, context: u64) -> Result<(), Unanswered> {
    let is_a_size = tokens >= CONTEXT_MIN && tokens.is_power_of_two();
    if tokens >= context || is_a_size && chars(prompt) > tokens * CHARS_PER_TOKEN_MIN {
        return Err(Unanswered::PromptCut { tokens });
    }
    Ok(())
}

/// Characters of both messages.
pub(super) fn chars(prompt: &Prompt) -> u64 {
    (prompt.system.chars().count() + prompt.user.chars().count()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thoughts_and_fences_are_taken_off_and_nothing_else() {
        for (content, expected) in [
            ("{}", "{}"),
            (" {}\n", "{}"),
            ("```json\n{\"a\": 1}\n```", "{\"a\": 1}"),
            ("```\n{}\n```\n", "{}"),
            ("```JSON {} ```", "{}"),
            ("<think>Is it {\"a\": 1}?</think>\n\n{}", "{}"),
            ("<think>\n</think>```json\n{}\n```", "{}"),
            ("So it blocks.\n</think>\n{}", "{}"),
            ("<think>Let me", ""),
            ("{\"a\": \"<think>x</think>\"}", "{\"a\": \"<think>x</think>\"}"),
            ("```json\n{\"a\": \"</think>\"}\n```", "{\"a\": \"</think>\"}"),
            ("```json\n{}", "```json\n{}"),
            ("```", "```"),
            ("I cannot.", "I cannot."),
            ("", ""),
        ] {
            assert_eq!(unwrapped(content), expected, "{content:?}");
        }
    }

    #[test]
    fn a_cut_prompt_is_told_by_a_full_context_and_not_by_a_small_count() {
        let prompt = |chars| Prompt { system: String::new(), user: "x".repeat(chars) };
        for (chars, tokens, whole) in [
            (14_000, 4_300, true),
            // The rest was remembered.
            (14_000, 26, true),
            (14_000, 7_191, true),
            (14_000, 7_192, false),
            (14_000, 8_192, false),
            (14_000, 4_096, false),
            (14_000, 2_048, false),
            (9_000, 2_500, true),
            (6_000, 2_048, true),
            (9_000, 1_024, true),
        ] {
            assert_eq!(read_whole(&prompt(chars), tokens, 7_192).is_ok(), whole, "{chars} {tokens}");
        }
    }
}
