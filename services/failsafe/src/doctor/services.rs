//! The services, as the gateway and they themselves say that they are; and the language model.

use std::time::Duration;

use chassis::bus::checkup::Checkup;
use chassis::{Settings, State};
use llm_explainer::llm::LanguageModel;
use tonic::transport::Channel;
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::Line;
use crate::cli::Server;
use crate::client;

const AREA: &str = "services";
const MODEL: &str = "language model";
/// How long the gateway may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Those behind the gateway, in the order of the flow.
const BEHIND: [&str; 5] =
    [ingest::SERVICE, static_analysis::SERVICE, ml_scoring::SERVICE, decision::SERVICE, llm_explainer::SERVICE];

/// Asks the gateway at `server` how all are; and over the bus each one that it does not see serving, for the reason.
pub(super) async fn look(server: &Server, bus: Option<&Checkup>) -> Vec<Line> {
    let channel = client::channel(server).await.map(|(channel, _)| channel);
    let mut lines = vec![match &channel {
        Ok(channel) => match ask(channel, gateway::SERVICE).await {
            Ok(true) => Line::ok(AREA, gateway::SERVICE, format!("serving at {}", server.address)),
            Ok(false) => Line::fail(AREA, gateway::SERVICE, "it does not serve", "its log says why"),
            Err(why) => Line::fail(AREA, gateway::SERVICE, why, "is it FailSafe's gateway that --server names?"),
        },
        Err(error) => Line::fail(AREA, gateway::SERVICE, format!("{error:#}"), "start gateway"),
    }];
    for service in BEHIND {
        lines.push(behind(service, channel.as_ref().ok(), bus).await);
    }
    lines
}

async fn behind(service: &'static str, channel: Option<&Channel>, bus: Option<&Checkup>) -> Line {
    if let Some(channel) = channel
        && ask(channel, service).await == Ok(true)
    {
        return Line::ok(AREA, service, "serving");
    }
    let state = match bus {
        Some(bus) => bus.health(service).await,
        None => State::NotServing("neither the gateway nor NATS can be asked".to_owned()),
    };
    match state {
        State::Serving => Line::ok(AREA, service, "serving, as it says over the bus"),
        State::NotServing(why) => {
            let remedy = format!("start {service}, or see its log: {}", without(service));
            Line::fail(AREA, service, why, remedy)
        }
    }
}

/// What does not happen without a service.
fn without(service: &str) -> &'static str {
    match service {
        ingest::SERVICE => "until then submissions wait",
        decision::SERVICE => "until then there are no verdicts",
        llm_explainer::SERVICE => "until then verdicts are not explained",
        _ => "until then the best verdict is REVIEW",
    }
}

/// Whether the gateway says that `service` serves, or why it does not say so.
async fn ask(channel: &Channel, service: &str) -> Result<bool, String> {
    let request = HealthCheckRequest { service: service.to_owned() };
    let mut client = HealthClient::new(channel.clone());
    match tokio::time::timeout(PATIENCE, client.check(request)).await {
        Ok(Ok(answer)) => Ok(answer.into_inner().status == ServingStatus::Serving as i32),
        Ok(Err(status)) => Err(format!("{} ({})", status.message(), status.code().description())),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

/// Asks the model's server whether the model is there. Without it explanations are put together by rules: that is no failure.
pub(super) async fn look_at_model(settings: &Settings) -> anyhow::Result<Vec<Line>> {
    let config: llm_explainer::Config = settings.table("llm_explainer")?;
    Ok(vec![match LanguageModel::new(&config) {
        Err(error) => Line::fail(MODEL, "settings", format!("llm_explainer.{error:#}"), "mend the setting"),
        Ok(None) => Line::ok(MODEL, "server", "none is configured: explanations are put together from the evidence"),
        Ok(Some(model)) => match model.introduction().await {
            Ok(said) => Line::ok(MODEL, "server", said),
            Err(said) => {
                let remedy = "until then explanations are put together from the evidence; verdicts do not depend on it";
                Line::warn(MODEL, "server", said, remedy)
            }
        },
    }])
}
