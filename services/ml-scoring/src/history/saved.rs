//! How a repository's history is written down: gzipped JSON in which every name stands once.
//!
//! Only the changes are written; what they come to is counted again on reading.

use std::collections::HashMap;
use std::io::{BufWriter, Read};
use std::sync::Arc;

use anyhow::{Context, ensure};
use domain::{DeploymentId, FileChangeKind};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use super::change::Remembered;
use super::{Change, Import, Key, Repository, Touched};
use crate::features::{FEATURES, Feature};

/// The format that this version reads and writes.
pub const FORMAT: u32 = 1;
/// Most bytes of one repository's history that are read, unpacked.
const BYTES_MAX: u64 = 1 << 30;

/// What is written of a repository.
#[derive(Serialize, Deserialize)]
struct Saved {
    format: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    imported: Option<Import>,
    /// Names of the features, in the order of their values.
    features: Vec<String>,
    /// Names of files, authors and titles; what refers to one gives its place.
    names: Vec<String>,
    changes: Vec<SavedChange>,
}

/// What is written of a change.
#[derive(Serialize, Deserialize)]
struct SavedChange {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pull_request: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    deployments: Vec<String>,
    at: i64,
    author: usize,
    title: usize,
    files: Vec<SavedFile>,
    /// True when it takes another back. What exactly is needed no more: it is said there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    reverts: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failed_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    known: Option<Vec<Option<f32>>>,
}

/// Path, path before a rename, kind, lines added and deleted.
#[derive(Serialize, Deserialize)]
struct SavedFile(usize, Option<usize>, u8, Option<(u32, u32)>);

const KINDS: [FileChangeKind; 5] = [
    FileChangeKind::Added,
    FileChangeKind::Modified,
    FileChangeKind::Deleted,
    FileChangeKind::Renamed,
    FileChangeKind::Copied,
];

/// Places of names.
#[derive(Default)]
struct Names {
    places: HashMap<Arc<str>, usize>,
    names: Vec<String>,
}

impl Names {
    fn place(&mut self, name: &Arc<str>) -> usize {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        self.places.insert(Arc::clone(name), self.names.len());
        self.names.push(name.to_string());
        self.names.len() - 1
    }
}

impl Repository {
    /// Writes it down.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        let mut names = Names::default();
        let changes = self.changes().map(|change| saved(change, &mut names)).collect();
        let features = FEATURES.iter().map(|feature| feature.name.to_owned()).collect();
        let saved = Saved { format: FORMAT, imported: self.imported.clone(), features, names: names.names, changes };
        // JSON comes in pieces of a few bytes.
        let mut text = BufWriter::new(GzEncoder::new(Vec::new(), Compression::fast()));
        serde_json::to_writer(&mut text, &saved).expect("a history holds nothing that JSON cannot");
        let packed = text.into_inner().map_err(std::io::IntoInnerError::into_error);
        packed.and_then(GzEncoder::finish).expect("memory can be written to")
    }

    /// Reads what [`Repository::save`] wrote.
    ///
    /// # Errors
    /// When it is no history, or one of a newer version.
    pub fn load(bytes: &[u8]) -> anyhow::Result<Self> {
        let mut text = Vec::new();
        GzDecoder::new(bytes).take(BYTES_MAX + 1).read_to_end(&mut text).context("unpacking a history")?;
        ensure!(text.len() as u64 <= BYTES_MAX, "the history is more than {BYTES_MAX} bytes");
        let saved: Saved = serde_json::from_slice(&text).context("is no history")?;
        ensure!(
            saved.format == FORMAT,
            "has format {}, and this version of FailSafe reads format {FORMAT}",
            saved.format
        );
        // A feature that this version does not know is dropped, and one that it alone knows is not known.
        let order: Vec<Option<usize>> = FEATURES
            .iter()
            .map(|feature| {
                saved.features.iter().position(|name| Feature::index_of(name) == Feature::index_of(feature.name))
            })
            .collect();
        let names: Vec<Arc<str>> = saved.names.into_iter().map(Into::into).collect();
        let changes = saved.changes.into_iter().map(|change| read(change, &names, &order));
        Ok(Self::new(changes.collect::<anyhow::Result<_>>()?, saved.imported))
    }
}

fn saved(change: &Change, names: &mut Names) -> SavedChange {
    let (pull_request, commit) = match &change.key {
        Key::PullRequest(number) => (Some(*number), None),
        Key::Commit(commit) => (None, Some(commit.clone())),
    };
    let mut file = |file: &Touched| {
        let kind = KINDS.iter().position(|kind| *kind == file.kind).expect("every kind is in the list");
        let old_path = file.old_path.as_ref().map(|old| names.place(old));
        SavedFile(names.place(&file.path), old_path, kind as u8, file.lines)
    };
    let files = change.files.iter().map(&mut file).collect();
    SavedChange {
        pull_request,
        commit,
        deployments: change.deployments.iter().map(ToString::to_string).collect(),
        at: change.at,
        author: names.place(&change.author),
        title: names.place(&change.title),
        files,
        reverts: change.reverts.is_some(),
        failed_at: change.failed_at,
        known: change.features.as_ref().map(|features| features.values().collect()),
    }
}

fn read(saved: SavedChange, names: &[Arc<str>], order: &[Option<usize>]) -> anyhow::Result<Change> {
    let name = |place: usize| names.get(place).cloned().context("a name is missing");
    let file = |SavedFile(path, old_path, kind, lines): SavedFile| {
        anyhow::Ok(Touched {
            path: name(path)?,
            old_path: old_path.map(name).transpose()?,
            kind: *KINDS.get(usize::from(kind)).context("a file has no kind")?,
            lines,
        })
    };
    let key = match (saved.pull_request, saved.commit) {
        (Some(number), _) => Key::PullRequest(number),
        (None, commit) => Key::Commit(commit.context("a change has neither pull request nor commit")?),
    };
    let deployments = saved.deployments.iter().map(|id| DeploymentId::parse(id).map_err(anyhow::Error::msg));
    let known = saved.known.map(|values| {
        let value = |place: &Option<usize>| place.and_then(|place| values.get(place).copied().flatten());
        Remembered::from_values(order.iter().map(value))
    });
    Ok(Change {
        key,
        deployments: deployments.collect::<anyhow::Result<_>>()?,
        at: saved.at,
        author: name(saved.author)?,
        title: name(saved.title)?,
        files: saved.files.into_iter().map(file).collect::<anyhow::Result<_>>()?,
        reverts: saved.reverts.then(Default::default),
        failed_at: saved.failed_at,
        features: known,
    })
}
