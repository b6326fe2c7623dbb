//! What people decided: which of their reviews count, and what these make of the policy's verdict.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Approvals, Evidence, Overruled, Reason, Review, ReviewDecision, Verdict};
use time::{Duration, OffsetDateTime};

use super::file::Checked;
use super::judge::Ruling;

/// A review, and the verdict that it was given for.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// What was decided.
    pub review: Review,
    /// The evidence and the policy of the verdict that it is about, as digests; `None` when there is no such verdict.
    pub for_verdict: Option<(String, String)>,
}

/// What is judged now, as an approval has to match it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound<'a> {
    pub(crate) evidence_digest: &'a str,
    pub(crate) policy_digest: &'a str,
    pub(crate) author: &'a str,
}

impl Checked {
    /// Hears the reviews in the order in which they were given; the latest of each person counts.
    pub(crate) fn hear(&self, ruling: &mut Ruling, given: &[Given], bound: Bound<'_>) -> Option<Overruled> {
        let mut latest: BTreeMap<&str, &Review> = BTreeMap::new();
        let mut ordered: Vec<&Given> = given.iter().collect();
        ordered.sort_by_key(|one| (one.review.reviewed_at, one.review.event_id()));
        for one in ordered {
            match self.is_void(one, ruling, bound) {
                Some(why) => ruling.reasons.push(void(&one.review, &why)),
                None => {
                    let kept = latest.get(one.review.reviewer.as_str());
                    let stays = kept.is_some_and(|kept| kept.decision == ReviewDecision::Emergency)
                        && one.review.decision == ReviewDecision::Approved;
                    if stays {
                        let why = "who lets something out in an emergency cannot be the one who looks at it afterwards";
                        ruling.reasons.push(void(&one.review, why));
                    } else {
                        latest.insert(&one.review.reviewer, &one.review);
                    }
                }
            }
        }
        let of = |decision| -> Vec<&Review> {
            latest.values().copied().filter(|review| review.decision == decision).collect()
        };
        let (rejected, emergency, approved) =
            (of(ReviewDecision::Rejected), of(ReviewDecision::Emergency), of(ReviewDecision::Approved));
        let overruled = if !rejected.is_empty() {
            overrule(ruling, ReviewDecision::Rejected, &rejected, None)
        } else if !emergency.is_empty() && ruling.verdict > Verdict::Allow {
            let due = if approved.is_empty() { self.review_due(&emergency) } else { None };
            let heard: Vec<&Review> = emergency.iter().chain(&approved).copied().collect();
            overrule(ruling, ReviewDecision::Emergency, &heard, due)
        } else if self.suffice(ruling, &approved) {
            overrule(ruling, ReviewDecision::Approved, &approved, None)
        } else {
            None
        };
        ruling.reasons.sort_by_key(|reason| std::cmp::Reverse(reason.effect));
        overruled
    }

    /// Why a review counts for nothing, if so.
    fn is_void(&self, given: &Given, ruling: &Ruling, bound: Bound<'_>) -> Option<String> {
        let Given { review, for_verdict } = given;
        let Some((evidence, policy)) = for_verdict else {
            return Some(format!("there was no verdict {} when it was judged", review.verdict_number));
        };
        let other = |seen: &str, in_force: &str| !seen.is_empty() && seen != in_force;
        if evidence != bound.evidence_digest || other(&review.evidence_digest, bound.evidence_digest) {
            return Some("it was given for other evidence than there is now".to_owned());
        }
        if policy != bound.policy_digest || other(&review.policy_digest, bound.policy_digest) {
            return Some("it was given under another policy".to_owned());
        }
        let who = review.reviewer.as_str();
        match review.decision {
            // Whoever says stop is heard.
            ReviewDecision::Rejected => None,
            ReviewDecision::Emergency => match &self.emergency {
                None => Some("the policy has no [emergency]".to_owned()),
                Some(emergency) if !self.is_in(&emergency.by, who) => Some(format!("{who} is not in {}", emergency.by)),
                Some(_) => None,
            },
            ReviewDecision::Approved if ruling.verdict == Verdict::Block => match &self.overriding {
                None => Some("the policy lets nobody override a BLOCK: it has no [override]".to_owned()),
                Some(overriding) if !self.is_in(&overriding.by, who) => {
                    Some(format!("{who} is not in {}", overriding.by))
                }
                Some(_) => self.not_four_eyes(who, bound),
            },
            ReviewDecision::Approved => match ruling.approvals.as_slice() {
                wanted @ [first, ..] if !wanted.iter().any(|wanted| self.is_in(&wanted.by, who)) => {
                    Some(format!("{who} is not in {}", first.by))
                }
                _ => self.not_four_eyes(who, bound),
            },
        }
    }

    fn not_four_eyes(&self, who: &str, bound: Bound<'_>) -> Option<String> {
        if !self.four_eyes {
            None
        } else if bound.author.is_empty() {
            Some("the policy wants four eyes, and nobody knows who the author is".to_owned())
        } else if bound.author == who {
            Some("the policy wants four eyes, and the author cannot approve their own".to_owned())
        } else {
            None
        }
    }

    /// Counts the approvals, and says whether there are enough.
    fn suffice(&self, ruling: &mut Ruling, approved: &[&Review]) -> bool {
        if ruling.verdict == Verdict::Allow {
            return false;
        }
        if let (Verdict::Block, Some(overriding)) = (ruling.verdict, &self.overriding) {
            ruling.approvals = vec![Approvals { by: overriding.by.clone(), count: overriding.approvals, given: 0 }];
        }
        for wanted in &mut ruling.approvals {
            let given = approved.iter().filter(|review| self.is_in(&wanted.by, &review.reviewer)).count();
            wanted.given = u32::try_from(given).unwrap_or(u32::MAX);
        }
        !ruling.approvals.is_empty() && ruling.approvals.iter().all(|wanted| wanted.given >= wanted.count)
    }

    fn review_due(&self, emergency: &[&Review]) -> Option<OffsetDateTime> {
        let first = emergency.iter().map(|review| review.reviewed_at).min()?;
        let within = Duration::hours(i64::from(self.emergency.as_ref()?.review_within_hours));
        first.checked_add(within)
    }
}

/// Puts the people's decision in the place of the policy's verdict. Its reasons stay, as what was overruled.
fn overrule(
    ruling: &mut Ruling,
    decision: ReviewDecision,
    heard: &[&Review],
    review_due: Option<OffsetDateTime>,
) -> Option<Overruled> {
    let policy_verdict = ruling.verdict;
    let verdict = if decision == ReviewDecision::Rejected { Verdict::Block } else { Verdict::Allow };
    for review in heard {
        let (rule, said) = match review.decision {
            ReviewDecision::Approved => ("review.approved", "approves it"),
            ReviewDecision::Rejected => ("review.rejected", "rejects it"),
            ReviewDecision::Emergency => ("review.emergency", "lets it out in an emergency"),
        };
        ruling.reasons.push(Reason {
            rule: rule.to_owned(),
            effect: verdict,
            message: format!("{} {said}: {}", review.reviewer, review.why),
            measured: review.decision.name().to_owned(),
            threshold: policy_verdict.name().to_owned(),
            evidence: vec![about(review)],
        });
    }
    ruling.verdict = verdict;
    ruling.approvals.clear();
    let by: BTreeSet<String> = heard.iter().map(|review| review.reviewer.clone()).collect();
    Some(Overruled { policy_verdict, decision, by: by.into_iter().collect(), review_due })
}

fn void(review: &Review, why: &str) -> Reason {
    Reason {
        rule: "review.void".to_owned(),
        effect: Verdict::Allow,
        message: format!("what {} decided ({}) counts for nothing: {why}", review.reviewer, review.decision.name()),
        measured: review.decision.name().to_owned(),
        threshold: String::new(),
        evidence: vec![about(review)],
    }
}

fn about(review: &Review) -> Evidence {
    Evidence::Review { reviewer: review.reviewer.clone(), verdict_number: review.verdict_number }
}
