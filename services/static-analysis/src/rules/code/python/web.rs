//! Web frameworks, clients and databases.

use domain::Severity;
use tree_sitter::Node;

use super::gate::is_live;
use super::{Call, Scope, children, is_constant};
use crate::rules::code::PROGRAM;
use crate::rules::code::gate::Trigger;
use crate::rules::code::program::Report;
use crate::rules::code::shown::{Place, Shown, first_name, is_name_byte, last_name};
use crate::rules::{Hit, Rule};

pub(super) static RULES: &[&Rule] = &[&FLASK_DEBUG, &NO_TIMEOUT, &EXTRA, &RAW_SQL];

static FLASK_DEBUG: Rule = Rule {
    id: "code.python.flask-debug",
    title: "Debugger of a web application is on",
    severity: Severity::High,
    cwe: 94,
    keywords: &["debug=true", "debug = true"],
    remediation: "Leave debug off, and turn it on from the command line where it is developed (flask run --debug).",
    references: &["https://flask.palletsprojects.com/en/stable/debugging/"],
    aliases: &["B201", "S201"],
    ..PROGRAM
};

static NO_TIMEOUT: Rule = Rule {
    id: "code.python.request-without-timeout",
    title: "Request without a timeout",
    cwe: 400,
    keywords: &["requests", "httpx"],
    remediation: "Give every request a timeout in seconds.",
    references: &["https://requests.readthedocs.io/en/latest/user/quickstart/#timeouts"],
    aliases: &["B113", "S113"],
    ..PROGRAM
};

static EXTRA: Rule = Rule {
    id: "code.python.django-extra",
    title: "SQL in a Django query",
    cwe: 89,
    keywords: &["extra("],
    remediation: "Use the query set's own methods, or pass values through params.",
    references: &["https://docs.djangoproject.com/en/stable/ref/models/querysets/#extra"],
    aliases: &["B610", "S610"],
    ..PROGRAM
};

static RAW_SQL: Rule = Rule {
    id: "code.python.django-raw-sql",
    title: "SQL of which a part is not written out",
    severity: Severity::Medium,
    cwe: 89,
    keywords: &["rawsql"],
    remediation: "Write the statement out and pass values through params.",
    references: &["https://docs.djangoproject.com/en/stable/ref/models/expressions/#raw-sql-expressions"],
    aliases: &["B611", "S611"],
    ..PROGRAM
};

const VERBS: &[&str] = &["get", "options", "head", "post", "put", "patch", "delete"];

pub(super) fn triggers() -> Vec<Trigger> {
    vec![
        Trigger::of(&[&NO_TIMEOUT]).word_where(NO_TIMEOUT.keywords, may_wait),
        Trigger::of(&[&EXTRA]).word_where(&["extra("], is_live),
        Trigger::of(&[&RAW_SQL]).word_where(RAW_SQL.keywords, is_live).word(&["django"]),
    ]
}

/// Whether one of the libraries is asked for something here, or is known by another name.
fn may_wait(shown: &Shown<'_>, place: Place) -> bool {
    let library = first_name(shown.from(place));
    if !matches!(library, "requests" | "httpx") || !last_name(shown.before(place)).is_empty() {
        return false;
    }
    if shown.line(place.line).contains("import") {
        return shown.line(place.line).contains("from") || shown.line(place.line).contains(" as ");
    }
    // `requests.get(`, `httpx.Client(`, and whatever is between the two.
    let rest = &shown.from(place)[library.len()..];
    let chain = &rest[..rest.bytes().take_while(|byte| is_name_byte(*byte) || *byte == b'.').count()];
    let called = last_name(chain);
    (library == "httpx" || VERBS.contains(&called) || chain.ends_with('.')) && shown.is_live(place.line)
}

pub(super) fn check(scope: &Scope<'_>, call: &Call<'_, '_>, ancestors: &[Node<'_>], report: &mut Report<'_>) {
    if call.name.ends_with(".run")
        && scope.has_imported("flask")
        && let Some(debug) = call.keyword("debug").filter(|debug| debug.kind() == "true")
    {
        flask_debug(scope, debug, ancestors, report);
    }
    if waits_for_ever(call) {
        report.at(&NO_TIMEOUT, call.node, "if the other side does not answer, this waits for ever");
    }
    if call.last() == "extra" && call.name.contains('.') && is_extra_open(scope, call) {
        report.at(&EXTRA, call.node, "this text goes into the statement as it is");
    }
    if call.last() == "RawSQL"
        && scope.has_imported("django.db.models")
        && call.argument(0, "sql").is_some_and(|sql| scope.string(sql).is_none())
    {
        report.at(&RAW_SQL, call.node, "this text goes into the statement as it is");
    }
}

/// In a module that is started by hand it is a habit of developers; elsewhere it is in the way of the servers.
fn flask_debug(scope: &Scope<'_>, debug: Node<'_>, ancestors: &[Node<'_>], report: &mut Report<'_>) {
    let by_hand = ancestors.iter().any(|ancestor| {
        let condition = ancestor.child_by_field_name("condition").filter(|_| ancestor.kind() == "if_statement");
        condition.is_some_and(|condition| scope.source(condition).contains("__main__"))
    });
    let message = "whoever reaches a page with an error can run any code in the process";
    report.hit(&FLASK_DEBUG, debug.byte_range(), |range| {
        let hit = Hit::at(range, message);
        if by_hand { hit.severity(Severity::Medium) } else { hit }
    });
}

fn waits_for_ever(call: &Call<'_, '_>) -> bool {
    let library = call.name.split('.').next().unwrap_or("");
    let verb = VERBS.contains(&call.last());
    let timeout = call.keyword("timeout");
    let never = timeout.is_some_and(|timeout| timeout.kind() == "none");
    match library {
        "requests" if verb && call.name.contains('.') => never || timeout.is_none() && !call.spread,
        // httpx has a timeout of its own, unless it is taken away.
        "httpx" => never && (verb || matches!(call.last(), "request" | "stream" | "Client" | "AsyncClient")),
        _ => false,
    }
}

/// Whether a part of a query that takes SQL is not written out.
fn is_extra_open(scope: &Scope<'_>, call: &Call<'_, '_>) -> bool {
    let is_text = |node: Node<'_>| scope.string(node).is_some();
    let conditions = [call.argument(1, "where"), call.argument(3, "tables")];
    let open_list =
        conditions.into_iter().flatten().any(|list| list.kind() != "list" || !children(list).into_iter().all(is_text));
    let select = call.argument(0, "select");
    let open_select = select.is_some_and(|select| {
        let written = |pair: Node<'_>| {
            let (key, value) = (pair.child_by_field_name("key"), pair.child_by_field_name("value"));
            key.is_some_and(is_text) && value.is_some_and(is_text)
        };
        select.kind() != "dictionary" || !children(select).into_iter().all(written)
    });
    let plain = select.is_some_and(|select| is_constant(scope, select));
    open_list || open_select && !plain
}
