//! Whether what a stranger sends can get to a place: through variables, calls and fields of one file.

use std::cell::Cell;
use std::collections::HashSet;

use tree_sitter::Node;

use super::model::{Kind, Model, Value, Variable, is_function};
use super::types::{INTEGERS, arguments};
use crate::rules::code::gate::Asks;
use crate::rules::code::program::{children, walk};

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// The arguments or the environment of the process, or a reader.
    Process,
    /// A request from the network.
    Request,
}

/// Expressions looked at for one question.
const STEPS_MAX: usize = 3_000;
/// How deep one leads to another.
const DEPTH_MAX: usize = 40;
/// Calls of a function whose arguments are looked at.
const CALLS_MAX: usize = 32;

/// The questions about one file.
pub(super) struct Taint<'m, 'a, 't> {
    model: &'m Model<'a, 't>,
    /// Steps left for the whole file, so that a long file of many questions takes a bounded time.
    steps: Cell<usize>,
}

/// One question: what has been looked at for it, and what makes a value harmless.
struct Question<'q> {
    seen: HashSet<(usize, usize)>,
    steps: usize,
    cleaners: &'q [&'q str],
}

impl<'m, 'a, 't> Taint<'m, 'a, 't> {
    pub(super) fn new(model: &'m Model<'a, 't>) -> Self {
        Self { model, steps: Cell::new(300_000) }
    }

    /// Where the value of an expression comes from, if it is from outside and none of `cleaners` stands between.
    pub(super) fn source(&self, node: Node<'t>, cleaners: &[&str]) -> Option<Source> {
        let mut question = Question { seen: HashSet::new(), steps: STEPS_MAX.min(self.steps.get()), cleaners };
        let before = question.steps;
        let found = self.of(node, &mut question, 0);
        self.steps.set(self.steps.get() - (before - question.steps));
        found
    }

    fn of(&self, node: Node<'t>, question: &mut Question<'_>, depth: usize) -> Option<Source> {
        if depth > DEPTH_MAX || question.steps == 0 || !question.seen.insert((node.id(), 0)) {
            return None;
        }
        question.steps -= 1;
        let field = |name: &str| node.child_by_field_name(name);
        match node.kind() {
            "identifier" => self.of_variable(node, question, depth + 1),
            "selector_expression" => self.of_field(node, question, depth + 1),
            "call_expression" => self.of_call(node, question, depth + 1),
            "binary_expression" => {
                let left = field("left").and_then(|left| self.of(left, question, depth + 1));
                left.max(field("right").and_then(|right| self.of(right, question, depth + 1)))
            }
            "unary_expression"
            | "index_expression"
            | "slice_expression"
            | "type_conversion_expression"
            | "type_assertion_expression" => field("operand").and_then(|operand| self.of(operand, question, depth + 1)),
            "parenthesized_expression" | "variadic_argument" | "literal_element" => {
                node.named_child(0).and_then(|inner| self.of(inner, question, depth + 1))
            }
            "composite_literal" => {
                let elements = field("body").map(children).unwrap_or_default();
                let values = elements.into_iter().take(256).filter_map(|element| {
                    let value = element.child_by_field_name("value").unwrap_or(element);
                    value.named_child(0).or(Some(value))
                });
                values.filter_map(|value| self.of(value, question, depth + 1)).max()
            }
            _ => None,
        }
    }

    fn of_variable(&self, node: Node<'t>, question: &mut Question<'_>, depth: usize) -> Option<Source> {
        let id = self.model.variable_id(node)?;
        let variable = &self.model.variables[id];
        let type_text = self.model.type_of(node);
        if matches!(type_text.as_str(), "context.Context" | "bool" | "error") || self.is_number(&type_text) {
            return None;
        }
        match variable.kind {
            Kind::Constant | Kind::Package | Kind::Result | Kind::Receiver => None,
            Kind::Parameter => self.of_parameter(variable, question, depth),
            Kind::Range => variable.values.first().and_then(|value| self.of(value.node, question, depth)),
            Kind::Local => {
                let values = reaching(self.model, variable, node);
                let stored = values.iter().filter_map(|value| self.of(value.node, question, depth)).max();
                stored.max(self.of_stores(variable, question, depth))
            }
        }
    }

    /// Numbers are no text, and do no harm in one.
    fn is_number(&self, of: &str) -> bool {
        INTEGERS.contains(&of)
            || matches!(of, "float32" | "float64")
            || INTEGERS.contains(&self.model.underlying(of).as_str())
    }

    /// What is put into a variable's elements or fields (`x[0] = v`).
    fn of_stores(&self, variable: &Variable<'t>, question: &mut Question<'_>, depth: usize) -> Option<Source> {
        let stored = |used: &Node<'t>| {
            let place = self.model.parent(*used).filter(|place| place.kind() == "index_expression")?;
            let list = self.model.parent(place)?;
            let assignment = self.model.parent(list).filter(|above| above.kind() == "assignment_statement")?;
            let is_left = assignment.child_by_field_name("left").is_some_and(|left| left.id() == list.id());
            let right = assignment.child_by_field_name("right").filter(|_| is_left)?;
            right.named_child(0)
        };
        let values: Vec<_> = variable.uses.iter().take(256).filter_map(stored).collect();
        values.into_iter().filter_map(|value| self.of(value, question, depth)).max()
    }

    fn of_parameter(&self, variable: &Variable<'t>, question: &mut Question<'_>, depth: usize) -> Option<Source> {
        let function = self.model.ancestors(variable.declared).find(|above| is_function(*above))?;
        let name = function.child_by_field_name("name").map_or("", |name| self.model.source(name));
        let calls: &[Node<'t>] = self.model.calls.get(name).map_or(&[], Vec::as_slice);
        let source = variable.type_node.and_then(|of| source_type(&self.model.type_text(of)));
        let exported = function.kind() == "function_declaration" && name.starts_with(|c: char| c.is_uppercase());
        if let Some(source) = source
            && (calls.is_empty() || exported || function.kind() == "func_literal")
        {
            return Some(source);
        }
        let position = position_of(function, variable.declared)?;
        let mut found = None;
        for call in calls.iter().take(CALLS_MAX) {
            if let Some(argument) = arguments(*call).get(position) {
                found = found.max(self.of(*argument, question, depth));
            }
        }
        found
    }

    fn of_field(&self, node: Node<'t>, question: &mut Question<'_>, depth: usize) -> Option<Source> {
        let operand = node.child_by_field_name("operand")?;
        let name = self.model.source(node.child_by_field_name("field")?);
        if let Some(package) = self.model.package(operand) {
            return (package == "os" && name == "Args").then_some(Source::Process);
        }
        // A struct that is put together here: only what goes into this field counts.
        if let Some(variable) = self.model.variable(operand).filter(|variable| variable.kind == Kind::Local)
            && let Some(values) = self.field_values(variable, name)
        {
            return values.into_iter().filter_map(|value| self.of(value, question, depth)).max();
        }
        self.of(operand, question, depth)
    }

    /// The values of a field of a struct that is written out; `None` when it is not.
    fn field_values(&self, variable: &Variable<'t>, name: &str) -> Option<Vec<Node<'t>>> {
        let mut values = Vec::new();
        let mut known = variable.values.is_empty();
        for value in &variable.values {
            let literal = if value.node.kind() == "unary_expression" {
                value.node.child_by_field_name("operand")?
            } else {
                value.node
            };
            if literal.kind() == "call_expression" && self.model.callee(literal) == ".new" {
                known = true;
                continue;
            }
            if literal.kind() != "composite_literal" {
                return None;
            }
            known = true;
            for (key, value) in super::network::pairs(self.model, literal) {
                if key == name {
                    values.push(value);
                }
            }
        }
        for used in variable.uses.iter().take(256) {
            let Some(selector) = self.model.parent(*used).filter(|above| above.kind() == "selector_expression") else {
                continue;
            };
            let list = self.model.parent(selector);
            let assignment =
                list.and_then(|list| self.model.parent(list)).filter(|above| above.kind() == "assignment_statement");
            if let (Some(assignment), Some(list)) = (assignment, list)
                && assignment.child_by_field_name("left").is_some_and(|left| left.id() == list.id())
                && selector.child_by_field_name("field").is_some_and(|field| self.model.source(field) == name)
            {
                values.extend(assignment.child_by_field_name("right").and_then(|right| right.named_child(0)));
            }
        }
        (known && !self.is_passed(variable)).then_some(values)
    }

    /// Whether a function gets the variable's address and may fill it.
    fn is_passed(&self, variable: &Variable<'t>) -> bool {
        variable.uses.iter().take(256).any(|used| {
            let taken = self.model.parent(*used).filter(|above| above.kind() == "unary_expression");
            let list = taken.and_then(|taken| self.model.parent(taken)).filter(|above| above.kind() == "argument_list");
            list.is_some()
        })
    }

    fn of_call(&self, call: Node<'t>, question: &mut Question<'_>, depth: usize) -> Option<Source> {
        let callee = self.model.callee(call);
        if question.cleaners.contains(&callee.as_str()) || ALWAYS_CLEAN.contains(&callee.as_str()) {
            return None;
        }
        match callee.as_str() {
            "os.Getenv" => return Some(Source::Process),
            "net/http.MaxBytesReader" => return None,
            _ => {}
        }
        let args = arguments(call);
        let own = callee.strip_prefix('.').and_then(|name| self.model.functions.get(name).copied()).or_else(|| {
            let (owner, name) = callee.strip_prefix('(')?.split_once(").")?;
            self.model.method(owner, name)
        });
        if let Some(function) = own {
            return self.through(function, &args, question, depth);
        }
        let operand = call.child_by_field_name("function").and_then(|function| function.child_by_field_name("operand"));
        let receiver = operand.filter(|operand| self.model.package(*operand).is_none());
        let mut found = receiver.and_then(|receiver| self.of(receiver, question, depth));
        if let Some(function) = call.child_by_field_name("function").filter(|function| function.kind() == "identifier")
            && let Some(literal) = self.closure(function)
        {
            return self.through(literal, &args, question, depth).max(found);
        }
        for arg in args.iter().take(64) {
            found = found.max(self.of(*arg, question, depth));
        }
        found
    }

    /// The function literal that a variable holds.
    fn closure(&self, name: Node<'t>) -> Option<Node<'t>> {
        let value = self.model.variable(name)?.values.first()?;
        (value.node.kind() == "func_literal").then_some(value.node)
    }

    /// What comes out of a function of this file when these go in.
    fn through(
        &self,
        function: Node<'t>,
        args: &[Node<'t>],
        question: &mut Question<'_>,
        depth: usize,
    ) -> Option<Source> {
        let tainted: Vec<_> = args.iter().take(64).map(|arg| self.of(*arg, question, depth)).collect();
        let worst = tainted.iter().flatten().max().copied()?;
        let names = parameters(function);
        let open: HashSet<usize> = names
            .iter()
            .zip(&tainted)
            .filter(|(_, tainted)| tainted.is_some())
            .filter_map(|(name, _)| self.model.variable_id(*name))
            .collect();
        let mut flows = false;
        let mut seen = HashSet::new();
        if let Some(body) = function.child_by_field_name("body") {
            walk(body, |node, _| {
                if node.kind() == "return_statement" && !flows {
                    let results = node.named_child(0).map(children).unwrap_or_default();
                    flows = results.into_iter().any(|result| self.mentions(result, &open, question, &mut seen, 0));
                }
            });
        }
        flows.then_some(worst)
    }

    /// Whether an expression is made of one of these variables.
    fn mentions(
        &self,
        node: Node<'t>,
        open: &HashSet<usize>,
        question: &mut Question<'_>,
        seen: &mut HashSet<usize>,
        depth: usize,
    ) -> bool {
        if depth > DEPTH_MAX || question.steps == 0 || !seen.insert(node.id()) {
            return false;
        }
        question.steps -= 1;
        if node.kind() == "call_expression" {
            let callee = self.model.callee(node);
            if question.cleaners.contains(&callee.as_str()) || ALWAYS_CLEAN.contains(&callee.as_str()) {
                return false;
            }
        }
        if node.kind() == "identifier" {
            let Some(id) = self.model.variable_id(node) else { return false };
            if open.contains(&id) {
                return true;
            }
            let variable = &self.model.variables[id];
            let values: Vec<_> = variable.values.iter().take(64).map(|value| value.node).collect();
            return variable.kind != Kind::Package
                && values.into_iter().any(|value| self.mentions(value, open, question, seen, depth + 1));
        }
        children(node).into_iter().any(|child| self.mentions(child, open, question, seen, depth + 1))
    }
}

/// What turns text into a number or a truth leaves nothing of it.
const ALWAYS_CLEAN: &[&str] = &[
    "strconv.Atoi",
    "strconv.ParseInt",
    "strconv.ParseUint",
    "strconv.ParseFloat",
    "strconv.ParseBool",
    ".len",
    ".cap",
    ".make",
    ".new",
];

/// What comes from outside: types of parameters, and what `os` knows of the process.
const SOURCES: &[(&str, Source)] = &[
    ("net/http.Request", Source::Request),
    ("net/url.Values", Source::Request),
    ("net/url.URL", Source::Request),
    ("bufio.Reader", Source::Process),
    ("bufio.Scanner", Source::Process),
];

fn source_type(of: &str) -> Option<Source> {
    let of = of.trim_start_matches('*');
    SOURCES.iter().find(|(name, _)| *name == of).map(|(_, source)| *source)
}

/// The words of a hunk in which something comes from outside.
pub(super) fn source_words() -> Vec<(String, Asks)> {
    let types = SOURCES.iter().map(|(name, _)| name);
    super::gate::calls_anywhere(types.chain(&["os.Args", "os.Getenv"]))
}

/// The names of a function's parameters.
pub(super) fn parameters(function: Node<'_>) -> Vec<Node<'_>> {
    let mut names = Vec::new();
    for declaration in function.child_by_field_name("parameters").map(children).unwrap_or_default() {
        let mut cursor = declaration.walk();
        names.extend(declaration.children_by_field_name("name", &mut cursor).filter(|name| name.is_named()));
    }
    names
}

pub(super) fn position_of(function: Node<'_>, parameter: Node<'_>) -> Option<usize> {
    parameters(function).iter().position(|name| name.id() == parameter.id())
}

/// The values that a variable can have where it is used: the last before it, and those before that as far as that one was
/// not sure to happen.
pub(super) fn reaching<'t>(model: &Model<'_, 't>, variable: &Variable<'t>, used: Node<'t>) -> Vec<Value<'t>> {
    let same_function = model.function_of(used).map(|function| function.id())
        == model.function_of(variable.declared).map(|function| function.id());
    let looped = model.ancestors(used).find(|above| above.kind() == "for_statement");
    let mut values: Vec<_> = variable.values.iter().take(256).copied().collect();
    if !same_function {
        return values;
    }
    values.sort_by_key(|value| value.at);
    let mut found = Vec::new();
    for value in values.iter().rev() {
        // A value at the same place is what the variable is declared with; a later one comes round in a loop.
        if value.at > used.start_byte() {
            if looped.is_some_and(|looped| looped.byte_range().contains(&value.at)) {
                found.push(*value);
            }
            continue;
        }
        // `x = f(x)`: within its own value the variable has the one before.
        if value.node.byte_range().contains(&used.start_byte()) {
            continue;
        }
        found.push(*value);
        let block = model.ancestors(value.node).find(|above| {
            matches!(above.kind(), "block" | "expression_case" | "default_case" | "communication_case" | "type_case")
        });
        if !value.adds && block.is_none_or(|block| block.byte_range().contains(&used.start_byte())) {
            break;
        }
    }
    found
}
