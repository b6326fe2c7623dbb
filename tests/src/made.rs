//! Deployments as people make them: a few files of several languages, about 4 KB of diff, no two the same.

use std::fmt::Write as _;

use domain::{DeploymentId, PullRequest, Repository, Revision};
use fastrand::Rng;
use proto::v1;
use proto::v1::submit_deployment_request::Change;

const REPOSITORIES: u32 = 50;
const AUTHORS: u32 = 200;
/// How long a diff becomes, about, in bytes.
const DIFF_BYTES: usize = 4_000;
/// One of so many holds something that static analysis finds.
const ONE_FOUND_OF: u32 = 16;
const WORDS: [&str; 16] = [
    "order", "basket", "invoice", "customer", "address", "payment", "stock", "parcel", "refund", "coupon", "session",
    "report", "export", "mailer", "search", "ledger",
];
/// Name endings, and a line of each language with places for words.
const LANGUAGES: [(&str, [&str; 4]); 4] = [
    (
        "rs",
        [
            "    let {a} = self.{b}.find(&{a}_id).await?;",
            "    /// Gives the {a} of a {b}, newest first.",
            "    if {a}.is_empty() { return Ok(Vec::new()); }",
            "    tracing::debug!({a} = %{b}, \"read\");",
        ],
    ),
    (
        "py",
        [
            "    {a} = self.{b}.objects.filter(state=\"open\").first()",
            "    # The {a} is kept until its {b} has been told.",
            "    for {a} in self.{b}.pages(limit=100):",
            "        return render(request, \"{b}/{a}.html\", {\"{a}\": {a}})",
        ],
    ),
    (
        "ts",
        [
            "  const {a} = await this.{b}Service.load({a}Id);",
            "  expect({a}.{b}).toEqual(expected.{b});",
            "  return { ...state, {a}: action.{b} };",
            "  // Shown only when the {b} has a {a}.",
        ],
    ),
    (
        "yaml",
        [
            "  {a}_{b}_limit: 250",
            "  - name: {a}-{b}",
            "    description: how long a {a} waits for its {b}",
            "    enabled: true",
        ],
    ),
];

/// A submission, and the deployment that it is.
#[derive(Clone, Debug)]
pub struct Made {
    /// Its id.
    pub id: DeploymentId,
    /// As it is submitted.
    pub request: v1::SubmitDeploymentRequest,
}

/// Deployment number `number`: always the same.
///
/// # Panics
/// Never: what is made is valid.
#[must_use]
pub fn deployment(number: u32) -> Made {
    let mut rng = Rng::with_seed(u64::from(number));
    let repository = format!("load/repository-{}", number % REPOSITORIES);
    let pull_request = number / REPOSITORIES + 1;
    let revision = format!("{number:040x}");
    let id = DeploymentId::derive(
        &Repository::parse(&repository).expect("a repository"),
        PullRequest::new(pull_request).expect("a number"),
        &Revision::parse(&revision).expect("a revision"),
    );
    let request = v1::SubmitDeploymentRequest {
        repository,
        pull_request,
        revision,
        title: format!("{} of the {}", word(&mut rng), word(&mut rng)),
        author: format!("author-{}", rng.u32(..AUTHORS)),
        change: Some(Change::Diff(diff(&mut rng))),
        ..Default::default()
    };
    Made { id, request }
}

fn word(rng: &mut Rng) -> &'static str {
    WORDS[rng.usize(..WORDS.len())]
}

fn diff(rng: &mut Rng) -> String {
    let mut text = String::with_capacity(DIFF_BYTES + 512);
    while text.len() < DIFF_BYTES {
        let (ending, lines) = &LANGUAGES[rng.usize(..LANGUAGES.len())];
        let path = format!("src/{}/{}_{}.{ending}", word(rng), word(rng), rng.u16(..));
        let (removed, added, context) = (rng.usize(0..4), rng.usize(4..16), 3);
        let first = rng.usize(1..500);
        let (old, new) = (removed + context, added + context);
        write!(text, "diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -{first},{old} +{first},{new} @@\n")
            .expect("a string takes every write");
        let mut put = |sign: char, rng: &mut Rng| {
            let line = lines[rng.usize(..lines.len())].replace("{a}", word(rng)).replace("{b}", word(rng));
            text.push(sign);
            text.push_str(&line);
            text.push('\n');
        };
        (0..context).for_each(|_| put(' ', rng));
        (0..removed).for_each(|_| put('-', rng));
        (0..added).for_each(|_| put('+', rng));
    }
    if rng.u32(..ONE_FOUND_OF) == 0 {
        let name = word(rng);
        write!(
            text,
            "diff --git a/{name}/Dockerfile b/{name}/Dockerfile\n--- a/{name}/Dockerfile\n+++ b/{name}/Dockerfile\n"
        )
        .expect("a string takes every write");
        write!(text, "@@ -1,2 +1,2 @@\n-FROM {name}:{}\n+FROM {name}:latest\n WORKDIR /{name}\n", rng.u16(..))
            .expect("a string takes every write");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_diffs_read_to_their_end_and_are_of_the_size_that_is_told() {
        for number in 0..200 {
            let made = deployment(number);
            let Some(Change::Diff(diff)) = made.request.change else { panic!("a diff") };
            assert!((DIFF_BYTES..DIFF_BYTES * 2).contains(&diff.len()), "{}", diff.len());
            assert!(!domain::diff::changes(&diff).unwrap().is_empty());
        }
    }
}
