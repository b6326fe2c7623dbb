//! The process every service runs in: settings, telemetry, the bus, health, its admin port and shutdown.
//!
//! The only crate that knows NATS and OpenTelemetry. It knows how events travel, and nothing of what they mean.

pub mod admin;
pub mod bus;
pub mod health;
pub mod metrics;
pub mod settings;
pub mod shutdown;
pub mod telemetry;
pub mod trace;

mod process;

pub use admin::Admin;
pub use bus::{
    Ask, Bus, ConsumerSpec, Death, Delivery, Document, Documents, Failure, Followed, Handler, Objects, Outgoing,
    Progress, Refusal, RefusalCode, Seen, Stored,
};
pub use health::{Health, State};
pub use process::{Process, main, runtime, table_of};
pub use settings::Settings;
pub use shutdown::Shutdown;
pub use telemetry::Telemetry;

/// Of every program that has this crate in it. Events come and go by the thousand, in pieces of all lengths, beside what is remembered for
/// long: that is where the system's own allocator is slow.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
