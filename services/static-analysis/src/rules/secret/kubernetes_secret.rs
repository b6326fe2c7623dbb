//! The values of a Kubernetes Secret. Base64 hides nothing: what it stands for is judged, not how it looks.
//!
//! Reads lines, not YAML: manifests are often templates, and of a changed one only a hunk is seen. Where the hunk does not
//! show that it is a Secret, nothing is said.

use domain::diff::{FileDiff, Hunk, Line, LineKind};
use domain::{Category, Confidence, FileChange, Severity};

use super::{base64, is_placeholder, is_reference};
use crate::paths;
use crate::rules::{Check, FileHit, Hit, Rule};

/// The rule.
pub static RULE: Rule = Rule {
    id: "secret.kubernetes.manifest",
    title: "Value of a Kubernetes Secret",
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    category: Category::Secret,
    cwe: 312,
    hazard: "",
    // What tells a Secret is mostly on lines that were there before.
    keywords: &[],
    remediation: "Replace what it holds, and keep the new value out of the repository: an external secret store, or a sealed or encrypted Secret.",
    references: &[
        "https://kubernetes.io/docs/concepts/configuration/secret/",
        "https://kubernetes.io/docs/concepts/security/secrets-good-practices/",
    ],
    aliases: &["kubernetes-secret-yaml"],
    check: Check::File { applies, check },
};

/// Bytes of a value that are worth a finding.
const BYTES_MIN: usize = 4;

fn applies(file: &FileChange) -> bool {
    matches!(&*paths::lower(paths::extension(&file.path)), "yaml" | "yml" | "json" | "tpl" | "gotmpl")
}

fn check(file: &FileDiff<'_>) -> Vec<FileHit> {
    let mut hits = Vec::new();
    for (number, hunk) in file.hunks.iter().enumerate() {
        let mut start = 0;
        for end in 0..=hunk.lines.len() {
            let ends =
                hunk.lines.get(end).is_none_or(|line| line.text.starts_with("---") && line.text.trim_end() == "---");
            if ends {
                let found = document(hunk, start..end);
                hits.extend(found.into_iter().map(|(line, hit)| FileHit { line: Some((number, line)), hit }));
                start = end + 1;
            }
        }
    }
    hits
}

/// What the lines of one document hold.
fn document(hunk: &Hunk<'_>, lines: std::ops::Range<usize>) -> Vec<(usize, Hit)> {
    let shown = |index: &usize| hunk.lines[*index].kind != LineKind::Removed;
    let is_secret = |line: &Line<'_>| {
        // Most files of this sort hold no such line: the cheap question first.
        line.text.trim_start().trim_start_matches(['"', '\'']).starts_with("kind")
            && field(line.text).is_some_and(|(key, value)| key == "kind" && bare(value).eq_ignore_ascii_case("secret"))
    };
    if !lines.clone().filter(shown).any(|index| is_secret(&hunk.lines[index])) {
        return Vec::new();
    }
    let mut hits = Vec::new();
    // The indentation of `data:` and whether what is below it is in base64.
    let mut data: Option<(usize, bool)> = None;
    // The indentation of the key of a block of lines and what it weighs, and whether a value in it was found.
    let mut block: Option<(usize, Severity)> = None;
    let mut block_found = false;
    for index in lines.filter(shown) {
        let line = &hunk.lines[index];
        let indentation = line.text.len() - line.text.trim_start().len();
        if line.text.trim().is_empty() || line.text.trim_start().starts_with('#') {
            continue;
        }
        if let Some((under, severity)) = block {
            if indentation > under {
                let encoded = data.is_some_and(|(_, encoded)| encoded);
                let found = value_hit(line.text, bare(line.text), encoded, severity).filter(|_| is_added(line));
                // One finding is enough for a block.
                if let Some(hit) = found.filter(|_| !block_found) {
                    hits.push((index, hit));
                    block_found = true;
                }
                continue;
            }
            (block, block_found) = (None, false);
        }
        let Some((key, value)) = field(line.text) else { continue };
        match data {
            Some((under, encoded)) if indentation > under => {
                let severity = weight(key);
                if matches!(value, "|" | ">" | "|-" | ">-" | "|+" | ">+") {
                    block = Some((indentation, severity));
                } else if is_added(line) {
                    hits.extend(value_hit(line.text, bare(value), encoded, severity).map(|hit| (index, hit)));
                }
            }
            _ => {
                let encoded = match key {
                    "data" => Some(true),
                    "stringData" => Some(false),
                    _ => None,
                };
                data = encoded.filter(|_| value.is_empty() || value == "{").map(|encoded| (indentation, encoded));
            }
        }
    }
    hits
}

fn is_added(line: &Line<'_>) -> bool {
    line.kind == LineKind::Added
}

/// Key and value of a line of YAML, or of JSON that is laid out.
fn field(text: &str) -> Option<(&str, &str)> {
    let text = text.trim().trim_end_matches(',');
    let (key, value) = text.split_once(':')?;
    let key = key.trim().trim_matches(['"', '\'']);
    (!key.is_empty() && !key.contains(' ')).then_some((key, value.trim()))
}

/// A value without its quotes and the comment behind it.
fn bare(value: &str) -> &str {
    let value = value.trim().trim_end_matches(',');
    let value = value.split(" #").next().unwrap_or(value).trim_end();
    value.trim_matches(['"', '\''])
}

/// A certificate is for everybody, and who logs in is no secret to most.
fn weight(key: &str) -> Severity {
    let key = key.to_ascii_lowercase();
    let open =
        ["user", "username", "login", "email", "host", "hostname", "port", "database", "dbname", "namespace", "url"];
    if key.ends_with(".crt") || open.iter().any(|name| key == *name || key.ends_with(&format!("_{name}"))) {
        Severity::Info
    } else {
        Severity::Medium
    }
}

fn value_hit(line: &str, value: &str, encoded: bool, severity: Severity) -> Option<Hit> {
    if value.len() < BYTES_MIN || is_reference(value) || value.starts_with("ENC[") || value.contains('<') {
        return None;
    }
    let text = if encoded { String::from_utf8_lossy(&base64::decode(value)?).into_owned() } else { value.to_owned() };
    let text = text.trim();
    // What is decoded may be JSON, and end in braces.
    if text.len() < BYTES_MIN || ["{{", "${", "$("].iter().any(|sign| text.starts_with(sign)) {
        return None;
    }
    let weak = !text.starts_with('{') && is_placeholder(text)
        || text.eq_ignore_ascii_case("password")
        || text.eq_ignore_ascii_case("admin");
    let severity = match severity {
        Severity::Info => Severity::Info,
        _ if weak => Severity::Low,
        severity => severity,
    };
    let start = line.find(value)?;
    let hit = Hit::secret(start..start + value.len(), "a Secret is written into the manifest");
    Some(hit.severity(severity))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    const HEAD: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n";

    #[test]
    fn values_are_judged_by_what_they_stand_for() {
        let medium = Severity::Medium;
        for (body, expected) in [
            // `q7Zp2mW9xKd4`, `admin`, and a certificate's beginning
            ("data:\n  password: cTdacDJtVzl4S2Q0\n", vec![(6, medium)]),
            ("data:\n  \"password\": \"cTdacDJtVzl4S2Q0\" # old\n", vec![(6, medium)]),
            (
                "data:\n  username: YWRtaW4=\n  tls.crt: LS0tLS1CRUdJTg==\n",
                vec![(6, Severity::Info), (7, Severity::Info)],
            ),
            ("data:\n  password: cGFzc3dvcmQ=\n", vec![(6, Severity::Low)]),
            ("stringData:\n  password: q7Zp2mW9xKd4\n", vec![(6, medium)]),
            ("data:\n  .dockercfg: |\n    eyJhdXRocyI6eyJ4Ijp7ImF1dGgiOiJxN1pwMm0ifX19\n", vec![(7, medium)]),
            ("data:\n  config.json: |\n    cTdacDJtVzl4S2Q0\n", vec![(7, medium)]),
            ("stringData:\n  a.ini: |-\n    user=x\n    password=y\ntype: Opaque\n", vec![(7, medium)]),
        ] {
            sample::finds_in_file(&RULE, "k8s/db.yaml", &format!("{HEAD}{body}"), &expected);
        }
        let turned = "data:\n\textra: \"cTdacDJtVzl4S2Q0\"\nkind: \"secret\"\n";
        sample::finds_in_file(&RULE, "k8s/db.yml", turned, &[(2, medium)]);
    }

    #[test]
    fn references_encrypted_values_and_other_kinds_are_not() {
        for body in [
            "data:\n  password: {{ .Values.password | b64enc }}\n",
            "data:\n  password: ${PASSWORD}\n",
            "data:\n  password: ENC[AES256_GCM,data:abc=,iv:x,tag:y,type:str]\n",
            "data:\n  password: <base64>\n",
            "data:\n  password: \"\"\n",
            "data: {}\nother:\n  password: cTdacDJtVzl4S2Q0\n",
            "stringData:\n  password: $(cat x)\n",
        ] {
            sample::finds_in_file(&RULE, "k8s/db.yaml", &format!("{HEAD}{body}"), &[]);
        }
        let map = "kind: ConfigMap\ndata:\n  password: cTdacDJtVzl4S2Q0\n";
        sample::finds_in_file(&RULE, "k8s/db.yaml", map, &[]);
        let sealed = "kind: SealedSecret\nspec:\n  encryptedData:\n    password: cTdacDJtVzl4S2Q0\n";
        sample::finds_in_file(&RULE, "k8s/db.yaml", sealed, &[]);
        let two = format!("{HEAD}---\nkind: ConfigMap\ndata:\n  password: cTdacDJtVzl4S2Q0\n");
        sample::finds_in_file(&RULE, "k8s/db.yaml", &two, &[]);
    }

    #[test]
    fn of_a_changed_manifest_only_what_is_new_is_said() {
        let hunk = " kind: Secret\n data:\n   old: cTdacDJtVzl4S2Q0\n+  new: cTdacDJtVzl4S2Q1\n";
        sample::finds_in_hunk(&RULE, "k8s/db.yaml", hunk, &[(13, Severity::Medium)]);
        sample::finds_in_hunk(&RULE, "k8s/db.yaml", " data:\n+  new: cTdacDJtVzl4S2Q1\n", &[]);
    }
}
