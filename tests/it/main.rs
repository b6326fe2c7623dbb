//! FailSafe as its users meet it: real servers, real processes, real protocols.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cases;
mod chaos;
mod crash;
mod crowd;
mod deploy;
mod diffs;
mod front;
mod gate;
mod history;
mod identity;
mod interleavings;
mod issuer;
mod join;
mod layers;
mod model;
mod nats_users;
mod operator;
mod people;
mod pipeline;
mod plans;
mod policy;
mod program;
mod refusals;
mod replay;
mod scan;
mod telemetry;
mod tls;
mod trace;
mod trail;
mod voice;
