//! What an image is built on, and how its stages refer to each other.

use std::collections::HashSet;

use domain::Severity;

use super::{Shown, rule};
use crate::rules::Rule;

pub(super) const RULES: &[&Rule] = &[&LATEST, &DIGEST, &ALIAS, &PLATFORM, &OWN_STAGE, &UNKNOWN_STAGE];

const FROM_PAGES: &[&str] = &["https://docs.docker.com/reference/dockerfile/#from"];

static LATEST: Rule = Rule {
    cwe: 1104,
    hazard: "docker.latest-tag",
    remediation: "Name the version of the base image, or better its digest, so that a build tomorrow is the build of today.",
    references: &["https://docs.docker.com/build/building/best-practices/#pin-base-image-versions"],
    aliases: &["CKV_DOCKER_7", "DL3006", "DL3007"],
    ..rule("infrastructure.docker.latest-tag", "Base image without a version", Severity::Low)
};
static DIGEST: Rule = Rule {
    cwe: 1104,
    hazard: "docker.image-digest",
    remediation: "Name the base image by its digest (image:tag@sha256:…), which cannot be moved.",
    references: &["https://docs.docker.com/build/building/best-practices/#pin-base-image-versions"],
    ..rule("infrastructure.docker.image-digest", "Base image named by a tag, which can be moved", Severity::Info)
};
static ALIAS: Rule = Rule {
    hazard: "docker.duplicate-alias",
    remediation: "Give each stage a name of its own.",
    references: FROM_PAGES,
    aliases: &["CKV_DOCKER_11", "DL3024"],
    ..rule("infrastructure.docker.duplicate-stage", "Two stages of one name", Severity::Low)
};
static PLATFORM: Rule = Rule {
    hazard: "docker.platform",
    remediation: "Leave the platform to the build (--platform of docker build), or use $BUILDPLATFORM.",
    references: FROM_PAGES,
    aliases: &["DL3029"],
    ..rule("infrastructure.docker.fixed-platform", "Base image of a fixed platform", Severity::Info)
};
static OWN_STAGE: Rule = Rule {
    hazard: "docker.unknown-stage",
    remediation: "Copy from an earlier stage.",
    references: &["https://docs.docker.com/reference/dockerfile/#copy---from"],
    aliases: &["DL3023"],
    ..rule("infrastructure.docker.own-stage", "Stage that copies from itself", Severity::Low)
};
static UNKNOWN_STAGE: Rule = Rule {
    hazard: "docker.unknown-stage",
    remediation: "Name a stage of the file, or an image with its version.",
    references: &["https://docs.docker.com/reference/dockerfile/#copy---from"],
    aliases: &["DL3022"],
    ..rule("infrastructure.docker.unknown-stage", "Copy from an image without a version", Severity::Info)
};

pub(super) fn check(shown: &mut Shown<'_>) {
    let mut names: HashSet<String> = HashSet::new();
    let mut current = None;
    let mut count = 0_usize;
    for at in 0..shown.instructions.len() {
        let instruction = &shown.instructions[at];
        match instruction.keyword.as_str() {
            "FROM" => {
                count += 1;
                let words: Vec<_> = instruction.words().map(str::to_owned).collect();
                let platform = instruction.option("--platform").is_some_and(|platform| !platform.contains('$'));
                let image = words.first().cloned().unwrap_or_default();
                let known = names.contains(&image.to_ascii_lowercase());
                base(shown, at, &image, known);
                if platform {
                    shown.at(&PLATFORM, at, "the image is of this platform, whatever the build asks for");
                }
                current =
                    words.get(2).filter(|_| words[1].eq_ignore_ascii_case("as")).map(|name| name.to_ascii_lowercase());
                if let Some(name) = &current
                    && !names.insert(name.clone())
                {
                    shown.at(&ALIAS, at, "an earlier stage has this name, and can no longer be reached");
                }
            }
            "COPY" => {
                let Some(from) = instruction.option("--from").map(str::to_ascii_lowercase) else { continue };
                let is_number = from.parse::<usize>().is_ok_and(|number| number < count.max(1) || !shown.whole);
                let unknown = !names.contains(&from) && !is_number && !from.contains(['$', ':', '@']);
                if current.as_ref() == Some(&from) {
                    shown.at(&OWN_STAGE, at, "the stage copies from itself");
                } else if unknown && shown.whole {
                    shown.at(
                        &UNKNOWN_STAGE,
                        at,
                        "no stage of the file has this name, and an image would need a version",
                    );
                }
            }
            _ => {}
        }
    }
}

fn base(shown: &mut Shown<'_>, at: usize, image: &str, known: bool) {
    // In a hunk a plain name may be a stage that is out of sight.
    let plain_in_hunk = !shown.whole && !image.contains(['/', ':']);
    if image.is_empty()
        || known
        || plain_in_hunk
        || image.contains('$')
        || image.contains('@')
        || image.eq_ignore_ascii_case("scratch")
    {
        return;
    }
    let last = image.rsplit('/').next().unwrap_or(image);
    match last.split_once(':').map(|(_, tag)| tag) {
        None | Some("latest" | "") => shown.at(&LATEST, at, "what the image is built on changes from build to build"),
        Some(_) => shown.at(&DIGEST, at, "whoever may push to the registry can put another image behind the tag"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn a_base_without_a_version_is_found() {
        check("latest-tag", "FROM debian\n", &[1]);
        check("latest-tag", "FROM --platform=linux/arm64 ghcr.io/a/b:latest AS c\nFROM c\n", &[1]);
        for good in ["debian:12", "a@sha256:00", "scratch", "${BASE}", "localhost:5000/a:1"] {
            check("latest-tag", &format!("FROM {good}\n"), &[]);
        }
        check("latest-tag", "FROM localhost:5000/a\n", &[1]);
        check("image-digest", "FROM debian:12\n", &[1]);
        check("image-digest", "FROM debian:12@sha256:00\n", &[]);
        check("fixed-platform", "FROM --platform=linux/amd64 a:1\n", &[1]);
        check("fixed-platform", "FROM --platform=$BUILDPLATFORM a:1\n", &[]);
    }

    #[test]
    fn stages_refer_to_what_is_there() {
        check("duplicate-stage", "FROM a:1 AS x\nFROM b:1 as X\n", &[2]);
        check("duplicate-stage", "FROM a:1 AS x\nFROM b:1 AS y\n", &[]);
        check("own-stage", "FROM a:1 AS x\nCOPY --from=x a b\n", &[2]);
        check("unknown-stage", "FROM a:1\nCOPY --from=y a b\n", &[2]);
        check(
            "unknown-stage",
            "FROM a:1 AS x\nFROM b:1\nCOPY --from=x a b\nCOPY --from=0 a b\nCOPY --from=c:1 a b\n",
            &[],
        );
    }
}
