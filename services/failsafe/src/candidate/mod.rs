//! What is to be judged, put together from flags, from what a CI says of its pull request, and from a git clone: flags go before the
//! CI, the CI before the clone. Of each piece it is told where it was found; what is missing is told all at once.

mod environment;
mod event;
mod past;
#[cfg(test)]
mod tests;

use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use domain::submission::TEXT_CHARS_MAX;
use domain::{Draft, DraftChange, History, Repository};
use prost::Message;
use proto::{Event as _, v1};
use time::OffsetDateTime;

use crate::cli;
use crate::git::{self, GitClone};
use crate::terminal::{Look, Sheet, Style};
pub(crate) use environment::Environment;
use environment::{Ci, LOOKED_EVERYWHERE, Looked, remote_first};

/// The longest diff that is read: more than any gateway takes.
const DIFF_BYTES_MAX: usize = 256 << 20;
/// What is said of a clone that is too short.
const UNSHALLOW: &str = "the clone is shallow and ends before that: give it its whole history (GitHub: `fetch-depth: 0` for actions/checkout; \
     GitLab: `GIT_DEPTH: 0`; elsewhere: `git fetch --unshallow`)";

/// Something, and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told<T> {
    value: T,
    from: &'static str,
}

impl<T> Told<T> {
    const fn new(value: T, from: &'static str) -> Self {
        Self { value, from }
    }

    fn map<U>(self, change: impl FnOnce(T) -> U) -> Told<U> {
        Told { value: change(self.value), from: self.from }
    }
}

/// What is to be judged, and how it was found out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Candidate {
    /// What is submitted.
    pub(crate) request: v1::SubmitDeploymentRequest,
    /// Each piece that was not typed: what it is, its value, and where it was found.
    pub(crate) found: Vec<(&'static str, String, &'static str)>,
    /// The CI that was recognised, by its name.
    pub(crate) ci: Option<&'static str>,
    /// Where the forge shows the files of this revision, up to their paths; `None` when that is not known.
    pub(crate) files_at: Option<String>,
}

impl Candidate {
    /// Says on the standard error what was found, and where.
    pub(crate) fn tell(&self) {
        if self.found.is_empty() {
            return;
        }
        let mut sheet = Sheet::new(Style::of_stderr());
        let request = &self.request;
        let within = self.ci.map(|name| format!(", in {name}")).unwrap_or_default();
        let words = format!("submitting {} #{}{within}", request.repository, request.pull_request);
        sheet.paragraph(0, Look::Plain, &words);
        let cut = |text: &str| match text.char_indices().nth(VALUE_CHARS_MAX) {
            Some((at, _)) => format!("{}…", &text[..at]),
            None => text.to_owned(),
        };
        let width = self.found.iter().map(|(_, value, _)| cut(value).chars().count()).max().unwrap_or_default();
        for (name, value, from) in &self.found {
            let (name, value) = (format!("  {name:<12}"), format!("{:<width$}", cut(value)));
            sheet.row(&[(Look::Dim, &name), (Look::Plain, &value), (Look::Dim, from)]);
        }
        eprintln!("{}", sheet.into_text());
    }
}

/// Most characters of a value that are told.
const VALUE_CHARS_MAX: usize = 48;

/// Puts together what is to be judged.
///
/// # Errors
/// All that is missing, each with the flag that gives it and the variables that were looked for; or what git says is wrong.
pub(crate) fn collect(options: &cli::Candidate, environment: &Environment) -> anyhow::Result<Candidate> {
    let ci = Ci::recognise(environment)?.filter(|ci| is_about(ci, options));
    let looked = ci.as_ref().map_or(LOOKED_EVERYWHERE, |ci| ci.looked);
    let name = ci.as_ref().map(|ci| ci.name);
    let ci = ci.unwrap_or_default();
    let mut found = Vec::new();
    let change = match &options.diff {
        Some(path) => Change::of_diff(path)?,
        None => Change::of_clone(options, &ci, looked)?,
    };
    let flag = |text: &Option<String>| text.clone().map(|text| Told::new(text, FLAG));
    let by_origin = change.origin.as_deref().and_then(git::path_of).map(|path| Told::new(path, "the remote origin"));
    let repository = flag(&options.repository).or(ci.repository).or(by_origin);
    let number = options.pull_request.map(|number| Told::new(number, FLAG)).or(ci.pull_request).or(change.pull_request);
    let (repository, number) = both(repository, number, looked, change.origin.as_deref())?;
    let revision = flag(&options.revision).or(change.head).or(ci.head);
    let title = flag(&options.title).or(ci.title).or(change.title);
    let author = flag(&options.author).or(ci.author).or(change.author);
    let labels = (!options.labels.is_empty()).then(|| Told::new(options.labels.clone(), FLAG)).or(ci.labels);
    let opened_at = ci.opened_at.or(change.begun_at);
    let branch = ci.branch.or(change.branch);
    let repository = noted(&mut found, "repository", Some(repository), Clone::clone).unwrap_or_default();
    let pull_request = noted(&mut found, "pull request", Some(number), ToString::to_string).unwrap_or_default();
    // What was not typed is cut rather than refused.
    let mut text = |name, told: Option<Told<String>>| {
        let told = told.map(|told| if told.from == FLAG { told } else { told.map(|text| cut(&text)) });
        noted(&mut found, name, told, Clone::clone).unwrap_or_default()
    };
    let mut draft = Draft {
        repository,
        pull_request,
        revision: text("revision", revision),
        change: Some(DraftChange::Diff(change.diff)),
        title: text("title", title),
        author: text("author", author),
        branch: text("branch", branch),
        base_branch: text("base branch", ci.base_branch),
        labels: Vec::new(),
        environment: options.environment.clone(),
        opened_at: None,
        deploy_at: None,
        commits: None,
        files_changed: None,
        history: change.history,
        // The gateway says who called.
        submitted_by: String::new(),
    };
    draft.labels = noted(&mut found, "labels", labels.filter(|labels| !labels.value.is_empty()), |all| all.join(", "))
        .unwrap_or_default();
    draft.opened_at = noted(&mut found, "begun", opened_at, |at| at.date().to_string());
    draft.commits = noted(&mut found, "commits", change.commits, ToString::to_string);
    draft.files_changed = noted(&mut found, "files", change.files, ToString::to_string);
    found.extend(change.noted);
    let files_at = ci.files_at.filter(|_| !draft.revision.is_empty()).map(|at| format!("{at}{}/", draft.revision));
    // The submission's message is the draft's.
    let request = v1::SubmitDeploymentRequest::decode(&*draft.encode()).context("the draft has no message")?;
    Ok(Candidate { request, found, ci: name, files_at })
}

/// As much of a text as a submission takes.
fn cut(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}

/// Where something comes from that was typed; it is not told again.
const FLAG: &str = "a flag";

/// Whether what the CI runs for is what the flags name: another pull request has another title and author.
fn is_about(ci: &Ci, options: &cli::Candidate) -> bool {
    let same_repository = match (&options.repository, &ci.repository) {
        (Some(named), Some(told)) => *named == told.value,
        _ => true,
    };
    let same_number = match (options.pull_request, &ci.pull_request) {
        (Some(named), Some(told)) => named == told.value,
        _ => true,
    };
    same_repository && same_number
}

/// What cannot be done without.
fn both(
    repository: Option<Told<String>>,
    number: Option<Told<u32>>,
    looked: Looked,
    origin: Option<&str>,
) -> anyhow::Result<(Told<String>, Told<u32>)> {
    let mut missing = Vec::new();
    match &repository {
        None => {
            let remote = match origin {
                Some(_) => "the remote `origin` (its address names none)",
                None => "the remote `origin` of a clone",
            };
            missing.push(format!(
                "the repository is missing: name it by --repository acme/shop. Looked for: {}, {remote}",
                looked.repository
            ));
        }
        Some(told) => {
            if let Err(why) = Repository::parse(&told.value) {
                let from = if told.from == FLAG { "--repository" } else { told.from };
                missing.push(format!("the repository (from {from}) {why}"));
            }
        }
    }
    if number.is_none() {
        missing.push(format!(
            "the pull request's number is missing: name it by --pull-request 107 or FAILSAFE_PULL_REQUEST. Looked for: {}",
            looked.pull_request
        ));
    }
    match (repository, number) {
        (Some(repository), Some(number)) if missing.is_empty() => Ok((repository, number)),
        _ => bail!("{}", missing.join("\n          ")),
    }
}

/// A piece, noted where it was not typed.
fn noted<T>(
    found: &mut Vec<(&'static str, String, &'static str)>,
    name: &'static str,
    told: Option<Told<T>>,
    show: impl FnOnce(&T) -> String,
) -> Option<T> {
    let told = told?;
    if told.from != FLAG {
        found.push((name, show(&told.value), told.from));
    }
    Some(told.value)
}

/// The change itself, and what is known of it from where it was taken.
#[derive(Debug, Default)]
struct Change {
    diff: String,
    head: Option<Told<String>>,
    title: Option<Told<String>>,
    author: Option<Told<String>>,
    branch: Option<Told<String>>,
    pull_request: Option<Told<u32>>,
    begun_at: Option<Told<OffsetDateTime>>,
    commits: Option<Told<u32>>,
    files: Option<Told<u32>>,
    history: History,
    /// The address of the remote `origin`.
    origin: Option<String>,
    /// What else is to be told.
    noted: Vec<(&'static str, String, &'static str)>,
}

impl Change {
    /// A diff that somebody else made: nothing else is known of it.
    fn of_diff(path: &Path) -> anyhow::Result<Self> {
        let mut bytes = Vec::new();
        let limit = DIFF_BYTES_MAX as u64 + 1;
        let read = if path == Path::new("-") {
            std::io::stdin().lock().take(limit).read_to_end(&mut bytes)
        } else {
            std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
        };
        read.with_context(|| format!("cannot read the diff {}", path.display()))?;
        ensure!(bytes.len() <= DIFF_BYTES_MAX, "the diff {} is longer than {DIFF_BYTES_MAX} bytes", path.display());
        let diff = String::from_utf8(bytes).with_context(|| format!("the diff {} is not UTF-8", path.display()))?;
        Ok(Self { diff, ..Self::default() })
    }

    /// What a clone says has changed since its head left the base.
    fn of_clone(options: &cli::Candidate, ci: &Ci, looked: Looked) -> anyhow::Result<Self> {
        let clone = GitClone::at(&options.git).with_context(|| {
            format!(
                "there is nothing to submit: {} is no git clone, and no --diff FILE is given",
                options.git.display()
            )
        })?;
        let head = match &options.head {
            Some(head) => Told::new(head.clone(), "--head"),
            None => ci.head.clone().unwrap_or(Told::new("HEAD".to_owned(), "the clone")),
        };
        let Some(commit) = clone.commit(&head.value)? else {
            let remedy = if clone.is_shallow()? { UNSHALLOW } else { "fetch it, or name another by --head" };
            bail!("the clone does not hold the head commit {} (from {}): {remedy}", head.value, head.from);
        };
        let from = base(&clone, options, ci, &commit, looked)?;
        let bytes = clone.diff(&from.value, &commit)?;
        ensure!(
            !bytes.is_empty(),
            "nothing differs between {:.12} ({}) and the head {commit:.12}: there is nothing to judge",
            from.value,
            from.from
        );
        ensure!(bytes.len() <= DIFF_BYTES_MAX, "the diff is longer than {DIFF_BYTES_MAX} bytes");
        let about = clone.about(&commit)?;
        let diff =
            String::from_utf8(bytes).unwrap_or_else(|other| String::from_utf8_lossy(other.as_bytes()).into_owned());
        let begun_at = clone.begun_at(&from.value, &commit)?;
        let branch = clone.branch()?;
        let mut change = Self {
            diff,
            head: Some(Told::new(commit.clone(), head.from)),
            title: Some(Told::new(about.subject, "the last commit")),
            pull_request: checked_out(&clone, branch.as_deref())?,
            branch: branch.filter(|_| head.from == "the clone").map(|branch| Told::new(branch, "the clone")),
            begun_at: begun_at
                .and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok())
                .map(|at| Told::new(at, "the first commit")),
            commits: Some(Told::new(clone.commits(&from.value, &commit)?, "the clone")),
            files: Some(Told::new(clone.files_changed(&from.value, &commit)?, "the clone")),
            origin: clone.setting("remote.origin.url")?,
            noted: vec![("since", from.value.clone(), from.from)],
            ..Self::default()
        };
        let (history, words) = past::of_clone(&clone, options, &from.value, &about.author, &change.diff)?;
        change.history = history;
        change.noted.push(("the past", words, "the clone"));
        change.author = Some(Told::new(about.author, "the last commit"));
        Ok(change)
    }
}

/// The commit where the head left its base: the flag, or what the CI says.
fn base(
    clone: &GitClone,
    options: &cli::Candidate,
    ci: &Ci,
    head: &str,
    looked: Looked,
) -> anyhow::Result<Told<String>> {
    let named = match &options.base {
        // A fresh clone has main only as the remote's.
        Some(base) => {
            let mut names = remote_first(Some(&Told::new(base.clone(), "--base")));
            names.reverse();
            // A branch goes before a tag of the same name, which git would take.
            names.insert(0, Told::new(format!("refs/heads/{base}"), "--base"));
            names
        }
        None => ci.bases.clone(),
    };
    let Some(first) = named.first() else {
        bail!(
            "where the change begins is missing: name the branch that it goes into by --base main, or give --diff FILE. Looked for: {}",
            looked.base
        );
    };
    for name in &named {
        if clone.commit(&name.value)?.is_some()
            && let Some(commit) = clone.merge_base(&name.value, head)?
        {
            return Ok(Told::new(commit, name.from));
        }
    }
    let remedy = if clone.is_shallow()? {
        UNSHALLOW
    } else {
        "it must be a branch, tag or commit that is there and has something in common with the head"
    };
    bail!("the clone does not show where the head left {} (from {}): {remedy}", first.value, first.from)
}

/// The pull request whose head `gh pr checkout` or `glab mr checkout` has this branch follow.
fn checked_out(clone: &GitClone, branch: Option<&str>) -> anyhow::Result<Option<Told<u32>>> {
    let Some(branch) = branch else { return Ok(None) };
    let follows = clone.setting(&format!("branch.{branch}.merge"))?;
    let number = follows.as_deref().and_then(|name| {
        let rest = name.strip_prefix("refs/pull/").or_else(|| name.strip_prefix("refs/merge-requests/"))?;
        rest.strip_suffix("/head")?.parse().ok()
    });
    Ok(number.map(|number| Told::new(number, "the branch's remote")))
}
