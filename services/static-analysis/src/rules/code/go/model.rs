//! What a Go file declares: its packages, functions, types and variables, where each variable is assigned and used.
//!
//! By names and places only, without a type checker: what other files declare is not known.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::LazyLock;

use tree_sitter::{Node, Tree};

use super::ids::ById;
use crate::rules::code::program::{Language, children, text_of, walk};

/// How a variable came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Parameter,
    Receiver,
    Result,
    Local,
    Range,
    Package,
    Constant,
}

/// A value that goes into a variable: an expression, and which of its results.
#[derive(Clone, Copy)]
pub(super) struct Value<'t> {
    pub(super) node: Node<'t>,
    /// Which result of `node`, where it is one call for several variables.
    pub(super) index: usize,
    /// Where it happens.
    pub(super) at: usize,
    /// Whether it is added to what was there (`+=` and the like).
    pub(super) adds: bool,
}

/// A variable or a constant.
pub(super) struct Variable<'t> {
    pub(super) kind: Kind,
    pub(super) declared: Node<'t>,
    pub(super) type_node: Option<Node<'t>>,
    /// Its first value and those that follow.
    pub(super) values: Vec<Value<'t>>,
    /// Every other place where it is named.
    pub(super) uses: Vec<Node<'t>>,
    scope: Range<usize>,
}

/// A Go file.
pub(super) struct Model<'a, 't> {
    pub(super) text: &'a str,
    pub(super) root: Node<'t>,
    /// Import path by local name.
    pub(super) packages: HashMap<&'a str, String>,
    pub(super) functions: HashMap<&'a str, Node<'t>>,
    pub(super) methods: HashMap<&'a str, Vec<Node<'t>>>,
    pub(super) types: HashMap<&'a str, Node<'t>>,
    pub(super) variables: Vec<Variable<'t>>,
    by_name: HashMap<&'a str, Vec<usize>>,
    of_use: ById<usize>,
    parents: ById<Node<'t>>,
    /// The calls of each function or method of this name, whatever it belongs to.
    pub(super) calls: HashMap<&'a str, Vec<Node<'t>>>,
    /// Nodes of the kinds that rules look at, in order.
    pub(super) nodes: Vec<Node<'t>>,
    /// The children that were asked for, by node.
    lists: RefCell<ById<Rc<[Node<'t>]>>>,
    /// The types that were asked for, by node.
    pub(super) known_types: RefCell<ById<String>>,
    /// How many elements each parameter that was asked for has room for.
    pub(super) known_rooms: RefCell<HashMap<usize, Option<i128>>>,
    /// Expressions that may still be looked at for the question at hand, so that no file takes long.
    pub(super) steps_left: Cell<usize>,
}

/// Declarations of one name that are looked through for the one that is meant.
const SAME_NAME_MAX: usize = 64;

/// Packages of the standard library whose names stand for one of them only.
pub(super) const USUAL: &[(&str, &str)] = &[
    ("cipher", "crypto/cipher"),
    ("context", "context"),
    ("des", "crypto/des"),
    ("exec", "os/exec"),
    ("filepath", "path/filepath"),
    ("fmt", "fmt"),
    ("gzip", "compress/gzip"),
    ("http", "net/http"),
    ("io", "io"),
    ("ioutil", "io/ioutil"),
    ("json", "encoding/json"),
    ("md5", "crypto/md5"),
    ("os", "os"),
    ("rc4", "crypto/rc4"),
    ("rsa", "crypto/rsa"),
    ("sha1", "crypto/sha1"),
    ("sql", "database/sql"),
    ("ssh", "golang.org/x/crypto/ssh"),
    ("strconv", "strconv"),
    ("tls", "crypto/tls"),
    ("unsafe", "unsafe"),
];

const LOOKED_AT: &[&str] = &[
    "call_expression",
    "composite_literal",
    "import_spec",
    "assignment_statement",
    "short_var_declaration",
    "var_spec",
    "const_spec",
    "binary_expression",
    "expression_statement",
    "type_conversion_expression",
    "index_expression",
    "slice_expression",
    "go_statement",
    "for_statement",
    "func_literal",
    "function_declaration",
    "method_declaration",
    "send_statement",
    "inc_statement",
    "dec_statement",
];

/// What a node is to the model.
#[derive(Clone, Copy, Default)]
struct Role {
    looked_at: bool,
    name: bool,
    call: bool,
    declares: bool,
}

/// The role of each kind of node, by its number: to compare names at every node would take longer than all else.
static ROLES: LazyLock<Vec<Role>> = LazyLock::new(|| {
    Language::Go.by_kind(|kind| Role {
        looked_at: LOOKED_AT.contains(&kind),
        name: kind == "identifier",
        call: kind == "call_expression",
        declares: DECLARING.contains(&kind),
    })
});

/// What is called, and the last name of it.
pub(super) static FUNCTION: LazyLock<u16> = LazyLock::new(|| Language::Go.field("function"));
pub(super) static FIELD: LazyLock<u16> = LazyLock::new(|| Language::Go.field("field"));

const DECLARING: &[&str] = &[
    "import_spec",
    "function_declaration",
    "method_declaration",
    "type_spec",
    "type_alias",
    "var_spec",
    "const_spec",
    "short_var_declaration",
    "range_clause",
    "receive_statement",
    "parameter_declaration",
    "variadic_parameter_declaration",
];

impl<'a, 't> Model<'a, 't> {
    pub(super) fn of(text: &'a str, tree: &'t Tree) -> Self {
        let mut model = Self {
            text,
            root: tree.root_node(),
            packages: HashMap::new(),
            functions: HashMap::new(),
            methods: HashMap::new(),
            types: HashMap::new(),
            variables: Vec::new(),
            by_name: HashMap::new(),
            of_use: ById::default(),
            parents: ById::default(),
            calls: HashMap::new(),
            nodes: Vec::new(),
            lists: RefCell::new(ById::default()),
            known_types: RefCell::new(ById::default()),
            known_rooms: RefCell::new(HashMap::new()),
            steps_left: Cell::new(0),
        };
        let mut names = Vec::new();
        model.parents.reserve(model.root.descendant_count());
        walk(model.root, |node, ancestors| {
            if let Some(parent) = ancestors.last() {
                model.parents.insert(node.id(), *parent);
            }
            let role = ROLES.get(usize::from(node.kind_id())).copied().unwrap_or_default();
            if role.looked_at {
                model.nodes.push(node);
            }
            if role.name {
                names.push(node);
            }
            if role.call
                && let Some(function) = node.child_by_field_id(*FUNCTION)
            {
                let name = function.child_by_field_id(*FIELD).unwrap_or(function);
                if matches!(name.kind(), "identifier" | "field_identifier") {
                    model.calls.entry(text_of(text, name)).or_default().push(node);
                }
            }
            if role.declares {
                model.declare(node, ancestors);
            }
        });
        // A hunk from the middle of a file shows no imports; most packages go by the same name everywhere.
        if model.packages.is_empty() {
            model.packages.extend(USUAL.iter().map(|(name, path)| (*name, (*path).to_owned())));
        }
        for list in model.by_name.values_mut() {
            list.sort_by_key(|variable| model.variables[*variable].declared.start_byte());
        }
        for name in names {
            model.note_use(name);
        }
        for at in 0..model.nodes.len() {
            model.note_assignment(model.nodes[at]);
        }
        model
    }

    /// The named children of a node that are no comments, which are only collected once: lists are long, and asked for by all
    /// that stands in them.
    pub(super) fn list(&self, node: Node<'t>) -> Rc<[Node<'t>]> {
        Rc::clone(self.lists.borrow_mut().entry(node.id()).or_insert_with(|| children(node).into()))
    }

    pub(super) fn source(&self, node: Node<'_>) -> &'a str {
        text_of(self.text, node)
    }

    pub(super) fn parent(&self, node: Node<'t>) -> Option<Node<'t>> {
        self.parents.get(&node.id()).copied()
    }

    /// The nodes around a node, the nearest first.
    pub(super) fn ancestors(&self, node: Node<'t>) -> impl Iterator<Item = Node<'t>> + '_ {
        std::iter::successors(self.parent(node), |above| self.parent(*above))
    }

    /// The function or function literal around a node.
    pub(super) fn function_of(&self, node: Node<'t>) -> Option<Node<'t>> {
        self.ancestors(node).find(|above| is_function(*above))
    }

    /// The variable that an identifier names.
    pub(super) fn variable(&self, node: Node<'t>) -> Option<&Variable<'t>> {
        self.variable_id(node).map(|id| &self.variables[id])
    }

    pub(super) fn variable_id(&self, node: Node<'t>) -> Option<usize> {
        if let Some(id) = self.of_use.get(&node.id()) {
            return Some(*id);
        }
        (node.kind() == "identifier").then(|| self.lookup(self.source(node), node.start_byte())).flatten()
    }

    fn lookup(&self, name: &str, at: usize) -> Option<usize> {
        let list = self.by_name.get(name)?;
        let before = list.partition_point(|id| self.variables[*id].declared.start_byte() <= at);
        let seen = |id: &&usize| self.variables[**id].scope.contains(&at);
        let near = list[..before].iter().rev().take(SAME_NAME_MAX).find(seen);
        let package = |id: &&usize| matches!(self.variables[**id].kind, Kind::Package | Kind::Constant) && seen(id);
        near.or_else(|| list[before..].iter().take(SAME_NAME_MAX).find(package)).copied()
    }

    fn declare(&mut self, node: Node<'t>, ancestors: &[Node<'t>]) {
        match node.kind() {
            "import_spec" => self.import(node),
            "function_declaration" => {
                if let Some(name) = node.child_by_field_name("name") {
                    self.functions.insert(self.source(name), node);
                }
            }
            "method_declaration" => {
                if let Some(name) = node.child_by_field_name("name") {
                    self.methods.entry(self.source(name)).or_default().push(node);
                }
            }
            "type_spec" | "type_alias" => {
                if let Some(name) = node.child_by_field_name("name") {
                    self.types.insert(self.source(name), node);
                }
            }
            "var_spec" => self.declare_spec(node, Kind::Local, ancestors),
            "const_spec" => self.declare_spec(node, Kind::Constant, ancestors),
            "short_var_declaration" => {
                let left = node.child_by_field_name("left").map(children).unwrap_or_default();
                let right = node.child_by_field_name("right").map(children).unwrap_or_default();
                self.declare_list(&left, None, &right, Kind::Local, ancestors);
            }
            "range_clause" if has_token(node, ":=") => {
                let left = node.child_by_field_name("left").map(children).unwrap_or_default();
                let right = node.child_by_field_name("right").into_iter().collect::<Vec<_>>();
                self.declare_list(&left, None, &right, Kind::Range, ancestors);
            }
            "receive_statement" if has_token(node, ":=") => {
                let left = node.child_by_field_name("left").map(children).unwrap_or_default();
                let right = node.child_by_field_name("right").into_iter().collect::<Vec<_>>();
                self.declare_list(&left, None, &right, Kind::Local, ancestors);
            }
            "parameter_declaration" | "variadic_parameter_declaration" => self.declare_parameter(node, ancestors),
            _ => {}
        }
    }

    fn import(&mut self, node: Node<'t>) {
        let Some(path) = node.child_by_field_name("path") else { return };
        let path = self.source(path).trim_matches(['"', '`']);
        let mut last = path.rsplit('/').next().unwrap_or(path);
        // A major version is not the package's name.
        if last.strip_prefix('v').is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
        {
            last = path.rsplit('/').nth(1).unwrap_or(last);
        }
        let last = last.split_once(".v").map_or(last, |(name, _)| name);
        let name = node.child_by_field_name("name").map_or(last, |name| self.source(name));
        self.packages.insert(name, path.to_owned());
    }

    fn declare_spec(&mut self, node: Node<'t>, kind: Kind, ancestors: &[Node<'t>]) {
        let mut cursor = node.walk();
        let names: Vec<_> = node.children_by_field_name("name", &mut cursor).filter(|name| name.is_named()).collect();
        let values = node.child_by_field_name("value").map(children).unwrap_or_default();
        let outside = !ancestors.iter().any(|above| is_function(*above));
        let kind = if outside && kind == Kind::Local { Kind::Package } else { kind };
        self.declare_list(&names, node.child_by_field_name("type"), &values, kind, ancestors);
    }

    fn declare_parameter(&mut self, node: Node<'t>, ancestors: &[Node<'t>]) {
        let Some(function) = ancestors.iter().rev().find(|above| is_function(**above)) else { return };
        let Some(list) = ancestors.last() else { return };
        let is = |field: &str| function.child_by_field_name(field).is_some_and(|child| child.id() == list.id());
        let kind = match () {
            () if is("receiver") => Kind::Receiver,
            () if is("result") => Kind::Result,
            () if is("parameters") => Kind::Parameter,
            // Of a function's type, which has no body.
            () => return,
        };
        let mut cursor = node.walk();
        let names: Vec<_> = node.children_by_field_name("name", &mut cursor).filter(|name| name.is_named()).collect();
        self.declare_list(&names, node.child_by_field_name("type"), &[], kind, ancestors);
    }

    fn declare_list(
        &mut self,
        names: &[Node<'t>],
        type_node: Option<Node<'t>>,
        values: &[Node<'t>],
        kind: Kind,
        ancestors: &[Node<'t>],
    ) {
        let scope = ancestors
            .iter()
            .rev()
            .find(|above| is_scope(**above))
            .map_or(self.root.byte_range(), |scope| scope.byte_range());
        for (position, name) in names.iter().enumerate() {
            let text = self.source(*name);
            if name.kind() != "identifier" || text == "_" {
                continue;
            }
            let value = match values {
                [] => None,
                [one] => Some((*one, position)),
                several => several.get(position).map(|value| (*value, 0)),
            };
            let value = value.map(|(node, index)| Value { node, index, at: name.start_byte(), adds: false });
            // `a, err := f()` where err is there already only assigns it.
            let known = self.by_name.get(text).and_then(|list| list.last()).copied();
            if let Some(known) = known.filter(|known| self.variables[*known].scope == scope && kind == Kind::Local) {
                self.variables[known].values.extend(value);
                continue;
            }
            self.by_name.entry(text).or_default().push(self.variables.len());
            let values = value.into_iter().collect();
            let scope = scope.clone();
            self.variables.push(Variable { kind, declared: *name, type_node, values, uses: Vec::new(), scope });
        }
    }

    fn note_use(&mut self, name: Node<'t>) {
        // The key of a struct's field is an identifier, too.
        let in_key = self.parent(name).filter(|above| above.kind() == "literal_element").and_then(|element| {
            let pair = self.parent(element).filter(|pair| pair.kind() == "keyed_element")?;
            Some(pair.child_by_field_name("key")?.id() == element.id())
        });
        let Some(id) = self.lookup(self.source(name), name.start_byte()) else { return };
        if in_key == Some(true) && self.variables[id].kind != Kind::Constant {
            return;
        }
        self.of_use.insert(name.id(), id);
        if self.variables[id].declared.id() != name.id() {
            self.variables[id].uses.push(name);
        }
    }

    fn note_assignment(&mut self, node: Node<'t>) {
        if node.kind() != "assignment_statement" {
            return;
        }
        let left = node.child_by_field_name("left").map(children).unwrap_or_default();
        let right = node.child_by_field_name("right").map(children).unwrap_or_default();
        let adds = node.child_by_field_name("operator").is_some_and(|operator| self.source(operator) != "=");
        for (position, target) in left.iter().enumerate() {
            let value = if right.len() == 1 { right.first() } else { right.get(position) };
            let index = if right.len() == 1 { position } else { 0 };
            if let (Some(id), Some(value)) = (self.variable_id(*target), value) {
                self.variables[id].values.push(Value { node: *value, index, at: node.start_byte(), adds });
            }
        }
    }
}

/// A function with a body, or a literal of one.
pub(super) fn is_function(node: Node<'_>) -> bool {
    matches!(node.kind(), "function_declaration" | "method_declaration" | "func_literal")
}

fn is_scope(node: Node<'_>) -> bool {
    is_function(node)
        || matches!(
            node.kind(),
            "block"
                | "if_statement"
                | "for_statement"
                | "expression_switch_statement"
                | "type_switch_statement"
                | "expression_case"
                | "default_case"
                | "type_case"
                | "communication_case"
        )
}

fn has_token(node: Node<'_>, token: &str) -> bool {
    let mut cursor = node.walk();
    node.children(&mut cursor).any(|child| child.kind() == token)
}
