//! Real servers, and the services as real processes, for the tests: all on free ports, in a folder of their own, gone on drop.

#![expect(clippy::expect_used, clippy::missing_panics_doc, reason = "a test that cannot be set up has failed")]

mod cluster;
mod fleet;
mod http;
pub mod made;
mod proxy;
mod receiver;
mod wait;

pub use fleet::{Fleet, SERVICES, binary, free_address, nats_password, url_as};
pub use http::http;
pub use proxy::Proxy;
pub use receiver::{Receiver, Span};
pub use wait::eventually;
