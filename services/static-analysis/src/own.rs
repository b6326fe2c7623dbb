//! Rules of one's own: files of rows beside those that come with FailSafe (`rules/secret/patterns/README.md` documents them).
//!
//! Who runs FailSafe is trusted: those rules stand before all others. Who wrote what is scanned is a guest: those rules add
//! findings and change no other, whatever they say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use domain::identity::sha256_hex;

use crate::rules::{self, Rule, pattern};

/// Where a repository keeps its rules.
pub const FOLDER: &str = ".failsafe/rules";
/// Bytes of the largest file of rules.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// Rules of one's own, read once.
#[derive(Debug, Default)]
pub struct Own {
    trusted: Vec<&'static Rule>,
    guests: Vec<&'static Rule>,
    /// The file of each rule.
    files: BTreeMap<&'static str, PathBuf>,
    /// The files that were read, without links, and the digest of each.
    read: Vec<(PathBuf, String)>,
}

impl Own {
    /// The rules of these files, and of the `*.toml` in these folders.
    ///
    /// # Errors
    /// A sentence that names the file, the row and what is wrong with it.
    pub fn of<P: AsRef<Path>>(paths: &[P]) -> Result<Self, String> {
        let mut own = Self::default();
        for path in paths {
            own.trust(path.as_ref())?;
        }
        Ok(own)
    }

    /// Adds the rules of a file or a folder whose author is trusted.
    ///
    /// # Errors
    /// As [`Own::of`].
    pub fn trust(&mut self, path: &Path) -> Result<(), String> {
        let rules = self.load(path)?;
        self.trusted.extend(rules);
        Ok(())
    }

    /// Adds the rules in `.failsafe/rules` of the folder that is scanned, where there are any: they can only add findings.
    ///
    /// # Errors
    /// As [`Own::of`], and when a file lies elsewhere in truth: what is wrong in it would be quoted.
    pub fn admit(&mut self, root: &Path) -> Result<(), String> {
        let folder = root.join(FOLDER);
        if !folder.is_dir() {
            return Ok(());
        }
        let cannot = |error: std::io::Error| format!("cannot read {}: {error}", folder.display());
        let inside = root.canonicalize().map_err(cannot)?;
        for file in files(&folder)? {
            let place = file.canonicalize().map_err(cannot)?;
            if !(place.starts_with(&inside) && place.is_file()) {
                return Err(format!("{}: is no file of this folder", file.display()));
            }
        }
        let rules = self.load(&folder)?;
        self.guests.extend(rules);
        Ok(())
    }

    /// How many rules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// True without any rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    pub(crate) fn trusted(&self) -> &[&'static Rule] {
        &self.trusted
    }

    pub(crate) fn guests(&self) -> &[&'static Rule] {
        &self.guests
    }

    /// Over all that was read, wherever it lay.
    pub(crate) fn digest(&self) -> String {
        let read: Vec<_> = self.read.iter().map(|(_, digest)| digest.as_str()).collect();
        read.join("\n")
    }

    fn load(&mut self, path: &Path) -> Result<Vec<&'static Rule>, String> {
        let mut rules = Vec::new();
        for file in files(path)? {
            let cannot = |error: std::io::Error| format!("cannot read {}: {error}", file.display());
            let place = file.canonicalize().map_err(cannot)?;
            if self.read.iter().any(|(known, _)| *known == place) {
                continue;
            }
            if std::fs::metadata(&file).map_err(cannot)?.len() > FILE_BYTES_MAX {
                return Err(format!("{}: more than {FILE_BYTES_MAX} bytes", file.display()));
            }
            let text = std::fs::read_to_string(&file).map_err(cannot)?;
            self.read.push((place, sha256_hex(text.as_bytes())));
            for loaded in pattern::parse_own(&text).map_err(|error| format!("{}: {error}", file.display()))? {
                self.take(loaded.rule, &file)?;
                rules.push(loaded.rule);
            }
        }
        Ok(rules)
    }

    fn take(&mut self, rule: &'static Rule, file: &Path) -> Result<(), String> {
        let wrong = |why: String| Err(format!("{}: rule {:?}: {why}", file.display(), rule.id));
        if rules::all().iter().any(|known| known.id == rule.id) {
            return wrong("FailSafe has a rule of this id; give this one another, and disable that one in the settings if it must go".to_owned());
        }
        match self.files.insert(rule.id, file.to_owned()) {
            Some(other) if other == file => wrong("this id is there twice".to_owned()),
            Some(other) => wrong(format!("this id is in {}, too", other.display())),
            None => Ok(()),
        }
    }
}

/// The file itself, or the `*.toml` in the folder, in order of their names.
fn files(path: &Path) -> Result<Vec<PathBuf>, String> {
    let cannot = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    if !std::fs::metadata(path).map_err(cannot)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(cannot)? {
        let file = entry.map_err(cannot)?.path();
        if file.extension().is_some_and(|extension| extension == "toml") {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}
