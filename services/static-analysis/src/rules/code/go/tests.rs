//! Each row: the body of a function, and the rules that must speak, with their lines.

use domain::Severity;
use proptest::prelude::*;

use super::GATE;
use crate::rules::code::shown::{SCANS_MAX, Shown};
use crate::sample::{added, modified, scan};

#[track_caller]
fn check(text: &str, expected: &[(&str, u32)]) {
    let findings =
        scan(vec![added("src/main.go", text)]).findings.into_iter().filter(|f| f.rule_id.starts_with("code."));
    let mut found: Vec<_> =
        findings.map(|f| (f.rule_id.replace("code.go.", "").replace("code.", ""), f.line)).collect();
    found.sort_by_key(|(rule, line)| (*line, rule.clone()));
    let expected: Vec<_> = expected.iter().map(|(rule, line)| ((*rule).to_owned(), *line)).collect();
    assert_eq!(found, expected, "{text}");
}

/// `body` in a function of a file that imports these packages, all on the first line.
fn program(packages: &[&str], head: &str, body: &str) -> String {
    let imports: Vec<_> = packages.iter().map(|package| format!("\"{package}\"")).collect();
    format!("package main; import ({}); {head} {{\n{body}\n}}", imports.join("; "))
}

#[test]
fn calls_and_imports_are_found_by_what_their_names_stand_for() {
    check(
        "package main\nimport h \"crypto/md5\"\nfunc f() {\n\th.New()\n}",
        &[("import-weak-crypto", 2), ("weak-hash", 4)],
    );
    check("package main\nimport _ \"net/http/pprof\"", &[("pprof-exposed", 2)]);
    check(&program(&["math/rand"], "func f()", "_ = rand.Int()"), &[("insecure-random", 2)]);
    check(&program(&["crypto/rand"], "func f()", "_, _ = rand.Int(r, m)"), &[]);
    // A share of the requests, a time to wait and a number that is held against bounds are no secrets; what is printed may be one.
    let numbers = "if rand.Float64() < 0.1 {\nreturn\n}\ntime.Sleep(time.Duration(rand.Intn(9)) * time.Second)\nn := rand.Int()\nif n > 9 {\nreturn\n}\nt := rand.Int()\nprintln(t)";
    check(&program(&["math/rand", "time"], "func f()", numbers), &[("insecure-random", 10)]);
    check(&program(&["net/http"], "func f()", "_ = http.ListenAndServe(a, nil)"), &[("serve-without-timeouts", 2)]);
    check(
        &program(&["crypto/rsa"], "func f()", "rsa.GenerateKey(r, 1024)\nrsa.GenerateKey(r, 4096)"),
        &[("short-key", 2)],
    );
}

#[test]
fn files_are_found_with_their_modes_and_paths() {
    let modes = "_ = os.MkdirAll(\"a\", 0777)\n_ = os.Mkdir(\"a\", 0750)\n_ = os.WriteFile(\"a\", b, 0644)\n_ = os.Chmod(\"a\", 0600)";
    check(&program(&["os"], "func f()", modes), &[("folder-permissions", 2), ("write-permissions", 4)]);
    let paths = "_, _ = os.Open(p)\n_, _ = os.Open(\"a\")\nq := filepath.Clean(p)\n_, _ = os.Open(q)\n_, _ = os.Create(\"/tmp/a\")";
    check(
        &program(&["os", "path/filepath"], "func f(p string)", paths),
        &[("variable-path", 2), ("temporary-file", 6)],
    );
    let zip = "for _, g := range r.File {\n_ = filepath.Join(d, g.Name)\n}";
    check(&program(&["archive/zip", "path/filepath"], "func f(r *zip.Reader, d string)", zip), &[("archive-path", 3)]);
    let bomb = "z, _ := gzip.NewReader(r)\n_, _ = io.Copy(w, z)\n_, _ = io.CopyN(w, z, 9)";
    check(&program(&["compress/gzip", "io"], "func f()", bomb), &[("decompression-bomb", 3)]);
}

#[test]
fn the_network_is_found_with_its_settings() {
    check(
        &program(
            &["net"],
            "func f()",
            "_, _ = net.Listen(\"tcp\", \":80\")\n_, _ = net.Listen(\"tcp\", \"127.0.0.1:80\")",
        ),
        &[("bind-all-interfaces", 2)],
    );
    check(
        &program(&["net/http"], "func f(u string)", "_, _ = http.Get(u)\n_, _ = http.Get(\"https://a.b\")"),
        &[("variable-url", 2)],
    );
    check(
        &program(&["net/http"], "func f()", "_ = http.Server{Addr: a}\n_ = http.Server{ReadHeaderTimeout: t}"),
        &[("header-timeout", 2)],
    );
    let tls = "_ = tls.Config{InsecureSkipVerify: true}\n_ = tls.Config{MinVersion: tls.VersionTLS10}\n_ = tls.Config{MinVersion: tls.VersionTLS13}";
    check(&program(&["crypto/tls"], "func f()", tls), &[("tls.verification-off", 2), ("tls-settings", 3)]);
    let own = "_ = tls.Config{\nInsecureSkipVerify: true,\nVerifyConnection: v,\n}\n_ = tls.Config{InsecureSkipVerify: true, VerifyConnection: nil}";
    check(&program(&["crypto/tls"], "func f()", own), &[("tls-settings", 3), ("tls.verification-off", 6)]);
    let cookie =
        "_ = http.Cookie{Name: n}\n_ = http.Cookie{Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode}";
    check(&program(&["net/http"], "func f()", cookie), &[("insecure-cookie", 2)]);
}

#[test]
fn statements_and_commands_that_are_put_together_are_found() {
    let sql = "db.Query(\"SELECT a FROM t WHERE b = '\" + x + \"'\")\nq := fmt.Sprintf(\"DELETE FROM t WHERE a = '%s'\", x)\ndb.Query(q)\ndb.Query(\"SELECT a FROM t WHERE b = ?\", x)\nr := fmt.Sprintf(\"SELECT a FROM t LIMIT %d\", n)\ndb.Query(r)";
    check(
        &program(&["database/sql", "fmt"], "func f(db *sql.DB, x string, n int)", sql),
        &[("injection.sql-concatenation", 2), ("injection.sql-concatenation", 3)],
    );
    let commands = "exec.Command(\"ls\", x)\nexec.Command(\"ls\", \"-l\")\na := \"x\"\nexec.Command(\"ls\", a)";
    check(&program(&["os/exec"], "func f(x string)", commands), &[("subprocess", 2)]);
}

#[test]
fn a_request_is_followed_to_where_it_does_harm() {
    let head = "func f(w http.ResponseWriter, r *http.Request, db *sql.DB)";
    let packages = ["net/http", "database/sql", "os", "strconv", "fmt", "html"];
    check(&program(&packages, head, "id := r.FormValue(\"id\")\ndb.Query(\"a\" + id)"), &[("sql-from-input", 3)]);
    check(
        &program(&packages, head, "id, _ := strconv.Atoi(r.FormValue(\"id\"))\ndb.Query(fmt.Sprintf(\"a %d\", id))"),
        &[],
    );
    check(&program(&packages, head, "id := r.FormValue(\"id\")\nid = \"b\"\ndb.Query(\"a\" + id)"), &[]);
    check(
        &program(&packages, head, "fmt.Fprint(w, r.URL.Path)\nfmt.Fprint(w, html.EscapeString(r.URL.Path))"),
        &[("html-from-input", 2)],
    );
    // What begins as plain text is sent as such.
    check(&program(&packages, head, "fmt.Fprintf(w, \"Hello, %s!\", r.URL.Path[1:])"), &[]);
    for (page, line) in [
        ("fmt.Fprintf(w, \"<p>%s\", r.URL.Path)", 2),
        ("fmt.Fprintf(w, \"%s: no\", r.URL.Path)", 2),
        ("w.Header().Set(\"Content-Type\", \"text/html\")\nfmt.Fprintf(w, \"Hello, %s!\", r.URL.Path)", 3),
        ("fmt.Fprint(w, \"<html>\")\nfmt.Fprint(w, \"Hello, \" + r.URL.Path)", 3),
    ] {
        check(&program(&packages, head, page), &[("html-from-input", line)]);
    }
    check(&program(&packages, head, "http.Redirect(w, r, r.FormValue(\"to\"), 302)"), &[("redirect-from-input", 2)]);
    check(&program(&packages, head, "_ = r.ParseMultipartForm(1)"), &[("form-without-limit", 2)]);
}

#[test]
fn a_nonce_is_found_unless_it_is_random() {
    let packages = ["crypto/cipher", "crypto/rand"];
    check(
        &program(&packages, "func f(b cipher.Block)", "cipher.NewCTR(b, []byte(\"0123456789abcdef\"))"),
        &[("fixed-nonce", 2)],
    );
    check(
        &program(&packages, "func f(b cipher.Block)", "iv := make([]byte, 16)\ncipher.NewCTR(b, iv)"),
        &[("fixed-nonce", 3)],
    );
    check(
        &program(&packages, "func f(b cipher.Block)", "iv := make([]byte, 16)\nrand.Read(iv)\ncipher.NewCTR(b, iv)"),
        &[],
    );
    let part = "iv := make([]byte, 16)\nrand.Read(iv[:8])\ncipher.NewCTR(b, iv)\ncipher.NewCTR(b, iv[:8])";
    check(&program(&packages, "func f(b cipher.Block)", part), &[("fixed-nonce", 4)]);
}

#[test]
fn a_conversion_is_found_unless_the_value_fits() {
    check(&program(&["math"], "func f(x int)", "_ = int8(x)"), &[("integer-overflow", 2)]);
    check(&program(&["math"], "func f(x int)", "if x < 0 || x > math.MaxUint8 {\nreturn\n}\n_ = uint8(x)"), &[]);
    check(
        &program(
            &["math"],
            "func f(x int)",
            "if x >= 0 && x < 200 {\n_ = uint8(x)\n}\n_ = uint8(x & 15)\n_ = int64(x)",
        ),
        &[],
    );
    check(
        &program(&["math"], "func f(x uint64)", "_ = int64(x)\n_ = uint8(x % 10)\n_ = uint(x)"),
        &[("integer-overflow", 2)],
    );
}

#[test]
fn places_beyond_the_end_are_found() {
    check(
        &program(&[], "func f()", "s := make([]int, 4)\n_ = s[4]\n_ = s[3]\n_ = s[:5]"),
        &[("out-of-bounds", 3), ("out-of-bounds", 5)],
    );
    check(&program(&[], "func f()", "s := make([]int, 4)\nif len(s) > 4 {\n_ = s[4]\n}\ns = append(s, 1)"), &[]);
    check(
        &program(&[], "func f()", "s := []int{1, 2}\nfor i := 0; i < 3; i++ {\n_ = s[i]\n}"),
        &[("out-of-bounds", 4)],
    );
}

#[test]
fn contexts_that_are_dropped_are_found() {
    let head = "func f(ctx context.Context)";
    check(&program(&["context"], head, "go g(context.Background())"), &[("dropped-context", 2)]);
    check(
        &program(&["context"], head, "c, cancel := context.WithCancel(ctx)\n_ = c\n_ = cancel"),
        &[("dropped-context", 2)],
    );
    check(&program(&["context"], head, "c, cancel := context.WithCancel(ctx)\ndefer cancel()\n_ = c"), &[]);
    check(&program(&["context", "time"], head, "for {\ntime.Sleep(1)\n}"), &[("dropped-context", 2)]);
    check(
        &program(&["context", "time"], head, "for {\nselect {\ncase <-ctx.Done():\nreturn\n}\ntime.Sleep(1)\n}"),
        &[],
    );
}

#[test]
fn credentials_are_found_and_not_shown() {
    let value = concat!("f62e5bcd", "a4fae4f82370da0c6f20697b");
    let text = program(&[], "func f()", &format!("password := \"{value}\"\npassword = \"test\"\nname := \"{value}\""));
    check(&text, &[("hard-coded-credential", 2)]);
    let shown = format!("{:?}", scan(vec![added("src/main.go", &text)]).findings);
    assert!(!shown.contains(value), "{shown}");
    let json = "package main; import \"encoding/json\"; type T struct {\nPassword string\n}; func f() {\n_, _ = json.Marshal(T{})\n_, _ = json.Marshal(1)\n}";
    check(json, &[("serialized-secret", 4)]);
}

#[test]
fn errors_that_are_dropped_are_found() {
    check(
        &program(&["os"], "func g() error { return nil }; func f()", "g()\n_ = g()\nos.Remove(a)\nprintln(1)"),
        &[("unchecked-error", 2), ("unchecked-error", 4)],
    );
    check(
        &program(&["strconv"], "func f()", "n, _ := strconv.Atoi(s)\n_ = int32(n)"),
        &[("integer-overflow", 3), ("parsed-number-narrowed", 3)],
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(120) })]

    #[test]
    fn no_text_is_too_strange(text in "(?s)(package |import |func |\"os\"|os|\\.|Open|\\(|\\)|\"|`|\\{|\\}|:=|x|y|int8|if |for |return |<|>>|\\[|\\]|9{1,40}|\n|make|-|\\*|é){0,150}") {
        scan(vec![added("src/main.go", &text)]);
    }
}

#[test]
fn what_is_put_in_where_no_value_can_stand_is_worth_a_note() {
    let severity = |statement: &str| {
        let text = program(&["database/sql"], "func f(db *sql.DB, x string)", &format!("db.Query({statement})"));
        let findings = scan(vec![added("src/main.go", &text)]).findings;
        let found: Vec<_> = findings.iter().filter(|f| f.rule_id == "code.injection.sql-concatenation").collect();
        assert_eq!(found.len(), 1, "{statement}");
        found[0].severity
    };
    assert_eq!(severity("\"SELECT a FROM t WHERE a = '\" + x + \"'\""), Severity::Medium);
    assert_eq!(severity("\"SELECT a FROM \" + x + \" WHERE a = 1\""), Severity::Low);
    assert_eq!(severity("\"SELECT a FROM t \" + x"), Severity::Low);
}

#[test]
fn however_long_a_hunk_is_it_is_looked_through_a_limited_number_of_times() {
    #[track_caller]
    fn check(line: fn(usize) -> String, most: u32) {
        let head = "package a\n\nfunc f(i int) {\n\ta := make([]int, 4)\n\tb := [4]int{1}\n";
        for count in [1_000, 2_000] {
            let text = format!("{head}{}}}\n", (0..count).map(line).collect::<String>());
            let file = added("a/b.go", &text);
            let shown = Shown::of("a/b.go", &file.hunks[0]);
            _ = GATE.opens(&shown);
            assert!(shown.scans() <= most, "{} scans of {count} lines", shown.scans());
        }
    }
    check(|_| "\tg(a[ix], b[ix])\n".to_owned(), 1);
    check(|_| "\tg(a[0], b[0])\n".to_owned(), 0);
    check(|n| format!("\tg(a[i{n}], b[j{n}])\n"), SCANS_MAX);
    check(|n| format!("}}\n\nfunc f{n}(a []int) int {{\n\treturn a[1]\n"), SCANS_MAX);
    check(|n| format!("}}\n\ntype T{n} int\n\nfunc g{n}() {{\n"), SCANS_MAX);
    check(|_| "\tctx, cancel := context.WithCancel(p)\n".to_owned(), SCANS_MAX);
}

#[test]
fn what_stands_below_many_other_places_is_found() {
    let others: String = (0..400).map(|n| format!("\tg(a[i{n}])\n")).collect();
    check(
        &format!("package a\n\nfunc f() {{\n\ta := make([]int, 4)\n{others}\tk := 9\n\tg(a[k])\n}}\n"),
        &[("out-of-bounds", 406)],
    );
}
#[test]
fn a_text_that_does_not_end_on_its_line_is_judged_as_in_the_whole() {
    for hunk in [
        " password = \"A  0a##\n+\"\"\"Aaa0a;  00a0AaA 0a 0",
        "+password = \"a\n+DROP TABLE a;.\"A0",
        "+password = \"].H.Tm\n+<<EOF.\"`[};'Gdf",
    ] {
        // Compared with what is found in the whole.
        _ = scan(vec![modified("c.go", hunk)]);
    }
}
