//! What can be typed: commands, flags and their help.

mod audit;
mod bus;
mod dead;
mod doctor;
mod history;
mod model;
mod pages;
mod policy;
mod records;
mod replay;
mod rules;
mod scan;
mod server;
mod submit;
mod token;
mod verdict;

use std::net::SocketAddr;
use std::path::PathBuf;

use chassis::Settings;
use clap::{Args, Parser, Subcommand, ValueEnum};
use proto::v1;

pub(crate) use audit::{Audit, Drop, Export, MakeCheckpoint, Verify};
pub(crate) use bus::{Bus, OnBus};
pub(crate) use dead::{Chosen, Dead, DeadDrop, DeadList, DeadRequeue, DeadShow};
pub(crate) use doctor::Doctor;
pub(crate) use history::{Git, History, HistoryImport, HistoryRows};
pub(crate) use model::{Drift, Evaluate, FeaturesFormat, Model, Publish, Show, Train};
pub(crate) use pages::{Completions, Man, ShellName};
pub(crate) use policy::{CheckPolicy, Policy, PublishPolicy, TestPolicy, VariablesFormat};
pub(crate) use records::{Outcome, Review};
pub(crate) use replay::Replay;
pub(crate) use rules::{Listing, Rules, RulesFormat, ShowRule, TestRules};
pub(crate) use scan::{Format, Scan};
pub(crate) use server::Server;
pub(crate) use submit::{Candidate, Follow, Gate, GateFormat, Submit};
pub(crate) use token::{CreateToken, Lifetime, Token};
pub(crate) use verdict::{Attest, Verdict, VerifyVerdict};

/// FailSafe decides whether a deployment may go to production.
///
/// Three kinds of judgement meet: static rules over the diff, a calibrated probability of failure, and an explanation in words.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything in this one process until Ctrl-C, with a NATS and a PostgreSQL of its own.
    Up(Running),
    /// Run each service as a process of its own until Ctrl-C: the programs that lie beside this one.
    Services(Running),
    /// Show what FailSafe does: three deployments, from the diff to the explained verdict; nothing is left behind.
    Demo(Demo),
    /// Submit a deployment to a running FailSafe.
    #[command(after_help = EXIT_CODES, after_long_help = format!("{}\n\n{EXIT_CODES}", submit::SOURCES))]
    Submit(Box<Submit>),
    /// Submit a deployment, wait for the verdict and exit with its code: what a pipeline and a git hook call.
    #[command(after_help = submit::GATE_EXIT_CODES, after_long_help = format!("{}\n\n{}", submit::SOURCES, submit::GATE_EXIT_CODES))]
    Gate(Box<Gate>),
    /// Show what is known of one deployment.
    #[command(after_help = EXIT_CODES)]
    Status(Status),
    /// Show how one deployment was explained, and have it explained once more.
    Explain(Explain),
    /// Approve or reject a deployment, or let it out in an emergency: a new verdict follows.
    #[command(after_help = EXIT_CODES)]
    Review(Review),
    /// Tell what happened to a deployment in production.
    Outcome(Outcome),
    /// Decide stored deployments again, by another policy or model, and say what would change.
    #[command(after_help = replay::EXAMPLES)]
    Replay(Replay),
    /// Write and check verdicts as signed statements.
    #[command(subcommand)]
    Verdict(Verdict),
    /// List deployments, newest first or riskiest first.
    List(List),
    /// Follow one deployment until it is explained: each stage as it happens.
    Watch(One),
    /// Look for hard violations in a diff, without any service: `git diff main... | failsafe scan`.
    #[command(after_help = SCAN_EXIT_CODES)]
    Scan(Scan),
    /// Say what the static rules look for.
    #[command(subcommand)]
    Rules(Rules),
    /// Work with what is known of repositories' pasts.
    #[command(subcommand)]
    History(History),
    /// Work with the model of the risk.
    #[command(subcommand)]
    Model(Model),
    /// Work with the policy: the rules by which verdicts are reached.
    #[command(subcommand)]
    Policy(Policy),
    /// Make, list and revoke API tokens, by which callers say who they are.
    #[command(subcommand)]
    Token(Token),
    /// Say in Markdown which metrics there are.
    #[command(hide = true)]
    Metrics,
    /// Verify, export and thin out the audit trail, in its database.
    #[command(subcommand)]
    Audit(Audit),
    /// Look at what could not be handled, and have it handled once more.
    #[command(subcommand)]
    Dead(Dead),
    /// Look over NATS, PostgreSQL, the services and the language model, and say what to do.
    #[command(after_help = doctor::DOCTOR_EXIT_CODES)]
    Doctor(Doctor),
    /// Print what completes this program's commands in a shell.
    #[command(after_help = pages::COMPLETIONS_HELP)]
    Completions(Completions),
    /// Write the manual pages.
    Man(Man),
}

impl Command {
    /// Whether its exit code is an answer: then 1 and 2 mean something, and a failure exits with another code.
    pub(crate) const fn is_question(&self) -> bool {
        let drift = matches!(self, Self::Model(Model::Drift(_)));
        drift
            || matches!(
                self,
                Self::Submit(_)
                    | Self::Gate(_)
                    | Self::Doctor(_)
                    | Self::Status(_)
                    | Self::Explain(_)
                    | Self::Review(_)
                    | Self::Outcome(_)
                    | Self::List(_)
                    | Self::Watch(_)
            )
    }
}

const SCAN_EXIT_CODES: &str =
    "Exit codes:\n  0  nothing found\n  1  a finding at least as severe as --fail-on\n  2  an error";
const EXIT_CODES: &str =
    "Exit codes (of submit only with --wait):\n  0  ALLOW\n  1  BLOCK\n  2  REVIEW\n  3  an error, or no verdict yet";

/// Where things run.
#[derive(Args, Debug)]
pub(crate) struct Running {
    /// Where the private NATS and PostgreSQL keep their data from run to run.
    #[arg(long, value_name = "DIR", default_value = ".failsafe")]
    pub(crate) data_dir: PathBuf,
    /// A NATS server with JetStream, instead of a private one.
    #[arg(long, value_name = "URL", env = "FAILSAFE__NATS__URL", hide_env_values = true)]
    pub(crate) nats_url: Option<String>,
    /// A PostgreSQL database, instead of a private one.
    #[arg(long, value_name = "URL", env = "FAILSAFE__DATABASE__URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// Where to listen for gRPC [default: 127.0.0.1:50051].
    #[arg(long, value_name = "ADDR:PORT", env = "FAILSAFE__GATEWAY__LISTEN")]
    pub(crate) listen: Option<SocketAddr>,
    /// Where to listen for /metrics, /healthz, /readyz and /log; of `services` the first process, each further one a port higher
    /// [default of up: a free port of this machine].
    #[arg(long, value_name = "ADDR:PORT", env = "FAILSAFE__ADMIN__LISTEN")]
    pub(crate) admin: Option<SocketAddr>,
    /// A collector that takes traces and metrics by OTLP over gRPC, such as http://localhost:4317.
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub(crate) otlp: Option<String>,
    /// Where to listen for HTTP with JSON [default: 127.0.0.1:50080].
    #[arg(long, value_name = "ADDR:PORT", env = "FAILSAFE__GATEWAY__HTTP_LISTEN")]
    pub(crate) http_listen: Option<SocketAddr>,
    /// Settings in TOML; FAILSAFE__TABLE__KEY variables go over them, and these flags over both.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

impl Running {
    /// The settings file, the environment, and these flags over both.
    pub(crate) fn settings(&self) -> anyhow::Result<Settings> {
        let mut settings = Settings::load(self.config.as_deref())?;
        let flags = [
            ("nats.url", self.nats_url.clone()),
            ("database.url", self.database_url.clone()),
            ("gateway.listen", self.listen.map(|address| address.to_string())),
            ("admin.listen", self.admin.map(|address| address.to_string())),
            ("gateway.http_listen", self.http_listen.map(|address| address.to_string())),
        ];
        for (key, value) in flags {
            if let Some(value) = value {
                settings = settings.with(key, value);
            }
        }
        Ok(settings)
    }

    /// The collector, if one is named.
    pub(crate) fn otlp(&self) -> Option<&str> {
        self.otlp.as_deref().filter(|address| !address.is_empty())
    }
}

#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// Keep running afterwards until Ctrl-C, so that the printed addresses can be tried.
    #[arg(long)]
    pub(crate) stay: bool,
}

/// How to reach FailSafe, and how to answer.
#[derive(Args, Debug)]
pub(crate) struct Asking {
    #[command(flatten)]
    pub(crate) server: Server,
    /// How to print what is answered; JSON is the proto3 form of the gRPC reply.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

#[derive(Args, Debug)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) one: One,
    /// Address of a Jaeger, where the deployment's trace is linked to, such as http://localhost:16686.
    #[arg(long, value_name = "URL", env = "FAILSAFE_JAEGER")]
    pub(crate) jaeger: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct One {
    /// The deployment's id, as `submit` and `list` print it.
    #[arg(value_name = "ID")]
    pub(crate) deployment_id: String,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

#[derive(Args, Debug)]
pub(crate) struct Explain {
    /// The deployment's id, as `submit` and `list` print it.
    #[arg(value_name = "ID")]
    pub(crate) deployment_id: String,
    /// Have the latest verdict explained once more; what was said before stays beside it.
    #[arg(long)]
    pub(crate) again: bool,
    /// By this model of the configured server, instead of the configured one.
    #[arg(long, value_name = "MODEL", default_value = "", hide_default_value = true, requires = "again")]
    pub(crate) model: String,
    /// How long to wait for it, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 120, requires = "again")]
    pub(crate) timeout: u64,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

#[derive(Args, Debug)]
pub(crate) struct List {
    /// Only of this repository.
    #[arg(long, value_name = "PATH", default_value = "")]
    pub(crate) repository: String,
    /// Only of this pull request.
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true, requires = "repository")]
    pub(crate) pull_request: u32,
    /// Only those whose latest verdict is this one.
    #[arg(long, value_enum, ignore_case = true)]
    pub(crate) verdict: Option<VerdictName>,
    /// Only of this author.
    #[arg(long, value_name = "NAME", default_value = "")]
    pub(crate) author: String,
    /// Only those whose risk is at least this, from 0 to 1.
    #[arg(long, value_name = "RISK")]
    pub(crate) min_risk: Option<f64>,
    /// Only those in which this static rule found something, such as migration.rollback.missing.
    #[arg(long, value_name = "ID", default_value = "")]
    pub(crate) rule: String,
    /// The riskiest first, instead of the newest.
    #[arg(long)]
    pub(crate) riskiest: bool,
    /// Only those that were deployed against their verdict, or without one.
    #[arg(long)]
    pub(crate) against_verdict: bool,
    /// Only those whose latest verdict is a person's and not the policy's.
    #[arg(long)]
    pub(crate) overruled: bool,
    /// Only those that went out in an emergency and that nobody else has looked at yet.
    #[arg(long)]
    pub(crate) owing_review: bool,
    /// Most deployments to list.
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
    /// Where to go on: the token that the page before ended with.
    #[arg(long, value_name = "TOKEN", default_value = "")]
    pub(crate) page_token: String,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum VerdictName {
    Allow,
    Review,
    Block,
}

impl From<VerdictName> for v1::Verdict {
    fn from(name: VerdictName) -> Self {
        match name {
            VerdictName::Allow => Self::Allow,
            VerdictName::Review => Self::Review,
            VerdictName::Block => Self::Block,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    /// Commands whose answer has no JSON form of its own, and why.
    const WITHOUT_JSON: [(&str, &str); 10] = [
        ("up", "runs until it is ended, and says where it listens"),
        ("services", "likewise"),
        ("demo", "is a show for people"),
        ("metrics", "writes a page of the manual"),
        ("completions", "writes a script for a shell"),
        ("man", "writes pages of the manual"),
        ("policy default", "prints a policy's file, which is TOML"),
        ("audit export", "writes lines of JSON; --output names their file"),
        ("audit checkpoint", "writes JSON; --output names its file"),
        ("audit migrate", "prints nothing"),
    ];

    /// The names of all commands without further commands, and whether they take `--output json`.
    fn leaves(command: &clap::Command, path: &str, all: &mut Vec<(String, bool)>) {
        if command.get_subcommands().next().is_none() {
            let takes = |name: &str| name == "output";
            let takes_json = command.get_arguments().any(|argument| {
                let aliases = argument.get_all_aliases().unwrap_or_default();
                let is_named = argument.get_long().is_some_and(takes) || aliases.into_iter().any(takes);
                is_named && argument.get_possible_values().iter().any(|value| value.matches("json", false))
            });
            all.push((path.to_owned(), takes_json));
        }
        for inner in command.get_subcommands() {
            leaves(inner, format!("{path} {}", inner.get_name()).trim_start(), all);
        }
    }

    #[test]
    fn every_command_answers_in_json_or_says_here_why_not() {
        let mut all = Vec::new();
        leaves(&Cli::command(), "", &mut all);
        assert!(all.len() > 30, "{all:?}");
        for (name, takes_json) in &all {
            let exempt = WITHOUT_JSON.iter().any(|(known, _)| known == name);
            assert!(*takes_json != exempt, "failsafe {name}: --output json {takes_json}, exempt {exempt}");
        }
        for (name, _) in WITHOUT_JSON {
            assert!(all.iter().any(|(known, _)| known == name), "there is no failsafe {name}");
        }
    }

    #[test]
    fn flags_go_over_the_settings_file() {
        let cli = Cli::parse_from(["failsafe", "up", "--nats-url", "nats://there:4222", "--listen", "127.0.0.1:7"]);
        let Command::Up(running) = cli.command else { panic!("{cli:?}") };
        let settings = running.settings().unwrap();
        let gateway: gateway::Config = settings.table("gateway").unwrap();
        assert_eq!(gateway.listen.port(), 7);
        assert!(settings.has("nats.url"));
    }

    const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/failsafe.toml");

    /// Every setting of a table stands in the sample with its default; one without a default stands there as a comment.
    #[track_caller]
    fn check<C: std::fmt::Debug + Default + serde::de::DeserializeOwned>(table: &str) {
        let settings = Settings::load(Some(SAMPLE.as_ref())).unwrap();
        assert_eq!(format!("{:#?}", settings.table::<C>(table).unwrap()), format!("{:#?}", C::default()));
        let text = std::fs::read_to_string(SAMPLE).unwrap();
        for line in format!("{:#?}", C::default()).lines() {
            // Fields of the table itself are indented once.
            let field =
                line.strip_prefix("    ").filter(|field| field.starts_with(|first: char| first.is_alphabetic()));
            if let Some((name, _)) = field.and_then(|field| field.split_once(": ")) {
                let shown = settings.has(&format!("{table}.{name}")) || text.contains(&format!("\n# {name} = "));
                assert!(shown, "{table}.{name} is not in deploy/failsafe.toml");
            }
        }
    }

    #[test]
    fn the_sample_settings_show_every_setting_with_its_default() {
        check::<chassis::settings::NatsSettings>("nats");
        check::<decision::config::DatabaseSettings>("database");
        check::<chassis::settings::AdminSettings>("admin");
        check::<gateway::Config>("gateway");
        check::<ingest::Config>("ingest");
        check::<static_analysis::Config>("static_analysis");
        check::<ml_scoring::Config>("ml_scoring");
        check::<decision::Config>("decision");
        check::<llm_explainer::Config>("llm_explainer");
    }
}
