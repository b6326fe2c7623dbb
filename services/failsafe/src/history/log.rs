//! What git says of the main line: each commit on it with the files that it brought, and the commits that each merge brought in.
//!
//! Reads every commit once. Must not know what is made of them.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, bail, ensure};
use domain::{FileChange, FileChangeKind};

/// The parts of a commit's head, each ended by a zero byte; the first byte tells a commit from a file.
const FORMAT: &str = "--format=%x01%H%x00%P%x00%an%x00%at%x00%ct%x00%cI%x00%B%x00";
const MARK: u8 = 1;

/// A commit on the main line.
#[derive(Clone, Debug, Default)]
pub(super) struct Landed {
    pub(super) commit: String,
    pub(super) parents: Vec<String>,
    pub(super) author: String,
    /// When it was written, and when it came onto the main line: seconds of Unix time.
    pub(super) authored_at: i64,
    pub(super) landed_at: i64,
    /// The same on the clock of who brought it there: RFC 3339.
    pub(super) landed_local: String,
    pub(super) message: String,
    pub(super) files: Vec<FileChange>,
}

/// One commit of the graph.
pub(super) struct Node {
    pub(super) parents: Vec<u32>,
    pub(super) author: u32,
    pub(super) authored_at: i64,
    /// True when an earlier commit of the main line brought it.
    seen: bool,
}

/// All commits that lead to a head.
pub(super) struct Graph {
    places: HashMap<String, u32>,
    nodes: Vec<Node>,
    authors: Vec<String>,
    /// What the messages of those commits say that take others back.
    messages: HashMap<u32, String>,
}

impl Graph {
    /// Reads the graph of all commits that lead to `head`.
    pub(super) fn read(repository: &Path, head: &str) -> anyhow::Result<Self> {
        let mut child =
            git(repository).args(["log", "--format=%H%x00%P%x00%at%x00%an", "--end-of-options", head]).spawn()?;
        let mut graph =
            Self { places: HashMap::new(), nodes: Vec::new(), authors: Vec::new(), messages: HashMap::new() };
        let mut authors: HashMap<String, u32> = HashMap::new();
        let mut named = Vec::new();
        for line in BufReader::new(child.stdout.take().context("git writes nothing")?).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            let mut parts = line.splitn(4, '\0');
            let mut part = || parts.next().context("git's list of commits is not as expected");
            let (commit, parents, at, author) = (part()?, part()?, part()?, part()?);
            let place = u32::try_from(graph.nodes.len()).context("too many commits")?;
            let author = *authors.entry(author.to_owned()).or_insert_with(|| {
                graph.authors.push(author.to_owned());
                (graph.authors.len() - 1) as u32
            });
            graph.places.insert(commit.to_owned(), place);
            graph.nodes.push(Node { parents: Vec::new(), author, authored_at: at.parse().unwrap_or(0), seen: false });
            named.push(parents.to_owned());
        }
        finish(&mut child)?;
        for (node, parents) in graph.nodes.iter_mut().zip(named) {
            node.parents = parents.split_whitespace().filter_map(|parent| graph.places.get(parent).copied()).collect();
        }
        graph.read_messages(repository, head)?;
        Ok(graph)
    }

    fn read_messages(&mut self, repository: &Path, head: &str) -> anyhow::Result<()> {
        let mut command = git(repository);
        command.args(["log", "-z", "--format=%H%x01%B", "--grep=This reverts commit", "--end-of-options", head]);
        let mut child = command.spawn().context("cannot run git")?;
        for message in BufReader::new(child.stdout.take().context("git writes nothing")?).split(0) {
            let message = text(&message?);
            if let Some((commit, message)) = message.split_once('\u{1}')
                && let Some(place) = self.places.get(commit)
            {
                self.messages.insert(*place, message.to_owned());
            }
        }
        finish(&mut child)
    }

    /// The commits that `landed` brought and that the main line did not have before, the newest first: to be asked in the main
    /// line's order.
    pub(super) fn brought(&mut self, landed: &Landed) -> Vec<u32> {
        let mut commits = Vec::new();
        let mut open: Vec<u32> = Vec::new();
        if let Some(place) = self.places.get(&landed.commit).copied() {
            self.nodes[place as usize].seen = true;
            open.extend(self.nodes[place as usize].parents.iter().skip(1));
        }
        while let Some(place) = open.pop() {
            let node = &mut self.nodes[place as usize];
            if !std::mem::replace(&mut node.seen, true) {
                commits.push(place);
                open.extend(&node.parents);
            }
        }
        commits
    }

    /// What this commit's message says, if it takes another commit back.
    pub(super) fn message(&self, place: u32) -> Option<&str> {
        self.messages.get(&place).map(String::as_str)
    }

    pub(super) fn node(&self, place: u32) -> &Node {
        &self.nodes[place as usize]
    }

    pub(super) fn author(&self, node: &Node) -> &str {
        &self.authors[node.author as usize]
    }

    /// Every commit's name with its place.
    pub(super) fn place(&self, commit: &str) -> Option<u32> {
        self.places.get(commit).copied()
    }
}

/// The commits of the main line, the oldest first, each with the files that it brought.
pub(super) struct Log {
    child: Child,
    tokens: std::io::Split<BufReader<ChildStdout>>,
    /// The head of the next commit, when it was read already.
    next: Option<Vec<u8>>,
}

impl Log {
    /// Begins to read the main line up to `head`.
    pub(super) fn read(repository: &Path, head: &str) -> anyhow::Result<Self> {
        let mut command = git(repository);
        command.args([
            "-c",
            "core.quotePath=false",
            "-c",
            "diff.renameLimit=1000",
            "log",
            "--first-parent",
            "-m",
            "--reverse",
        ]);
        command.args(["--raw", "--numstat", "-M", "-z", "--no-color", "--no-ext-diff", "--no-textconv", FORMAT]);
        let mut child = command.args(["--end-of-options", head]).spawn().context("cannot run git")?;
        let tokens = BufReader::with_capacity(1 << 16, child.stdout.take().context("git writes nothing")?).split(0);
        Ok(Self { child, tokens, next: None })
    }

    /// The next commit; `None` after the last.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<Landed>> {
        let Some(first) = self.next.take().map_or_else(|| self.token(), |token| Ok(Some(token)))? else {
            finish(&mut self.child)?;
            return Ok(None);
        };
        ensure!(first.first() == Some(&MARK), "git's log is not as expected");
        let mut landed = Landed { commit: text(&first[1..]), ..Landed::default() };
        landed.parents = self.part()?.split_whitespace().map(str::to_owned).collect();
        landed.author = self.part()?;
        landed.authored_at = self.part()?.parse().context("git's log holds no time")?;
        landed.landed_at = self.part()?.parse().context("git's log holds no time")?;
        landed.landed_local = self.part()?;
        landed.message = self.part()?;
        while let Some(token) = self.token()? {
            let token = token.strip_prefix(b"\n").map_or(&token[..], |rest| rest);
            match token.first() {
                None => {}
                Some(&MARK) => {
                    self.next = Some(token.to_vec());
                    break;
                }
                Some(b':') => {
                    let file = self.raw(&text(token))?;
                    landed.files.push(file);
                }
                Some(_) => self.counts(&text(token), &mut landed.files)?,
            }
        }
        Ok(Some(landed))
    }

    /// A file as `--raw` names it: `:100644 100644 0123abc 4567def M`, then its paths.
    fn raw(&mut self, line: &str) -> anyhow::Result<FileChange> {
        let status = line.rsplit(' ').next().unwrap_or_default();
        let kind = match status.as_bytes().first() {
            Some(b'A') => FileChangeKind::Added,
            Some(b'D') => FileChangeKind::Deleted,
            Some(b'R') => FileChangeKind::Renamed,
            Some(b'C') => FileChangeKind::Copied,
            Some(_) => FileChangeKind::Modified,
            None => bail!("git's log names no kind of change"),
        };
        let first = self.part()?;
        let moved = matches!(kind, FileChangeKind::Renamed | FileChangeKind::Copied);
        let (old_path, path) = if moved { (Some(first), self.part()?) } else { (None, first) };
        Ok(FileChange { path, old_path, kind, lines_added: 0, lines_deleted: 0, binary: false })
    }

    /// The lines of a file as `--numstat` counts them: added, deleted and path; `-` for a file without text.
    fn counts(&mut self, line: &str, files: &mut [FileChange]) -> anyhow::Result<()> {
        let mut parts = line.splitn(3, '\t');
        let (added, deleted, path) = (parts.next(), parts.next(), parts.next());
        let path = match path.context("git's log counts no lines")? {
            "" => {
                self.part()?;
                self.part()?
            }
            path => path.to_owned(),
        };
        if let Some(file) = files.iter_mut().find(|file| file.path == path) {
            let count = |text: Option<&str>| text.and_then(|text| text.parse::<u32>().ok());
            file.binary = added == Some("-");
            file.lines_added = count(added).unwrap_or(0);
            file.lines_deleted = count(deleted).unwrap_or(0);
        }
        Ok(())
    }

    fn part(&mut self) -> anyhow::Result<String> {
        self.token()?.map(|token| text(&token)).context("git's log ends in the middle of a commit")
    }

    fn token(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        self.tokens.next().transpose().context("reading git's log")
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // Ends git when reading was broken off; after a whole reading there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How many commits the main line has up to `head`.
pub(super) fn count(repository: &Path, head: &str) -> anyhow::Result<usize> {
    answer(repository, head, &["rev-list", "--count", "--first-parent"])?.parse().context("git counts no commits")
}

/// The name of the commit `head`.
pub(super) fn commit(repository: &Path, head: &str) -> anyhow::Result<String> {
    answer(repository, head, &["rev-list", "--max-count=1"])
}

fn answer(repository: &Path, head: &str, question: &[&str]) -> anyhow::Result<String> {
    let output = git(repository).args(question).args(["--end-of-options", head]).output().context("cannot run git")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "git finds no {head:?} in {}: {}", repository.display(), said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// True when the clone does not reach to the repository's beginning.
pub(super) fn is_shallow(repository: &Path) -> anyhow::Result<bool> {
    let output = git(repository).args(["rev-parse", "--is-shallow-repository"]).output().context("cannot run git")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} is no git repository: {}", repository.display(), said.trim());
    Ok(output.stdout.starts_with(b"true"))
}

fn git(repository: &Path) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(repository).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Of what is missing in a partial clone nothing is fetched, and no replaced commit is shown.
    command.env("GIT_NO_LAZY_FETCH", "1").env("GIT_NO_REPLACE_OBJECTS", "1");
    command
}

fn finish(child: &mut Child) -> anyhow::Result<()> {
    let mut said = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        let _ = stderr.read_to_string(&mut said);
    }
    let status = child.wait().context("git did not end")?;
    ensure!(status.success(), "git log failed: {}", said.trim());
    Ok(())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
