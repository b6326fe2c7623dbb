//! The histories that are kept of all repositories: built from the events of the stream, written down in a bucket of the bus so
//! that they outlive the stream, and joined with what people import.
//!
//! The only place that knows where histories lie. Every replica builds all of them from the same events in the same order, so
//! none asks another, and all know the same.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context;
use chassis::{Bus, Objects, Seen, Shutdown, Stored};
use domain::{Deployment, DeploymentId, Outcome, OutcomeKind};
use futures::{Stream, StreamExt};
use proto::event::HISTORY_BUCKET;
use time::UtcOffset;
use tokio::sync::watch;

use crate::features::{Features, Measures};
use crate::history::reverts::{reverted, without_number};
use crate::history::{Asked, Change, Key, Remembered, Repository, Touched};
use crate::model::Model;
use crate::peers::{Peers, Standings};
use crate::recorded::recorded;
use crate::rows::Rows;

/// How often what has changed is written down: what came since is read from the stream again, so that nothing is lost in between.
const SAVE_EVERY: Duration = Duration::from_secs(300);
/// How long to wait before the stream is read anew after it was away.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Most outcomes that wait for their deployments' acceptances.
const EARLY_MAX: usize = 10_000;
/// Most deployments whose features are kept until they are scored here; another replica scores some of them.
const SEEN_MAX: usize = 1_000;
/// After how many events of the stream it is looked whether too many changes are remembered. By the stream's count, so that all replicas
/// forget at the same event.
const FORGET_EVERY: u64 = 1_000;
/// Names of objects: a repository's history, what was imported of it, and how far everything is written down.
const HISTORY: &str = "history/";
const IMPORT: &str = "import/";
const POSITION: &str = "position";

/// The histories of all repositories. Clones share them.
#[derive(Clone)]
pub(crate) struct Histories {
    /// The services' own clock.
    utc_offset: UtcOffset,
    /// How many settled changes are remembered; when half as many again are, those beyond are forgotten: what is left is counted anew
    /// then.
    changes_max: usize,
    repositories: Arc<RwLock<HashMap<String, Arc<Entry>>>>,
    /// Which repository a deployment belongs to: an outcome does not say.
    owners: Arc<RwLock<HashMap<DeploymentId, Arc<str>>>>,
    /// What came of deployments whose acceptance was not seen yet.
    early: Arc<Mutex<HashMap<DeploymentId, Option<i64>>>>,
    /// The features of the latest deployments, as they were when they were taken in, until somebody looks.
    seen: Arc<Mutex<HashMap<DeploymentId, Features>>>,
    caught_up: Arc<watch::Sender<bool>>,
}

/// One repository's history, and up to where its events are in it.
struct Entry {
    /// Its name, which all of its deployments share.
    name: Arc<str>,
    repository: RwLock<Repository>,
    /// Locked while the repository is.
    standings: Mutex<Standings>,
    through: Mutex<Position>,
}

impl Entry {
    fn new(name: Arc<str>, repository: Repository, through: Position) -> Self {
        Self { name, repository: RwLock::new(repository), standings: Mutex::default(), through: Mutex::new(through) }
    }
}

/// Up to which place of the stream the events of each kind were taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Position {
    /// Tells the stream from others of the same name.
    stream: i128,
    accepted: u64,
    outcomes: u64,
}

impl Position {
    fn note(self) -> String {
        format!("{} {} {}", self.stream, self.accepted, self.outcomes)
    }

    /// What a note says; nothing when it is about another stream.
    fn of(note: &str, stream: i128) -> Self {
        let mut parts = note.split(' ');
        let begins = Self { stream, ..Self::default() };
        if parts.next().and_then(|part| part.parse().ok()) != Some(stream) {
            return begins;
        }
        let mut part = || parts.next().and_then(|part| part.parse().ok()).unwrap_or_default();
        Self { accepted: part(), outcomes: part(), ..begins }
    }

    fn least(self, other: Self) -> Self {
        Self { accepted: self.accepted.min(other.accepted), outcomes: self.outcomes.min(other.outcomes), ..self }
    }

    fn most(self, other: Self) -> Self {
        Self { accepted: self.accepted.max(other.accepted), outcomes: self.outcomes.max(other.outcomes), ..self }
    }
}

impl Histories {
    /// Nothing is known yet.
    pub(crate) fn new(utc_offset: UtcOffset, changes_max: usize) -> Self {
        Self {
            utc_offset,
            changes_max,
            repositories: Arc::default(),
            owners: Arc::default(),
            early: Arc::default(),
            seen: Arc::default(),
            caught_up: Arc::new(watch::Sender::new(false)),
        }
    }

    /// Waits until everything that the stream held at the start is taken in.
    pub(crate) async fn caught_up(&self) {
        // An error would mean that nobody keeps them any more, and then there is nothing to wait for.
        let _ = self.caught_up.subscribe().wait_for(|caught_up| *caught_up).await;
    }

    /// The features of `deployment` with what was known of its repository when it was accepted (or is now, where that was not kept), and
    /// the repository's latest other deployments as `model` sees them.
    pub(crate) fn look(&self, deployment: &Deployment, model: &Arc<Model>) -> (Features, Option<Peers>) {
        let Some(entry) = self.entry(deployment.repository.as_str()) else {
            return (features(deployment, &Repository::default(), self.utc_offset), None);
        };
        let repository = read(&entry.repository);
        let own = key(deployment);
        let mut standings = lock(&entry.standings);
        if !standings.is_of(model) {
            *standings = Standings::of(model, repository.changes().rev());
        }
        let peers = standings.peers(&own);
        drop(standings);
        let seen = lock(&self.seen).remove(&deployment.id);
        (seen.unwrap_or_else(|| features(deployment, &repository, self.utc_offset)), peers)
    }

    /// What came of all deployments, by now (seconds of Unix time); see [`recorded`].
    pub(crate) fn recorded(&self, now: i64) -> (Rows, String) {
        let mut entries: Vec<_> =
            read(&self.repositories).iter().map(|(name, entry)| (name.clone(), Arc::clone(entry))).collect();
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        let locked: Vec<_> = entries.iter().map(|(name, entry)| (name.as_str(), read(&entry.repository))).collect();
        recorded(locked.iter().map(|(name, repository)| (*name, &**repository)), now)
    }

    /// Takes in what happens until the process is to end.
    pub(crate) async fn keep(self, bus: Bus, shutdown: Shutdown) {
        loop {
            if let Err(error) = self.keep_once(&bus, &shutdown).await {
                tracing::warn!("repositories' histories are out of reach, what is known goes on: {error:#}");
            }
            tokio::select! {
                () = shutdown.called() => return,
                () = tokio::time::sleep(AGAIN_AFTER) => {}
            }
        }
    }

    async fn keep_once(&self, bus: &Bus, shutdown: &Shutdown) -> anyhow::Result<()> {
        let objects = bus.objects(HISTORY_BUCKET).await?;
        let (stream, last) = bus.stream_now().await?;
        // Followed before it is read, so that nothing is put in between unseen.
        let mut put = objects.follow().await?;
        let mut through = self.load(&objects, stream, last).await?;
        let (mut accepted, accepted_held) = bus.watch_kind::<Deployment>(through.accepted).await?;
        let (mut outcomes, outcomes_held) = bus.watch_kind::<Outcome>(through.outcomes).await?;
        let mut held = accepted_held + outcomes_held;
        let mut changed: HashSet<String> = HashSet::new();
        let mut saving = tokio::time::interval_at(tokio::time::Instant::now() + SAVE_EVERY, SAVE_EVERY);
        loop {
            if held == 0 {
                self.caught_up.send_replace(true);
            }
            tokio::select! {
                () = shutdown.called() => return self.save(&objects, through, &mut changed).await,
                seen = next(&mut accepted) => {
                    let seen = seen?;
                    changed.extend(self.accept(&seen, through));
                    if seen.stream_sequence / FORGET_EVERY != through.accepted / FORGET_EVERY {
                        self.forget_aside().await?;
                    }
                    through.accepted = seen.stream_sequence;
                    held = held.saturating_sub(1);
                }
                seen = next(&mut outcomes) => {
                    let seen = seen?;
                    changed.extend(self.tell(&seen));
                    through.outcomes = seen.stream_sequence;
                    held = held.saturating_sub(1);
                }
                stored = next(&mut put) => {
                    changed.extend(self.import(&objects, &stored?).await);
                    self.forget_aside().await?;
                }
                _ = saving.tick() => self.save(&objects, through, &mut changed).await?,
            }
        }
    }

    /// Reads what was written down, and gives from where on events are needed.
    async fn load(&self, objects: &Objects, stream: i128, last: u64) -> anyhow::Result<Position> {
        let stored = objects.list().await?;
        let mut through = stored
            .iter()
            .find(|object| object.name == POSITION)
            .map_or_else(|| Position { stream, ..Position::default() }, |object| Position::of(&object.note, stream));
        through = through.least(Position { stream, accepted: last, outcomes: last });
        for object in &stored {
            let Some(name) = object.name.strip_prefix(HISTORY) else { continue };
            let at = Position::of(&object.note, stream);
            let own = self.entry(name).map(|entry| *lock(&entry.through));
            if own.is_none_or(|own| own.stream != stream || own.most(at) != own) {
                match objects.get(&object.name).await?.map(|bytes| Repository::load(&bytes)) {
                    Some(Ok(repository)) => self.put(name, repository, at),
                    Some(Err(error)) => tracing::error!("the history of {name} cannot be used: {error:#}"),
                    None => {}
                }
            }
            through = through.least(at);
        }
        for object in &stored {
            self.import(objects, object).await;
        }
        self.forget_aside().await?;
        Ok(through)
    }

    /// Takes in an acceptance, and gives the repository's name if that changes its history.
    fn accept(&self, event: &Seen, through: Position) -> Option<String> {
        match event.decode() {
            Ok(deployment) => self.take_in(&deployment, event.stream_sequence, through),
            Err(malformed) => {
                tracing::warn!(sequence = event.stream_sequence, "an acceptance cannot be read: {malformed}");
                None
            }
        }
    }

    /// The same for a deployment that was accepted at that place of the stream.
    fn take_in(&self, deployment: &Deployment, sequence: u64, through: Position) -> Option<String> {
        let name = deployment.repository.as_str().to_owned();
        let entry = self.entry_or_new(&name);
        let mut at = lock(&entry.through);
        if at.stream == through.stream && sequence <= at.accepted {
            return None;
        }
        *at = Position { accepted: sequence, stream: through.stream, ..*at };
        write(&self.owners).insert(deployment.id, Arc::clone(&entry.name));
        let features = features(deployment, &read(&entry.repository), self.utc_offset);
        let mut change = change(deployment, &features);
        let mut seen = lock(&self.seen);
        if seen.len() == SEEN_MAX {
            seen.clear();
        }
        seen.insert(deployment.id, features);
        drop(seen);
        change.failed_at = lock(&self.early).remove(&deployment.id).flatten();
        let mut repository = write(&entry.repository);
        lock(&entry.standings).note(&change);
        repository.record(change);
        Some(name)
    }

    /// Forgets, on a thread of its own: what is left is counted anew.
    async fn forget_aside(&self) -> anyhow::Result<()> {
        let histories = self.clone();
        tokio::task::spawn_blocking(move || histories.forget()).await.context("forgetting")
    }

    /// Forgets the oldest changes of the repositories that have most, when too many are remembered.
    fn forget(&self) {
        let entries: Vec<Arc<Entry>> = read(&self.repositories).values().cloned().collect();
        let settled: Vec<usize> = entries.iter().map(|entry| read(&entry.repository).settled()).collect();
        if settled.iter().sum::<usize>() <= self.changes_max + self.changes_max / 2 {
            return;
        }
        let each = share(settled, self.changes_max);
        for entry in entries {
            let forgotten = write(&entry.repository).forget_beyond(each);
            let mut owners = write(&self.owners);
            forgotten.iter().for_each(|id| drop(owners.remove(id)));
        }
    }

    /// Takes in what came of a deployment. It names no repository: the one that knows the deployment is meant.
    fn tell(&self, seen: &Seen) -> Option<String> {
        let outcome: Outcome = match seen.decode() {
            Ok(outcome) => outcome,
            Err(malformed) => {
                tracing::warn!(sequence = seen.stream_sequence, "an outcome cannot be read: {malformed}");
                return None;
            }
        };
        let failed = matches!(outcome.kind, OutcomeKind::Failed | OutcomeKind::RolledBack);
        let failed_at = failed.then(|| outcome.occurred_at.unix_timestamp());
        let Some(name) = read(&self.owners).get(&outcome.deployment_id).map(ToString::to_string) else {
            let mut early = lock(&self.early);
            if early.len() < EARLY_MAX {
                early.insert(outcome.deployment_id, failed_at);
            }
            return None;
        };
        write(&self.entry_or_new(&name).repository).tell(outcome.deployment_id, failed_at);
        Some(name)
    }

    /// Joins a repository's history with what was imported of it, unless that was done, and gives its name.
    async fn import(&self, objects: &Objects, stored: &Stored) -> Option<String> {
        let name = stored.name.strip_prefix(IMPORT)?;
        let known = self.import_of(name);
        if known.as_deref() == Some(stored.note.as_str()) {
            return None;
        }
        let loaded = match objects.get(&stored.name).await {
            Ok(bytes) => bytes.context("it is gone").and_then(|bytes| Repository::load(&bytes)),
            Err(error) => Err(error),
        };
        match loaded {
            Ok(imported) => {
                let entry = self.entry_or_new(name);
                let mut repository = write(&entry.repository);
                *repository = std::mem::take(&mut *repository).with_import(imported);
                *lock(&entry.standings) = Standings::default();
                tracing::info!("{name} has {} changes since its import", repository.len());
                Some(name.to_owned())
            }
            Err(error) => {
                tracing::error!("what was imported of {name} cannot be used: {error:#}");
                None
            }
        }
    }

    /// Writes down what has changed, unless another replica did, and then up to where everything is written down.
    async fn save(&self, objects: &Objects, through: Position, changed: &mut HashSet<String>) -> anyhow::Result<()> {
        if changed.is_empty() {
            return Ok(());
        }
        for name in changed.iter() {
            let Some(entry) = self.entry(name) else { continue };
            let object = format!("{HISTORY}{name}");
            let note = format!("{} {}", through.note(), self.import_of(name).unwrap_or_default());
            let before = objects.look(&object).await?.map(|stored| stored.note);
            let is_there = before.is_some_and(|before| {
                let at = Position::of(&before, through.stream);
                at.most(through) == at && before.rsplit(' ').next() == note.rsplit(' ').next()
            });
            if !is_there {
                let bytes = tokio::task::spawn_blocking(move || read(&entry.repository).save()).await?;
                objects.put(&object, &note, &bytes).await?;
            }
        }
        objects.put(POSITION, &through.note(), &[]).await?;
        changed.clear();
        Ok(())
    }

    /// The commit that the import of that repository ended with, if there was one.
    fn import_of(&self, name: &str) -> Option<String> {
        let entry = self.entry(name)?;
        read(&entry.repository).imported().map(|import| import.head.clone())
    }

    fn entry(&self, name: &str) -> Option<Arc<Entry>> {
        read(&self.repositories).get(name).cloned()
    }

    fn entry_or_new(&self, name: &str) -> Arc<Entry> {
        let new = || Arc::new(Entry::new(name.into(), Repository::default(), Position::default()));
        Arc::clone(write(&self.repositories).entry(name.to_owned()).or_insert_with(new))
    }

    fn put(&self, name: &str, repository: Repository, through: Position) {
        let owner: Arc<str> = name.into();
        let ids = repository.changes().flat_map(|change| &change.deployments);
        write(&self.owners).extend(ids.map(|id| (*id, Arc::clone(&owner))));
        write(&self.repositories).insert(name.to_owned(), Arc::new(Entry::new(owner, repository, through)));
    }
}

/// Hands what was imported of a repository to every running ml-scoring, and to those that start later.
///
/// # Errors
/// When the bucket is away.
pub async fn import(bus: &Bus, name: &domain::Repository, imported: &Repository) -> anyhow::Result<()> {
    let head = imported.imported().map(|import| import.head.clone()).unwrap_or_default();
    let objects = bus.objects(HISTORY_BUCKET).await?;
    objects.put(&format!("{IMPORT}{}", name.as_str()), &head, &imported.save()).await
}

/// Every repository's history as it was last written down, by name: at most five minutes old.
///
/// # Errors
/// When the bucket is away, or a history in it cannot be used.
pub async fn written(bus: &Bus) -> anyhow::Result<BTreeMap<String, Repository>> {
    let objects = bus.objects(HISTORY_BUCKET).await?;
    let mut histories = BTreeMap::new();
    let stored = objects.list().await?;
    for prefix in [HISTORY, IMPORT] {
        for object in &stored {
            let Some(name) = object.name.strip_prefix(prefix).filter(|name| !histories.contains_key(*name)) else {
                continue;
            };
            if let Some(bytes) = objects.get(&object.name).await? {
                let history = Repository::load(&bytes).with_context(|| format!("the history of {name}"))?;
                histories.insert(name.to_owned(), history);
            }
        }
    }
    Ok(histories)
}

/// What a deployment changes, with what its sender knows of the past and, where that is nothing, what the repository's history
/// tells.
fn features(deployment: &Deployment, repository: &Repository, utc_offset: UtcOffset) -> Features {
    let files: Vec<Touched> = deployment.change.files.iter().map(Touched::of).collect();
    let at = deployment.accepted_at.unix_timestamp();
    let asked = Asked { at, author: &deployment.author, files: &files };
    let local = deployment.deploy_at.unwrap_or(deployment.accepted_at).to_offset(utc_offset);
    let mut measures = Measures::of(deployment).at(local);
    measures.history = measures.history.or(&repository.history(&asked, &key(deployment)));
    Features::of(&measures)
}

fn key(deployment: &Deployment) -> Key {
    Key::PullRequest(deployment.pull_request.get())
}

/// An accepted deployment as a change of its repository.
fn change(deployment: &Deployment, features: &Features) -> Change {
    Change {
        key: key(deployment),
        deployments: vec![deployment.id],
        at: deployment.accepted_at.unix_timestamp(),
        author: deployment.author.as_str().into(),
        title: without_number(&deployment.title).into(),
        files: deployment.change.files.iter().map(Touched::of).collect(),
        reverts: reverted(&deployment.title, &deployment.branch, "").map(Box::new),
        failed_at: None,
        features: Some(Remembered::of(features)),
    }
}

/// How many each may keep so that all together keep `all`: who has fewer keeps them, and what that leaves the others share.
fn share(mut held: Vec<usize>, all: usize) -> usize {
    held.sort_unstable();
    let (mut left, mut others) = (all, held.len());
    for few in held {
        let each = left / others;
        if few > each {
            return each;
        }
        (left, others) = (left - few, others - 1);
    }
    all
}

async fn next<T>(stream: &mut (impl Stream<Item = anyhow::Result<T>> + Unpin)) -> anyhow::Result<T> {
    stream.next().await.context("the subscription ended")?
}

// A writer that panicked left a history that is whole or lacks one change: better than none.
fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

fn lock<T>(lock: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
