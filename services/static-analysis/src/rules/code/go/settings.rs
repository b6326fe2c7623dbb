//! Settings of the standard library that open a door: cookies, redirects, callbacks, headers.

use domain::Severity;
use tree_sitter::Node;

use super::gate::{calls, calls_anywhere};
use super::model::{Kind, Model, is_function};
use super::network::pairs;
use super::taint::{Taint, parameters};
use super::types::arguments;
use crate::rules::Rule;
use crate::rules::code::PROGRAM;
use crate::rules::code::gate::Trigger;
use crate::rules::code::program::{Report, children, walk};

pub(super) static RULES: &[&Rule] = &[&COOKIE, &RESUMPTION, &BYPASS, &REDIRECT, &SMUGGLING, &SSH_CALLBACK, &WALK_RACE];

static COOKIE: Rule = Rule {
    id: "code.go.insecure-cookie",
    title: "Cookie without its protections",
    cwe: 614,
    keywords: &["cookie"],
    remediation: "Set Secure and HttpOnly to true and SameSite to Lax or Strict.",
    references: &["https://pkg.go.dev/net/http#Cookie"],
    aliases: &["G124"],
    ..PROGRAM
};

static RESUMPTION: Rule = Rule {
    id: "code.go.tls-resumption",
    title: "Check of certificates that resumed sessions skip",
    cwe: 295,
    keywords: &["verifypeercertificate", "getconfigforclient"],
    remediation: "Check in VerifyConnection, which every connection goes through.",
    references: &["https://pkg.go.dev/crypto/tls#Config"],
    aliases: &["G123"],
    ..PROGRAM
};

static BYPASS: Rule = Rule {
    id: "code.go.cross-origin-bypass",
    title: "Paths without protection from other sites",
    severity: Severity::Medium,
    cwe: 346,
    keywords: &["addinsecurebypasspattern"],
    remediation: "Name the few paths that other sites may call, and nothing from a request.",
    references: &["https://pkg.go.dev/net/http#CrossOriginProtection"],
    aliases: &["G121"],
    ..PROGRAM
};

static REDIRECT: Rule = Rule {
    id: "code.go.redirect-headers",
    title: "Secrets go along to wherever a redirect leads",
    severity: Severity::Medium,
    cwe: 200,
    keywords: &["http.request"],
    remediation: "Leave the headers to the client, or set them only where the host is still the same.",
    references: &["https://pkg.go.dev/net/http#Client"],
    aliases: &["G119"],
    ..PROGRAM
};

static SMUGGLING: Rule = Rule {
    id: "code.go.conflicting-lengths",
    title: "Answer with two lengths",
    severity: Severity::Medium,
    cwe: 444,
    keywords: &["transfer-encoding", "content-length"],
    remediation: "Set neither header; the server knows the length.",
    references: &["https://www.rfc-editor.org/rfc/rfc9112#name-message-body-length"],
    aliases: &["G113"],
    ..PROGRAM
};

static SSH_CALLBACK: Rule = Rule {
    id: "code.go.ssh-callback-state",
    title: "Check of SSH keys that remembers the last one",
    severity: Severity::Medium,
    cwe: 287,
    keywords: &["publickeycallback"],
    remediation: "Return what the callback learned in ssh.Permissions; it is called for keys that the client does not have, too.",
    references: &["https://pkg.go.dev/golang.org/x/crypto/ssh#ServerConfig"],
    aliases: &["G408"],
    ..PROGRAM
};

static WALK_RACE: Rule = Rule {
    id: "code.go.walk-race",
    title: "File that may be another by the time it is opened",
    severity: Severity::Info,
    cwe: 367,
    keywords: &["walk"],
    remediation: "Open files through os.OpenRoot, which follows no link out of its folder.",
    references: &["https://go.dev/blog/osroot"],
    aliases: &["G122"],
    ..PROGRAM
};

const WALKS: &[&str] = &["path/filepath.Walk", "path/filepath.WalkDir", "io/fs.WalkDir"];

pub(super) fn triggers() -> Vec<Trigger> {
    vec![
        Trigger::of(&[&COOKIE]).part(calls(&["net/http.Cookie"])).linked(),
        Trigger::of(&[&REDIRECT]).word(&["[]*"]).part(calls_anywhere(&["net/http.Request"])).word(&["header"]),
        Trigger::of(&[&SMUGGLING]).word(&["transfer-encoding"]).word(&["content-length"]),
        Trigger::of(&[&WALK_RACE]).part(calls_anywhere(WALKS)),
    ]
}

pub(super) fn check_literal<'t>(model: &Model<'_, 't>, node: Node<'t>, report: &mut Report<'_>) {
    let Some(of) = node.child_by_field_name("type").map(|of| model.type_text(of)) else { return };
    match of.as_str() {
        "net/http.Cookie" => cookie(model, node, report),
        "crypto/tls.Config" => {
            let fields = fields(model, node);
            let set = |name: &str| {
                fields.iter().find(|(key, value)| *key == name && value.kind() != "nil").map(|(_, value)| *value)
            };
            if let Some(at) = set("VerifyPeerCertificate")
                && set("VerifyConnection").is_none()
                && set("SessionTicketsDisabled").is_none_or(|value| value.kind() != "true")
            {
                let message = "a client that resumes a session is not checked by VerifyPeerCertificate";
                report.at(&RESUMPTION, model.parent(at).and_then(|above| model.parent(above)).unwrap_or(at), message);
            }
        }
        of if of.rsplit('.').next() == Some("ServerConfig") => {
            for (key, value) in pairs(model, node) {
                if key == "PublicKeyCallback" {
                    ssh_callback(model, value, report);
                }
            }
        }
        _ => {}
    }
}

/// The fields of a literal, and those that are assigned to the variable that holds it.
fn fields<'a, 't>(model: &Model<'a, 't>, literal: Node<'t>) -> Vec<(&'a str, Node<'t>)> {
    let mut fields = pairs(model, literal);
    let Some(statement) = model
        .ancestors(literal)
        .find(|above| matches!(above.kind(), "short_var_declaration" | "var_spec" | "assignment_statement"))
    else {
        return fields;
    };
    // Only where the variable is the literal itself or its address.
    let direct =
        model.parent(literal).is_some_and(|above| matches!(above.kind(), "expression_list" | "unary_expression"));
    let name = statement
        .child_by_field_name("left")
        .and_then(|left| left.named_child(0))
        .or_else(|| statement.child_by_field_name("name"));
    if let Some(variable) = name.filter(|_| direct).and_then(|name| model.variable(name)) {
        fields.extend(variable.uses.iter().take(256).filter_map(|used| assigned_field(model, *used)));
    }
    fields
}

/// `used.Field = value`.
fn assigned_field<'a, 't>(model: &Model<'a, 't>, used: Node<'t>) -> Option<(&'a str, Node<'t>)> {
    let selector = model.parent(used).filter(|above| above.kind() == "selector_expression")?;
    let list = model.parent(selector)?;
    let statement = model.parent(list).filter(|above| above.kind() == "assignment_statement")?;
    statement.child_by_field_name("left").filter(|left| left.id() == list.id())?;
    Some((
        model.source(selector.child_by_field_name("field")?),
        statement.child_by_field_name("right")?.named_child(0)?,
    ))
}

fn cookie<'t>(model: &Model<'_, 't>, node: Node<'t>, report: &mut Report<'_>) {
    let fields = fields(model, node);
    let on = |name: &str| fields.iter().any(|(key, value)| *key == name && value.kind() == "true");
    let strict = fields.iter().any(|(key, value)| {
        *key == "SameSite"
            && matches!(model.source(*value), "http.SameSiteLaxMode" | "http.SameSiteStrictMode" | "2" | "3")
    });
    let protected = on("Secure") && on("HttpOnly") && strict;
    if !fields.is_empty() && !protected {
        report.at(
            &COOKIE,
            node,
            "the cookie goes over plain HTTP, to scripts in the page, or along with requests from other sites",
        );
    }
}

pub(super) fn check_assignment<'t>(model: &Model<'_, 't>, node: Node<'t>, report: &mut Report<'_>) {
    let Some(target) = node
        .child_by_field_name("left")
        .and_then(|left| left.named_child(0))
        .filter(|target| target.kind() == "selector_expression")
    else {
        return;
    };
    let Some(value) = node.child_by_field_name("right").and_then(|right| right.named_child(0)) else { return };
    let Some(operand) = target.child_by_field_name("operand") else { return };
    let name = target.child_by_field_name("field").map_or("", |field| model.source(field));
    let of = model.type_of(operand);
    match name {
        "PublicKeyCallback" if of.trim_start_matches('*').rsplit('.').next() == Some("ServerConfig") => {
            ssh_callback(model, value, report)
        }
        "Header" if of == "*net/http.Request" && is_redirect_check(model, node, operand) => {
            report.at(
                &REDIRECT,
                node,
                "the first request's headers, with its cookies and tokens, go to whatever host the redirect names",
            );
        }
        _ => {}
    }
}

/// Whether the request is the first parameter of a function that also gets those before it.
fn is_redirect_check<'t>(model: &Model<'_, 't>, place: Node<'t>, request: Node<'t>) -> bool {
    let Some(function) = model.function_of(place) else { return false };
    let of = |declaration: Node<'t>| declaration.child_by_field_name("type").map(|of| model.type_text(of));
    let list = function.child_by_field_name("parameters").map(children).unwrap_or_default();
    let has = |wanted: &str| list.iter().any(|declaration| of(*declaration).as_deref() == Some(wanted));
    let parameter = model.variable(request).is_some_and(|variable| variable.kind == Kind::Parameter);
    parameter && has("*net/http.Request") && has("[]*net/http.Request")
}

fn ssh_callback<'t>(model: &Model<'_, 't>, function: Node<'t>, report: &mut Report<'_>) {
    let Some(body) = function.child_by_field_name("body").filter(|_| function.kind() == "func_literal") else { return };
    let outside = |node: Node<'t>| {
        let mut at = node;
        while let Some(inner) = at.child_by_field_name("operand") {
            at = inner;
        }
        let declared = model.variable(at).map(|variable| variable.declared.start_byte());
        at.kind() == "identifier" && declared.is_some_and(|declared| !function.byte_range().contains(&declared))
    };
    let mut found = false;
    walk(body, |node, _| {
        found |= match node.kind() {
            "assignment_statement" => {
                node.child_by_field_name("left").map(children).unwrap_or_default().into_iter().any(outside)
            }
            "inc_statement" | "dec_statement" => node.named_child(0).is_some_and(outside),
            "send_statement" => node.child_by_field_name("channel").is_some_and(outside),
            _ => false,
        };
    });
    if found {
        report.at(
            &SSH_CALLBACK,
            function,
            "a client may offer a key that it does not have before its own, and is then taken for the other's owner",
        );
    }
}

pub(super) fn check_call<'t>(
    model: &Model<'_, 't>,
    taint: &Taint<'_, '_, 't>,
    callee: &str,
    call: Node<'t>,
    report: &mut Report<'_>,
) {
    let args = arguments(call);
    if callee.ends_with("net/http.CrossOriginProtection).AddInsecureBypassPattern")
        && let Some(pattern) = args.first()
    {
        let broad =
            model.string(*pattern).map(|text| matches!(text.trim(), "" | "/" | "*" | "/*" | "/**" | ".*" | "/.*"));
        if broad.unwrap_or_else(|| taint.source(*pattern, &[]).is_some()) {
            report.at(
                &BYPASS,
                call,
                "other sites can make a visitor's browser call these paths with the visitor's cookies",
            );
        }
    }
    if let Some(method) = callee.strip_prefix("(net/http.Header).").filter(|method| matches!(*method, "Set" | "Add")) {
        header(model, method, call, &args, report);
    }
    let callback = match callee {
        "path/filepath.Walk" | "path/filepath.WalkDir" => args.get(1),
        "io/fs.WalkDir" => args.get(2),
        _ => None,
    };
    if let Some(callback) = callback {
        walk_race(model, *callback, report);
    }
}

fn header<'t>(model: &Model<'_, 't>, method: &str, call: Node<'t>, args: &[Node<'t>], report: &mut Report<'_>) {
    let name = args.first().and_then(|name| model.string(*name)).unwrap_or_default().to_ascii_lowercase();
    let Some(headers) =
        call.child_by_field_name("function").and_then(|function| function.child_by_field_name("operand"))
    else {
        return;
    };
    if matches!(name.as_str(), "authorization" | "proxy-authorization" | "cookie")
        && let Some(request) = headers.child_by_field_name("operand")
        && is_redirect_check(model, call, request)
    {
        report.at(&REDIRECT, call, "this secret goes to whatever host the redirect names");
    }
    if method != "Set" || name != "content-length" && name != "transfer-encoding" {
        return;
    }
    // The other header, set on the same answer by the same function.
    let other = if name == "content-length" { "transfer-encoding" } else { "content-length" };
    let function = model.function_of(call).map(|function| function.id());
    let first = model.calls.get("Set").map_or(&[][..], Vec::as_slice).iter().take(256).find(|set| {
        let same = set.child_by_field_name("function").and_then(|function| function.child_by_field_name("operand"));
        let named = arguments(**set)
            .first()
            .and_then(|name| model.string(*name))
            .is_some_and(|name| name.eq_ignore_ascii_case(other));
        named
            && same.is_some_and(|same| model.source(same) == model.source(headers))
            && model.function_of(**set).map(|function| function.id()) == function
    });
    if first.is_some_and(|first| first.start_byte() < call.start_byte()) {
        report.at(
            &SMUGGLING,
            call,
            "a proxy that believes the other of the two takes the rest of this answer for the next one",
        );
    }
}

fn walk_race<'t>(model: &Model<'_, 't>, callback: Node<'t>, report: &mut Report<'_>) {
    let function = match callback.kind() {
        "func_literal" => Some(callback),
        "identifier" => {
            let held = model.variable(callback).and_then(|variable| variable.values.first()).map(|value| value.node);
            held.or_else(|| model.functions.get(model.source(callback)).copied())
        }
        _ => None,
    };
    let Some(function) = function.filter(|function| is_function(*function)) else { return };
    let (Some(path), Some(body)) = (parameters(function).first().copied(), function.child_by_field_name("body")) else {
        return;
    };
    let Some(path) = model.variable_id(path) else { return };
    walk(body, |node, _| {
        if node.kind() != "call_expression" {
            return;
        }
        let callee = model.callee(node);
        let both = matches!(callee.as_str(), "os.Rename" | "os.Symlink" | "os.Link");
        let one = [
            "os.Open",
            "os.OpenFile",
            "os.Create",
            "os.WriteFile",
            "os.ReadFile",
            "os.Remove",
            "os.RemoveAll",
            "os.Mkdir",
            "os.MkdirAll",
            "os.Chmod",
            "os.Chown",
            "os.Lchown",
            "os.Chtimes",
            "io/ioutil.ReadFile",
            "io/ioutil.WriteFile",
        ];
        if !both && !one.contains(&callee.as_str()) {
            return;
        }
        let args = arguments(node);
        if args.iter().take(if both { 2 } else { 1 }).any(|arg| is_made_of(model, *arg, path, 0)) {
            report.at(&WALK_RACE, node, "between the walk and this call the file can be replaced by a link to another");
        }
    });
}

fn is_made_of<'t>(model: &Model<'_, 't>, node: Node<'t>, variable: usize, depth: usize) -> bool {
    if depth > 8 {
        return false;
    }
    if node.kind() == "identifier" {
        let Some(id) = model.variable_id(node) else { return false };
        return id == variable
            || model.variables[id]
                .values
                .iter()
                .take(8)
                .any(|value| is_made_of(model, value.node, variable, depth + 1));
    }
    children(node).into_iter().take(32).any(|child| is_made_of(model, child, variable, depth + 1))
}
