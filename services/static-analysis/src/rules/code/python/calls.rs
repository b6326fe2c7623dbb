//! Other calls whose arguments tell.

use domain::Severity;

use super::gate::{self, is_live, is_word};
use super::{Call, Scope, integer};
use crate::rules::code::PROGRAM;
use crate::rules::code::gate::Trigger;
use crate::rules::code::program::Report;
use crate::rules::code::shown::{Place, Shown};
use crate::rules::{Hit, Rule};

pub(super) static RULES: &[&Rule] = &[&PERMISSIONS, &TAR, &YAML, &LOGGING, &TORCH, &HUGGING_FACE];

static PERMISSIONS: Rule = Rule {
    id: "code.python.file-permissions",
    title: "File that others may change or run",
    cwe: 732,
    keywords: &["chmod"],
    remediation: "Give 0o600 to data and 0o700 to programs.",
    references: &["https://docs.python.org/3/library/os.html#os.chmod"],
    aliases: &["B103", "S103"],
    ..PROGRAM
};

static TAR: Rule = Rule {
    id: "code.python.tar-extract",
    title: "Archive is unpacked wherever it says",
    severity: Severity::Medium,
    cwe: 22,
    keywords: &["extractall"],
    remediation: "Say filter='data', which refuses paths that lead out of the folder.",
    references: &["https://docs.python.org/3/library/tarfile.html#extraction-filters"],
    aliases: &["B202", "S202"],
    ..PROGRAM
};

static YAML: Rule = Rule {
    id: "code.python.yaml-load",
    title: "YAML is loaded with its objects",
    severity: Severity::Medium,
    cwe: 20,
    keywords: &["yaml"],
    remediation: "Use yaml.safe_load.",
    references: &["https://github.com/yaml/pyyaml/wiki/PyYAML-yaml.load(input)-Deprecation"],
    aliases: &["B506", "S506"],
    ..PROGRAM
};

static LOGGING: Rule = Rule {
    id: "code.python.logging-listen",
    title: "Settings of the log are taken from the network",
    cwe: 94,
    keywords: &["logging.config"],
    remediation: "Give verify a function that checks who sent the settings.",
    references: &["https://docs.python.org/3/library/logging.config.html#logging.config.listen"],
    aliases: &["B612", "S612"],
    ..PROGRAM
};

static TORCH: Rule = Rule {
    id: "code.python.torch-load",
    title: "Model is loaded as a pickle",
    cwe: 502,
    keywords: &["torch"],
    remediation: "Say weights_only=True, or store weights as safetensors.",
    references: &["https://docs.pytorch.org/docs/stable/generated/torch.load.html"],
    aliases: &["B614", "S614"],
    ..PROGRAM
};

static HUGGING_FACE: Rule = Rule {
    id: "code.python.hugging-face-revision",
    title: "Model or data set without a fixed revision",
    cwe: 494,
    keywords: &["from_pretrained", "load_dataset", "hf_hub_download", "snapshot_download", "repository_id"],
    remediation: "Give revision the full hash of a commit.",
    references: &["https://huggingface.co/docs/huggingface_hub/guides/download"],
    aliases: &["B615", "S615"],
    ..PROGRAM
};

const TORCH_LOADS: &[&str] = &["torch.load", "torch.serialization.load"];

pub(super) fn triggers() -> Vec<Trigger> {
    let called = |shown: &Shown<'_>, place: Place| {
        is_word(shown, place, "load") && (shown.is_live(place.line) || shown.line(place.line).contains("import"))
    };
    vec![
        Trigger::of(&[&PERMISSIONS]).word_where(PERMISSIONS.keywords, is_live),
        Trigger::of(&[&TAR]).word_where(TAR.keywords, is_live).word(&["tarfile"]),
        Trigger::of(&[&YAML])
            .word_where(&["yaml"], |shown, place| is_word(shown, place, "yaml"))
            .word_where(&["load"], called),
        Trigger::of(&[&LOGGING]).part(gate::calls(&["logging.config.listen"])),
        Trigger::of(&[&TORCH]).part(gate::calls(TORCH_LOADS)),
    ]
}

pub(super) fn check(scope: &Scope<'_>, call: &Call<'_, '_>, report: &mut Report<'_>) {
    let last = call.last();
    if last.contains("chmod") && call.args.len() == 2 {
        permissions(scope, call, report);
    }
    if last.contains("extractall") && scope.imported.contains("tarfile") {
        tar(scope, call, report);
    }
    if last == "load" && call.has_part("yaml") {
        let loader = call.argument(1, "Loader").map(|loader| scope.word(loader));
        if !matches!(loader.as_deref(), Some("SafeLoader" | "CSafeLoader")) {
            report.at(&YAML, call.node, "tags in the text make objects of any class, which runs code");
        }
    }
    if call.name == "logging.config.listen" && call.keyword("verify").is_none() {
        report.at(&LOGGING, call.node, "settings are evaluated as code, whoever on this machine sends them");
    }
    if TORCH_LOADS.contains(&call.name.as_str())
        && call.keyword("weights_only").is_none_or(|value| value.kind() != "true")
    {
        report.at(&TORCH, call.node, "a pickle names the functions that are called while it is loaded, so that whoever made the model runs code here");
    }
    if is_unpinned(scope, call) {
        report.at(&HUGGING_FACE, call.node, "what is downloaded can change at any time, the code in it included");
    }
}

fn permissions(scope: &Scope<'_>, call: &Call<'_, '_>, report: &mut Report<'_>) {
    let Some(mode) = call.args.get(1).and_then(|mode| integer(scope, *mode)) else { return };
    if mode & 0o033 == 0 {
        return;
    }
    report.hit(&PERMISSIONS, call.node.byte_range(), |range| {
        if mode & 0o002 == 0 {
            Hit::at(range, "others than the owner may change this file or run it").severity(Severity::Info)
        } else {
            Hit::at(range, "everybody on this machine may change this file").severity(Severity::Medium)
        }
    });
}

fn tar(scope: &Scope<'_>, call: &Call<'_, '_>, report: &mut Report<'_>) {
    if call.keyword("filter").and_then(|filter| scope.string(filter)).as_deref() == Some("data") {
        return;
    }
    let message = "an archive can hold paths such as ../../etc/cron.d/x, and they are written";
    report.hit(&TAR, call.node.byte_range(), |range| match call.keyword("members") {
        Some(_) => {
            Hit::at(range, "make sure that the members that are chosen stay within the folder").severity(Severity::Low)
        }
        None => Hit::at(range, message),
    });
}

fn is_unpinned(scope: &Scope<'_>, call: &Call<'_, '_>) -> bool {
    let library = match call.last() {
        "from_pretrained" => "transformers",
        "load_dataset" => "datasets",
        "hf_hub_download" | "snapshot_download" | "repository_id" => "huggingface_hub",
        _ => return false,
    };
    if !call.has_part(library) {
        return false;
    }
    if let Some(revision) = call.keyword("revision").or_else(|| call.keyword("commit_id")) {
        let Some(text) = scope.string(revision) else { return revision.kind() == "none" };
        return text.len() < 7 || !text.bytes().all(|byte| byte.is_ascii_hexdigit());
    }
    let local = call.args.first().and_then(|name| scope.string(*name));
    !local.is_some_and(|name| name.starts_with(['/', '.']))
}
