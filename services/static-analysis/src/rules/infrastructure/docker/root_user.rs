//! A container that runs as root, because its last stage never changes the user or changes it back.

use domain::diff::{FileDiff, LineKind};
use domain::{Category, Confidence, Severity};

use super::file::{Instruction, instructions};
use super::is_dockerfile;
use crate::engine::is_whole;
use crate::rules::{Check, FileHit, Rule};

/// The rule.
pub static RULE: Rule = Rule {
    id: "infrastructure.docker.root-user",
    title: "Container runs as root",
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    category: Category::Infrastructure,
    cwe: 250,
    hazard: "docker.root-user",
    keywords: &[],
    remediation: "Add a user without rights in the last stage and switch to it with USER before ENTRYPOINT or CMD.",
    references: &[
        "https://docs.docker.com/build/building/best-practices/#user",
        "https://kubernetes.io/docs/concepts/security/pod-security-standards/",
    ],
    aliases: &["CKV_DOCKER_3", "CKV_DOCKER_8", "DL3002"],
    check: Check::File { applies: is_dockerfile, check },
};

fn check(file: &FileDiff<'_>) -> Vec<FileHit> {
    if is_whole(file) { whole(file) } else { switched(file) }
}

/// A new file: what its last stage says.
fn whole(file: &FileDiff<'_>) -> Vec<FileHit> {
    let Some(hunk) = file.hunks.first() else { return Vec::new() };
    let all = instructions(hunk);
    let Some(last_from) = all.iter().rposition(|instruction| instruction.keyword == "FROM") else { return Vec::new() };
    let base = last_base(&all, last_from);
    let user = all[..].iter().enumerate().rev().find(|(at, instruction)| {
        instruction.keyword == "USER"
            && (*at > last_from || stage_of(&all, *at).is_some_and(|stage| base.contains(&stage)))
    });
    match user {
        Some((_, instruction)) if is_root(instruction) => {
            vec![ordinary(FileHit::on_line(file, 0, instruction.line, "the container's last user is root"))]
        }
        Some(_) => Vec::new(),
        None if runs_without_root(&all[last_from].arguments) => Vec::new(),
        None => {
            let message = "nothing in the last stage changes the user from root";
            vec![ordinary(FileHit::on_line(file, 0, all[last_from].line, message))]
        }
    }
}

/// Most images are root's, and most orchestrators take that into account: worth a note in a new file. That a change makes
/// it so is worth a look.
fn ordinary(hit: FileHit) -> FileHit {
    hit.severity(Severity::Low)
}

/// The stages that the last one is built from, by their number, itself first.
fn last_base(all: &[Instruction], last_from: usize) -> Vec<usize> {
    let mut bases = vec![last_from];
    let mut at = last_from;
    // Each step goes up the file, so that it ends.
    while let Some(earlier) =
        all[..at].iter().rposition(|other| other.keyword == "FROM" && stage_name(other) == image(&all[at]))
    {
        bases.push(earlier);
        at = earlier;
    }
    bases
}

/// The `FROM` that the instruction is under.
fn stage_of(all: &[Instruction], at: usize) -> Option<usize> {
    all[..at].iter().rposition(|instruction| instruction.keyword == "FROM")
}

fn image(from: &Instruction) -> Option<String> {
    from.arguments.split_whitespace().find(|word| !word.starts_with("--")).map(str::to_ascii_lowercase)
}

fn stage_name(from: &Instruction) -> Option<String> {
    let words: Vec<_> = from.arguments.split_whitespace().collect();
    let at = words.iter().position(|word| word.eq_ignore_ascii_case("as"))?;
    words.get(at + 1).map(|name| name.to_ascii_lowercase())
}

/// True for a base whose name says that it does not run as root, or that nothing runs in it.
fn runs_without_root(image: &str) -> bool {
    let image = image.to_ascii_lowercase();
    ["nonroot", "non-root", "rootless", "unprivileged", "scratch", "chainguard"].iter().any(|word| image.contains(word))
        || image.contains('$')
}

fn is_root(instruction: &Instruction) -> bool {
    let user = instruction.arguments.split(':').next().unwrap_or("").trim().trim_matches('"');
    matches!(user, "root" | "0")
}

/// A changed file: an unprivileged user that gives way to root, or to nothing. Of the rest too little can be seen.
fn switched(file: &FileDiff<'_>) -> Vec<FileHit> {
    let user = |text: &str| {
        let (keyword, user) = text.trim().split_once(char::is_whitespace)?;
        let user = user.trim().split(':').next().unwrap_or("");
        keyword.eq_ignore_ascii_case("user").then_some(matches!(user, "root" | "0"))
    };
    let lines = || {
        file.hunks
            .iter()
            .enumerate()
            .flat_map(|(h, hunk)| hunk.lines.iter().enumerate().map(move |(l, line)| (h, l, line)))
    };
    let removed_other = lines().any(|(_, _, line)| line.kind == LineKind::Removed && user(line.text) == Some(false));
    let last = lines().rfind(|(_, _, line)| line.kind != LineKind::Removed && user(line.text).is_some());
    match last {
        Some((hunk, line, text)) if removed_other && text.kind == LineKind::Added && user(text.text) == Some(true) => {
            vec![FileHit::on_line(file, hunk, line, "the container's user becomes root")]
        }
        None if removed_other => {
            vec![
                FileHit::on_file("the container's user is removed, so it runs as the base image does: mostly as root")
                    .confidence(Confidence::Low),
            ]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[track_caller]
    fn check(text: &str, line: Option<u32>) {
        let expected: Vec<_> = line.map(|line| (line, Severity::Low)).into_iter().collect();
        sample::finds_in_file(&RULE, "Dockerfile", text, &expected);
    }

    #[test]
    fn a_new_file_needs_another_user_in_its_last_stage() {
        check("FROM debian:12\nCMD [\"a\"]\n", Some(1));
        check("FROM debian:12\nUSER app\nRUN a\nUSER root\nCMD b\n", Some(4));
        check("FROM debian:12\nUSER 0:0\n", Some(2));
        check("FROM rust AS build\nUSER app\nFROM debian:12\nCMD a\n", Some(3));
        check("FROM debian:12\nUSER app\n", None);
        check("FROM debian:12\nUSER root\nRUN a\nUSER 1000:1000\n", None);
        check("FROM debian:12 AS base\nUSER app\nFROM base\nCMD a\n", None);
        check("FROM gcr.io/distroless/static:nonroot\nCOPY a /\n", None);
        check("FROM scratch\nCOPY a /\n", None);
        check("FROM ${BASE}\nCOPY a /\n", None);
    }

    #[test]
    fn in_a_changed_file_only_the_switch_is_seen() {
        let medium = Severity::Medium;
        sample::finds_in_hunk(&RULE, "Dockerfile", "-USER app\n+USER root\n CMD a", &[(10, medium)]);
        sample::finds_in_hunk(&RULE, "Dockerfile", "-USER app\n CMD a", &[(0, medium)]);
        sample::finds_in_hunk(&RULE, "Dockerfile", "-USER app\n+USER web\n CMD a", &[]);
        sample::finds_in_hunk(&RULE, "Dockerfile", "+USER root\n+RUN a", &[]);
        sample::finds_in_hunk(&RULE, "Dockerfile", "+RUN a", &[]);
    }
}
