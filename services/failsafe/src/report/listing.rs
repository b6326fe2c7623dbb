//! A page of deployments as a table.

use proto::v1;

use super::{against, percent, to_the_second, verdict_look};
use crate::terminal::{Look, Sheet, Style};

/// One line for each deployment, newest first.
pub(crate) fn listing(page: &v1::ListDeploymentsResponse, style: Style) -> String {
    let mut sheet = Sheet::new(style);
    if page.deployments.is_empty() {
        sheet.paragraph(0, Look::Plain, "no deployments");
    }
    for found in &page.deployments {
        let (look, verdict, _) = verdict_look(found.verdict());
        let received = found.received_at.map(|at| to_the_second(at.seconds)).unwrap_or_default();
        let risk = found.risk.map(percent).unwrap_or_default();
        let superseded = if found.superseded_by.is_empty() { "" } else { " (superseded)" };
        let against = against(found.against_verdict()).map(|words| format!(" ({words})")).unwrap_or_default();
        let name = format!("{} #{}", found.repository, found.pull_request);
        let overruled = overruled(found);
        let words = format!("{risk:>7}  {received}  {name}  {}{superseded}{against}{overruled}", found.title);
        sheet.row(&[(Look::Dim, &found.deployment_id), (look, &format!("{verdict:<6}")), (Look::Plain, &words)]);
    }
    if !page.next_page_token.is_empty() {
        sheet.paragraph(0, Look::Dim, &format!("there are more: --page-token {}", page.next_page_token));
    }
    sheet.into_text()
}

/// Whose verdict it is, where it is not the policy's.
fn overruled(found: &v1::DeploymentSummary) -> String {
    let who = match found.overruled() {
        v1::ReviewDecision::Unspecified => return String::new(),
        v1::ReviewDecision::Approved => "approved by a person",
        v1::ReviewDecision::Rejected => "rejected by a person",
        v1::ReviewDecision::Emergency => "an emergency",
    };
    let due =
        found.review_due.map(|due| format!(", owes a review by {}", to_the_second(due.seconds))).unwrap_or_default();
    format!(" ({who}{due})")
}
