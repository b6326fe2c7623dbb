//! Which words have to be in a hunk before it is parsed: where a keyword is common, what the rule's check asks for besides.

use std::sync::LazyLock;

use crate::rules::code::gate::{EVERYWHERE, Finer, Gate};

/// The gate of this language.
pub(in crate::rules::code) static GATE: LazyLock<Gate> = LazyLock::new(|| Gate::new(super::rules(), FINER));

/// What is followed to a sink has to come from somewhere: see [`super::taint`].
const SOURCES: (&[&str], &str) = (
    &[".request", ".values", ".url", ".reader", ".scanner", ".args", "getenv"],
    r"\.(?:Request|Values|URL|Reader|Scanner|Args|Getenv)\b",
);

/// Where what is followed may end.
const SINKS: &[&str] = &[
    "os.",
    "ioutil.",
    "filepath.",
    "servefile",
    "http.",
    "dial",
    "lookuphost",
    ".do(",
    "newrequest",
    "reverseproxy",
    ".get(",
    ".post(",
    ".head(",
    "write",
    "fprint",
    "html(",
    "htmlattr",
    ".js(",
    ".css(",
    "log.",
    "sendmail",
    "smtp",
    ".mail(",
    ".rcpt(",
    "parse(",
    "execute",
    "newdecoder",
    "unmarshal",
    "redirect(",
];

const FINER: &[Finer] = &[
    // The functions of the file that return errors, and a call that stands by itself.
    Finer {
        instead_of: &["func ", "os.", ".close()", "json."],
        parts: &[
            (&["func"], r"\bfunc\b"),
            (&["error"], r"\berror\b"),
            (&[], r"^\s*[\w.\[\]]*[\w\])]\(|^\s*\(|[{;:]\s*[\w.]+\("),
        ],
        applies: EVERYWHERE,
    },
    // Those of other packages.
    Finer {
        instead_of: &[],
        parts: &[(
            &[
                "chdir(",
                "chmod(",
                "chown(",
                "link(",
                "mkdir",
                "remove",
                "rename(",
                "setenv(",
                "truncate(",
                "writefile(",
                "create(",
                "open",
                "readfile(",
                "copy(",
                "writestring(",
                "readall(",
                "marshal(",
                "listenandserve(",
                "get(",
                "exec(",
                "ping(",
                "close(",
                "commit(",
                "rollback(",
                "write(",
                "sync(",
                "encode(",
                "flush(",
                "parseform(",
            ],
            r"(?:^\s*|[{;:]\s+)(?:[\w\[\]]+\.)+(?:Chdir|Chmod|Chown|Link|Mkdir|MkdirAll|Remove|RemoveAll|Rename|Setenv|Symlink|Truncate|WriteFile|Create|Open|OpenFile|ReadFile|Copy|WriteString|ReadAll|Unmarshal|Marshal|ListenAndServe|Get|Exec|Ping|Close|Commit|Rollback|Write|Sync|Encode|Flush|ParseForm)\(|^\s*\(",
        )],
        applies: EVERYWHERE,
    },
    // Something with a known number of elements.
    Finer {
        instead_of: &["make(", "[]byte", "[]int"],
        parts: &[(
            &[
                "make(", "[]", "[.", "]byte", "]int", "]uint", "]string", "[0", "[1", "[2", "[3", "[4", "[5", "[6",
                "[7", "[8", "[9",
            ],
            r"\bmake\(\[\]|\[\][\w.*\[\]]+\{|\bvar\s.*\[\]|^\s*\w+\s+\[\]|(?:^|[^\w\])])\[(?:\.\.\.|[\w.]+)\]",
        )],
        applies: EVERYWHERE,
    },
    Finer {
        instead_of: &[" int(", "(int(", "uint(", "int8(", "int16(", "int32(", "int64(", "uintptr(", "byte(", "rune("],
        parts: &[(&["int", "byte(", "rune("], r"\b(?:u?int(?:8|16|32|64|ptr)?|byte|rune)\(")],
        applies: EVERYWHERE,
    },
    // A conversion to a type of the file.
    Finer { instead_of: &[], parts: &[(&["type"], r"\btype\b\s+[\w(]")], applies: EVERYWHERE },
    Finer {
        instead_of: &["context"],
        parts: &[(&["withcancel", "withtimeout", "withdeadline"], "")],
        applies: EVERYWHERE,
    },
    Finer { instead_of: &[], parts: &[(&["background(", "todo("], ""), (&["go "], r"\bgo\b")], applies: EVERYWHERE },
    Finer {
        instead_of: &[],
        parts: &[(&["for"], r"\bfor\s*\{|\bfor\b[^;]*;\s*;"), (&["context", "request"], "")],
        applies: EVERYWHERE,
    },
    // A text that is long enough stands beside the name.
    Finer {
        instead_of: &["passw", "pwd", "secret", "token", "apikey", "bearer", "cred"],
        parts: &[(
            &["pass", "pwd", "secret", "token", "pw", "apikey", "bearer", "cred"],
            r#"(?i)(?:pass|pwd|secret|token|pw|apikey|bearer|cred).*["`]|["`].*(?:pass|pwd|secret|token|pw|apikey|bearer|cred)"#,
        )],
        applies: EVERYWHERE,
    },
    Finer {
        instead_of: &[],
        parts: &[(&["asia", "ghs_", "github_pat_", "aiza", "_live_", "xox", "private key"], "")],
        applies: EVERYWHERE,
    },
    Finer {
        instead_of: &[],
        parts: &[(&["://"], r"[a-z]{3,10}://[\w.+-]{1,64}:[^\s@:/]{1,128}@")],
        applies: EVERYWHERE,
    },
    Finer {
        instead_of: &["marshal", "encode("],
        parts: &[(&["marshal", "encode("], r"\bMarshal(?:Indent)?\(|\.Encode\("), (&["struct"], "")],
        applies: EVERYWHERE,
    },
    Finer {
        instead_of: &["rand."],
        parts: &[(&["rand."], r"rand\.(?:New|Read|Exp|Float|Int|Norm|Perm|Shuffle|Uint|N\()")],
        applies: EVERYWHERE,
    },
    Finer { instead_of: &[], parts: &[(&["math/rand"], "")], applies: EVERYWHERE },
    Finer {
        instead_of: &["serve(", "servetls("],
        parts: &[(&["serve(", "servetls("], r"\.Serve(?:TLS)?\(")],
        applies: EVERYWHERE,
    },
    Finer {
        instead_of: &["query", "exec(", "execcontext", "prepare"],
        parts: &[(&["query", "exec", "prepare"], r"\.(?:Exec|Query|QueryRow|Prepare)(?:Context)?\(")],
        applies: EVERYWHERE,
    },
    Finer {
        instead_of: &["command", "exec", "startprocess"],
        parts: &[(&["command", "exec", "startprocess"], r"\.(?:Command(?:Context)?|Exec|ForkExec|StartProcess)\(")],
        applies: EVERYWHERE,
    },
    Finer {
        instead_of: &["/tmp", "tempdir"],
        parts: &[(&["create(", "writefile("], ""), (&["/tmp", "tempdir"], "")],
        applies: EVERYWHERE,
    },
    Finer {
        instead_of: &["os.open", "os.create", ".open("],
        parts: &[(&[".open", ".create("], r"\.(?:Open|OpenFile|Create)\(")],
        applies: EVERYWHERE,
    },
    Finer {
        instead_of: &[".join("],
        parts: &[(&[".join("], r"path\.Join\("), (&["zip", "tar"], r"\b(?:zip|tar)\b")],
        applies: EVERYWHERE,
    },
    Finer {
        instead_of: &["io.copy"],
        parts: &[(&["io.copy"], ""), (&["newreader", ".open("], "")],
        applies: EVERYWHERE,
    },
    Finer {
        instead_of: &["template."],
        parts: &[(&["template."], r"template\.(?:CSS|HTML|HTMLAttr|JS|JSStr|Srcset|URL)\(")],
        applies: EVERYWHERE,
    },
    Finer {
        instead_of: &["http.get(", "http.post", "http.head("],
        parts: &[(&["http."], r"http\.(?:Get|Post|PostForm|Head|Do|RoundTrip)\(")],
        applies: EVERYWHERE,
    },
    Finer { instead_of: &["http.server{", "server{"], parts: &[(&["server{"], r"\.Server\{")], applies: EVERYWHERE },
    Finer { instead_of: &["cookie"], parts: &[(&["cookie{"], r"\.Cookie\{")], applies: EVERYWHERE },
    Finer { instead_of: &["http.request"], parts: &[(&["[]*"], r"\[\]\*\w+\.Request\b")], applies: EVERYWHERE },
    Finer {
        instead_of: &["transfer-encoding", "content-length"],
        parts: &[(&["transfer-encoding"], ""), (&["content-length"], "")],
        applies: EVERYWHERE,
    },
    Finer { instead_of: &["walk"], parts: &[(&["walk"], r"\.Walk(?:Dir)?\(")], applies: EVERYWHERE },
    Finer { instead_of: SINKS, parts: &[SOURCES, (SINKS, "")], applies: EVERYWHERE },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[track_caller]
    fn check(hunk: &str, expected: bool) {
        let file = sample::modified("a.go", hunk);
        assert_eq!(GATE.opens(&file.change.path, &file.hunks[0]), expected, "{hunk}");
    }

    #[test]
    fn a_hunk_that_a_rule_may_speak_of_is_parsed() {
        for hunk in [
            "+p := unsafe.Pointer(x)",
            " func f() error {\n+\tg()\n }",
            "+\tos.Remove(p)",
            "+\tvar x [4]byte\n+\ty := x[7]",
            "+\tn := int32(m)",
            "+\tctx, cancel := context.WithCancel(ctx)",
            "+\tgo f(context.Background())",
            "+\tapiKey := `x`",
            "+\tu := \"https://a:b@example.org\"",
            "+\trow := db.QueryRow(q)",
            " func f(r *http.Request) {\n+\tlog.Print(r.Host)\n }",
        ] {
            check(hunk, true);
        }
    }

    #[test]
    fn common_words_alone_are_no_reason_to() {
        for hunk in [
            "+\tlog.Printf(\"%d\", n)",
            "+func f(ctx context.Context) string {\n+\treturn \"\"\n+}",
            " func f(x int) {\n+\ty := x + 1",
            "+\tfor _, x := range list {",
            "-\tp := unsafe.Pointer(x)\n+\tp := x",
        ] {
            check(hunk, false);
        }
    }
}
