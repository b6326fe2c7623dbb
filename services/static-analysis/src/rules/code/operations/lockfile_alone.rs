//! A lockfile that changes without its manifest, or the other way round.

use std::collections::{HashMap, HashSet};

use domain::diff::{Diff, FileDiff, LineKind};
use domain::{Category, Confidence, FileChangeKind, Severity};

use crate::paths;
use crate::rules::{Check, FileHit, Rule};

/// The rule.
pub static RULE: Rule = Rule {
    id: "code.dependency.lockfile-alone",
    title: "Dependencies change in one of two places",
    severity: Severity::Info,
    confidence: Confidence::Medium,
    category: Category::Code,
    cwe: 0,
    hazard: "",
    keywords: &[],
    remediation: "Let the package manager write both, and commit them together.",
    references: &[
        "https://github.com/npm/cli/blob/latest/docs/lib/content/configuring-npm/package-lock-json.md",
        "https://doc.rust-lang.org/cargo/guide/cargo-toml-vs-cargo-lock.html",
    ],
    aliases: &[],
    check: Check::Change(check),
};

/// A manifest, the lockfiles that belong to it, and words of lines in it that are about dependencies.
const PAIRS: &[(&str, &[&str], &[&str])] = &[
    (
        "package.json",
        &["package-lock.json", "yarn.lock", "pnpm-lock.yaml", "npm-shrinkwrap.json", "bun.lock"],
        &["\"^", "\"~", "\": \"1", "\": \"0", "\": \"2"],
    ),
    ("Cargo.toml", &["Cargo.lock"], &["version =", "= \""]),
    ("go.mod", &["go.sum"], &[" v"]),
    ("pyproject.toml", &["poetry.lock", "uv.lock", "pdm.lock"], &[">=", "==", "= \"^"]),
    ("Pipfile", &["Pipfile.lock"], &["= \""]),
    ("Gemfile", &["Gemfile.lock"], &["gem "]),
    ("composer.json", &["composer.lock"], &["\"^", "\"~"]),
];

/// Lines that a lockfile changes by when something is only put in order.
const SMALL_LINES: u32 = 2;
/// Folders that are looked at above one.
const DEPTH_MAX: usize = 64;

fn check(diff: &Diff<'_>) -> Vec<(usize, FileHit)> {
    let places = Places::of(diff);
    let mut hits = Vec::new();
    for &index in &places.files {
        let file = &diff.files[index];
        if file.change.kind != FileChangeKind::Modified {
            continue;
        }
        let (name, folder) = (paths::name(&file.change.path), paths::folder(&file.change.path));
        for (manifest, locks, words) in PAIRS {
            // Lockfiles are refreshed by themselves every day; one that gains packages whose manifest nobody touched is worth a look.
            let alone =
                locks.contains(&name) && !places.has_near(folder, manifest) && file.change.lines_added > SMALL_LINES;
            if alone {
                hits.push((index, FileHit::on_file("other versions are installed than the manifest's history tells")));
            }
            if *manifest == name
                && adds_dependency(file, words)
                && !locks.iter().any(|lock| places.has_near(folder, lock))
                // The diff shows only what changed: that there is a lockfile at all is known from another of its kind.
                && locks.iter().any(|lock| places.folders.contains_key(lock))
            {
                hits.push((
                    index,
                    FileHit::on_file(
                        "the lockfile does not know of this yet, so that each machine installs what is newest",
                    ),
                ));
            }
        }
    }
    hits
}

/// Where a diff has manifests and lockfiles.
#[derive(Default)]
struct Places<'d> {
    /// The numbers of these files: few among many.
    files: Vec<usize>,
    /// Their folders, by their names.
    folders: HashMap<&'d str, Folders<'d>>,
}

/// The folders of the files of one name.
#[derive(Default)]
struct Folders<'d> {
    own: HashSet<&'d str>,
    /// Those and the folders above them.
    above: HashSet<&'d str>,
}

impl<'d> Places<'d> {
    fn of(diff: &'d Diff<'_>) -> Self {
        let mut places = Self::default();
        for (index, file) in diff.files.iter().enumerate() {
            let path = file.change.path.as_str();
            let name = paths::name(path);
            if PAIRS.iter().any(|(manifest, locks, _)| *manifest == name || locks.contains(&name)) {
                places.files.push(index);
                let folders = places.folders.entry(name).or_default();
                folders.own.insert(paths::folder(path));
                folders.above.extend(with_those_above(paths::folder(path)));
            }
        }
        places
    }

    /// Whether there is a file of this name in the folder, or in one above or below it: a workspace has one lockfile at its top.
    fn has_near(&self, folder: &str, name: &str) -> bool {
        self.folders.get(name).is_some_and(|folders| {
            folders.above.contains(folder) || with_those_above(folder).any(|above| folders.own.contains(above))
        })
    }
}

/// The folder, and the folders above it up to the top, whose name is empty. Of a very deep one some are left out.
fn with_those_above(folder: &str) -> impl Iterator<Item = &str> {
    let above = folder.match_indices('/').map(|(end, _)| &folder[..end]);
    ["", folder].into_iter().chain(above.take(DEPTH_MAX))
}

fn adds_dependency(file: &FileDiff<'_>, words: &[&str]) -> bool {
    let lines = file.hunks.iter().flat_map(|hunk| &hunk.lines).filter(|line| line.kind == LineKind::Added);
    lines.map(|line| line.text).any(|text| {
        !text.contains("\"version\"") && !text.starts_with("version") && words.iter().any(|word| text.contains(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{modified, scan_with};

    const MORE: &str = "+a\n+b\n+c\n+d";

    #[test]
    fn a_lockfile_without_its_manifest_is_found() {
        assert_eq!(scan_with(&RULE, vec![modified("web/package-lock.json", MORE)]).len(), 1);
        assert_eq!(scan_with(&RULE, vec![modified("a/bc/go.sum", MORE), modified("a/b/go.mod", "+x")]).len(), 1);
        assert_eq!(scan_with(&RULE, vec![modified("Cargo.lock", MORE), modified("web/package.json", "+x")]).len(), 1);
    }

    #[test]
    fn both_together_and_small_changes_are_not() {
        assert_eq!(scan_with(&RULE, vec![modified("Cargo.lock", MORE), modified("a/Cargo.toml", "+b = \"1\"")]), []);
        assert_eq!(scan_with(&RULE, vec![modified("Cargo.lock", "+a")]), []);
        assert_eq!(scan_with(&RULE, vec![modified("a/b/go.sum", MORE), modified("a/go.mod", "+b v1")]), []);
        assert_eq!(scan_with(&RULE, vec![modified("package.json", "+  \"a\": \"^1.0.0\",")]), []);
    }

    #[test]
    fn a_manifest_without_its_lockfile_is_found_where_there_is_one() {
        let files = vec![
            modified("a/package.json", "+  \"b\": \"^1.0.0\","),
            modified("c/package.json", "+  \"b\": \"^1.0.0\","),
            modified("c/package-lock.json", MORE),
        ];
        assert_eq!(scan_with(&RULE, files).len(), 1);
    }
}
