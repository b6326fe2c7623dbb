//! What people and tools tell afterwards: reviews and outcomes.

use time::OffsetDateTime;

use crate::identity::{DeploymentId, EventId, RequestId};

/// A person's decision on a REVIEW, or against a BLOCK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// About which deployment.
    pub deployment_id: DeploymentId,
    /// About the verdict of which number.
    pub verdict_number: u32,
    /// What was decided.
    pub decision: ReviewDecision,
    /// By whom.
    pub reviewer: String,
    /// Why.
    pub why: String,
    /// When.
    pub reviewed_at: OffsetDateTime,
    /// The evidence that the reviewer saw, as the verdict gives it; empty when nobody said.
    pub evidence_digest: String,
    /// The policy that the reviewer saw, as the verdict gives it; empty when nobody said.
    pub policy_digest: String,
    /// By which the caller told this request from others; `None` when each is one of its own.
    pub request: Option<RequestId>,
    /// Who recorded it, as the front door found out; empty when it did not ask.
    pub recorded_by: String,
}

impl Review {
    /// The kind of event that carries a review.
    pub const KIND: &'static str = "review.recorded";

    /// The id of the event that carries this review.
    #[must_use]
    pub fn event_id(&self) -> EventId {
        if let Some(request) = self.request {
            return EventId::of_request(Self::KIND, self.deployment_id, request);
        }
        let number = self.verdict_number.to_string();
        let at = self.reviewed_at.unix_timestamp_nanos().to_string();
        EventId::derive(Self::KIND, self.deployment_id, &[&number, &self.reviewer, self.decision.name(), &at])
    }
}

/// What a reviewer decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReviewDecision {
    /// It may be deployed.
    Approved,
    /// It must not.
    Rejected,
    /// It must go out at once; somebody else looks at it afterwards.
    Emergency,
}

impl ReviewDecision {
    /// The decision of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|decision| decision.name() == name)
    }

    /// All of them.
    pub const ALL: [Self; 3] = [Self::Approved, Self::Rejected, Self::Emergency];

    /// Its name in lowercase.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Emergency => "emergency",
        }
    }
}

/// What happened in production.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// To which deployment.
    pub deployment_id: DeploymentId,
    /// What happened.
    pub kind: OutcomeKind,
    /// Details for people; empty when there are none.
    pub detail: String,
    /// Who or what says so.
    pub reporter: String,
    /// When it happened.
    pub occurred_at: OffsetDateTime,
    /// By which the caller told this request from others; `None` when nobody said.
    pub request: Option<RequestId>,
    /// Who recorded it, as the front door found out; empty when it did not ask.
    pub recorded_by: String,
}

impl Outcome {
    /// The kind of event that carries an outcome.
    pub const KIND: &'static str = "outcome.recorded";

    /// The id of the event that carries this outcome.
    #[must_use]
    pub fn event_id(&self) -> EventId {
        if let Some(request) = self.request {
            return EventId::of_request(Self::KIND, self.deployment_id, request);
        }
        let at = self.occurred_at.unix_timestamp_nanos().to_string();
        EventId::derive(Self::KIND, self.deployment_id, &[self.kind.name(), &self.reporter, &at])
    }
}

/// What happened in production.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutcomeKind {
    /// It works.
    Succeeded,
    /// It failed and was repaired forward.
    Failed,
    /// It failed and was taken back.
    RolledBack,
}

impl OutcomeKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Succeeded, Self::Failed, Self::RolledBack];

    /// Its name in lowercase.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::RolledBack => "rolled_back",
        }
    }
}

/// What stood against a deployment that happened all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AgainstVerdict {
    /// The latest verdict by then was BLOCK.
    Block,
    /// The latest verdict by then was REVIEW, and nobody had approved it.
    Review,
    /// There was no verdict by then.
    None,
}

impl AgainstVerdict {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Block, Self::Review, Self::None];

    /// Its name: the verdict's, or `none`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Block => "BLOCK",
            Self::Review => "REVIEW",
            Self::None => "none",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|against| against.name() == name)
    }
}
