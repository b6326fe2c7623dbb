//! Places where what a stranger sends must not get to: rows of functions.

use std::collections::HashSet;
use std::sync::LazyLock;

use domain::Severity;
use tree_sitter::Node;

use super::gate;
use super::model::Model;
use super::taint::{self, Source, Taint};
use super::types::arguments;
use crate::rules::code::PROGRAM;
use crate::rules::code::gate::Trigger;
use crate::rules::code::program::Report;
use crate::rules::{Hit, Rule};

/// A rule about where a value goes.
pub(super) struct Row {
    pub(super) rule: Rule,
    /// Each function with the first and the last of the arguments that matter.
    sinks: &'static [(&'static str, usize, usize)],
    /// Only where the first argument is the answer to a request.
    answers: &'static [&'static str],
    /// What makes a value harmless here.
    cleaners: &'static [&'static str],
    message: &'static str,
}

const ALL: usize = usize::MAX;

pub(super) fn check<'t>(
    model: &Model<'_, 't>,
    taint: &Taint<'_, '_, 't>,
    callee: &str,
    call: Node<'t>,
    report: &mut Report<'_>,
) {
    static NAMES: LazyLock<HashSet<&str>> = LazyLock::new(|| {
        let sinks = SINKS.iter().flat_map(|row| row.sinks).map(|(name, ..)| gate::method(name));
        sinks.chain(["ParseMultipartForm"]).collect()
    });
    if !NAMES.contains(gate::method(callee)) {
        return;
    }
    // A value whose address can be taken has the methods of its pointer.
    let plain = callee.replacen("(*", "(", 1);
    for row in SINKS {
        let is_named = |name: &str| {
            name == callee || name.strip_prefix("(*").is_some_and(|rest| plain.strip_prefix('(') == Some(rest))
        };
        let Some((_, first, last)) = row.sinks.iter().find(|(name, ..)| is_named(name)) else { continue };
        let args = arguments(call);
        if row.answers.contains(&callee) && !args.first().is_some_and(|to| is_answer(model, *to)) {
            continue;
        }
        if row.answers.contains(&"io.WriteString") && is_plain_text(model, call, &args) {
            continue;
        }
        let until = args.len().min(last.saturating_add(1));
        let checked = args.get(*first..until.max(*first)).unwrap_or_default();
        let source = checked.iter().filter_map(|arg| taint.source(*arg, row.cleaners)).max();
        if let Some(source) = source {
            report.hit(&row.rule, call.byte_range(), |range| {
                let hit = Hit::at(range, row.message);
                // Who starts the process may do so anyway.
                if source == Source::Process { hit.severity(row.rule.severity.min(Severity::Low)) } else { hit }
            });
        }
    }
    if callee == "(*net/http.Request).ParseMultipartForm" {
        let operand = call.child_by_field_name("function").and_then(|function| function.child_by_field_name("operand"));
        if operand.is_some_and(|operand| taint.source(operand, &[]).is_some()) {
            report.at(
                &UNLIMITED_FORM,
                call,
                "only what is kept in memory is limited; the rest of the form goes to the disk, however long it is",
            );
        }
    }
}

/// What each row names, and a place where something comes from outside.
pub(super) fn triggers() -> Vec<Trigger> {
    let trigger = |row: &'static Row| {
        let words = gate::calls(row.sinks.iter().map(|(name, ..)| name));
        Trigger::of(&[&row.rule]).part(taint::source_words()).part(words).linked()
    };
    SINKS.iter().map(trigger).collect()
}

fn is_answer<'t>(model: &Model<'_, 't>, node: Node<'t>) -> bool {
    let of = model.type_of(node);
    of == "net/http.ResponseWriter" || of.is_empty() && matches!(model.source(node), "w" | "rw" | "writer")
}

/// Whether an answer begins with plain text: net/http then says that it is such, and a browser shows it as it is, unless the
/// function says otherwise or begins a page elsewhere.
fn is_plain_text<'t>(model: &Model<'_, 't>, call: Node<'t>, args: &[Node<'t>]) -> bool {
    let Some(mut first) = args.get(1).copied() else { return false };
    while let Some(left) = first.child_by_field_name("left").filter(|_| first.kind() == "binary_expression") {
        first = left;
    }
    let begins =
        model.literal(first).is_some_and(|text| !text.trim_start().starts_with(['<', '%']) && !text.trim().is_empty());
    begins
        && model.function_of(call).is_some_and(|function| {
            let source = model.source(function);
            !["\"<", "`<", "html", "HTML", "\\x3c", "\\u003c"].iter().any(|sign| source.contains(sign))
        })
}

pub(super) static UNLIMITED_FORM: Rule = Rule {
    id: "code.go.form-without-limit",
    title: "Form without a limit",
    cwe: 400,
    keywords: &["parsemultipartform"],
    remediation: "Put http.MaxBytesReader around the request's body before the form is parsed.",
    references: &["https://pkg.go.dev/net/http#MaxBytesReader"],
    aliases: &["G120"],
    ..PROGRAM
};

const NUMBERS: &[&str] = &["net/url.PathEscape", "net/url.QueryEscape"];

/// The rows.
pub(super) static SINKS: &[Row] = &[
    Row {
        rule: Rule {
            id: "code.go.sql-from-input",
            title: "SQL is made of a request",
            severity: Severity::High,
            cwe: 89,
            keywords: &["query", "exec(", "execcontext", "prepare"],
            remediation: "Write the statement out and pass values as parameters.",
            references: &["https://go.dev/doc/database/sql-injection"],
            aliases: &["G701"],
            ..PROGRAM
        },
        sinks: &[
            ("(*database/sql.DB).Query", 0, 0),
            ("(*database/sql.DB).QueryRow", 0, 0),
            ("(*database/sql.DB).Exec", 0, 0),
            ("(*database/sql.DB).Prepare", 0, 0),
            ("(*database/sql.DB).QueryContext", 1, 1),
            ("(*database/sql.DB).QueryRowContext", 1, 1),
            ("(*database/sql.DB).ExecContext", 1, 1),
            ("(*database/sql.DB).PrepareContext", 1, 1),
            ("(*database/sql.Tx).Query", 0, 0),
            ("(*database/sql.Tx).QueryRow", 0, 0),
            ("(*database/sql.Tx).Exec", 0, 0),
            ("(*database/sql.Tx).Prepare", 0, 0),
            ("(*database/sql.Tx).QueryContext", 1, 1),
            ("(*database/sql.Tx).QueryRowContext", 1, 1),
            ("(*database/sql.Tx).ExecContext", 1, 1),
            ("(*database/sql.Tx).PrepareContext", 1, 1),
        ],
        answers: &[],
        cleaners: &[],
        message: "whoever sends the request can change the statement, and so read and write every table",
    },
    Row {
        rule: Rule {
            id: "code.go.command-from-input",
            title: "Process is started with a part of a request",
            severity: Severity::Medium,
            cwe: 78,
            keywords: &["command", "exec", "startprocess"],
            remediation: "Choose the program and its options from a fixed list, and put -- before values.",
            references: &["https://pkg.go.dev/os/exec"],
            aliases: &["G702"],
            ..PROGRAM
        },
        sinks: &[
            ("os/exec.Command", 0, ALL),
            ("os/exec.CommandContext", 1, ALL),
            ("os.StartProcess", 0, ALL),
            ("syscall.Exec", 0, ALL),
            ("syscall.ForkExec", 0, ALL),
            ("syscall.StartProcess", 0, ALL),
        ],
        answers: &[],
        cleaners: &[],
        message: "whoever sends the request has a say in what runs on this machine",
    },
    Row {
        rule: Rule {
            id: "code.go.path-from-input",
            title: "Path is made of a request",
            severity: Severity::Medium,
            cwe: 22,
            keywords: &["os.", "ioutil.", "filepath.", "servefile"],
            remediation: "Open files through os.OpenRoot, which does not leave its folder.",
            references: &["https://go.dev/blog/osroot"],
            aliases: &["G703"],
            ..PROGRAM
        },
        sinks: &[
            ("os.Open", 0, ALL),
            ("os.OpenFile", 0, 0),
            ("os.Create", 0, ALL),
            ("os.ReadFile", 0, ALL),
            ("os.WriteFile", 0, 0),
            ("os.Remove", 0, ALL),
            ("os.RemoveAll", 0, ALL),
            ("os.Rename", 0, ALL),
            ("os.Mkdir", 0, 0),
            ("os.MkdirAll", 0, 0),
            ("os.Stat", 0, ALL),
            ("os.Lstat", 0, ALL),
            ("os.Chmod", 0, 0),
            ("os.Chown", 0, 0),
            ("io/ioutil.ReadFile", 0, ALL),
            ("io/ioutil.WriteFile", 0, 0),
            ("io/ioutil.ReadDir", 0, ALL),
            ("path/filepath.Walk", 0, 0),
            ("path/filepath.WalkDir", 0, 0),
            ("net/http.ServeFile", 2, 2),
            ("net/http.ServeFileFS", 3, 3),
        ],
        answers: &[],
        cleaners: &[
            "path/filepath.Clean",
            "path/filepath.Abs",
            "path/filepath.Base",
            "path/filepath.Rel",
            "path.Base",
            "path.Clean",
            "net/url.PathEscape",
        ],
        message: "whoever sends the request can choose any file that the program may open",
    },
    Row {
        rule: Rule {
            id: "code.go.url-from-input",
            title: "Address is made of a request",
            severity: Severity::Medium,
            cwe: 918,
            keywords: &[
                "http.",
                "dial",
                "lookuphost",
                ".do(",
                "newrequest",
                "reverseproxy",
                ".get(",
                ".post(",
                ".head(",
            ],
            remediation: "Check the address's host against a list of those that may be asked.",
            references: &[
                "https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html",
            ],
            aliases: &["G704"],
            ..PROGRAM
        },
        sinks: &[
            ("net/http.Get", 0, 0),
            ("net/http.Post", 0, 0),
            ("net/http.Head", 0, 0),
            ("net/http.PostForm", 0, 0),
            ("net/http.NewRequest", 1, 1),
            ("net/http.NewRequestWithContext", 2, 2),
            ("(*net/http.Client).Do", 0, 0),
            ("(*net/http.Client).Get", 0, 0),
            ("(*net/http.Client).Post", 0, 0),
            ("(*net/http.Client).Head", 0, 0),
            ("net.Dial", 1, 1),
            ("net.DialTimeout", 1, 1),
            ("net.LookupHost", 0, 0),
            ("net/http/httputil.NewSingleHostReverseProxy", 0, 0),
        ],
        answers: &[],
        cleaners: &[],
        message: "whoever sends the request can make the program ask machines that only it reaches",
    },
    Row {
        rule: Rule {
            id: "code.go.html-from-input",
            title: "Answer is made of a request",
            severity: Severity::Low,
            cwe: 79,
            keywords: &["write", "fprint", "html(", "htmlattr", ".js(", ".css("],
            remediation: "Render with html/template, or escape with html.EscapeString.",
            references: &["https://pkg.go.dev/html/template"],
            aliases: &["G705"],
            ..PROGRAM
        },
        sinks: &[
            ("(net/http.ResponseWriter).Write", 0, ALL),
            ("fmt.Fprintf", 1, ALL),
            ("fmt.Fprint", 1, ALL),
            ("fmt.Fprintln", 1, ALL),
            ("io.WriteString", 1, 1),
            ("html/template.HTML", 0, ALL),
            ("html/template.HTMLAttr", 0, ALL),
            ("html/template.JS", 0, ALL),
            ("html/template.CSS", 0, ALL),
        ],
        answers: &["fmt.Fprintf", "fmt.Fprint", "fmt.Fprintln", "io.WriteString"],
        cleaners: &[
            "html.EscapeString",
            "html/template.HTMLEscapeString",
            "html/template.JSEscapeString",
            "html/template.URLQueryEscaper",
            "net/url.QueryEscape",
            "net/url.PathEscape",
            "encoding/json.Marshal",
            "encoding/json.MarshalIndent",
        ],
        message: "a link can put a script into this page that runs as whoever follows it",
    },
    Row {
        rule: Rule {
            id: "code.go.log-from-input",
            title: "Log line is made of a request",
            severity: Severity::Info,
            cwe: 117,
            keywords: &["log."],
            remediation: "Log values as fields of a structured log, or quote them with %q.",
            references: &["https://pkg.go.dev/log/slog"],
            aliases: &["G706"],
            ..PROGRAM
        },
        sinks: &[
            ("log.Print", 0, ALL),
            ("log.Printf", 0, ALL),
            ("log.Println", 0, ALL),
            ("log.Fatal", 0, ALL),
            ("log.Fatalf", 0, ALL),
            ("log.Fatalln", 0, ALL),
            ("log.Panic", 0, ALL),
            ("log.Panicf", 0, ALL),
            ("log.Panicln", 0, ALL),
            ("log/slog.Info", 0, 0),
            ("log/slog.Warn", 0, 0),
            ("log/slog.Error", 0, 0),
            ("log/slog.Debug", 0, 0),
        ],
        answers: &[],
        cleaners: &[
            "strings.ReplaceAll",
            "strconv.Quote",
            "net/url.QueryEscape",
            "encoding/json.Marshal",
            "encoding/json.MarshalIndent",
            "strconv.Itoa",
            "strconv.FormatInt",
            "strconv.FormatFloat",
        ],
        message: "a line feed in this value begins a line of the log that says whatever its sender likes",
    },
    Row {
        rule: Rule {
            id: "code.go.mail-from-input",
            title: "Mail address is made of a request",
            severity: Severity::Low,
            cwe: 93,
            keywords: &["sendmail", "smtp", ".mail(", ".rcpt("],
            remediation: "Take the address from what mail.ParseAddress returns.",
            references: &["https://pkg.go.dev/net/mail#ParseAddress"],
            aliases: &["G707"],
            ..PROGRAM
        },
        sinks: &[("net/smtp.SendMail", 2, 3), ("(*net/smtp.Client).Mail", 0, 0), ("(*net/smtp.Client).Rcpt", 0, 0)],
        answers: &[],
        cleaners: &[
            "net/mail.ParseAddress",
            "net/mail.ParseAddressList",
            "(*net/mail.AddressParser).Parse",
            "(*net/mail.AddressParser).ParseList",
        ],
        message: "a line feed in this value can add recipients and headers to the mail",
    },
    Row {
        rule: Rule {
            id: "code.go.template-from-input",
            title: "Template is made of a request",
            severity: Severity::Medium,
            cwe: 94,
            keywords: &["parse(", "execute"],
            remediation: "Keep templates in files, pass values as data, and render HTML with html/template.",
            references: &["https://pkg.go.dev/html/template"],
            aliases: &["G708"],
            ..PROGRAM
        },
        sinks: &[
            ("(*text/template.Template).Parse", 0, 0),
            ("(*text/template.Template).Execute", 1, 1),
            ("(*text/template.Template).ExecuteTemplate", 2, 2),
        ],
        answers: &["(*text/template.Template).Execute", "(*text/template.Template).ExecuteTemplate"],
        cleaners: &[
            "html.EscapeString",
            "html/template.HTMLEscapeString",
            "html/template.JSEscapeString",
            "net/url.QueryEscape",
            "net/url.PathEscape",
        ],
        message: "this template escapes nothing, and one that a stranger writes can call the methods of its data",
    },
    Row {
        rule: Rule {
            id: "code.go.decode-from-input",
            title: "Objects are made of a request",
            severity: Severity::Low,
            cwe: 502,
            keywords: &["newdecoder", "unmarshal"],
            remediation: "Limit the length with io.LimitReader, and exchange data as JSON.",
            references: &["https://pkg.go.dev/encoding/gob#hdr-Security"],
            aliases: &["G709"],
            ..PROGRAM
        },
        sinks: &[
            ("encoding/gob.NewDecoder", 0, 0),
            ("gopkg.in/yaml.v2.Unmarshal", 0, 0),
            ("gopkg.in/yaml.v2.NewDecoder", 0, 0),
            ("encoding/xml.NewDecoder", 0, 0),
            ("encoding/xml.Unmarshal", 0, 0),
        ],
        answers: &[],
        cleaners: &["io.LimitReader"],
        message: "a short message can make this decoder use more memory than there is",
    },
    Row {
        rule: Rule {
            id: "code.go.redirect-from-input",
            title: "Redirect to an address from the request",
            severity: Severity::Low,
            cwe: 601,
            keywords: &["redirect("],
            remediation: "Redirect only to paths of this site, or to hosts in a list.",
            references: &[
                "https://cheatsheetseries.owasp.org/cheatsheets/Unvalidated_Redirects_and_Forwards_Cheat_Sheet.html",
            ],
            aliases: &["G710"],
            ..PROGRAM
        },
        sinks: &[("net/http.Redirect", 2, 2)],
        answers: &[],
        cleaners: NUMBERS,
        message: "a link to this site can lead to any other, which then asks for a password",
    },
];
