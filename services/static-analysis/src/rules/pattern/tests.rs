use proptest::strategy::{Strategy, ValueTree};
use proptest::string::string_regex;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::*;
use crate::rules::{Check, Rule};
use crate::sample;

/// Draws until one that the row has to find comes up: some draws look like placeholders.
const DRAWS: usize = 40;

fn runner() -> TestRunner {
    TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

fn finds(rule: &'static Rule, text: &str) -> bool {
    let file = sample::added("src/config.txt", text);
    let mut lines = file.hunks[0]
        .lines
        .iter()
        .enumerate()
        .filter(|(_, line)| rule.keywords.iter().any(|keyword| stands(rule, keyword, line.text)));
    lines.any(|(index, line)| {
        !rule.on_line(&AddedLine { file: &file, hunk: &file.hunks[0], index, text: line.text }).is_empty()
    })
}

/// Without the letters that are another case of one of ASCII, which are drawn where an expression takes either case, and which no
/// credential has.
fn as_written(value: &str) -> String {
    value.replace('\u{212a}', "k").replace('\u{17f}', "s")
}

/// Whether the keyword is in the text, as it has to stand there.
fn stands(rule: &'static Rule, keyword: &str, text: &str) -> bool {
    let Check::Pattern(pattern) = rule.check else { return false };
    let standing = pattern.standing(keyword);
    let (lower, keyword) = (text.to_ascii_lowercase(), keyword.to_ascii_lowercase());
    let mut places = lower.match_indices(&keyword).map(|(at, _)| at);
    places.any(|at| standing.is_none_or(|standing| pattern.may_stand(text, at, standing)))
}

/// A value that the row describes and the line that it stands on, the same for the same seed; `None` where that takes more than the row.
pub(crate) fn draw(rule: &'static Rule, seed: u64) -> Option<(String, String)> {
    let Check::Pattern(pattern) = rule.check else { return None };
    let (before, expression) = match &pattern.form {
        Form::Line(expression) if pattern.is_token() => (String::new(), expression.text.replace("(?P<secret>", "(?:")),
        Form::Line(_) => return None,
        Form::Named { tokens, .. } => {
            let tokens: Vec<_> = tokens.iter().map(|token| token.text.as_str()).collect();
            (format!("{}_api_key = ", rule.keywords[0]), tokens.join("|"))
        }
    };
    let seed: Vec<_> = seed.to_le_bytes().into_iter().cycle().take(32).collect();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let strategy = string_regex(&expression).ok()?;
    let value = strategy.new_tree(&mut TestRunner::new_with_rng(Config::default(), rng)).ok()?.current();
    let value = as_written(&value);
    Some((value.clone(), format!("{before}\"{value}\"")))
}

/// Whether the rule finds what its own expression generates.
fn finds_its_own(rule: &'static Rule, pattern: &Pattern) -> bool {
    let (before, expression) = match &pattern.form {
        Form::Line(_) if matches!(pattern.kind, Kind::Own { .. } | Kind::Path) => return true,
        Form::Line(expression) => (vec![String::new()], expression.text.replace("(?P<secret>", "(?:")),
        // A name, the usual ways to call its secret, and the value.
        Form::Named { tokens, .. } => {
            let names = ["api_key", "private_secret"].map(|word| format!("{}_{word} = ", rule.keywords[0]));
            (names.to_vec(), tokens.iter().map(|token| token.text.as_str()).collect::<Vec<_>>().join("|"))
        }
    };
    let strategy = string_regex(&expression).expect("the expression can be drawn from");
    let mut runner = runner();
    (0..DRAWS).any(|_| {
        let value = as_written(&strategy.new_tree(&mut runner).expect("a draw").current());
        before.iter().any(|before| finds(rule, &format!("{before}\"{value}\"")))
    })
}

#[test]
fn every_row_finds_what_it_describes() {
    let mut silent = Vec::new();
    for rule in secret::patterns() {
        let Check::Pattern(pattern) = rule.check else { continue };
        pattern.compiles().unwrap_or_else(|error| panic!("{}: {error}", rule.id));
        if !finds_its_own(rule, pattern) {
            silent.push(rule.id);
        }
    }
    assert!(silent.is_empty(), "{} rows find nothing of their own: {silent:?}", silent.len());
}

#[test]
fn every_token_holds_a_keyword_of_its_row() {
    let mut without = Vec::new();
    let is_token = |rule: &&&Rule| matches!(rule.check, Check::Pattern(pattern) if pattern.is_token());
    for rule in secret::patterns().iter().filter(is_token) {
        let tokens = (0..10).map(|seed| draw(rule, seed).unwrap_or_else(|| panic!("{} can be drawn", rule.id)).0);
        let holds = |token: &String| rule.keywords.iter().any(|keyword| stands(rule, keyword, token));
        without.extend(tokens.filter(|token| !holds(token)).map(|token| format!("{}: {token}", rule.id)));
    }
    assert!(without.is_empty(), "{} tokens hold no keyword of their row: {without:#?}", without.len());
}

#[test]
fn a_keyword_says_by_its_place_whether_there_is_anything_to_look_at() {
    let check = |row: &str, keyword: &str, yes: &[&str], no: &[&str]| {
        let rule = load(row).rule;
        assert!(yes.iter().all(|text| stands(rule, keyword, text)), "{row}: one of {yes:?} is passed over");
        assert!(!no.iter().any(|text| stands(rule, keyword, text)), "{row}: one of {no:?} is looked at");
    };
    let row = "id = 'secret.a.b'\ntokens = ['ion_[0-9a-f]{8}', 'kion_[0-9a-f.]{9}']\nkeywords = ['ion_']";
    check(row, "ion_", &["x ion_0f1e2d3c y", "kion_0.1.2.3.4"], &["regions of ion_0f1e2d3 c", "ion_"]);
    let row = "id = 'secret.a.b'\nnames = ['tru', 'acme_?key']\ntokens = ['[0-9a-z]{20}']\nkeywords = ['tru', 'acme']";
    check(
        row,
        "tru",
        &["tru", "my_tru_key", "TruKey", "isTru=", "trukey", "TRUToken"],
        &["true", "struct", "return true"],
    );
    check(row, "acme", &["xacmex"], &["acm"]);
    let row = "id = 'secret.a.b'\nnames = ['tru', 'truest']\ntokens = ['[0-9a-z]{20}']\nkeywords = ['tru']";
    check(row, "tru", &["true", "the truest"], &["tu"]);
    let row = "id = 'secret.a.b'\nnames = ['tru', 't(?:rue|ell)']\ntokens = ['[0-9a-z]{20}']\nkeywords = ['tru']";
    check(row, "tru", &["true"], &["tu"]);
}

#[track_caller]
fn load(row: &str) -> Loaded {
    parse(&format!("[[rules]]\n{row}")).unwrap().remove(0)
}

#[test]
fn a_token_stands_alone_and_is_no_placeholder() {
    let rule = load("id = 'secret.a.b'\ntokens = ['acme_[0-9a-f]{16}']\nkeywords = ['acme_']").rule;
    for text in ["k=acme_0f1e2d3c4b5a6978", r"\nacme_0f1e2d3c4b5a6978\n", "x acme_0f1e2d3c4b5a6978."] {
        assert!(finds(rule, text), "{text}");
    }
    for text in
        ["acme_0f1e2d3c4b5a69780", "xacme_0f1e2d3c4b5a6978", "acme_0000000000000000", "acme_0f1e2d3c4b5a6978.org"]
    {
        assert!(!finds(rule, text), "{text}");
    }
    let hex = load("id = 'secret.a.b'\ntokens = ['akc[0-9a-f]{16}']\nkeywords = ['akc']").rule;
    let picture = format!("{}+akc0f1e2d3c4b5a6978/{}", "iVBORw0KGgo".repeat(10), "AAANSUhEUgA".repeat(10));
    assert!(!finds(hex, &picture) && finds(hex, "a+akc0f1e2d3c4b5a6978/b"));
}

#[test]
fn a_name_has_its_value_on_the_line_or_alone_on_the_next() {
    let row = "id = 'secret.a.b'\nnames = ['acme']\ntokens = ['[0-9a-z]{20}']\nkeywords = ['acme']";
    let rule = load(row).rule;
    let value = "q7zpw2m9xk4dlrt8vb3c";
    for text in ["acme_key = \"V\"", "\"acmeToken\": \"V\"", "set(\"ACME_KEY\", \"V\")", "<acmeKey>\n  V\n</acmeKey>"] {
        assert!(finds(rule, &text.replace('V', value)), "{text}");
    }
    for text in
        ["acme V", "acme sha256 = V", "acme_key = V0", "acme_key = aaaaaaaaaaaaaaaaaaaa", "V acme", "acme_key =\n\nV"]
    {
        assert!(!finds(rule, &text.replace('V', value)), "{text}");
    }
    let strict = load(&format!("{row}\nstrict = true")).rule;
    assert!(finds(strict, &format!("acme_key = {value}")) && !finds(strict, &format!("acme = {value}")));
}

#[test]
fn a_file_of_gitleaks_is_read() {
    let text = "title = 'x'\n[[rules]]\nid = 'acme'\ndescription = 'Acme.'\nregex = '''acme=([a-z0-9]{8})'''\n\
                secretGroup = 1\nentropy = 2\nkeywords = ['acme']\ntags = ['a']\n[rules.allowlist]\nstopwords = ['test']\n\
                [allowlist]\nregexes = ['^00']";
    let rule = parse(text).unwrap().remove(0).rule;
    assert_eq!(rule.title, "Acme");
    assert!(finds(rule, "acme=q7zpw2m9") && !finds(rule, "acme=testm9k4") && !finds(rule, "acme=00zpw2m9"));
}

#[test]
fn a_wrong_row_is_named_with_what_is_wrong() {
    for (row, expected) in [
        ("id = 'a'\nkeywords = ['ab']", "rule \"a\": tokens"),
        ("id = 'a'\ntokens = ['x']\nkeywords = ['x']", "rule \"a\": keywords"),
        ("id = 'a'\nregex = '('", "rule \"a\": regex"),
        ("id = 'a.b'\ntokens = ['x']", "rule \"a.b\": id: must be secret.<family>.<what>"),
        ("id = 'code.a.b'\ncategory = 'secret'\ntokens = ['x']", "rule \"code.a.b\": id: must be secret"),
        ("id = 'a'\ntokens = ['x']\nkeywords = ['ab']\nseverity = 'bad'", "rule \"a\": severity: \"bad\""),
        ("id = 'a'\ntokens = ['x']\nkeywords = ['ab']\nallow = ['(']", "rule \"a\": allow"),
        ("id = 'a'\ntokenz = ['x']", "unknown field `tokenz`"),
        ("id = 'a'\nregex = 'x'\ntokens = ['x']", "either regex, or tokens"),
    ] {
        let error = parse_own(&format!("[[rules]]\n{row}")).err().unwrap();
        assert!(error.contains(expected), "{error}");
    }
    assert!(parse("rules = 3").err().unwrap().contains("line 1"));
    let misnamed = "rules = []\n[[allowlists]]\ntargetRules = ['acme.kez']\nregexes = ['x']";
    assert_eq!(parse(misnamed).err().unwrap(), "allowlists: there is no rule \"acme.kez\"");
}

#[test]
fn an_id_is_mended_and_keywords_are_read_from_the_expression() {
    let own = |row: &str| parse_own(&format!("[[rules]]\n{row}")).unwrap().remove(0).rule;
    let rule = own("id = 'Acme_Key'\nregex = '(?i)acme-(live|test)-([0-9a-z]{16})'\nsecretGroup = 2");
    assert_eq!(
        (rule.id, rule.aliases, rule.keywords),
        ("secret.user.acme-key", &["Acme_Key"][..], &["acme-live-", "acme-test-"][..])
    );
    assert!(finds(rule, "k = ACME-live-q7zpw2m9xk4dlrt8"));
    let rule = own("id = 'code.acme.todo'\nregex = 'NOT\\s+YET'\ntitle = 'Not yet.'");
    assert_eq!((rule.category, rule.keywords, rule.cwe, rule.title), (Category::Code, &["not"][..], 0, "Not yet"));
    assert_eq!(own("id = 'x'\nregex = '[0-9a-f]{40}'").keywords, [""; 0]);
    assert!(finds(own("id = 'y'\nregex = 'ab{\\d{2}}'"), "ab{12}"));
    assert!(own("id = 'x'\npath = '[.]p12$'").is_about_paths());
    assert!(parse_own("[[rules]]\nid = 'x'\nregex = 'a'\nskipReport = true").unwrap().is_empty());
}

#[test]
fn what_is_no_credential_is_shown_as_it_is() {
    let rule = parse_own("[[rules]]\nid = 'code.acme.todo'\nregex = 'NOT YET'\nkeywords = ['not yet']")
        .unwrap()
        .remove(0)
        .rule;
    let file = sample::added("a.py", "x = 1 # NOT YET");
    let hits =
        rule.on_line(&AddedLine { file: &file, hunk: &file.hunks[0], index: 0, text: file.hunks[0].lines[0].text });
    assert!(hits.len() == 1 && hits[0].secret.is_none() && hits[0].message == "code.acme.todo");
}
