//! Every instrument of FailSafe. Those of OpenTelemetry's semantic conventions (1.44) have its names; ours begin with `failsafe.`.
//!
//! Few labels, each with few values; never a repository, a person or a text.

use super::{About, Counter, Gauge, Histogram, Instrument, SECONDS};

/// All of them, in the order in which they are documented.
pub static ALL: &[&dyn Instrument] = &[
    &SUBMISSION_TO_VERDICT,
    &VERDICTS,
    &MISSING,
    &JOIN_WAIT,
    &REVIEWS,
    &OUTCOMES,
    &OUTBOX,
    &STAGES,
    &LAG,
    &UNACKNOWLEDGED,
    &REDELIVERED,
    &REDELIVERIES,
    &DEAD_LETTERS,
    &DEAD_LETTERS_HELD,
    &PROCESS,
    &PUBLISH,
    &RPC,
    &STATEMENTS,
    &CONNECTIONS,
    &CONNECTIONS_MAX,
    &RISK,
    &MODEL,
    &DRIFT,
    &EXPLANATIONS,
    &CHAT,
    &TOKENS,
    &BREAKER,
    &READY,
    &BUILD,
];

/// Parts of an hour: from the quick verdict to the one that had to wait for its deadline.
const VERDICT_SECONDS: &[f64] =
    &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0];
/// Risks, finer where most of them are.
const RISKS: &[f64] = &[0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0];
/// Powers of four, by the conventions.
const TOKEN_COUNTS: &[f64] = &[1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0];

const CONSUMER: &str = "messaging.consumer.group.name";
const DESTINATION: &str = "messaging.destination.template";
const OPERATION: &str = "messaging.operation.name";
const SYSTEM: &str = "messaging.system";
const ERROR: &str = "error.type";

/// From the submission in the stream to its verdict in the database.
pub static SUBMISSION_TO_VERDICT: Histogram<2> = Histogram::new(
    About {
        name: "failsafe.verdict.duration",
        unit: "s",
        description: "From the submission's arrival in the stream to its first verdict.",
    },
    &["verdict", "cause"],
    VERDICT_SECONDS,
);

/// Verdicts that were stored.
pub static VERDICTS: Counter<2> = Counter::new(
    About {
        name: "failsafe.verdicts",
        unit: "{verdict}",
        description: "Verdicts stored, later ones included; cause `deadline` is one that did not wait any longer.",
    },
    &["verdict", "cause"],
);

/// What verdicts had to do without.
pub static MISSING: Counter<1> = Counter::new(
    About {
        name: "failsafe.verdict.missing",
        unit: "{input}",
        description: "Inputs that were missing when a verdict was reached, by which one.",
    },
    &["input"],
);

/// How long the join waited.
pub static JOIN_WAIT: Histogram<1> = Histogram::new(
    About {
        name: "failsafe.join.wait",
        unit: "s",
        description: "From a deployment's acceptance to the last signal that its verdict needed, by whose it was.",
    },
    &["signal.source"],
    VERDICT_SECONDS,
);

/// What people decided.
pub static REVIEWS: Counter<1> = Counter::new(
    About {
        name: "failsafe.reviews",
        unit: "{review}",
        description: "People's decisions that stand in a verdict, emergencies among them, by the decision.",
    },
    &["decision"],
);

/// What became of deployments.
pub static OUTCOMES: Counter<2> = Counter::new(
    About {
        name: "failsafe.outcomes",
        unit: "{outcome}",
        description: "Outcomes in production; `against` is the verdict that they went against, or `none` without one.",
    },
    &["outcome", "against"],
);

/// Verdicts that are stored and not yet in the stream.
pub static OUTBOX: Gauge<0> = Gauge::new(
    About {
        name: "failsafe.outbox.depth",
        unit: "{verdict}",
        description: "Verdicts that are stored and not published yet.",
    },
    &[],
);

/// How long a stage took, its wait in the stream included.
pub static STAGES: Histogram<1> = Histogram::new(
    About {
        name: "failsafe.stage.duration",
        unit: "s",
        description: "From an event's arrival in the stream to the end of its handling, waiting and redeliveries included.",
    },
    &[CONSUMER],
    VERDICT_SECONDS,
);

/// What a consumer has still to be given.
pub static LAG: Gauge<1> = Gauge::new(
    About {
        name: "failsafe.consumer.lag",
        unit: "{message}",
        description: "Events in the stream that were never delivered to this consumer yet.",
    },
    &[CONSUMER],
);

/// What a consumer works on.
pub static UNACKNOWLEDGED: Gauge<1> = Gauge::new(
    About {
        name: "failsafe.consumer.unacknowledged",
        unit: "{message}",
        description: "Events that were delivered and not acknowledged yet.",
    },
    &[CONSUMER],
);

/// What a consumer works on again.
pub static REDELIVERED: Gauge<1> = Gauge::new(
    About {
        name: "failsafe.consumer.redelivered",
        unit: "{message}",
        description: "Of the events that are not acknowledged, those that were delivered more than once.",
    },
    &[CONSUMER],
);

/// Deliveries that were not the first.
pub static REDELIVERIES: Counter<1> = Counter::new(
    About {
        name: "failsafe.redeliveries",
        unit: "{delivery}",
        description: "Deliveries of an event that had been delivered before.",
    },
    &[CONSUMER],
);

/// What was given up.
pub static DEAD_LETTERS: Counter<1> = Counter::new(
    About {
        name: "failsafe.dead_letters",
        unit: "{message}",
        description: "Events that this process gave up and moved to the dead letters, by service.",
    },
    &["failsafe.service"],
);

/// What was given up and is still there.
pub static DEAD_LETTERS_HELD: Gauge<1> = Gauge::new(
    About {
        name: "failsafe.dead_letters.held",
        unit: "{message}",
        description: "Dead letters in the stream, by the service that gave up or never answered.",
    },
    &["failsafe.service"],
);

/// How long handlers take.
pub static PROCESS: Histogram<4> = Histogram::new(
    About { name: "messaging.process.duration", unit: "s", description: "Handling of one event, without its wait." },
    &[SYSTEM, CONSUMER, DESTINATION, ERROR],
    SECONDS,
);

/// How long the stream takes to acknowledge.
pub static PUBLISH: Histogram<4> = Histogram::new(
    About {
        name: "messaging.client.operation.duration",
        unit: "s",
        description: "Publishing of one event, until the stream has acknowledged it.",
    },
    &[SYSTEM, OPERATION, DESTINATION, ERROR],
    SECONDS,
);

/// Calls at the front door.
pub static RPC: Histogram<3> = Histogram::new(
    About { name: "rpc.server.call.duration", unit: "s", description: "Calls of the gateway, until their last word." },
    &["rpc.system.name", "rpc.method", "rpc.response.status_code"],
    SECONDS,
);

/// Statements of the audit trail.
pub static STATEMENTS: Histogram<3> = Histogram::new(
    About { name: "db.client.operation.duration", unit: "s", description: "Statements sent to PostgreSQL." },
    &["db.system.name", "db.query.summary", ERROR],
    SECONDS,
);

/// Connections of the pool.
pub static CONNECTIONS: Gauge<2> = Gauge::new(
    About {
        name: "db.client.connection.count",
        unit: "{connection}",
        description: "Connections to PostgreSQL that are open, by whether they are used.",
    },
    &["db.client.connection.pool.name", "db.client.connection.state"],
);

/// As many as the pool may have.
pub static CONNECTIONS_MAX: Gauge<1> = Gauge::new(
    About {
        name: "db.client.connection.max",
        unit: "{connection}",
        description: "Most connections to PostgreSQL of this process (database.connections_max).",
    },
    &["db.client.connection.pool.name"],
);

/// What the model says.
pub static RISK: Histogram<1> = Histogram::new(
    About {
        name: "failsafe.model.risk",
        unit: "{probability}",
        description: "Risks that were scored, 0 to 1, by the model.",
    },
    &["failsafe.model.version"],
    RISKS,
);

/// Which models score.
pub static MODEL: Gauge<2> = Gauge::new(
    About {
        name: "failsafe.model.active",
        unit: "{model}",
        description: "1 for the model that scores in this role (champion, shadow), 0 for one that did before.",
    },
    &["failsafe.model.role", "failsafe.model.version"],
);

/// How far deployments have moved from what the model learnt from.
pub static DRIFT: Gauge<1> = Gauge::new(
    About {
        name: "failsafe.model.drift",
        unit: "{index}",
        description: "Population stability index of the latest deployments against the training's, by feature: below 0.1 little, from 0.25 much.",
    },
    &["failsafe.model.feature"],
);

/// Who wrote the explanations.
pub static EXPLANATIONS: Counter<2> = Counter::new(
    About {
        name: "failsafe.explanations",
        unit: "{explanation}",
        description: "Explanations by origin: the `model`, or the `evidence` alone, and then why.",
    },
    &["origin", "because"],
);

/// Questions to the language model.
pub static CHAT: Histogram<4> = Histogram::new(
    About {
        name: "gen_ai.client.operation.duration",
        unit: "s",
        description: "Questions to the language model, until its answer is whole or given up.",
    },
    &["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", ERROR],
    SECONDS,
);

/// Tokens of the language model.
pub static TOKENS: Histogram<4> = Histogram::new(
    About {
        name: "gen_ai.client.token.usage",
        unit: "{token}",
        description: "Tokens of one question to the language model, by type: input or output.",
    },
    &["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.token.type"],
    TOKEN_COUNTS,
);

/// Whether the language model is left alone.
pub static BREAKER: Gauge<0> = Gauge::new(
    About {
        name: "failsafe.llm.resting",
        unit: "{breaker}",
        description: "1 while the language model's server is left alone because it failed, 0 while it is asked.",
    },
    &[],
);

/// Whether the services of this process serve.
pub static READY: Gauge<1> = Gauge::new(
    About {
        name: "failsafe.ready",
        unit: "{service}",
        description: "1 while the service can do its duty, 0 while it cannot; /readyz says why.",
    },
    &["failsafe.service"],
);

/// What runs.
pub static BUILD: Gauge<2> = Gauge::new(
    About { name: "failsafe.build", unit: "{build}", description: "1, with the version that runs." },
    &["failsafe.service", "service.version"],
);
