//! What went wrong, as a client learns it: a gRPC code, a sentence, and details of `google.rpc` that a program can read.
//!
//! The only place that chooses codes. Nothing internal passes here: that is for the log.

use std::time::Duration;

use chassis::{Ask, RefusalCode};
use domain::FieldViolation;
use proto::Malformed;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The domain of our reasons in `google.rpc.ErrorInfo`.
const DOMAIN: &str = "failsafe";
const NO_METADATA: [(String, String); 0] = [];
/// When a client may try again what could not be done just now.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How many violations travel in one status: it is sent as HTTP headers, of which some clients take 8 KiB.
const VIOLATIONS_MAX: usize = 16;
/// How many of them the message spells out.
const SPELLED_MAX: usize = 4;

/// Fields of a request are wrong.
pub(crate) fn invalid(violations: &[FieldViolation]) -> Status {
    let spelled = &violations[..violations.len().min(SPELLED_MAX)];
    let mut message = domain::submission::in_one_line(spelled);
    if let more @ 1.. = violations.len() - spelled.len() {
        message.push_str(&format!("; and {more} more"));
    }
    let mut details = ErrorDetails::new();
    for violation in violations.iter().take(VIOLATIONS_MAX) {
        details.add_bad_request_violation(&violation.field, &violation.description);
    }
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// A request has a field that cannot be read.
pub(crate) fn malformed(malformed: Malformed) -> Status {
    invalid(&[FieldViolation::new(malformed.field, malformed.problem)])
}

/// Nobody knows who calls.
pub(crate) fn unauthenticated(reason: &str, message: &str) -> Status {
    Status::with_error_details(
        Code::Unauthenticated,
        message,
        ErrorDetails::with_error_info(reason, DOMAIN, NO_METADATA),
    )
}

/// It is known who calls, and they may not; `missing` is what they lack.
pub(crate) fn denied<const N: usize>(reason: &str, message: &str, missing: [(&str, &str); N]) -> Status {
    let metadata = missing.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Status::with_error_details(Code::PermissionDenied, message, ErrorDetails::with_error_info(reason, DOMAIN, metadata))
}

/// Something that is needed is away; the same request may succeed later.
pub(crate) fn unavailable(reason: &str, message: &str) -> Status {
    try_again(Code::Unavailable, reason, message)
}

/// There is too much to do; the same request may succeed later.
pub(crate) fn exhausted(reason: &str, message: &str) -> Status {
    try_again(Code::ResourceExhausted, reason, message)
}

/// One client calls too often: after `wait` it may call again.
pub(crate) fn too_often(wait: Duration) -> Status {
    let message = "you make more calls than gateway.calls_per_second_max: slow down";
    try_again_after(wait, Code::ResourceExhausted, "TOO_MANY_CALLS", message)
}

/// Too many logins from one address failed: after `wait` it may try again.
pub(crate) fn too_many_failed_logins(wait: Duration) -> Status {
    let message = "too many logins from your address failed (gateway.failed_logins_per_minute_max): wait, and mend the credentials";
    try_again_after(wait, Code::ResourceExhausted, "TOO_MANY_FAILED_LOGINS", message)
}

/// More submissions wait than are decided in time: after `wait` half of those that may are expected to be gone.
pub(crate) fn backlogged(waiting: u64, backlog_max: u64, wait: Duration) -> Status {
    let message = format!(
        "{waiting} submissions wait to be decided, and {backlog_max} may (gateway.backlog_max): try again in {} s",
        wait.as_secs_f64().ceil()
    );
    try_again_after(wait, Code::ResourceExhausted, "BACKLOG_FULL", &message)
}

fn try_again(code: Code, reason: &str, message: &str) -> Status {
    try_again_after(RETRY_AFTER, code, reason, message)
}

fn try_again_after(wait: Duration, code: Code, reason: &str, message: &str) -> Status {
    let mut details = ErrorDetails::with_retry_info(Some(wait));
    details.set_error_info(reason, DOMAIN, NO_METADATA);
    Status::with_error_details(code, message, details)
}

/// The bus takes no event, or gives none.
pub(crate) fn bus_away() -> Status {
    unavailable("BUS_UNAVAILABLE", "the message bus cannot be reached, or has no room, now: try again")
}

/// Nobody answers for the audit trail.
pub(crate) fn audit_trail_away() -> Status {
    unavailable("DECISION_UNAVAILABLE", "the decision service, which keeps the audit trail, does not answer: try again")
}

/// This instance is about to end.
pub(crate) fn stopping() -> Status {
    unavailable("GATEWAY_STOPPING", "the gateway is stopping: watch again")
}

/// A call took too long.
pub(crate) fn too_late(limit: Duration) -> Status {
    Status::deadline_exceeded(format!("not done within {} ms", limit.as_millis()))
}

/// A question to the audit trail was not answered.
pub(crate) fn unanswered(ask: &Ask) -> Status {
    match ask {
        Ask::Unavailable(_) => audit_trail_away(),
        Ask::Refused(refusal) => match refusal.code {
            RefusalCode::Unavailable => audit_trail_away(),
            RefusalCode::NotFound => not_found(&refusal.message),
            RefusalCode::TooLong => {
                Status::resource_exhausted(format!("{}: ask for less of it by read_mask", refusal.message))
            }
            RefusalCode::Invalid => invalid(&[FieldViolation::new(&refusal.field, &refusal.message)]),
        },
    }
}

/// Nobody knows the deployment.
pub(crate) fn not_found(message: &str) -> Status {
    let details = ErrorDetails::with_error_info("DEPLOYMENT_NOT_FOUND", DOMAIN, NO_METADATA);
    Status::with_error_details(Code::NotFound, message, details)
}

/// What was reviewed is not what is in force any more.
pub(crate) fn outdated(message: &str) -> Status {
    let details = ErrorDetails::with_error_info("VERDICT_SUPERSEDED", DOMAIN, NO_METADATA);
    Status::with_error_details(Code::FailedPrecondition, message, details)
}

/// A request has fields that cannot be read.
pub(crate) fn all_malformed(malformed: Vec<Malformed>) -> Status {
    let violations: Vec<FieldViolation> =
        malformed.into_iter().map(|one| FieldViolation::new(one.field, one.problem)).collect();
    invalid(&violations)
}

/// What tonic says of a request that it could not read becomes what a client can act on: that the request is too long is no
/// `OUT_OF_RANGE`, and that it is no message of ours is not our internal error. No call of ours answers with these two codes.
pub(crate) fn of_unread(status: Status, bytes_max: usize) -> Status {
    match status.code() {
        Code::OutOfRange => too_long(bytes_max),
        Code::Internal => Status::invalid_argument(format!("the request cannot be read: {}", status.message())),
        _ => status,
    }
}

/// A request is too long.
pub(crate) fn too_long(bytes_max: usize) -> Status {
    Status::resource_exhausted(format!(
        "a request may have at most {bytes_max} bytes (gateway.diff_bytes_max and 1 MiB for the rest)"
    ))
}

/// The code as the gRPC specification writes it: `INVALID_ARGUMENT`.
pub(crate) fn name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// Whether a code is the fault of the server, by the OpenTelemetry conventions for gRPC.
pub(crate) const fn is_ours(code: Code) -> bool {
    use Code::{DataLoss, DeadlineExceeded, Internal, Unavailable, Unimplemented, Unknown};
    matches!(code, Unknown | DeadlineExceeded | Unimplemented | Internal | Unavailable | DataLoss)
}

#[cfg(test)]
mod tests {
    use chassis::Refusal;

    use super::*;

    fn violations(count: usize) -> Vec<FieldViolation> {
        (0..count).map(|index| FieldViolation::new(format!("labels[{index}]"), "is wrong")).collect()
    }

    #[test]
    fn every_wrong_field_is_a_violation_and_is_named_in_the_message() {
        let status =
            invalid(&[FieldViolation::new("repository", "is required"), FieldViolation::new("diff", "is cut")]);
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.message(), "repository: is required; diff: is cut");
        let request = status.get_details_bad_request().unwrap();
        let fields: Vec<_> = request.field_violations.iter().map(|one| (&*one.field, &*one.description)).collect();
        assert_eq!(fields, [("repository", "is required"), ("diff", "is cut")]);
    }

    #[test]
    fn a_status_fits_into_the_headers_of_every_client() {
        let long = FieldViolation::new("labels[99]", "x".repeat(150));
        let status = invalid(&vec![long; 105]);
        assert!(status.message().ends_with("; and 101 more"));
        assert_eq!(status.get_details_bad_request().unwrap().field_violations.len(), VIOLATIONS_MAX);
        assert!(status.message().len() + status.details().len() * 4 / 3 < 8 * 1024);
        assert_eq!(invalid(&violations(4)).message().matches("labels").count(), 4);
    }

    #[track_caller]
    fn check_unanswered(ask: Ask, code: Code, reason: Option<&str>, message: &str) {
        let status = unanswered(&ask);
        assert_eq!(status.code(), code);
        assert_eq!(status.get_details_error_info().map(|info| info.reason), reason.map(str::to_owned));
        assert_eq!(status.get_details_retry_info().is_some(), code == Code::Unavailable);
        assert!(status.message().contains(message), "{status:?}");
    }

    #[test]
    fn an_unanswered_question_says_what_to_do_and_nothing_internal() {
        let refused = |code, message: &str| {
            Ask::Refused(Refusal { code, field: "deployment_id".to_owned(), message: message.to_owned() })
        };
        let away = Some("DECISION_UNAVAILABLE");
        check_unanswered(Ask::Unavailable("10.0.0.7 refused".to_owned()), Code::Unavailable, away, "try again");
        check_unanswered(refused(RefusalCode::Unavailable, "10.0.0.7 refused"), Code::Unavailable, away, "try again");
        assert!(!unanswered(&Ask::Unavailable("10.0.0.7 refused".to_owned())).message().contains("10.0.0.7"));
        let unknown = Some("DEPLOYMENT_NOT_FOUND");
        check_unanswered(refused(RefusalCode::NotFound, "no such deployment"), Code::NotFound, unknown, "no such");
        let long = refused(RefusalCode::TooLong, "the answer has 9 bytes");
        check_unanswered(long, Code::ResourceExhausted, None, "read_mask");
        let invalid = refused(RefusalCode::Invalid, "must be a UUID");
        check_unanswered(invalid, Code::InvalidArgument, None, "deployment_id: must be a UUID");
    }

    #[test]
    fn a_request_that_cannot_be_read_is_the_fault_of_its_sender() {
        let code = |status| of_unread(status, 10).code();
        assert_eq!(code(Status::out_of_range("decoded message length too large")), Code::ResourceExhausted);
        assert_eq!(code(Status::internal("not UTF-8")), Code::InvalidArgument);
        assert_eq!(code(Status::not_found("no such deployment")), Code::NotFound);
    }

    #[test]
    fn codes_are_written_as_grpc_writes_them() {
        assert_eq!(name(Code::Ok), "OK");
        assert_eq!(name(Code::InvalidArgument), "INVALID_ARGUMENT");
        assert!(is_ours(Code::Unavailable) && !is_ours(Code::NotFound));
    }
}
