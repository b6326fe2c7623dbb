//! Messages into domain values, checked, and back.

use std::time::Duration;

use prost_types::Timestamp;
use time::OffsetDateTime;

use domain::{DeploymentId, RequestId};

use crate::Malformed;

pub(crate) mod answer;
pub(crate) mod deployment;
pub(crate) mod enums;
pub(crate) mod explanation;
pub(crate) mod record;
pub(crate) mod signal;
pub(crate) mod submission;
pub(crate) mod verdict;

pub(crate) fn timestamp(at: OffsetDateTime) -> Timestamp {
    Timestamp { seconds: at.unix_timestamp(), nanos: at.nanosecond().cast_signed() }
}

pub(crate) fn time(field: &str, at: Timestamp) -> Result<OffsetDateTime, Malformed> {
    let nanos = i128::from(at.seconds) * 1_000_000_000 + i128::from(at.nanos);
    OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .map_err(|_| Malformed::new(field, "lies outside the years 0001 to 9999"))
}

pub(crate) fn required_time(field: &str, at: Option<Timestamp>) -> Result<OffsetDateTime, Malformed> {
    time(field, required(field, at)?)
}

pub(crate) fn optional_time(field: &str, at: Option<Timestamp>) -> Result<Option<OffsetDateTime>, Malformed> {
    at.map(|at| time(field, at)).transpose()
}

pub(crate) fn duration_to(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: duration.subsec_nanos().cast_signed(),
    }
}

pub(crate) fn duration_from(field: &str, duration: Option<prost_types::Duration>) -> Result<Duration, Malformed> {
    Duration::try_from(duration.unwrap_or_default()).map_err(|_| Malformed::new(field, "must not be negative"))
}

pub(crate) fn required<T>(field: &str, value: Option<T>) -> Result<T, Malformed> {
    value.ok_or_else(|| Malformed::new(field, "is required"))
}

pub(crate) fn required_text(field: &str, value: String) -> Result<String, Malformed> {
    if value.is_empty() { Err(Malformed::new(field, "is required")) } else { Ok(value) }
}

pub(crate) fn deployment_id(text: &str) -> Result<DeploymentId, Malformed> {
    DeploymentId::parse(text).map_err(|problem| Malformed::new("deployment_id", problem))
}

/// The id by which a caller tells its request from others, if there is one.
pub(crate) fn request_id(text: &str) -> Result<Option<RequestId>, Malformed> {
    let given = (!text.is_empty()).then(|| RequestId::parse(text)).transpose();
    given.map_err(|problem| Malformed::new("request_id", problem))
}

pub(crate) fn request_id_to(request: Option<RequestId>) -> String {
    request.map(|id| id.to_string()).unwrap_or_default()
}

/// Converts each of a list, and says which one is wrong.
pub(crate) fn each<M, T>(
    field: &str,
    list: Vec<M>,
    convert: impl Fn(M) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let indexed = list.into_iter().enumerate();
    indexed.map(|(index, item)| convert(item).map_err(|error| error.within(&format!("{field}[{index}]")))).collect()
}
