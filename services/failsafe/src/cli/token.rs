//! What can be typed about API tokens.

use std::time::Duration;

use clap::{Args, Subcommand};
use gateway::identity::Scope;

use super::{Bus, Output};

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Make a token and print it, this once: only its hash is kept.
    #[command(
        after_help = "Every gateway knows it within a second. What it is for goes to the standard error, so that \
                            FAILSAFE_TOKEN=$(failsafe token create …) works."
    )]
    Create(CreateToken),
    /// List every token: whose it is, what it permits, and until when.
    List {
        /// How to print them.
        #[arg(long, value_enum, default_value_t = Output::Text)]
        output: Output,
        #[command(flatten)]
        bus: Bus,
    },
    /// Revoke tokens: every gateway refuses them within a second.
    Revoke {
        /// A token's id, or a name, for all tokens of that name.
        #[arg(value_name = "ID|NAME")]
        named: String,
        /// How to print what was done.
        #[arg(long, value_enum, default_value_t = Output::Text)]
        output: Output,
        #[command(flatten)]
        bus: Bus,
    },
}

#[derive(Args, Debug)]
pub(crate) struct CreateToken {
    /// Whose it is: the name that the audit trail shows. A second token of the same name can take over from the first.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// What it permits: submit, read, review, override, outcome, or admin for all of them and speaking for others; may be given more
    /// than once.
    #[arg(long = "scope", value_name = "SCOPE", required = true, value_delimiter = ',', value_parser = parse_scope)]
    pub(crate) scopes: Vec<Scope>,
    /// Only on these repositories, such as 'acme/*'; may be given more than once [default: all].
    #[arg(long = "repository", value_name = "GLOB")]
    pub(crate) repositories: Vec<String>,
    /// After what time it is refused: 12h, 90d, 52w, or never.
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = parse_lifetime)]
    pub(crate) expires: Lifetime,
    /// How to print it; as text, the token alone.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) bus: Bus,
}

/// How long a token lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// For this long.
    Of(Duration),
    /// Until it is revoked.
    Unlimited,
}

fn parse_scope(text: &str) -> Result<Scope, String> {
    let found = Scope::ALL.into_iter().find(|scope| scope.name() == text);
    found.ok_or_else(|| format!("must be one of {}", Scope::ALL.map(Scope::name).join(", ")))
}

fn parse_lifetime(text: &str) -> Result<Lifetime, String> {
    if text == "never" {
        return Ok(Lifetime::Unlimited);
    }
    let wrong = || "must be a time such as 12h, 90d or 52w, or never".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let hours = match unit {
        "h" => 1,
        "d" => 24,
        "w" => 7 * 24,
        _ => return Err(wrong()),
    };
    let number: u32 = number.parse().map_err(|_| wrong())?;
    if number == 0 || u64::from(number) * hours > 100 * 366 * 24 {
        return Err("must be from 1h to a hundred years, or never".to_owned());
    }
    Ok(Lifetime::Of(Duration::from_secs(u64::from(number) * hours * 3_600)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_a_number_and_a_unit() {
        let hours = |hours: u64| Ok(Lifetime::Of(Duration::from_secs(hours * 3_600)));
        assert_eq!(parse_lifetime("12h"), hours(12));
        assert_eq!(parse_lifetime("90d"), hours(90 * 24));
        assert_eq!(parse_lifetime("2w"), hours(14 * 24));
        assert_eq!(parse_lifetime("never"), Ok(Lifetime::Unlimited));
        for wrong in ["", "d", "90", "0d", "-1d", "1y", "90 d", "4294967295w", "é"] {
            assert!(parse_lifetime(wrong).is_err(), "{wrong}");
        }
    }
}
