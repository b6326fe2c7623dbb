//! The look-ups that others ask over the bus, and what they are answered.

use std::sync::Arc;

use anyhow::Context;
use chassis::{Process, Refusal, RefusalCode};
use domain::{Attestation, DeploymentId, ListQuery};
use ed25519_dalek::SigningKey;
use proto::question::{AttestVerdict, GetDeployment, ListDeployments};
use proto::{Malformed, Mask};

use crate::SERVICE;
use crate::attestation::{self, Envelope, Statement};
use crate::store::Store;

/// Answers until the process is to end. `key` signs attestations.
pub(crate) async fn answer(process: &Process, store: &Store, key: Option<SigningKey>) -> anyhow::Result<()> {
    let (bus, shutdown) = (&process.bus, &process.shutdown);
    let asked = store.clone();
    bus.answer(shutdown.clone(), move |question: GetDeployment| {
        let store = asked.clone();
        async move {
            let (id, mask) = <(DeploymentId, Mask)>::try_from(question).map_err(first_invalid)?;
            let dossier = store.dossier(id).await.map_err(|error| away(&error))?;
            let dossier = dossier.ok_or_else(|| not_found(format!("there is no deployment {id}")))?;
            Ok(mask.apply(dossier.into()))
        }
    })
    .await
    .context("cannot answer get_deployment")?;
    let (asked, key) = (store.clone(), Arc::new(key));
    bus.answer(shutdown.clone(), move |question: AttestVerdict| {
        let (store, key) = (asked.clone(), Arc::clone(&key));
        async move { attest(&store, question, key.as_ref().as_ref()).await.map(Into::into) }
    })
    .await
    .context("cannot answer attest_verdict")?;
    let asked = store.clone();
    bus.answer(shutdown.clone(), move |question: ListDeployments| {
        let store = asked.clone();
        async move {
            let mask = question.mask().map_err(|malformed| invalid(&malformed))?;
            let query = ListQuery::try_from(question.clone()).map_err(first_invalid)?;
            let page = store.list(&query).await.map_err(|error| away(&error))?;
            Ok(mask.apply(question.answer(page)))
        }
    })
    .await
    .context("cannot answer list_deployments")
}

/// A verdict in a form that others can check, signed if there is a key.
async fn attest(store: &Store, question: AttestVerdict, key: Option<&SigningKey>) -> Result<Attestation, Refusal> {
    let (id, wanted) = question.try_into().map_err(|malformed| invalid(&malformed))?;
    let dossier = store.dossier(id).await.map_err(|error| away(&error))?;
    let dossier = dossier.ok_or_else(|| not_found(format!("there is no deployment {id}")))?;
    let reached = dossier.verdicts.iter().find(|reached| wanted == 0 || reached.number == wanted);
    let reached = reached.ok_or_else(|| not_found(format!("there is no such verdict on the deployment {id}")))?;
    let deployment = dossier.deployment.as_ref();
    let deployment =
        deployment.ok_or_else(|| not_found(format!("the acceptance of the deployment {id} is not stored")))?;
    let envelope = Envelope::new(&Statement::of(reached, deployment), key);
    Ok(Attestation {
        envelope: envelope.to_json(),
        key_id: key.map(|key| attestation::key_id(&key.verifying_key())),
        verdict: reached.judgement.verdict,
    })
}

fn not_found(message: String) -> Refusal {
    Refusal { code: RefusalCode::NotFound, field: String::new(), message }
}

fn invalid(malformed: &Malformed) -> Refusal {
    Refusal { code: RefusalCode::Invalid, field: malformed.field.clone(), message: malformed.problem.clone() }
}

/// An asker checks its question beforehand, so that one fault tells enough.
fn first_invalid(malformed: Vec<Malformed>) -> Refusal {
    let first = malformed.into_iter().next();
    invalid(&first.unwrap_or_else(|| Malformed { field: "body".to_owned(), problem: "cannot be read".to_owned() }))
}

/// What the asker learns of a failed look-up; the detail stays in the log.
fn away(error: &sqlx::Error) -> Refusal {
    tracing::error!(service = SERVICE, "a look-up failed: {error:#}");
    let message = "the audit trail cannot be read now".to_owned();
    Refusal { code: RefusalCode::Unavailable, field: String::new(), message }
}
