//! The wire: the protobuf messages, the subject table, and the one place where messages and domain values become each other.
//!
//! Only this crate and the gateway, which speaks gRPC, know the generated types ([`v1`]). It does no I/O.

pub mod event;
pub mod question;

mod convert;
mod json;
mod mask;
#[cfg(test)]
mod samples;

pub use convert::verdict::{judgement_bytes, judgement_from_bytes};
pub use event::{Event, Form, decode};
pub use json::{body_json, from_json, has_method, to_json};
pub use mask::Mask;

/// The generated messages and the gRPC service of package `failsafe.v1`; their documentation is in the `.proto` files.
#[expect(clippy::all, clippy::allow_attributes_without_reason, reason = "generated")]
pub mod v1 {
    tonic::include_proto!("failsafe.v1");
}

/// The encoded `FileDescriptorSet` of all messages, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Why a message cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Malformed {
    /// The field's path, or the message's name.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Malformed {
    pub(crate) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }

    /// The same below `parent`.
    pub(crate) fn within(mut self, parent: &str) -> Self {
        self.field = format!("{parent}.{}", self.field);
        self
    }
}
