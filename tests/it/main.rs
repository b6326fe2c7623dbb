//! FailSafe as its users meet it: real servers, real processes, real protocols.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod answers;
mod calls;
mod cases;
mod chaos;
mod crash;
mod crowd;
mod deploy;
mod diffs;
mod door;
mod examples;
mod front;
mod fuzz;
mod gate;
mod history;
mod http;
mod identity;
mod interleavings;
mod issuer;
mod join;
mod kubernetes;
mod layers;
mod lists;
mod migrations;
mod model;
mod nats_users;
mod operator;
mod overload;
mod people;
mod pipeline;
mod plans;
mod policy;
mod program;
mod refusals;
mod replay;
mod scan;
mod serve;
mod telemetry;
mod tls;
mod trace;
mod trail;
mod upgrade;
mod voice;
mod workload;
