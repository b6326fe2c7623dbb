//! The enumerations. Zero is `_UNSPECIFIED` and is refused, as is a number that a newer sender may know.

use domain::{
    Category, Cause, Confidence, FileChangeKind, OutcomeKind, Provenance, ReviewDecision, Severity, Source,
    SuppressedBy, Verdict,
};

use crate::{Malformed, v1};

macro_rules! enumeration {
    ($to:ident, $from:ident, $domain:ident, $wire:ident, $($variant:ident = $number:ident),+) => {
        pub(crate) fn $to(value: $domain) -> i32 {
            match value { $($domain::$variant => v1::$wire::$number as i32),+ }
        }

        pub(crate) fn $from(field: &str, value: i32) -> Result<$domain, Malformed> {
            match v1::$wire::try_from(value) {
                $(Ok(v1::$wire::$number) => Ok($domain::$variant),)+
                Ok(v1::$wire::Unspecified) => Err(Malformed::new(field, "is required")),
                Err(_) => Err(Malformed::new(field, format!("{value} is not a known value"))),
            }
        }
    };
}

enumeration!(verdict_to, verdict_from, Verdict, Verdict, Allow = Allow, Review = Review, Block = Block);
enumeration!(
    cause_to,
    cause_from,
    Cause,
    Cause,
    Complete = Complete,
    Deadline = Deadline,
    Late = Late,
    Review = Review
);
enumeration!(source_to, source_from, Source, Source, StaticAnalysis = StaticAnalysis, MlScoring = MlScoring);
enumeration!(confidence_to, confidence_from, Confidence, Confidence, Low = Low, Medium = Medium, High = High);
enumeration!(
    suppressed_by_to,
    suppressed_by_from,
    SuppressedBy,
    SuppressedBy,
    Comment = Comment,
    Path = Path,
    Baseline = Baseline
);
enumeration!(
    provenance_to,
    provenance_from,
    Provenance,
    Provenance,
    SyntheticPrior = SyntheticPrior,
    Blended = Blended,
    Learned = Learned
);
enumeration!(
    decision_to,
    decision_from,
    ReviewDecision,
    ReviewDecision,
    Approved = Approved,
    Rejected = Rejected,
    Emergency = Emergency
);
enumeration!(
    category_to,
    category_from,
    Category,
    Category,
    Secret = Secret,
    Migration = Migration,
    Infrastructure = Infrastructure,
    Code = Code
);
enumeration!(
    severity_to,
    severity_from,
    Severity,
    Severity,
    Info = Info,
    Low = Low,
    Medium = Medium,
    High = High,
    Critical = Critical
);
enumeration!(
    file_kind_to,
    file_kind_from,
    FileChangeKind,
    FileChangeKind,
    Added = Added,
    Modified = Modified,
    Deleted = Deleted,
    Renamed = Renamed,
    Copied = Copied
);
enumeration!(
    outcome_to,
    outcome_from,
    OutcomeKind,
    OutcomeKind,
    Succeeded = Succeeded,
    Failed = Failed,
    RolledBack = RolledBack
);
