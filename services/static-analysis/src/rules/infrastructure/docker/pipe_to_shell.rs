//! An image built from whatever a server answers at the time of the build.

use std::sync::LazyLock;

use domain::diff::FileDiff;
use domain::{Category, Confidence, Severity};
use regex::Regex;

use super::file::instructions;
use super::is_dockerfile;
use crate::rules::{Check, FileHit, Rule};

/// The rule.
pub static RULE: Rule = Rule {
    id: "infrastructure.docker.pipe-to-shell",
    title: "Download piped into a shell",
    severity: Severity::Medium,
    confidence: Confidence::High,
    category: Category::Infrastructure,
    cwe: 494,
    hazard: "docker.pipe-to-shell",
    keywords: &["curl", "wget"],
    remediation: "Download the script or the release to a file, check it against a digest kept in the repository, and run it then; or use the distribution's package.",
    references: &[
        "https://docs.docker.com/build/building/best-practices/",
        "https://docs.docker.com/reference/dockerfile/#add---checksum",
    ],
    aliases: &[],
    check: Check::File { applies: is_dockerfile, check },
};

static PIPE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?x) \b(?:curl|wget)\s [^|;&]* \| (?: \s*tee\s[^|;&]*\| )? \s* (?:sudo\s+(?:-\S+\s+)*)? (?:/(?:usr/)?bin/)? (?:ba|z|da|k|a)?sh \b
        | \b(?:ba|z|da)?sh \s+ (?:-c\s+["']?\$\(|<\() \s* (?:curl|wget)\s"#,
    )
    .expect("the pattern is tested")
});

fn check(file: &FileDiff<'_>) -> Vec<FileHit> {
    let mut hits = Vec::new();
    for (number, hunk) in file.hunks.iter().enumerate() {
        for instruction in instructions(hunk) {
            if instruction.keyword == "RUN"
                && let Some(line) = instruction.added
                && PIPE.is_match(&instruction.arguments)
            {
                hits.push(FileHit::on_line(
                    file,
                    number,
                    line,
                    "the build runs whatever the server answers, unchecked",
                ));
            }
        }
    }
    hits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_download_that_is_run_unseen_is_found() {
        for line in [
            "RUN curl -sSL https://acme.io/install.sh | sh",
            "RUN apt-get update && wget -qO- https://acme.io/i | sudo -E bash -",
            "RUN curl https://acme.io/i | /bin/bash -s -- -y",
            "RUN bash -c \"$(curl -fsSL https://acme.io/i)\"",
            "RUN bash <(curl -s https://acme.io/i)",
        ] {
            sample::finds_in_hunk(&RULE, "Dockerfile", &format!("+{line}"), &[(10, Severity::Medium)]);
        }
        let text = "FROM a\nRUN curl -fsSL https://acme.io/i \\\n  # the installer\n  | bash\n";
        sample::finds_in_file(&RULE, "Dockerfile", text, &[(2, Severity::Medium)]);
    }

    #[test]
    fn other_pipes_and_other_files_are_not() {
        for line in [
            "RUN curl -sSL https://acme.io/a.tgz | tar xz",
            "RUN curl -o i.sh https://acme.io/i && sha256sum -c i.sum && sh i.sh",
            "# RUN curl https://acme.io/i | sh",
            "RUN curl https://acme.io/i | shasum",
        ] {
            sample::finds_in_hunk(&RULE, "Dockerfile", &format!("+{line}"), &[]);
        }
        sample::finds_in_hunk(&RULE, "README.md", "+curl https://acme.io/i | sh", &[]);
        sample::finds_in_hunk(&RULE, "Dockerfile", " RUN curl https://acme.io/i | sh\n+RUN wget x", &[]);
    }
}
