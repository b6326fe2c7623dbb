//! What can be typed about dead letters.

use clap::{Args, Subcommand};

use super::{Bus, Output};

#[derive(Debug, Subcommand)]
pub(crate) enum Dead {
    /// List what could not be handled, the oldest first.
    List(DeadList),
    /// Show one: why it is dead, its headers, and what it says.
    Show(DeadShow),
    /// Publish it again as it came, so that it is handled once more in its own trace, and take it out.
    Requeue(DeadRequeue),
    /// Take it out for good.
    Drop(DeadDrop),
}

/// Which dead letters.
#[derive(Args, Debug)]
pub(crate) struct Chosen {
    /// Their numbers, as `dead list` prints them.
    #[arg(value_name = "NUMBER", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) numbers: Vec<u64>,
    /// All of them, or all of one service.
    #[arg(long)]
    pub(crate) all: bool,
    /// Only those of this service.
    #[arg(long, value_name = "NAME", requires = "all")]
    pub(crate) service: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct DeadList {
    /// Only those of this service.
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<String>,
    /// How to print them.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) bus: Bus,
}

#[derive(Args, Debug)]
pub(crate) struct DeadShow {
    /// Its number, as `dead list` prints it.
    #[arg(value_name = "NUMBER")]
    pub(crate) number: u64,
    /// Show the whole message, its diff included, which may hold secrets.
    #[arg(long)]
    pub(crate) body: bool,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) bus: Bus,
}

#[derive(Args, Debug)]
pub(crate) struct DeadRequeue {
    #[command(flatten)]
    pub(crate) chosen: Chosen,
    /// How to print what was done.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) bus: Bus,
}

#[derive(Args, Debug)]
pub(crate) struct DeadDrop {
    #[command(flatten)]
    pub(crate) chosen: Chosen,
    /// Do not ask first.
    #[arg(long)]
    pub(crate) yes: bool,
    /// How to print what was done.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) bus: Bus,
}
