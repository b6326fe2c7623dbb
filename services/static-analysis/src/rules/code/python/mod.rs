//! Python: what is imported, called, compared and assigned. Names are resolved through the imports that the hunk shows, so
//! that `from subprocess import run as r` hides nothing.

mod calls;
mod crypto;
mod gate;
mod imports;
mod literals;
mod process;
mod rows;
mod statements;
mod templates;
#[cfg(test)]
mod tests;
mod web;

pub(super) use gate::GATE;

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use tree_sitter::{Node, Tree};

use super::program::{self, Report, children, text_of, walk_where};
use crate::rules::Rule;

/// Every rule of this language.
pub(super) fn rules() -> Vec<&'static Rule> {
    let rows = rows::CALLS.iter().map(|row| &row.rule).chain(imports::IMPORTS.iter().map(|row| &row.rule));
    let special =
        [calls::RULES, crypto::RULES, literals::RULES, process::RULES, statements::RULES, templates::RULES, web::RULES];
    rows.chain(special.into_iter().flatten().copied()).collect()
}

/// What a node may be to a rule.
#[derive(Clone, Copy)]
enum Role {
    Import,
    Call,
    Text,
    Statement,
    Function,
    None,
}

/// The role of each kind of node, by its number.
static ROLES: LazyLock<Vec<Role>> = LazyLock::new(|| {
    program::Language::Python.by_kind(|kind| match kind {
        "import_statement" | "import_from_statement" => Role::Import,
        "call" => Role::Call,
        "string" | "concatenated_string" => Role::Text,
        "assert_statement" | "except_clause" | "exec_statement" => Role::Statement,
        "function_definition" => Role::Function,
        _ => Role::None,
    })
});

/// Looks at everything in the tree that was changed, and at all imports.
pub(super) fn check(text: &str, tree: &Tree, report: &mut Report<'_>) {
    let mut scope = Scope { text, imported: HashSet::new(), names: HashMap::new() };
    let imports: Vec<_> = text.match_indices("import").map(|(at, _)| at).collect();
    let has_import = |node: Node<'_>| {
        let next = imports.partition_point(|at| *at < node.start_byte());
        imports.get(next).is_some_and(|at| *at < node.end_byte())
    };
    let side = report.side();
    let enters = |node: Node<'_>| node.child_count() > 0 && (side.is_changed(node) || has_import(node));
    walk_where(tree.root_node(), enters, |node, ancestors| {
        match ROLES.get(usize::from(node.kind_id())).copied().unwrap_or(Role::None) {
            Role::Import => {
                scope.import(node);
                imports::check(&scope, node, report);
            }
            Role::Call if side.is_changed(node) => {
                let call = scope.call(node);
                rows::check(&call, report);
                imports::check_call(&scope, &call, report);
                calls::check(&scope, &call, report);
                crypto::check(&scope, &call, report);
                process::check(&scope, &call, report);
                templates::check(&scope, &call, report);
                web::check(&scope, &call, ancestors, report);
                literals::check_call(&scope, &call, report);
            }
            // What is found at a text may be told of the pair that it is in.
            Role::Text if ancestors.last().is_none_or(|above| side.is_changed(*above)) => {
                literals::check(&scope, node, ancestors, report);
            }
            Role::Statement if side.is_changed(node) => statements::check(&scope, node, report),
            Role::Function if side.is_changed(node) => {
                literals::check_defaults(&scope, node, report);
                crypto::check_defaults(&scope, node, report);
            }
            _ => {}
        }
    });
}

/// What the names in a hunk stand for.
struct Scope<'a> {
    text: &'a str,
    /// Dotted names as imported: `os.path`, `subprocess.run`.
    imported: HashSet<String>,
    /// The dotted name behind a local one.
    names: HashMap<String, String>,
}

/// A call, its name resolved.
struct Call<'a, 't> {
    node: Node<'t>,
    /// Dotted; of a call on something that is no name it begins with a dot.
    name: String,
    args: Vec<Node<'t>>,
    keywords: Vec<(&'a str, Node<'t>)>,
    /// Whether there are arguments that are not written out (`*args`, `**kwargs`).
    spread: bool,
}

impl<'a, 't> Call<'a, 't> {
    fn last(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or("")
    }

    fn has_part(&self, part: &str) -> bool {
        self.name.split('.').any(|other| other == part)
    }

    fn keyword(&self, name: &str) -> Option<Node<'t>> {
        self.keywords.iter().find(|(keyword, _)| *keyword == name).map(|(_, value)| *value)
    }

    fn argument(&self, position: usize, name: &str) -> Option<Node<'t>> {
        self.args.get(position).copied().or_else(|| self.keyword(name))
    }
}

/// Longest chain of attributes that is followed.
const PARTS_MAX: usize = 16;

impl<'a> Scope<'a> {
    fn source(&self, node: Node<'_>) -> &'a str {
        text_of(self.text, node)
    }

    fn has_imported(&self, part: &str) -> bool {
        self.imported.iter().any(|name| name.contains(part))
    }

    fn import(&mut self, node: Node<'_>) {
        let module = node.child_by_field_name("module_name").map(|module| self.source(module));
        let mut cursor = node.walk();
        for name in node.children_by_field_name("name", &mut cursor) {
            let (name, alias) = match (name.child_by_field_name("name"), name.child_by_field_name("alias")) {
                (Some(name), Some(alias)) => (self.source(name), Some(self.source(alias))),
                _ => (self.source(name), None),
            };
            let whole = module.map_or_else(|| name.to_owned(), |module| format!("{module}.{name}"));
            match (module, alias) {
                (_, Some(alias)) => drop(self.names.insert(alias.to_owned(), whole.clone())),
                (Some(_), None) => drop(self.names.insert(name.to_owned(), whole.clone())),
                (None, None) => {}
            }
            self.imported.insert(whole);
        }
    }

    /// The dotted name of an expression.
    fn name(&self, node: Node<'_>) -> String {
        let mut parts = Vec::new();
        let mut at = node;
        while at.kind() == "attribute" && parts.len() < PARTS_MAX {
            parts.push(at.child_by_field_name("attribute").map_or("", |part| self.source(part)));
            let Some(object) = at.child_by_field_name("object") else { break };
            at = object;
        }
        let mut name = match at.kind() {
            "identifier" => self.source(at).to_owned(),
            // The grammar still knows the statements of Python 2.
            "exec" | "print" => at.kind().to_owned(),
            _ => String::new(),
        };
        let resolved = |name: String| self.names.get(&name).cloned().unwrap_or(name);
        name = resolved(name);
        for part in parts.iter().rev() {
            name = resolved(format!("{name}.{part}"));
        }
        name
    }

    fn call<'t>(&self, node: Node<'t>) -> Call<'a, 't> {
        let name = node.child_by_field_name("function").map(|function| self.name(function)).unwrap_or_default();
        let mut call = Call { node, name, args: Vec::new(), keywords: Vec::new(), spread: false };
        for argument in node.child_by_field_name("arguments").map(children).unwrap_or_default() {
            match argument.kind() {
                "keyword_argument" => {
                    let field = |field| argument.child_by_field_name(field);
                    if let (Some(name), Some(value)) = (field("name"), field("value")) {
                        call.keywords.push((self.source(name), value));
                    }
                }
                "list_splat" | "dictionary_splat" => call.spread = true,
                _ => call.args.push(argument),
            }
        }
        call
    }

    /// The text of a string without holes, or of several side by side.
    fn string(&self, node: Node<'_>) -> Option<String> {
        let parts = match node.kind() {
            "concatenated_string" => children(node),
            "string" => vec![node],
            "parenthesized_expression" => {
                return self.string(node.named_child(0).filter(|child| child.kind() != node.kind())?);
            }
            _ => return None,
        };
        let mut value = String::new();
        for part in parts {
            if self.source(part).starts_with(['b', 'B']) {
                return None;
            }
            for piece in children(part) {
                match piece.kind() {
                    "string_content" => value.push_str(self.source(piece)),
                    "interpolation" => return None,
                    _ => {}
                }
            }
        }
        Some(value)
    }

    /// The last name, or the value, that an expression is written as.
    fn word(&self, node: Node<'_>) -> String {
        match node.kind() {
            "attribute" => node.child_by_field_name("attribute").map_or("", |part| self.source(part)).to_owned(),
            "identifier" | "true" | "false" | "none" | "integer" => self.source(node).to_owned(),
            _ => self.string(node).unwrap_or_default(),
        }
    }
}

/// Whether an expression is a value that is written out: no names, no calls, no holes.
fn is_constant(scope: &Scope<'_>, node: Node<'_>) -> bool {
    match node.kind() {
        "integer" | "float" | "true" | "false" | "none" => true,
        "string" | "concatenated_string" => !scope.source(node).contains('{') || scope.string(node).is_some(),
        _ => false,
    }
}

/// The integer that an expression is written as.
fn integer(scope: &Scope<'_>, node: Node<'_>) -> Option<u64> {
    if node.kind() != "integer" {
        return None;
    }
    let text = scope.source(node).replace('_', "").to_ascii_lowercase();
    let of = |digits: &str, base| u64::from_str_radix(digits, base).ok();
    if let Some(hexadecimal) = text.strip_prefix("0x") {
        of(hexadecimal, 16)
    } else if let Some(octal) = text.strip_prefix("0o") {
        of(octal, 8)
    } else if let Some(binary) = text.strip_prefix("0b") {
        of(binary, 2)
    } else if text.len() > 1 && text.starts_with('0') {
        of(&text, 8)
    } else {
        text.parse().ok()
    }
}
