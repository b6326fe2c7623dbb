//! What can be asked of the audit trail, and what it answers.

use time::OffsetDateTime;

use crate::deployment::Deployment;
use crate::explanation::Explanation;
use crate::identity::DeploymentId;
use crate::record::{AgainstVerdict, Outcome, Review, ReviewDecision};
use crate::signal::{Risk, Signal};
use crate::verdict::{Reached, Verdict};

/// Everything that is known of one deployment.
#[derive(Clone, Debug, PartialEq)]
pub struct Dossier {
    /// The deployment, without its diff; `None` until its acceptance is stored.
    pub deployment: Option<Deployment>,
    /// How far it is.
    pub progress: Progress,
    /// The signal that counts of each source.
    pub signals: Vec<Signal>,
    /// All verdicts, the latest first, without what they rest on.
    pub verdicts: Vec<Reached>,
    /// All explanations, those of the latest verdict first, and of these the latest.
    pub explanations: Vec<Explanation>,
    /// Reviews, oldest first.
    pub reviews: Vec<Review>,
    /// Outcomes, oldest first.
    pub outcomes: Vec<Outcome>,
    /// The newer deployment of the same pull request.
    pub superseded_by: Option<DeploymentId>,
    /// When a verdict is reached at the latest; `None` while no acceptance and no signal asks for one.
    pub deadline_at: Option<OffsetDateTime>,
    /// What stood against it when it was deployed all the same, by the outcome that was filed last.
    pub against_verdict: Option<AgainstVerdict>,
    /// The trace that followed it through all services, in 32 hexadecimal digits; `None` when none was kept.
    pub trace_id: Option<String>,
}

/// A verdict in a form that others can check without asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// The DSSE envelope, in JSON.
    pub envelope: String,
    /// Which key signed it; `None` when it is unsigned.
    pub key_id: Option<String>,
    /// The verdict that it attests.
    pub verdict: Verdict,
}

/// How far a deployment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Progress {
    /// Signals are awaited.
    AwaitingSignals,
    /// There is a verdict.
    Decided,
    /// The latest verdict is explained.
    Explained,
}

/// A deployment in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Its id.
    pub id: DeploymentId,
    /// The repository's path; empty until the acceptance is stored, as are the next four.
    pub repository: String,
    /// The pull request's number.
    pub pull_request: u32,
    /// The head commit.
    pub revision: String,
    /// The title.
    pub title: String,
    /// The author.
    pub author: String,
    /// When the first word of it was stored.
    pub received_at: OffsetDateTime,
    /// How far it is.
    pub progress: Progress,
    /// The latest verdict and its number.
    pub verdict: Option<(Verdict, u32)>,
    /// The risk, once it is known.
    pub risk: Option<Risk>,
    /// The newer deployment of the same pull request.
    pub superseded_by: Option<DeploymentId>,
    /// What stood against it when it was deployed all the same.
    pub against_verdict: Option<AgainstVerdict>,
    /// What a person decided instead of the policy.
    pub overruled: Option<ReviewDecision>,
    /// Until when somebody else has to have looked at an emergency.
    pub review_due: Option<OffsetDateTime>,
}

/// In which order deployments are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The newest first.
    #[default]
    Newest,
    /// The riskiest first, of equal ones the newest; those of unknown risk last.
    Riskiest,
}

/// Which deployments are wanted, and in which order. Every filter that is set must match.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListQuery {
    /// Most deployments on the page, 1 to [`ListQuery::PAGE_SIZE_MAX`].
    pub page_size: u32,
    /// Only those behind this place.
    pub behind: Option<Place>,
    /// Only of this repository.
    pub repository: Option<String>,
    /// Only of this pull request.
    pub pull_request: Option<u32>,
    /// Only those whose latest verdict is this one.
    pub verdict: Option<Verdict>,
    /// Only those received at or after this time.
    pub since: Option<OffsetDateTime>,
    /// Only those received before this time.
    pub until: Option<OffsetDateTime>,
    /// Only those that were deployed against their verdict, or without one.
    pub against_verdict: bool,
    /// Only those whose latest verdict is a person's and not the policy's.
    pub overruled: bool,
    /// Only those that went out in an emergency and that nobody else has looked at yet.
    pub owing_review: bool,
    /// Only of this author.
    pub author: Option<String>,
    /// Only those whose risk is at least this.
    pub min_risk: Option<Risk>,
    /// Only those in which static analysis found something by this rule.
    pub rule_id: Option<String>,
    /// In which order.
    pub order: Order,
}

impl ListQuery {
    /// How many deployments a page holds when nobody says.
    pub const PAGE_SIZE_DEFAULT: u32 = 50;
    /// The largest page.
    pub const PAGE_SIZE_MAX: u32 = 1_000;
}

/// A place in the list, which stays where it is while other deployments come in before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// The risk of the deployment at this place, by which the riskiest come first; `None` while it is unknown.
    pub risk: Option<Risk>,
    /// When it was received.
    pub received_at: OffsetDateTime,
    /// Which one it is.
    pub id: DeploymentId,
}

/// A page of the list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The deployments, in the order of the query.
    pub deployments: Vec<Summary>,
    /// Where the next page begins; `None` behind the last.
    pub next: Option<Place>,
}
