//! Which model scores: publishing one to every running ml-scoring, and taking it back.

use ml_scoring::published::{self, Published, Role};

use serde_json::json;

use super::model;
use crate::cli;
use crate::published::Version;
use crate::terminal::answer;

/// Publishes a model, after it was read and found sound.
pub(super) async fn publish(options: &cli::Publish) -> anyhow::Result<()> {
    let role = if options.shadow { Role::Shadow } else { Role::Champion };
    let Some(path) = options.model.as_deref() else {
        published::withdraw(&options.bus.connect().await?, role).await?;
        let words = match role {
            Role::Champion => "No champion is published any more: every ml-scoring scores with its own model.",
            Role::Shadow => "Nothing scores in the champion's shadow any more.",
        };
        answer(options.output, words, &json!({ "role": role.name(), "model": null }));
        return Ok(());
    };
    let model = model(Some(path))?;
    let version = published::publish(&options.bus.connect().await?, role, &model).await?;
    let words = format!(
        "{} is published as version {version}: every running ml-scoring {} within a second.",
        model.basis(),
        match role {
            Role::Champion => "scores with it",
            Role::Shadow => "stores its scores beside the champion's",
        }
    );
    answer(options.output, &words, &json!({ "role": role.name(), "model": model.basis(), "version": version }));
    Ok(())
}

/// Goes back to the champion before.
pub(super) async fn roll_back(options: &cli::OnBus) -> anyhow::Result<()> {
    let model = published::roll_back(&options.bus.connect().await?).await?;
    let words = match &model {
        Some(model) => format!("{} scores again.", model.basis()),
        None => "There was none before: every ml-scoring scores with its own model again.".to_owned(),
    };
    let facts = json!({ "role": Role::Champion.name(), "model": model.as_ref().map(ml_scoring::Model::basis) });
    answer(options.output, &words, &facts);
    Ok(())
}

/// Prints every version of champion and shadow that is kept.
pub(super) async fn list(options: &cli::OnBus) -> anyhow::Result<()> {
    let bus = options.bus.connect().await?;
    let mut rows = Vec::new();
    for role in [Role::Champion, Role::Shadow] {
        let versions = published::versions(&bus, role).await?;
        let latest = versions.len();
        rows.extend(versions.into_iter().zip(1..).map(|(version, place)| row(role, version, place == latest)));
    }
    let nothing = "Nothing was published: every ml-scoring scores with its own model.";
    crate::published::print(&rows, nothing, options.output);
    Ok(())
}

fn row(role: Role, version: Published, is_latest: bool) -> Version {
    let (what, about) = match version.model {
        Some(Ok(model)) => (model.basis().to_owned(), model.file().provenance.clone()),
        Some(Err(error)) => ("unusable".to_owned(), error),
        None => ("none".to_owned(), String::new()),
    };
    Version { document: version.document, role: role.name(), what, about, is_latest }
}
