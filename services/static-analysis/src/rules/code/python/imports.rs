//! Modules whose import is worth a note: rows of names.

use domain::Severity;
use tree_sitter::Node;

use super::{Call, Scope, gate};
use crate::rules::Rule;
use crate::rules::code::PROGRAM;
use crate::rules::code::gate::Trigger;
use crate::rules::code::program::Report;

/// A rule about a module's name.
pub(super) struct Row {
    pub(super) rule: Rule,
    /// Dotted names; what is in a module counts as the module.
    names: &'static [&'static str],
    message: &'static str,
}

fn row_of(name: &str) -> Option<&'static Row> {
    let is_in = |module: &&str| name.strip_prefix(*module).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    IMPORTS.iter().find(|row| row.names.iter().any(is_in))
}

/// Reports the modules of an import statement.
pub(super) fn check(scope: &Scope<'_>, node: Node<'_>, report: &mut Report<'_>) {
    let module = node.child_by_field_name("module_name").map(|module| scope.source(module));
    let mut cursor = node.walk();
    for name in node.children_by_field_name("name", &mut cursor) {
        let name = scope.source(name.child_by_field_name("name").unwrap_or(name));
        let whole = module.map_or_else(|| name.to_owned(), |module| format!("{module}.{name}"));
        if let Some(row) = row_of(&whole) {
            report.at(&row.rule, node, row.message);
        }
    }
    // `from xml.sax import *` names nothing else.
    if node.child_by_field_name("name").is_none()
        && let Some(row) = module.and_then(row_of)
    {
        report.at(&row.rule, node, row.message);
    }
}

/// Reports the module that a call imports.
pub(super) fn check_call(scope: &Scope<'_>, call: &Call<'_, '_>, report: &mut Report<'_>) {
    if !matches!(call.name.as_str(), "__import__" | "importlib.import_module" | "importlib.__import__") {
        return;
    }
    let name = call.argument(0, "name").and_then(|name| scope.string(name));
    if let Some(row) = name.and_then(|name| row_of(&name)) {
        report.at(&row.rule, call.node, row.message);
    }
}

/// The modules that each row names.
pub(super) fn triggers() -> Vec<Trigger> {
    IMPORTS.iter().map(|row| Trigger::of(&[&row.rule]).part(gate::imports(row.names))).collect()
}

/// The rows.
pub(super) static IMPORTS: &[Row] = &[
    Row {
        rule: Rule {
            id: "code.python.import-plain-text",
            title: "Module for a protocol without encryption",
            severity: Severity::Info,
            cwe: 319,
            keywords: &["telnetlib", "ftplib", "pyghmi"],
            remediation: "Use SSH, SFTP or another protocol that encrypts.",
            references: &["https://docs.python.org/3/library/ftplib.html"],
            aliases: &["B401", "B402", "B415", "S401", "S402", "S415"],
            ..PROGRAM
        },
        names: &["telnetlib", "ftplib", "pyghmi"],
        message: "what goes over this protocol, passwords included, can be read on the way",
    },
    Row {
        rule: Rule {
            id: "code.python.import-pickle",
            title: "Module that runs code while it loads data",
            severity: Severity::Info,
            cwe: 502,
            keywords: &["pickle", "dill", "shelve"],
            remediation: "Exchange data as JSON or another format that carries no code.",
            references: &["https://docs.python.org/3/library/pickle.html"],
            aliases: &["B403", "S403"],
            ..PROGRAM
        },
        names: &["pickle", "cPickle", "dill", "shelve"],
        message: "data that this module loads can run code",
    },
    Row {
        rule: Rule {
            id: "code.python.import-subprocess",
            title: "Module that starts processes",
            severity: Severity::Info,
            cwe: 78,
            keywords: &["subprocess"],
            remediation: "Pass the command as a list, without a shell, and let no input choose the program.",
            references: &["https://docs.python.org/3/library/subprocess.html#security-considerations"],
            aliases: &["B404", "S404"],
            ..PROGRAM
        },
        names: &["subprocess"],
        message: "the program starts other programs from here on",
    },
    Row {
        rule: Rule {
            id: "code.python.import-xml",
            title: "XML parser that expands entities",
            severity: Severity::Info,
            cwe: 20,
            keywords: &["xml"],
            remediation: "Parse XML that comes from elsewhere with defusedxml.",
            references: &["https://docs.python.org/3/library/xml.html#xml-security"],
            aliases: &["B405", "B406", "B407", "B408", "B409", "B411", "S405", "S406", "S407", "S408", "S409", "S411"],
            ..PROGRAM
        },
        names: &[
            "xml.etree.cElementTree",
            "xml.etree.ElementTree",
            "xml.sax",
            "xml.dom.expatbuilder",
            "xml.dom.minidom",
            "xml.dom.pulldom",
            "xmlrpc",
            "xmlrpclib",
        ],
        message: "a small document whose entities name each other can fill this parser's memory",
    },
    Row {
        rule: Rule {
            id: "code.python.import-cgi",
            title: "CGI handler that a header can send through a proxy",
            severity: Severity::Low,
            cwe: 284,
            keywords: &["cgi"],
            remediation: "Serve with WSGI or ASGI; under CGI drop the header Proxy before the program sees it.",
            references: &["https://httpoxy.org/"],
            aliases: &["B412", "S412"],
            ..PROGRAM
        },
        names: &["wsgiref.handlers.CGIHandler", "twisted.web.twcgi.CGIScript", "twisted.web.twcgi.CGIDirectory"],
        message: "under CGI the header Proxy becomes HTTP_PROXY, and the program's own requests go where a stranger says",
    },
    Row {
        rule: Rule {
            id: "code.python.import-pycrypto",
            title: "PyCrypto, which nobody maintains",
            severity: Severity::Low,
            cwe: 327,
            keywords: &["crypto"],
            remediation: "Use the package cryptography, or PyCryptodome as Cryptodome.",
            references: &["https://cryptography.io/en/latest/"],
            aliases: &["B413", "S413"],
            ..PROGRAM
        },
        names: &[
            "Crypto.Cipher",
            "Crypto.Hash",
            "Crypto.IO",
            "Crypto.Protocol",
            "Crypto.PublicKey",
            "Crypto.Random",
            "Crypto.Signature",
            "Crypto.Util",
        ],
        message: "its last release is of 2013 and has a known overflow",
    },
];
