//! Whether a text asserts another verdict than the one it explains.
//!
//! Pure. Goes by words and phrases, not by sense, and errs on the strict side.

use std::collections::HashMap;

use domain::Verdict;

/// What says that a deployment may go.
const ALLOWS: &[&str] = &[
    "allowed",
    "allow the",
    "allow this",
    "allow it",
    "allows the deployment",
    "allows this deployment",
    "approved",
    "approve",
    "approves",
    "approval granted",
    "permitted",
    "cleared",
    "accepted",
    "authorized",
    "authorised",
    "lgtm",
    "be deployed now",
    "ready to be",
    "ship it",
    "merge it",
    "deploy it",
    "go ahead",
    "good to go",
    "green light",
    "safe to deploy",
    "safe to merge",
    "safe to release",
    "safe to ship",
    "safe to proceed",
    "safe to go",
    "is safe",
    "passed",
    "passes",
    "no problem",
    "no problems",
    "no issue",
    "no issues",
    "nothing wrong",
];

/// With [`GOES`], what says that a deployment may go: "may be deployed", "can proceed".
const MAY: &[&str] = &["may", "can", "could", "should", "will", "shall"];

/// See [`MAY`].
const GOES: &[&str] = &[
    "be deployed",
    "be merged",
    "be released",
    "be shipped",
    "be accepted",
    "proceed",
    "go",
    "ship",
    "deploy",
    "merge",
    "release",
];

/// What says that a deployment must not go.
const BLOCKS: &[&str] = &[
    "blocked",
    "block",
    "blocks",
    "rejected",
    "reject",
    "denied",
    "forbidden",
    "prohibited",
    "refused",
    "not be deployed",
    "not be merged",
    "not be released",
    "cannot be deployed",
    "cannot go",
    "must not go",
    "do not deploy",
    "don t deploy",
    "not safe to deploy",
    "unsafe to deploy",
];

/// What says that a person must look first.
const REVIEWS: &[&str] = &[
    "needs review",
    "needs a review",
    "needs a person s review",
    "needs human review",
    "needs manual review",
    "requires review",
    "requires a review",
    "requires human review",
    "requires manual review",
    "must be reviewed",
    "awaiting review",
    "pending review",
    "verdict is review",
];

/// Words before a phrase that turn it round: "not allowed", "must not be deployed".
const NOT: &[&str] = &["not", "cannot", "never", "isn t", "can t", "mustn t", "shouldn t", "won t"];

/// How texts say a verdict, by the first word of each phrase.
#[derive(Clone, Debug)]
pub(crate) struct Sayings {
    phrases: HashMap<String, Vec<Saying>>,
    /// What turns a phrase round when it stands right before it.
    not: Vec<Vec<String>>,
}

#[derive(Clone, Debug)]
struct Saying {
    verdict: Verdict,
    /// The words behind the first.
    rest: Vec<String>,
}

impl Sayings {
    /// As they are said in English.
    pub(crate) fn english() -> Self {
        let mut sayings = Self { phrases: HashMap::new(), not: Vec::new() };
        for (verdict, phrases) in [(Verdict::Allow, ALLOWS), (Verdict::Review, REVIEWS), (Verdict::Block, BLOCKS)] {
            phrases.iter().for_each(|phrase| sayings.add(verdict, phrase));
        }
        for may in MAY {
            GOES.iter().for_each(|goes| sayings.add(Verdict::Allow, &format!("{may} {goes}")));
        }
        NOT.iter().for_each(|not| sayings.add_not(not));
        sayings
    }

    /// `phrase` says that verdict, too.
    pub(crate) fn add(&mut self, verdict: Verdict, phrase: &str) {
        let phrase = words(phrase);
        let mut words = phrase.split_whitespace().map(str::to_owned);
        let Some(first) = words.next() else { return };
        self.phrases.entry(first).or_default().push(Saying { verdict, rest: words.collect() });
    }

    /// `phrase` turns round what follows it.
    pub(crate) fn add_not(&mut self, phrase: &str) {
        self.not.push(words(phrase).split_whitespace().map(str::to_owned).collect());
    }

    /// Whether `text` asserts another verdict than `verdict`.
    pub(crate) fn assert_another(&self, text: &str, verdict: Verdict) -> bool {
        let shouted = text.split(|c: char| !c.is_alphanumeric()).any(|word| {
            Verdict::ALL.into_iter().any(|other| {
                other != verdict && word.strip_prefix(other.name()).is_some_and(|rest| matches!(rest, "" | "S" | "ED"))
            })
        });
        if shouted {
            return true;
        }
        let text = words(text);
        let words: Vec<&str> = text.split_whitespace().collect();
        words.iter().enumerate().any(|(at, first)| {
            let said = self.phrases.get(*first).into_iter().flatten();
            said.filter(|saying| saying.verdict != verdict)
                .any(|saying| begins(&words[at + 1..], &saying.rest) && !self.is_turned_round(&words[..at]))
        })
    }

    fn is_turned_round(&self, before: &[&str]) -> bool {
        self.not.iter().any(|not| before.len() >= not.len() && begins(&before[before.len() - not.len()..], not))
    }
}

fn begins(words: &[&str], phrase: &[String]) -> bool {
    words.len() >= phrase.len() && words.iter().zip(phrase).all(|(word, other)| word == other)
}

/// `text` in lowercase words between spaces, with a lone dot for whatever ends a clause.
fn words(text: &str) -> String {
    let mut words = String::with_capacity(text.len() + 16);
    for c in text.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            words.push(c);
        } else if matches!(c, '.' | ',' | ';' | ':' | '!' | '?' | '(' | ')' | '"') {
            words.push_str(" . ");
        } else {
            words.push(' ');
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, agrees_with: &[Verdict]) {
        for verdict in Verdict::ALL {
            assert_eq!(
                !Sayings::english().assert_another(text, verdict),
                agrees_with.contains(&verdict),
                "{text:?} under {verdict}"
            );
        }
    }

    #[test]
    fn a_text_is_held_against_the_verdict_it_explains() {
        use Verdict::{Allow, Block, Review};
        check("An AWS key is in config/prod.env.", &[Allow, Review, Block]);
        check("The security group allows traffic from everywhere.", &[Allow, Review, Block]);
        check("The verdict is BLOCK.", &[Block]);
        check("BLOCKED because of a key.", &[Block]);
        check("The deployment is blocked: a key leaked.", &[Block]);
        check("The deployment is Approved!", &[Allow]);
        check("It may be deployed.", &[Allow]);
        check("It would be deployed on a Friday afternoon.", &[Allow, Review, Block]);
        check("You can now go ahead.", &[Allow]);
        check("It can proceed.", &[Allow]);
        check("It must not be deployed.", &[Block]);
        check("This is not safe to deploy.", &[Block]);
        check("This is safe to deploy.", &[Allow]);
        check("It is not allowed to go out.", &[Review, Block, Allow]);
        check("It is not only allowed but welcome.", &[Allow]);
        check("Why not? Allowed.", &[Allow]);
        check("It needs a person's review.", &[Review]);
        check("The verdict is allow-ed? ALLOW", &[Allow]);
        check("ALLOWED", &[Allow]);
        check("Not blocked.", &[Allow, Review, Block]);
    }
}
