//! Findings that do not count: those that somebody has answered for until a day, and those that were there before.

use domain::{Analysis, Circumstances, Finding, Reason, Verdict};
use jiff::civil::Date;

use super::facts::Facts;
use super::file::{Checked, Waiver};
use super::judge::evidence_of_finding;

impl Waiver {
    fn covers(&self, finding: &Finding, repository: &str) -> bool {
        self.rule.as_ref().is_none_or(|rule| rule.is_match(&finding.rule_id))
            && self.fingerprint.as_ref().is_none_or(|fingerprint| *fingerprint == finding.fingerprint)
            && self.path.as_ref().is_none_or(|path| path.is_match(&finding.path))
            && self.repository.as_ref().is_none_or(|wanted| wanted.is_match(repository))
    }
}

impl Checked {
    /// The findings that count, and a reason for each that does not: shown, never hidden.
    pub(crate) fn set_aside<'a>(
        &self,
        facts: &Facts<'_>,
        analysis: &'a Analysis,
        circumstances: &Circumstances,
    ) -> (Vec<&'a Finding>, Vec<Reason>) {
        let (mut counting, mut reasons, mut known) = (Vec::new(), Vec::new(), Vec::new());
        let repository = facts.deployment.map_or("", |deployment| deployment.repository.as_str());
        let today = facts.at.date();
        for finding in analysis.findings.iter().filter(|finding| finding.suppression.is_none()) {
            let waivers: Vec<&Waiver> =
                self.waivers.iter().filter(|waiver| waiver.covers(finding, repository)).collect();
            // Of several, the one that holds longest.
            let longest = waivers.into_iter().max_by_key(|waiver| waiver.expires);
            match longest {
                Some(waiver) if waiver.expires >= today => reasons.push(self.waived(finding, waiver, today)),
                _ if circumstances.known_findings.contains(&finding.fingerprint) => known.push(finding),
                expired => {
                    reasons.extend(expired.map(|waiver| ended(finding, waiver)));
                    counting.push(finding);
                }
            }
        }
        if !known.is_empty() {
            reasons.push(was_there(&known));
        }
        (counting, reasons)
    }

    fn waived(&self, finding: &Finding, waiver: &Waiver, today: Date) -> Reason {
        let days = (waiver.expires - today).get_days();
        let soon = match i64::from(days) {
            0 => "; the waiver ends today".to_owned(),
            1 => "; the waiver ends tomorrow".to_owned(),
            days if days <= self.waiver_notice_days => format!("; the waiver ends in {days} days"),
            _ => String::new(),
        };
        let Waiver { owner, reason, expires, .. } = waiver;
        aside(
            "waiver",
            format!("{} is waived until {expires} by {owner}: {reason}{soon}", finding.rule_id),
            expires.to_string(),
            &[finding],
        )
    }
}

fn ended(finding: &Finding, waiver: &Waiver) -> Reason {
    let Waiver { owner, expires, .. } = waiver;
    let message = format!("{} counts again: the waiver of {owner} ended on {expires}", finding.rule_id);
    aside("waiver.ended", message, expires.to_string(), &[finding])
}

fn was_there(known: &[&Finding]) -> Reason {
    let message = match known {
        [one] => format!("{} was there before this deployment", one.rule_id),
        several => format!("{} findings were there before this deployment", several.len()),
    };
    aside("known.findings", message, "new findings only".to_owned(), known)
}

fn aside(rule: &str, message: String, threshold: String, findings: &[&Finding]) -> Reason {
    Reason {
        rule: rule.to_owned(),
        effect: Verdict::Allow,
        message,
        measured: findings.first().map_or("", |finding| finding.severity.name()).to_owned(),
        threshold,
        evidence: findings.iter().map(|finding| evidence_of_finding(finding)).collect(),
    }
}
