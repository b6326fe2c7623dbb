//! Calls and imports that say by their name alone what is wrong: rows of names.

use domain::Severity;
use tree_sitter::Node;

use super::gate;
use super::model::Model;
use crate::rules::Rule;
use crate::rules::code::PROGRAM;
use crate::rules::code::gate::Trigger;
use crate::rules::code::program::Report;

/// A rule about a name.
pub(super) struct Row {
    pub(super) rule: Rule,
    /// The functions: import path, a dot, the name.
    calls: &'static [&'static str],
    /// The packages whose import alone is told.
    imports: &'static [&'static str],
    message: &'static str,
}

/// Reports the rows that name a call.
pub(super) fn check_call<'t>(model: &Model<'_, 't>, callee: &str, node: Node<'t>, report: &mut Report<'_>) {
    for row in ROWS {
        if row.calls.contains(&callee) && !(callee.starts_with("math/rand") && is_measure(model, node)) {
            report.at(&row.rule, node, row.message);
        }
    }
}

/// Whether a random number is a quantity, which nobody needs to guess: it is compared with another, or is a time to wait.
fn is_measure<'t>(model: &Model<'_, 't>, call: Node<'t>) -> bool {
    let assigned = || {
        let list = model.parent(call).filter(|list| list.kind() == "expression_list")?;
        let name = model.parent(list)?.child_by_field_name("left")?.named_child(0)?;
        model.variable(name)
    };
    measures(model, call)
        || assigned().is_some_and(|variable| variable.uses.iter().take(USES_MAX).any(|used| measures(model, *used)))
}

/// Uses of a variable that are looked at.
const USES_MAX: usize = 256;

/// Whether a value is compared by its size, or is waited for.
fn measures<'t>(model: &Model<'_, 't>, value: Node<'t>) -> bool {
    for above in model.ancestors(value) {
        match above.kind() {
            "parenthesized_expression" | "argument_list" | "type_conversion_expression" => {}
            "binary_expression" => match model.operator(above) {
                "<" | "<=" | ">" | ">=" => return true,
                "+" | "-" | "*" | "/" => {}
                _ => return false,
            },
            "call_expression" => match model.callee(above).as_str() {
                "time.Duration" | "time.Sleep" | "time.After" | "time.NewTimer" | "time.NewTicker" => return true,
                ".float64" | ".float32" | ".int" | ".int64" => {}
                _ => return false,
            },
            _ => return false,
        }
    }
    false
}

/// Reports the rows that name an import.
pub(super) fn check_import(model: &Model<'_, '_>, node: Node<'_>, report: &mut Report<'_>) {
    let path = node.child_by_field_name("path").map_or("", |path| model.source(path)).trim_matches(['"', '`']);
    let blank = node.child_by_field_name("name").is_some_and(|name| model.source(name) == "_");
    for row in ROWS {
        // Profiling registers itself when it is imported for that alone.
        if row.imports.contains(&path) && (path != "net/http/pprof" || blank) {
            report.at(&row.rule, node, row.message);
        }
    }
}

/// What each row names.
pub(super) fn triggers() -> Vec<Trigger> {
    let trigger = |row: &'static Row| {
        let mut words = gate::calls(row.calls);
        words.extend(gate::imports(row.imports));
        Trigger::of(&[&row.rule]).part(words).near()
    };
    ROWS.iter().map(trigger).collect()
}

const BROKEN_DIGEST: &str = "two texts with the same digest can be made at will, so that it proves nothing";

/// The rows.
pub(super) static ROWS: &[Row] = &[
    Row {
        rule: Rule {
            id: "code.go.unsafe",
            title: "Package unsafe is used",
            severity: Severity::Info,
            cwe: 242,
            keywords: &["unsafe."],
            remediation: "Do without it, or say beside it why the memory is valid for as long as it is used.",
            references: &["https://pkg.go.dev/unsafe"],
            aliases: &["G103"],
            ..PROGRAM
        },
        calls: &["unsafe.Pointer", "unsafe.String", "unsafe.StringData", "unsafe.Slice", "unsafe.SliceData"],
        imports: &[],
        message: "from here on the compiler no longer checks what memory this is",
    },
    Row {
        rule: Rule {
            id: "code.go.ssh-host-key",
            title: "SSH host keys are not checked",
            severity: Severity::Medium,
            cwe: 322,
            keywords: &["insecureignorehostkey"],
            remediation: "Use knownhosts.New or ssh.FixedHostKey.",
            references: &["https://pkg.go.dev/golang.org/x/crypto/ssh#InsecureIgnoreHostKey"],
            aliases: &["G106"],
            ..PROGRAM
        },
        calls: &["golang.org/x/crypto/ssh.InsecureIgnoreHostKey"],
        imports: &[],
        message: "the client talks to any machine that answers, so that anybody between the two can read and change what they say",
    },
    Row {
        rule: Rule {
            id: "code.go.pprof-exposed",
            title: "Profiling pages on the default server",
            severity: Severity::Medium,
            cwe: 200,
            keywords: &["net/http/pprof"],
            remediation: "Serve the handlers of net/http/pprof on a mux of their own that only operators reach.",
            references: &["https://pkg.go.dev/net/http/pprof"],
            aliases: &["G108"],
            ..PROGRAM
        },
        calls: &[],
        imports: &["net/http/pprof"],
        message: "whoever reaches the default server can read the program's memory at /debug/pprof and keep its processors busy",
    },
    Row {
        rule: Rule {
            id: "code.go.serve-without-timeouts",
            title: "Server without timeouts",
            cwe: 676,
            keywords: &["listenandserve", "serve(", "servetls("],
            remediation: "Make a http.Server with ReadHeaderTimeout, ReadTimeout and IdleTimeout, and serve with that.",
            references: &["https://pkg.go.dev/net/http#Server"],
            aliases: &["G114"],
            ..PROGRAM
        },
        calls: &["net/http.ListenAndServe", "net/http.ListenAndServeTLS", "net/http.Serve", "net/http.ServeTLS"],
        imports: &[],
        message: "a client that sends nothing holds its connection for ever",
    },
    Row {
        rule: Rule {
            id: "code.go.weak-hash",
            title: "Broken hash function",
            cwe: 328,
            keywords: &["md5.", "sha1.", "crypto/md5", "crypto/sha1"],
            remediation: "Use SHA-256 or stronger, and bcrypt, scrypt or argon2 for passwords.",
            references: &["https://pkg.go.dev/crypto/md5", "https://pkg.go.dev/crypto/sha1"],
            aliases: &["G401"],
            ..PROGRAM
        },
        calls: &["crypto/md5.New", "crypto/md5.Sum", "crypto/sha1.New", "crypto/sha1.Sum"],
        imports: &[],
        message: BROKEN_DIGEST,
    },
    Row {
        rule: Rule {
            id: "code.go.weak-cipher",
            title: "Broken cipher",
            severity: Severity::Medium,
            cwe: 327,
            keywords: &["newcipher", "newtripledescipher"],
            remediation: "Use AES in GCM or ChaCha20-Poly1305.",
            references: &["https://pkg.go.dev/crypto/des", "https://pkg.go.dev/crypto/rc4"],
            aliases: &["G405"],
            ..PROGRAM
        },
        calls: &["crypto/des.NewCipher", "crypto/des.NewTripleDESCipher", "crypto/rc4.NewCipher"],
        imports: &[],
        message: "what this cipher hides can be read with a known attack or a small key search",
    },
    Row {
        rule: Rule {
            id: "code.go.old-hash",
            title: "Hash function that was given up",
            cwe: 328,
            keywords: &["md4", "ripemd160"],
            remediation: "Use SHA-256 or stronger.",
            references: &["https://pkg.go.dev/golang.org/x/crypto/md4"],
            aliases: &["G406"],
            ..PROGRAM
        },
        calls: &["golang.org/x/crypto/md4.New", "golang.org/x/crypto/ripemd160.New"],
        imports: &[],
        message: BROKEN_DIGEST,
    },
    Row {
        rule: Rule {
            id: "code.go.insecure-random",
            title: "Random numbers that can be foretold",
            severity: Severity::Info,
            cwe: 338,
            keywords: &["rand."],
            remediation: "For tokens, passwords and keys use crypto/rand.",
            references: &["https://pkg.go.dev/math/rand"],
            aliases: &["G404"],
            ..PROGRAM
        },
        calls: &[
            "math/rand.New",
            "math/rand.Read",
            "math/rand.ExpFloat64",
            "math/rand.Float32",
            "math/rand.Float64",
            "math/rand.Int",
            "math/rand.Int31",
            "math/rand.Int31n",
            "math/rand.Int63",
            "math/rand.Int63n",
            "math/rand.Intn",
            "math/rand.NormFloat64",
            "math/rand.Perm",
            "math/rand.Shuffle",
            "math/rand.Uint32",
            "math/rand.Uint64",
            "math/rand/v2.New",
            "math/rand/v2.ExpFloat64",
            "math/rand/v2.Float32",
            "math/rand/v2.Float64",
            "math/rand/v2.Int",
            "math/rand/v2.Int32",
            "math/rand/v2.Int32N",
            "math/rand/v2.Int64",
            "math/rand/v2.Int64N",
            "math/rand/v2.IntN",
            "math/rand/v2.N",
            "math/rand/v2.NormFloat64",
            "math/rand/v2.Perm",
            "math/rand/v2.Shuffle",
            "math/rand/v2.Uint",
            "math/rand/v2.Uint32",
            "math/rand/v2.Uint32N",
            "math/rand/v2.Uint64",
            "math/rand/v2.Uint64N",
            "math/rand/v2.UintN",
        ],
        imports: &[],
        message: "whoever has seen some of these numbers knows those that follow; nothing secret may be made of them",
    },
    Row {
        rule: Rule {
            id: "code.go.import-weak-crypto",
            title: "Package of a broken algorithm",
            severity: Severity::Info,
            cwe: 327,
            keywords: &[
                "crypto/md5",
                "crypto/des",
                "crypto/rc4",
                "crypto/sha1",
                "crypto/md4",
                "crypto/ripemd160",
                "net/http/cgi",
            ],
            remediation: "Use SHA-256 or stronger to hash, AES-GCM or ChaCha20-Poly1305 to encrypt.",
            references: &["https://pkg.go.dev/crypto"],
            aliases: &["G501", "G502", "G503", "G504", "G505", "G506", "G507"],
            ..PROGRAM
        },
        calls: &[],
        imports: &[
            "crypto/md5",
            "crypto/des",
            "crypto/rc4",
            "net/http/cgi",
            "crypto/sha1",
            "golang.org/x/crypto/md4",
            "golang.org/x/crypto/ripemd160",
        ],
        message: "what this package does has known attacks",
    },
];
