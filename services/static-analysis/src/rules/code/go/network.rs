//! Servers, clients, TLS and keys.

use std::cell::LazyCell;

use domain::Severity;
use tree_sitter::Node;

use super::gate::calls;
use super::model::{Kind, Model};
use super::types::arguments;
use crate::rules::code::gate::Trigger;
use crate::rules::code::program::{Report, children};
use crate::rules::code::{PROGRAM, tls_verification_off};
use crate::rules::{Hit, Rule};

pub(super) static RULES: &[&Rule] =
    &[&BIND_ALL, &VARIABLE_URL, &ROOT_SERVED, &NO_HEADER_TIMEOUT, &TLS_SETTINGS, &SHORT_KEY];

static BIND_ALL: Rule = Rule {
    id: "code.go.bind-all-interfaces",
    title: "Every network interface is listened on",
    severity: Severity::Info,
    cwe: 200,
    keywords: &["listen("],
    remediation: "Take the address from the settings, and let 127.0.0.1 be the default.",
    references: &["https://pkg.go.dev/net#Listen"],
    aliases: &["G102"],
    ..PROGRAM
};

static VARIABLE_URL: Rule = Rule {
    id: "code.go.variable-url",
    title: "Request to an address that is not fixed",
    severity: Severity::Info,
    cwe: 88,
    keywords: &["http.get(", "http.post", "http.head("],
    remediation: "Check the address's host against a list of those that may be asked.",
    references: &[
        "https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html",
    ],
    aliases: &["G107"],
    ..PROGRAM
};

static ROOT_SERVED: Rule = Rule {
    id: "code.go.root-folder-served",
    title: "The machine's whole file system is served",
    severity: Severity::Medium,
    cwe: 22,
    keywords: &["http.dir("],
    remediation: "Serve the folder that holds the files, and nothing above it.",
    references: &["https://pkg.go.dev/net/http#Dir"],
    aliases: &["G111"],
    ..PROGRAM
};

static NO_HEADER_TIMEOUT: Rule = Rule {
    id: "code.go.header-timeout",
    title: "Server that waits for headers for ever",
    cwe: 400,
    keywords: &["http.server{", "server{"],
    remediation: "Set ReadHeaderTimeout.",
    references: &["https://pkg.go.dev/net/http#Server"],
    aliases: &["G112"],
    ..PROGRAM
};

static TLS_SETTINGS: Rule = Rule {
    id: "code.go.tls-settings",
    title: "TLS with weak settings",
    severity: Severity::Medium,
    cwe: 295,
    keywords: &["insecureskipverify", "minversion", "maxversion", "ciphersuites", "preferserverciphersuites"],
    remediation: "Set MinVersion to tls.VersionTLS12 or newer and leave the cipher suites to the package.",
    references: &["https://pkg.go.dev/crypto/tls#Config"],
    aliases: &["G402"],
    ..PROGRAM
};

static SHORT_KEY: Rule = Rule {
    id: "code.go.short-key",
    title: "RSA key that is too short",
    severity: Severity::Medium,
    cwe: 310,
    keywords: &["generatekey"],
    remediation: "Use at least 2048 bits, and 3072 for new keys.",
    references: &["https://pkg.go.dev/crypto/rsa#GenerateKey"],
    aliases: &["G403"],
    ..PROGRAM
};

const LISTENERS: &[&str] = &["net.Listen", "crypto/tls.Listen"];
const REQUESTS: &[&str] =
    &["net/http.Get", "net/http.Head", "net/http.Post", "net/http.PostForm", "net/http.Do", "net/http.RoundTrip"];

pub(super) fn triggers() -> Vec<Trigger> {
    vec![
        Trigger::of(&[&BIND_ALL]).part(calls(LISTENERS)).linked(),
        Trigger::of(&[&VARIABLE_URL]).part(calls(REQUESTS)).linked(),
        Trigger::of(&[&ROOT_SERVED]).part(calls(&["net/http.Dir"])).linked(),
        Trigger::of(&[&NO_HEADER_TIMEOUT]).part(calls(&["net/http.Server"])).linked(),
        Trigger::of(&[&SHORT_KEY]).part(calls(&["crypto/rsa.GenerateKey"])).near(),
    ]
}

pub(super) fn check_call<'t>(model: &Model<'_, 't>, callee: &str, call: Node<'t>, report: &mut Report<'_>) {
    let args = LazyCell::new(|| arguments(call));
    match callee {
        of if LISTENERS.contains(&of) && listens_everywhere(model, &args) => {
            report.at(&BIND_ALL, call, "the service can be reached from every network that the machine is in");
        }
        of if REQUESTS.contains(&of) && args.first().is_some_and(|url| is_open_url(model, *url)) => {
            report.at(
                &VARIABLE_URL,
                call,
                "whoever chooses this address can make the program ask machines that only it reaches",
            );
        }
        "net/http.Dir" if args.first().and_then(|folder| model.literal(*folder)) == Some("/") => {
            report.at(&ROOT_SERVED, call, "every file of the machine that the program may read can be fetched");
        }
        "crypto/rsa.GenerateKey"
            if args.get(1).is_some_and(|bits| {
                bits.kind() == "int_literal" && model.integer(*bits).is_some_and(|bits| bits < 2048)
            }) =>
        {
            report.at(&SHORT_KEY, call, "a key of this length can be broken");
        }
        _ => {}
    }
}

fn listens_everywhere<'t>(model: &Model<'_, 't>, args: &[Node<'t>]) -> bool {
    let open = |address: &str| address.starts_with("0.0.0.0") || address.starts_with(':');
    match args {
        [_, address, ..] => model.string(*address).is_some_and(|address| open(&address)),
        // The results of a function of this file that gives both.
        [call] if call.kind() == "call_expression" => {
            arguments(*call).into_iter().any(|argument| model.string(argument).is_some_and(|address| open(&address)))
        }
        _ => false,
    }
}

fn is_open_url<'t>(model: &Model<'_, 't>, url: Node<'t>) -> bool {
    let Some(variable) = model.variable(url) else { return false };
    variable.kind == Kind::Package || variable.kind != Kind::Constant && !model.is_fixed(url)
}

pub(super) fn check_literal<'t>(model: &Model<'_, 't>, node: Node<'t>, report: &mut Report<'_>) {
    let Some(type_node) = node.child_by_field_name("type") else { return };
    match model.type_text(type_node).as_str() {
        "net/http.Server" => {
            let timeouts = ["ReadHeaderTimeout", "ReadTimeout"];
            if !pairs(model, node).iter().any(|(key, _)| timeouts.contains(key)) {
                report.at(
                    &NO_HEADER_TIMEOUT,
                    node,
                    "clients that send their headers one byte at a time hold all connections",
                );
            }
        }
        "crypto/tls.Config" => {
            let pairs = pairs(model, node);
            let checks = ["VerifyConnection", "VerifyPeerCertificate"];
            let own_check = |(key, value): &(&str, Node<'t>)| checks.contains(key) && model.source(*value) != "nil";
            let checks_itself = pairs.iter().any(own_check);
            for (key, value) in &pairs {
                // The package says that the two go together.
                if *key == "InsecureSkipVerify" && checks_itself && value.kind() == "true" {
                    low(*value, "the program checks certificates itself", report);
                } else {
                    tls_field(model, key, *value, node, report);
                }
            }
        }
        _ => {}
    }
}

/// `config.InsecureSkipVerify = true` and the like.
pub(super) fn check_assignment<'t>(model: &Model<'_, 't>, node: Node<'t>, report: &mut Report<'_>) {
    let left = node.child_by_field_name("left").map(children).unwrap_or_default();
    let right = node.child_by_field_name("right").map(children).unwrap_or_default();
    let (Some(target), Some(value)) = (left.first(), right.first()) else { return };
    let (Some(operand), Some(field)) = (target.child_by_field_name("operand"), target.child_by_field_name("field"))
    else {
        return;
    };
    if target.kind() != "selector_expression" || model.type_of(operand).trim_start_matches('*') != "crypto/tls.Config" {
        return;
    }
    let key = model.source(field);
    // A version that is set later belongs to what is decided elsewhere.
    if !matches!(key, "MinVersion" | "MaxVersion") {
        tls_field(model, key, *value, node, report);
    }
}

/// The keys and values of a literal.
pub(super) fn pairs<'a, 't>(model: &Model<'a, 't>, literal: Node<'t>) -> Vec<(&'a str, Node<'t>)> {
    let elements = literal.child_by_field_name("body").map(children).unwrap_or_default();
    let pair = |element: &Node<'t>| {
        let value = element.child_by_field_name("value")?;
        Some((model.source(element.child_by_field_name("key")?), value.named_child(0).unwrap_or(value)))
    };
    elements.iter().filter(|element| element.kind() == "keyed_element").filter_map(pair).collect()
}

fn tls_field<'t>(model: &Model<'_, 't>, key: &str, value: Node<'t>, whole: Node<'t>, report: &mut Report<'_>) {
    match key {
        "InsecureSkipVerify" => match boolean(model, value, 0) {
            Some(true) if value.kind() == "true" => {
                let at = model
                    .parent(value)
                    .and_then(|element| model.parent(element))
                    .filter(|pair| pair.kind() == "keyed_element");
                let asked = model.ancestors(value).any(|around| {
                    around.kind() == "if_statement"
                        && around.child_by_field_name("condition").is_some_and(|condition| {
                            tls_verification_off::asks(&format!("if {}", model.source(condition)))
                        })
                });
                report.hit(&tls_verification_off::RULE, at.unwrap_or(whole).byte_range(), |range| {
                    let hit = Hit::at(range, tls_verification_off::MESSAGE);
                    if asked { hit.severity(Severity::Medium) } else { hit }
                });
            }
            Some(true) => report.at(&TLS_SETTINGS, value, "the client takes any certificate"),
            None => low(value, "whether certificates are checked is decided elsewhere", report),
            Some(false) => {}
        },
        "PreferServerCipherSuites" => match boolean(model, value, 0) {
            Some(false) => low(value, "the client chooses the cipher", report),
            None => low(value, "whether the client chooses the cipher is decided elsewhere", report),
            Some(true) => {}
        },
        "MinVersion" if version(model, value).is_some_and(|version| version != 0 && version < 0x0303) => {
            report.at(&TLS_SETTINGS, value, "versions of TLS before 1.2 have known attacks");
        }
        "MaxVersion" if version(model, value).is_some_and(|version| version != 0 && version < 0x0304) => {
            low(value, "newer versions of TLS are refused", report);
        }
        "CipherSuites" => {
            let elements = value.child_by_field_name("body").map(children).unwrap_or_default();
            for element in elements {
                let name = element
                    .named_child(0)
                    .and_then(|inner| inner.child_by_field_name("field"))
                    .map(|name| model.source(name));
                if name.is_some_and(|name| !GOOD_SUITES.contains(&name)) {
                    report.at(
                        &TLS_SETTINGS,
                        element,
                        "this cipher suite has known attacks or keeps no forward secrecy",
                    );
                }
            }
        }
        _ => {}
    }
}

fn low(node: Node<'_>, message: &'static str, report: &mut Report<'_>) {
    report.hit(&TLS_SETTINGS, node.byte_range(), |range| Hit::at(range, message).severity(Severity::Low));
}

const GOOD_SUITES: &[&str] = &[
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
];

fn boolean<'t>(model: &Model<'_, 't>, node: Node<'t>, depth: usize) -> Option<bool> {
    match node.kind() {
        "true" => Some(true),
        "false" => Some(false),
        "unary_expression" if model.operator(node) == "!" && depth < 4 => {
            boolean(model, node.child_by_field_name("operand")?, depth + 1).map(|value| !value)
        }
        "identifier" if depth < 4 => {
            let variable = model.variable(node)?;
            let value = variable.values.first().filter(|value| value.at == variable.declared.start_byte())?;
            boolean(model, value.node, depth + 1)
        }
        _ => None,
    }
}

fn version<'t>(model: &Model<'_, 't>, node: Node<'t>) -> Option<i128> {
    match node.kind() {
        "int_literal" => model.integer(node),
        "selector_expression" if model.package(node.child_by_field_name("operand")?) == Some("crypto/tls") => {
            match model.source(node.child_by_field_name("field")?) {
                "VersionSSL30" => Some(0x0300),
                "VersionTLS10" => Some(0x0301),
                "VersionTLS11" => Some(0x0302),
                "VersionTLS12" => Some(0x0303),
                "VersionTLS13" => Some(0x0304),
                _ => None,
            }
        }
        "identifier" => {
            let variable = model.variable(node)?;
            let value = variable.values.first().filter(|value| value.at == variable.declared.start_byte())?;
            (value.node.kind() != "identifier").then(|| version(model, value.node))?
        }
        _ => None,
    }
}
