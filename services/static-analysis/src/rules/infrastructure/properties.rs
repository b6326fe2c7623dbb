//! What holds for whatever is read here: nothing panics, and a file that repeats itself takes no more than its share.

use domain::FileChangeKind;
use proptest::prelude::*;

use super::{compose, docker, github, kubernetes, nginx};
use crate::rules::Check;
use crate::sample::{added, modified};

const PATHS: &[&str] = &[
    "k8s/a.yaml",
    "chart/templates/a.tpl",
    "Dockerfile",
    "compose.yml",
    ".github/workflows/a.yml",
    "action.yml",
    ".github/dependabot.yml",
    "nginx/a.conf",
];

/// Words that these files are made of.
const WORDS: &[&str] = &[
    "apiVersion: v1\n",
    "kind: Pod\n",
    "kind: Deployment\n",
    "kind: List\n",
    "items:\n- ",
    "spec:\n",
    "  template:\n",
    "    spec:\n",
    "  containers:\n",
    "  - name: a\n",
    "    image: b:latest\n",
    "    securityContext: {privileged: true}\n",
    "    env:\n",
    "    - {name: A, value: b}\n",
    "  hostPID: true\n",
    "rules:\n",
    "- verbs: ['*']\n",
    "FROM a AS b\n",
    "RUN a && sudo b | sh\n",
    "RUN <<EOF\n",
    "EOF\n",
    "COPY --from=b c d\n",
    "ENV A=b C=$A\n",
    "EXPOSE 22\n",
    "USER root\n",
    "\\\n",
    "# escape=`\n",
    "`\n",
    "services:\n",
    "  a:\n",
    "    ports: ['5432:5432']\n",
    "    volumes: ['/:/a']\n",
    "    environment: ['PASSWORD=abc']\n",
    "on: [push, pull_request_target]\n",
    "on:\n  push:\n    tags: [a]\n",
    "jobs:\n",
    "    steps:\n",
    "    - run: |\n",
    "        echo ${{ github.head_ref }}\n",
    "    - uses: a/b@v1\n",
    "      with: {a: b}\n",
    "${{ ",
    " }}",
    "toJSON(secrets)",
    "a && '' || b",
    "contains('a', github.ref)",
    "if: |\n",
    "{{ ",
    "{{- end }}\n",
    "---\n",
    "&a ",
    "*a ",
    "<<: *a\n",
    "? ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    "ssl_protocols TLSv1;\n",
    "autoindex on;",
    "\"",
    "'",
    "| ",
    ">-\n",
    "!x ",
    "\t",
    "%YAML 1.2\n",
    "é",
    "\u{feff}",
    "\r\n",
];

fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![4 => prop::sample::select(WORDS).prop_map(str::to_owned), 1 => "\\PC{0,12}", 1 => " {1,12}", 1 => "[a-z]{1,6}: [a-z0-9]{0,6}\n"];
    prop::collection::vec(part, 0..60).prop_map(|parts| parts.concat())
}

fn hits(path: &str, text: &str, signs: &str) -> usize {
    let signed: String =
        text.lines().zip(signs.chars().cycle()).map(|(line, sign)| format!("{sign}{line}\n")).collect();
    let files = [added(path, text), modified(path, &signed)];
    let rules = [kubernetes::rules(), docker::rules(), compose::rules(), github::rules(), nginx::rules()].concat();
    let mut count = 0;
    for file in &files {
        assert_ne!(file.change.kind, FileChangeKind::Deleted);
        let mut seen: Vec<*const _> = Vec::new();
        for rule in &rules {
            count += match rule.check {
                Check::Shared(shared) if !seen.contains(&std::ptr::from_ref(shared)) => {
                    seen.push(shared);
                    if (shared.applies)(&file.change) { (shared.check)(file).len() } else { 0 }
                }
                Check::File { applies, check } if applies(&file.change) => check(file).len(),
                _ => 0,
            };
        }
    }
    count
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn whatever_the_file_is_nothing_panics(path in prop::sample::select(PATHS), text in text(), signs in "[+ -]{1,7}") {
        let first = hits(path, &text, &signs);
        prop_assert_eq!(first, hits(path, &text, &signs));
    }
}

#[test]
fn a_long_file_is_read_in_time() {
    let manifest = "- name: a\n  image: b\n  env: [{name: A, value: b}]\n  livenessProbe: {httpGet: {port: 80}}\n";
    let steps = "    - run: echo ${{ env.A }} ${{ matrix.b }}\n      env: {A: b}\n";
    for (path, head, body) in [
        ("k8s/a.yaml", "apiVersion: v1\nkind: Pod\nspec:\n containers:\n", manifest),
        (
            "k8s/a.yaml",
            "apiVersion: v1\nkind: List\nitems:\n",
            "- {apiVersion: v1, kind: Service, metadata: {name: a}, spec: {selector: {a: b}}}\n",
        ),
        ("Dockerfile", "FROM a\nRUN true", " && apk add a"),
        ("Dockerfile", "FROM a\n", "COPY --from=b c d\n"),
        (".github/workflows/a.yml", "on: push\njobs:\n  a:\n    steps:\n", steps),
        ("compose.yml", "services:\n", "  a: {ports: ['5432:5432'], image: b}\n"),
        ("nginx/a.conf", "", "ssl_protocols TLSv1; autoindex on;\n"),
    ] {
        let text = format!("{head}{}", body.repeat(100_000 / body.len()));
        let started = std::time::Instant::now();
        hits(path, &text, "+");
        assert!(started.elapsed().as_secs() < 5, "{path} {head}");
    }
}
