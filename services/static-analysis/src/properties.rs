//! What holds for whatever is scanned: no finding shows a secret, nothing panics, and the same is found every time.

use domain::diff::{Diff, LineKind};
use domain::{Analysis, Category, Severity};
use proptest::prelude::*;

use crate::config::Config;
use crate::engine::Law;
use crate::rules::pattern::tests::draw;
use crate::rules::secret;
use crate::rules::secret::checksum::made_up;
use crate::sample::{added, modified, scan};

/// A credential of each kind that a rule knows, and the line that it stands on.
fn secret_line() -> impl Strategy<Value = (String, String)> {
    let word = "[A-Za-z0-9]{24}";
    let aws = "[A-Z2-7]{16}".prop_map(|random| format!("{}{random}", concat!("AK", "IA")));
    let github = "[A-Za-z0-9]{30}".prop_map(|random| made_up("ghp", &random));
    let stripe = word.prop_map(|random| format!("{}_live_{random}", "sk"));
    let slack = word.prop_map(|random| format!("xox{}-730191371012-846201937465-{random}", 'b'));
    let bare = prop_oneof![aws, github, stripe, slack].prop_flat_map(|secret| {
        let line = format!("key = {secret}");
        (Just(secret), Just(line))
    });
    let aws_secret =
        "[A-Za-z0-9/+]{40}".prop_map(|secret| (secret.clone(), format!("aws_secret_access_key = \"{secret}\"")));
    let url = "[A-Za-z0-9!._~-]{8,30}"
        .prop_map(|secret| (secret.clone(), format!("u = postgres://app:{secret}@db.acme.io/a")));
    let generic = "[A-Za-z0-9!#.+/~^-]{10,40}".prop_map(|secret| (secret.clone(), format!("password = \"{secret}\"")));
    let odbc = "[A-Za-z0-9!#.+/~^-]{8,30}"
        .prop_map(|secret| (secret.clone(), format!("\"Server=a.b;Uid=app;Pwd={secret};\"")));
    let pem = "[A-Za-z0-9+/]{64}".prop_map(|secret| {
        let line = format!("{}BEGIN PRIVATE KEY-----\\n{secret}\\n", "-".repeat(5));
        (secret, line)
    });
    prop_oneof![4 => bare, 1 => aws_secret, 1 => url, 1 => generic, 1 => odbc, 1 => pem]
}

/// A file of a diff as git prints it: some hunks of lines, each with what rules look for.
fn random_file() -> impl Strategy<Value = String> {
    let paths = prop::sample::select(vec![
        "a.sql",
        "db/migrate/1_a.rb",
        "Dockerfile",
        "k8s/a.yaml",
        "main.tf",
        "a.py",
        "b.js",
        "c.go",
        ".env",
    ]);
    let words = prop::sample::select(vec![
        "DROP TABLE a;",
        "password = \"",
        "FROM a:latest",
        "    privileged: true",
        "resource \"aws_s3_bucket\" \"b\" {",
        "}",
        "eval(",
        "except:",
        "é\u{202e}",
        "<<EOF",
        "\"\"\"",
        "- name: x",
        "secret: |",
        "://a:b@",
        "{{ x }}",
        "USER root",
        "def f(x):",
        "",
    ]);
    let line = (prop::sample::select(vec![' ', '+', '-']), words, "[ -~]{0,30}")
        .prop_map(|(sign, word, rest)| format!("{sign}{word}{rest}"));
    let hunk = prop::collection::vec(line, 1..8);
    (paths, prop::collection::vec(hunk, 1..3)).prop_map(|(path, hunks)| {
        let mut text = format!("diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n");
        for (hunk, number) in hunks.iter().zip(1..) {
            let count = |other: char| hunk.iter().filter(|line| !line.starts_with(other)).count();
            let start = number * 100;
            text.push_str(&format!("@@ -{start},{} +{start},{} @@\n{}\n", count('+'), count('-'), hunk.join("\n")));
        }
        text
    })
}

/// Every finding is about a file of the diff, and about a line of it; a secret about an added one.
#[track_caller]
fn assert_places(diff: &Diff<'_>, analysis: &Analysis) {
    for finding in &analysis.findings {
        let mut files = diff.files.iter().filter(|file| file.change.path == finding.path).peekable();
        assert!(files.peek().is_some(), "{finding:?}");
        let mut lines = files.flat_map(|file| &file.hunks).flat_map(|hunk| &hunk.lines);
        let secret = finding.category == Category::Secret;
        let there = finding.line == 0
            || lines.any(|line| line.number == finding.line && (!secret || line.kind == LineKind::Added));
        assert!(there, "{finding:?}");
        assert!(finding.excerpt.chars().count() <= 160, "{finding:?}");
    }
}

#[track_caller]
fn assert_hidden(analysis: &Analysis, secret: &str) {
    let shown = format!("{analysis:?}");
    assert!(!shown.contains(secret), "{secret} is shown in {shown}");
    for finding in &analysis.findings {
        assert!(finding.excerpt.chars().count() <= 160 && !finding.excerpt.chars().any(char::is_control));
        assert!(finding.fingerprint.len() == 32 && finding.fingerprint.bytes().all(|b| b.is_ascii_hexdigit()));
    }
}

/// A credential that a row of data describes, and its line.
fn row() -> impl Strategy<Value = (String, String)> {
    let rows = secret::patterns();
    (0..rows.len(), any::<u64>())
        .prop_filter_map("a row with tokens", |(row, seed)| draw(secret::patterns()[row], seed))
}

/// Everything that is printed, published or stored of an analysis.
fn words(analysis: &Analysis) -> String {
    let mut words = String::new();
    for finding in &analysis.findings {
        let reason = finding.suppression.as_ref().map_or("", |suppression| suppression.reason.as_str());
        for text in
            [&finding.excerpt, &finding.message, &finding.title, &finding.remediation, &finding.fingerprint, reason]
        {
            words.push_str(text);
            words.push('\n');
        }
    }
    words
}

/// Where a secret stands beside others: the line that tells it for one, and itself.
const PLACES: [&str; 9] = [
    "{line}",
    "{line}; eval(request.args['{secret}'])",
    "# gitleaks:allow {line} {secret}",
    "{line} # failsafe:allow secret because {secret} is known",
    "{line}\nlogin('{secret}'); eval(request.args['x'])",
    "password = \"{secret}\"\n{line}",
    "u = postgres://app:{secret}@db.acme.io/a\neval(request.args['{secret}'])",
    "token =\n  {secret}\n{line} eval(request.args['{secret}'])",
    "/* nosec */ eval(request.args['x' + '{secret}']) // {line}",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn no_finding_shows_a_secret((secret, line) in secret_line(), (other, other_line) in secret_line(), before in "[ -~]{0,40}") {
        // With an offence of another kind on the line, there is always something to show.
        let text = format!("{before} {line} {other_line} eval(request.args['x']) {secret}");
        let analysis = scan(vec![added("src/app.py", &text)]);
        assert_hidden(&analysis, &secret);
        assert_hidden(&analysis, &other);
    }

    #[test]
    fn what_a_row_finds_is_shown_nowhere((value, line) in row(), place in prop::sample::select(&PLACES[..]), before in "[ -~]{0,20}") {
        let text = place.replace("{line}", &line).replace("{secret}", &value);
        let law = Law::new(&Config::default()).unwrap();
        let alone = added("src/app.py", &line);
        let analysis = law.scan(&Diff { files: vec![alone] });
        // What no rule takes for a secret is none that redaction has to know.
        prop_assume!(analysis.findings.iter().any(|finding| finding.category == Category::Secret));
        let text = format!("{before} {text}");
        let shown = words(&law.scan(&Diff { files: vec![added("src/app.py", &text), modified("src/b.py", &format!("+{line}\n+x = '{value}'"))] }));
        let end: String = value.chars().skip(4.max(value.chars().count().saturating_sub(8))).collect();
        prop_assert!(!shown.contains(&value), "{value} is shown in {shown}");
        prop_assert!(end.chars().count() < 6 || !shown.contains(&end), "{end} of {value} is shown in {shown}");
    }

    #[test]
    fn no_finding_in_a_long_line_shows_a_secret((secret, line) in secret_line(), before in 0_usize..20_000, behind in 0_usize..20_000) {
        let text = format!("{};{line};{}", "a b;".repeat(before / 4), "c d;".repeat(behind / 4));
        assert_hidden(&scan(vec![added("src/app.js", &text)]), &secret);
    }

    #[test]
    fn whatever_the_lines_are_nothing_panics_and_all_is_repeatable(
        lines in prop::collection::vec("\\PC{0,80}|[ -~]{0,80}|.{0,20}['\"`$/*({<-]{1,6}.{0,20}", 0..30),
        path in prop::sample::select(vec![
            "a.sql", "migrations/1_a.up.sql", "db/migrate/1_a.rb", "alembic/versions/a.py", "m/migrations/1.py", "migrations/1.ts",
            "Dockerfile", "k8s/a.yaml", "main.tf", ".github/workflows/a.yml", "a.py", "a.js", "a.go", "a.php", ".env",
        ]),
        words in prop::collection::vec(prop::sample::select(vec![
            "DROP TABLE", "ALTER TABLE a DROP", "CREATE INDEX ON", "def up\n", "def change\n", "def upgrade():", "revision =", "RunSQL(",
            "Migration", "exports.down =", "exports.up = knex", "RUN curl x |", "FROM a", "USER root", "ingress {", "\"0.0.0.0/0\"",
            "pull_request_target", "password = \"", "$$", "/*", "<<~SQL", "\"\"\"", "://a:b", "verify=False", "SELECT a FROM b",
        ]), 0..12),
    ) {
        let mut text = String::new();
        for (at, line) in lines.iter().enumerate() {
            text.push_str(words.get(at).unwrap_or(&""));
            text.push_str(line);
            text.push('\n');
        }
        let first = scan(vec![added(path, &text), modified(path, &text)]);
        prop_assert_eq!(first, scan(vec![added(path, &text), modified(path, &text)]));
    }

    #[test]
    fn whatever_the_bytes_are_reading_and_judging_end_well(
        files in prop::collection::vec(random_file(), 0..4),
        noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = files.concat().into_bytes();
        let sound = noise.is_empty();
        for (place, byte) in noise {
            if !bytes.is_empty() {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        match domain::diff::parse(&text) {
            Ok(diff) => assert_places(&diff, &Law::new(&Config::default()).unwrap().scan(&diff)),
            Err(error) => prop_assert!(!sound || files.is_empty(), "{error}: {text}"),
        }
    }

    #[test]
    fn any_bytes_at_all_end_well(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let text = String::from_utf8_lossy(&bytes);
        let file = format!("--- a/x.py\n+++ b/x.py\n@@ -0,0 +1,{} @@\n+{}\n", text.lines().count().max(1), text.lines().collect::<Vec<_>>().join("\n+"));
        for text in [&*text, &file] {
            if let Ok(diff) = domain::diff::parse(text) {
                assert_places(&diff, &Law::new(&Config::default()).unwrap().scan(&diff));
            }
        }
    }

    #[test]
    fn the_worst_findings_are_kept_in_order(severe in 0_usize..6, mild in 0_usize..6, max in 0_usize..8) {
        let token = made_up("ghp", "q7ZpW2mW9xKd4LrT8vBnC3sYhGjE5u");
        let text = "    @Disabled\n".repeat(mild) + &format!("t = \"{token}\"\n").repeat(severe);
        let law = Law::new(&Config { findings_max: max, ..Config::default() }).unwrap();
        let analysis = law.scan(&Diff { files: vec![added("A.java", &text)] });
        let kept = (severe + mild).min(max);
        prop_assert_eq!((analysis.findings.len(), analysis.findings_dropped as usize), (kept, severe + mild - kept));
        let critical = analysis.findings.iter().filter(|finding| finding.severity == Severity::Critical).count();
        prop_assert_eq!(critical, severe.min(max));
        prop_assert!(analysis.findings.is_sorted_by_key(|finding| (std::cmp::Reverse(finding.severity), finding.line)));
    }
}

#[test]
fn a_fingerprint_stays_while_lines_move_and_tells_equal_lines_apart() {
    let line = format!("t = '{}'\n", made_up("ghp", "q7ZpW2mW9xKd4LrT8vBnC3sYhGjE5u"));
    let prints = |path: &str, text: &str| -> Vec<String> {
        scan(vec![added(path, text)]).findings.into_iter().map(|finding| finding.fingerprint).collect()
    };
    let twice = prints("a.py", &line.repeat(2));
    assert_eq!(twice.len(), 2);
    assert_ne!(twice[0], twice[1]);
    assert_eq!(prints("a.py", &format!("# moved\n\n  {line}x = 1\n{line}")), twice);
    assert_ne!(prints("b.py", &line)[0], twice[0]);
}

#[test]
fn the_general_rule_is_silent_where_a_particular_one_has_spoken() {
    let token = made_up("ghp", "q7ZpW2mW9xKd4LrT8vBnC3sYhGjE5u");
    let text = format!("github_token = \"{token}\"\n");
    let ids = |config: &Config| -> Vec<String> {
        let findings = Law::new(config).unwrap().scan(&Diff { files: vec![added("a.py", &text)] }).findings;
        // What the program does with it is another rule's to say.
        let secrets = findings.into_iter().filter(|finding| finding.category == Category::Secret);
        secrets.map(|finding| finding.rule_id).collect()
    };
    assert_eq!(ids(&Config::default()), ["secret.github.token"]);
    let disabled = vec!["secret.github.token".to_owned()];
    assert_eq!(ids(&Config { rules_disabled: disabled, ..Config::default() }), [""; 0]);
}

#[test]
fn a_secret_in_a_long_line_is_found_once_wherever_it_stands() {
    let token = made_up("ghp", "q7ZpW2mW9xKd4LrT8vBnC3sYhGjE5u");
    for before in [0, 3_000, 7_100, 7_160, 7_680, 8_150, 8_192, 40_000, 1_000_000] {
        let text = format!("{}{token} {}", "; ".repeat(before / 2), "x ".repeat(5_000));
        let analysis = scan(vec![added("min.js", &text)]);
        let places: Vec<_> = analysis.findings.iter().map(|finding| finding.column as usize).collect();
        assert_eq!(places, [before / 2 * 2 + 1], "{before}");
    }
}

#[test]
fn settings_are_checked_and_change_the_digest() {
    let digest = |config: &Config| Law::new(config).map(|law| law.digest().to_owned());
    let usual = digest(&Config::default()).unwrap();
    assert_eq!(usual.len(), 64);
    assert_eq!(digest(&Config { in_flight_max: 1, ..Config::default() }).unwrap(), usual);
    let disabled = Config { rules_disabled: vec!["code.test.skipped".to_owned()], ..Config::default() };
    assert_ne!(digest(&disabled).unwrap(), usual);
    let unknown = Config { rules_disabled: vec!["code.test.skiped".to_owned()], ..Config::default() };
    assert!(digest(&unknown).unwrap_err().contains("code.test.skiped"));
    assert!(digest(&Config { line_window_bytes: 10, ..Config::default() }).unwrap_err().contains("line_window_bytes"));
}
