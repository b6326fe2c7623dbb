//! Hashes, keys, TLS versions and host keys.

use domain::Severity;
use tree_sitter::Node;

use super::gate::{is_live, is_word};
use super::{Call, Scope, children, integer};
use crate::rules::code::PROGRAM;
use crate::rules::code::gate::Trigger;
use crate::rules::code::program::Report;
use crate::rules::code::shown::{Place, Shown, first_name, last_name};
use crate::rules::{Hit, Rule};

pub(super) static RULES: &[&Rule] =
    &[&WEAK_HASH, &TLS_VERSION, &TLS_UNSET, &SHORT_KEY, &HOST_KEY, &SNMP_VERSION, &SNMP_PLAIN];

static WEAK_HASH: Rule = Rule {
    id: "code.python.weak-hash",
    title: "Broken hash function",
    cwe: 327,
    keywords: &["hashlib", "md4", "md5", "sha1", "crypt"],
    remediation: "Use SHA-256 or stronger, and argon2, scrypt or bcrypt for passwords; where nothing depends on the digest's strength, say usedforsecurity=False.",
    references: &["https://docs.python.org/3/library/hashlib.html"],
    aliases: &["B324", "S324"],
    ..PROGRAM
};

static TLS_VERSION: Rule = Rule {
    id: "code.python.tls-version",
    title: "Old version of TLS",
    severity: Severity::Medium,
    cwe: 327,
    keywords: &["sslv", "tlsv1"],
    remediation: "Use ssl.create_default_context(), which speaks TLS 1.2 and newer.",
    references: &["https://docs.python.org/3/library/ssl.html#security-considerations"],
    aliases: &["B502", "B503", "S502", "S503"],
    ..PROGRAM
};

static TLS_UNSET: Rule = Rule {
    id: "code.python.tls-version-unset",
    title: "TLS without a version",
    cwe: 327,
    keywords: &["wrap_socket"],
    remediation: "Use ssl.create_default_context() and its wrap_socket.",
    references: &["https://docs.python.org/3/library/ssl.html#security-considerations"],
    aliases: &["B504", "S504"],
    ..PROGRAM
};

static SHORT_KEY: Rule = Rule {
    id: "code.python.short-key",
    title: "Key that is too short",
    severity: Severity::Medium,
    cwe: 326,
    keywords: &["generate_private_key", ".generate("],
    remediation: "Use at least 2048 bits for RSA and DSA (3072 for new keys) and a curve of 256 bits.",
    references: &["https://csrc.nist.gov/pubs/sp/800/57/pt1/r5/final"],
    aliases: &["B505", "S505"],
    ..PROGRAM
};

static HOST_KEY: Rule = Rule {
    id: "code.python.ssh-host-key",
    title: "SSH host keys are not checked",
    severity: Severity::Medium,
    cwe: 295,
    keywords: &["set_missing_host_key_policy"],
    remediation: "Load the known hosts and leave paramiko.RejectPolicy in place.",
    references: &["https://docs.paramiko.org/en/stable/api/client.html"],
    aliases: &["B507", "S507"],
    ..PROGRAM
};

static SNMP_VERSION: Rule = Rule {
    id: "code.python.snmp-version",
    title: "SNMP version 1 or 2",
    cwe: 319,
    keywords: &["communitydata"],
    remediation: "Use SNMP version 3 with authentication and privacy.",
    references: &["https://docs.lextudio.com/pysnmp/"],
    aliases: &["B508", "S508"],
    ..PROGRAM
};

static SNMP_PLAIN: Rule = Rule {
    id: "code.python.snmp-plain-text",
    title: "SNMP version 3 without encryption",
    cwe: 319,
    keywords: &["usmuserdata"],
    remediation: "Give an authentication key and a privacy key.",
    references: &["https://docs.lextudio.com/pysnmp/"],
    aliases: &["B509", "S509"],
    ..PROGRAM
};

const OLD_VERSIONS: &[&str] = &[
    "PROTOCOL_SSLv2",
    "SSLv2_METHOD",
    "SSLv23_METHOD",
    "PROTOCOL_SSLv3",
    "PROTOCOL_TLSv1",
    "SSLv3_METHOD",
    "TLSv1_METHOD",
    "PROTOCOL_TLSv1_1",
    "TLSv1_1_METHOD",
];

pub(super) fn triggers() -> Vec<Trigger> {
    let hashes = ["md4", "md5", "sha", "new", "crypt", "mksalt"];
    let called = |shown: &Shown<'_>, place: Place| {
        let name = first_name(shown.from(place));
        matches!(&*name.to_ascii_lowercase(), "md4" | "md5" | "sha" | "sha1" | "new" | "crypt" | "mksalt")
            && last_name(shown.before(place)).is_empty()
    };
    let module = |shown: &Shown<'_>, place: Place| is_word(shown, place, "hashlib") || is_word(shown, place, "crypt");
    vec![
        Trigger::of(&[&WEAK_HASH]).word_where(&["hashlib", "crypt"], module).word_where(&hashes, called),
        Trigger::of(&[&TLS_UNSET]).word_where(TLS_UNSET.keywords, is_live).word(&["ssl"]),
        Trigger::of(&[&SHORT_KEY]).word_where(SHORT_KEY.keywords, is_live).word(&["rsa", "dsa", "ec"]),
        Trigger::of(&[&HOST_KEY]).word_where(HOST_KEY.keywords, is_live),
    ]
}

pub(super) fn check(scope: &Scope<'_>, call: &Call<'_, '_>, report: &mut Report<'_>) {
    hash(scope, call, report);
    for keyword in ["ssl_version", "method"] {
        if let Some(value) = call.keyword(keyword).filter(|value| OLD_VERSIONS.contains(&scope.word(*value).as_str())) {
            report.at(&TLS_VERSION, value, "this version of the protocol has known attacks");
        }
    }
    if call.name == "ssl.wrap_socket" && call.keyword("ssl_version").is_none() {
        report.at(&TLS_UNSET, call.node, "which version is spoken is left to the other side, down to broken ones");
    }
    if is_short_key(scope, call) {
        report.at(&SHORT_KEY, call.node, "a key of this length can be broken");
    }
    if call.last() == "set_missing_host_key_policy"
        && call.args.first().is_some_and(|policy| trusts_all(scope, *policy))
    {
        report.at(&HOST_KEY, call.node, "the client talks to any machine that answers, so that anybody between the two can read and change what they say");
    }
    if call.name.ends_with("hlapi.CommunityData") || call.name == "CommunityData" {
        let model = call.keyword("mpModel").and_then(|model| integer(scope, model));
        if matches!(model, Some(0 | 1)) {
            report.at(&SNMP_VERSION, call.node, "the community string goes over the wire as plain text");
        }
    }
    if (call.name.ends_with("hlapi.UsmUserData") || call.name == "UsmUserData")
        && call.args.len() < 3
        && !call.spread
        && (call.keyword("privKey").is_none() && call.keyword("privKeyType").is_none())
    {
        report.at(&SNMP_PLAIN, call.node, "what is asked and answered goes over the wire as plain text");
    }
}

/// An old version as a parameter's default.
pub(super) fn check_defaults(scope: &Scope<'_>, function: Node<'_>, report: &mut Report<'_>) {
    for parameter in function.child_by_field_name("parameters").map(children).unwrap_or_default() {
        let default = parameter.child_by_field_name("value").filter(|value| value.kind() == "attribute");
        if default.is_some_and(|value| OLD_VERSIONS.contains(&scope.word(value).as_str())) {
            report.at(&TLS_VERSION, function, "who calls this without a version speaks one that has known attacks");
        }
    }
}

fn hash(scope: &Scope<'_>, call: &Call<'_, '_>, report: &mut Report<'_>) {
    let unused = call.keyword("usedforsecurity").is_some_and(|value| value.kind() == "false");
    let weak = |name: &str| matches!(name.to_ascii_lowercase().as_str(), "md4" | "md5" | "sha" | "sha1");
    let found = if call.has_part("hashlib") {
        let named = || call.argument(0, "name").is_some_and(|name| weak(&scope.word(name)));
        !unused && (weak(call.last()) && call.last() != "MD5" || call.last() == "new" && named())
    } else if call.has_part("crypt") {
        let method = match call.last() {
            "crypt" => call.argument(1, "salt"),
            "mksalt" => call.argument(0, "method"),
            _ => None,
        };
        let weak = ["METHOD_CRYPT", "METHOD_MD5", "METHOD_BLOWFISH"];
        method.is_some_and(|method| weak.contains(&scope.word(method).as_str()))
    } else {
        false
    };
    if !found {
        return;
    }
    let lower = scope.source(call.node).to_ascii_lowercase();
    let secret = ["password", "passwd", "pwd", "passphrase"].iter().any(|word| lower.contains(word));
    report.hit(&WEAK_HASH, call.node.byte_range(), |range| {
        if secret {
            let message = "a graphics card tries billions of passwords a second against this hash";
            Hit::at(range, message).severity(Severity::Medium)
        } else {
            Hit::at(range, "two texts with the same digest can be made at will, so that it proves nothing")
        }
    });
}

fn trusts_all(scope: &Scope<'_>, policy: Node<'_>) -> bool {
    let named = if policy.kind() == "call" { policy.child_by_field_name("function") } else { Some(policy) };
    named.is_some_and(|name| matches!(scope.word(name).as_str(), "AutoAddPolicy" | "WarningPolicy"))
}

fn is_short_key(scope: &Scope<'_>, call: &Call<'_, '_>) -> bool {
    let bits = |position, name| call.argument(position, name).and_then(|size| integer(scope, size));
    let short = |bits: Option<u64>| bits.is_some_and(|bits| bits < 2048);
    let asymmetric = call.name.strip_prefix("cryptography.hazmat.primitives.asymmetric.");
    match asymmetric.unwrap_or(&call.name) {
        "rsa.generate_private_key" => short(bits(1, "key_size")),
        "dsa.generate_private_key" => short(bits(0, "key_size")),
        "ec.generate_private_key" => call.argument(0, "curve").is_some_and(|curve| {
            let name = if curve.kind() == "call" { curve.child_by_field_name("function") } else { Some(curve) };
            name.is_some_and(|name| matches!(scope.word(name).as_str(), "SECP192R1" | "SECT163K1" | "SECT163R2"))
        }),
        "Crypto.PublicKey.DSA.generate"
        | "Crypto.PublicKey.RSA.generate"
        | "Cryptodome.PublicKey.DSA.generate"
        | "Cryptodome.PublicKey.RSA.generate" => short(bits(0, "bits")),
        _ => false,
    }
}
