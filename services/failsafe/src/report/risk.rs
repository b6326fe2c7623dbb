//! The risk, and the features that moved it.

use proto::v1;

use super::percent;
use crate::terminal::{Look, Sheet};

/// How many features are shown.
const FEATURES_MAX: usize = 5;
/// A feature that moves the odds by less is not shown.
const LOG_ODDS_MIN: f64 = 0.05;

pub(super) fn print(sheet: &mut Sheet, known: &v1::GetDeploymentResponse) {
    let Some(signal) = known.signals.iter().find(|signal| signal.source() == v1::Source::MlScoring) else { return };
    sheet.space();
    let score = match &signal.said {
        Some(v1::signal::Said::RiskScore(score)) => score,
        Some(v1::signal::Said::Unavailable(unavailable)) => {
            sheet.item(2, (Look::Bold, "Risk unknown"), Look::Plain, &unavailable.reason);
            return;
        }
        _ => return,
    };
    let typical = 1.0 / (1.0 + (-score.base_log_odds).exp());
    let is_scenario = score.grounds.as_ref().is_some_and(|g| g.provenance() == v1::Provenance::SyntheticPrior);
    let (name, what) = if is_scenario { ("Scenario", "chosen, not measured") } else { ("Risk", "that it fails") };
    let mut words = format!(
        "{what}, where {} is typical{}",
        percent(typical),
        if score.rank.is_some() { " of this repository" } else { "" }
    );
    if let Some(lift) = score.lift {
        words.push_str(&format!("; {lift:.1} times this repository's own rate"));
    }
    if let Some(rank) = score.rank {
        words.push_str(&format!(
            "; riskier than {:.0} % of this repository's latest {} deployments",
            rank.percentile * 100.0,
            rank.among
        ));
    }
    sheet.item(2, (Look::Bold, &format!("{name} {}", percent(score.risk))), Look::Plain, &words);
    let matter = |contribution: &&v1::Contribution| contribution.log_odds.abs() >= LOG_ODDS_MIN;
    let shown: Vec<_> = score.contributions.iter().filter(matter).take(FEATURES_MAX).collect();
    for contribution in &shown {
        let look = if contribution.log_odds > 0.0 { Look::Doubtful } else { Look::Good };
        sheet.item(4, (look, &factor(contribution.log_odds)), Look::Plain, &contribution.words);
    }
    let rest = score.contributions.len() - shown.len();
    if rest > 0 {
        let log_odds: f64 = score.contributions.iter().map(|contribution| contribution.log_odds).sum::<f64>()
            - shown.iter().map(|contribution| contribution.log_odds).sum::<f64>();
        let words = if rest == 1 { "one other".to_owned() } else { format!("all {rest} others together") };
        sheet.item(4, (Look::Dim, &factor(log_odds)), Look::Dim, &words);
    }
    if let Some(grounds) = &score.grounds {
        sheet.paragraph(4, Look::Plain, &alike(grounds));
    }
    let mut model = format!("model {}", signal.basis);
    if !score.provenance.is_empty() {
        model.push_str(&format!(", {}", score.provenance));
    }
    if !score.unknown.is_empty() {
        let count = score.unknown.len();
        model
            .push_str(&format!("; {count} of its features {} not known here", if count == 1 { "was" } else { "were" }));
    }
    sheet.paragraph(4, Look::Dim, &model);
}

/// What became of deployments with about the same risk.
fn alike(grounds: &v1::Grounds) -> String {
    let (alike, failed) = (grounds.alike, grounds.alike_failures);
    let interval = format!("{} to {}", percent(grounds.low), percent(grounds.high));
    match grounds.provenance() {
        v1::Provenance::SyntheticPrior => format!(
            "of {alike} generated deployments with such a score {failed} were drawn as failures; nothing of it was measured"
        ),
        v1::Provenance::Blended => format!(
            "a chosen scenario, corrected by few outcomes: of {alike} other deployments with such a risk {failed} failed, so \
             {interval} of them do (95 %)"
        ),
        v1::Provenance::Learned | v1::Provenance::Unspecified => {
            format!("of {alike} other deployments with such a risk {failed} failed, so {interval} of them do (95 %)")
        }
    }
}

/// By how much the odds of a failure are multiplied.
fn factor(log_odds: f64) -> String {
    format!("×{:<4.2}", log_odds.exp())
}
