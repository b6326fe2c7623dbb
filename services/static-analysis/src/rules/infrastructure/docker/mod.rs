//! Dockerfiles: how an image is built and what it runs as.

use domain::diff::{FileDiff, LineKind};
use domain::{Category, Confidence, FileChange, FileChangeKind, Severity};

use crate::engine::is_whole;
use crate::paths;
use crate::rules::{Check, FileHit, Hit, Rule, Shared};

mod calls;
mod commands;
mod file;
mod instructions;
pub mod pipe_to_shell;
pub mod root_user;
mod rows;
mod secrets;
mod shell;
mod stages;

use file::Instruction;

static SHARED: Shared = Shared { applies: is_dockerfile, check, besides: &[] };

/// The rules for Dockerfiles.
pub(crate) fn rules() -> Vec<&'static Rule> {
    let mut rules = vec![&pipe_to_shell::RULE, &root_user::RULE];
    rules.extend([instructions::RULES, stages::RULES, secrets::RULES, commands::RULES].concat());
    rules.extend(rows::ROWS.iter().map(|row| &row.rule));
    rules
}

/// A rule for Dockerfiles. Its references are those of the builder's own advice.
const fn rule(id: &'static str, title: &'static str, severity: Severity) -> Rule {
    Rule {
        id,
        title,
        severity,
        confidence: Confidence::High,
        category: Category::Infrastructure,
        cwe: 0,
        hazard: "",
        keywords: &[],
        remediation: "",
        references: &["https://docs.docker.com/build/building/best-practices/"],
        aliases: &[],
        check: Check::Shared(&SHARED),
    }
}

fn is_dockerfile(change: &FileChange) -> bool {
    let name = paths::lower(paths::name(&change.path));
    let named = |word: &str| {
        let before = name.strip_prefix(word).is_some_and(|rest| rest.starts_with(['.', '-', '_']));
        name == word || before || name.strip_suffix(word).is_some_and(|rest| rest.ends_with('.'))
    };
    // What only ends in a source file's extension is a program about Dockerfiles.
    let program =
        ["rs", "go", "py", "js", "ts", "rb", "md", "sh", "java", "json", "yml", "yaml", "toml", "dockerignore"]
            .contains(&paths::extension(&name));
    change.kind != FileChangeKind::Deleted && !program && (named("dockerfile") || named("containerfile"))
}

/// The instructions that one hunk shows.
struct Shown<'f> {
    file: &'f FileDiff<'f>,
    hunk: usize,
    instructions: Vec<Instruction>,
    /// Whether that is all of the file.
    whole: bool,
    hits: Vec<(&'static str, FileHit)>,
}

impl Shown<'_> {
    /// `rule` is broken by this instruction, if a line of it was added.
    fn at(&mut self, rule: &'static Rule, instruction: usize, message: &'static str) {
        self.as_bad_as(rule.severity, rule, instruction, message);
    }

    /// The same, as bad as `severity`.
    fn as_bad_as(&mut self, severity: Severity, rule: &'static Rule, instruction: usize, message: &'static str) {
        if let Some(line) = self.instructions[instruction].added {
            self.hits.push((rule.id, FileHit::on_line(self.file, self.hunk, line, message).severity(severity)));
        }
    }
}

impl Shown<'_> {
    /// `rule` is broken where the instruction calls one of these programs, if that line was added: what else was added to a
    /// long RUN did not do it.
    fn at_program(&mut self, rule: &'static Rule, instruction: usize, programs: &[&str], message: &'static str) {
        let start = self.instructions[instruction].line;
        let lines = &self.file.hunks[self.hunk].lines;
        let end = self.instructions.get(instruction + 1).map_or(lines.len(), |next| next.line);
        let calls = |text: &str| {
            let mut words = text.split(|c: char| !c.is_alphanumeric() && !matches!(c, '-' | '_'));
            words.any(|word| programs.contains(&word))
        };
        let added = lines[start..end].iter().position(|line| line.kind == LineKind::Added && calls(line.text));
        if let Some(at) = added {
            self.hits.push((rule.id, FileHit::on_line(self.file, self.hunk, start + at, message)));
        }
    }

    /// The same about a secret that the instruction holds, which must not be shown.
    fn secret(&mut self, rule: &'static Rule, instruction: usize, secret: &str, message: &'static str) {
        let lines = self.file.hunks[self.hunk].lines.iter().enumerate().skip(self.instructions[instruction].line);
        let mut lines = lines.take(SECRET_LINES_MAX).filter(|(_, line)| line.kind == LineKind::Added);
        let place = lines.find_map(|(index, line)| Some((index, line.text.find(secret)?)));
        let Some((line, start)) = place else { return self.at(rule, instruction, message) };
        let hit = Hit::secret(start..start + secret.len(), message);
        self.hits.push((rule.id, FileHit { line: Some((self.hunk, line)), hit }));
    }
}

/// Lines of an instruction that are looked through for a secret.
const SECRET_LINES_MAX: usize = 100;

fn check(file: &FileDiff<'_>) -> Vec<(&'static str, FileHit)> {
    let mut hits = Vec::new();
    for (number, hunk) in file.hunks.iter().enumerate() {
        let instructions = file::instructions(hunk);
        let mut shown = Shown { file, hunk: number, instructions, whole: is_whole(file), hits: Vec::new() };
        instructions::check(&mut shown);
        stages::check(&mut shown);
        secrets::check(&mut shown);
        commands::check(&mut shown);
        hits.append(&mut shown.hits);
    }
    hits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    /// In a new file `text`, the rule `id` finds just these lines.
    #[track_caller]
    pub(super) fn check(id: &str, text: &str, lines: &[u32]) {
        let file = sample::added("Dockerfile", text);
        let got = super::super::lines_of(&file, &super::check(&file), id);
        assert_eq!(got, lines, "{id} in\n{text}");
    }

    #[test]
    fn a_file_is_known_by_its_path() {
        let applies = |path: &str| is_dockerfile(&sample::added(path, "FROM a").change);
        for path in ["Dockerfile", "a/Dockerfile.prod", "web.dockerfile", "Containerfile", "Dockerfile-dev"] {
            assert!(applies(path), "{path}");
        }
        for path in ["docs/dockerfiles.md", "src/dockerfile.rs", "Dockerfile.dockerignore", "mydockerfile"] {
            assert!(!applies(path), "{path}");
        }
    }

    #[test]
    fn in_a_changed_file_only_added_lines_speak() {
        let findings =
            sample::scan(vec![sample::modified("Dockerfile", " FROM a:latest\n RUN sudo b\n USER c\n+RUN sudo d\n")])
                .findings;
        let got: Vec<_> = findings.iter().map(|finding| (finding.rule_id.as_str(), finding.line)).collect();
        assert_eq!(got, [("infrastructure.docker.sudo", 13)]);
    }
}
