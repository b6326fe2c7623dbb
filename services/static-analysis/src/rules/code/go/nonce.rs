//! Initialisation vectors and nonces that are the same every time.

use std::cell::LazyCell;

use domain::Severity;
use std::ops::Range;
use tree_sitter::Node;

use super::gate::calls_anywhere;
use super::model::{Kind, Model, Variable, is_function};
use super::taint::{position_of, reaching};
use super::types::arguments;
use crate::rules::Rule;
use crate::rules::code::PROGRAM;
use crate::rules::code::gate::{Asks, Trigger};
use crate::rules::code::program::{Report, children, walk};
use crate::rules::code::shown::first_name;

pub(super) static NONCE: Rule = Rule {
    id: "code.go.fixed-nonce",
    title: "Initialisation vector that is always the same",
    severity: Severity::Medium,
    cwe: 1204,
    keywords: &["seal", "newcbc", "newcfb", "newctr", "newofb"],
    remediation: "Fill the nonce from crypto/rand before every encryption.",
    references: &["https://pkg.go.dev/crypto/cipher#NewGCM"],
    aliases: &["G407"],
    ..PROGRAM
};

const DEPTH_MAX: usize = 8;
/// Expressions that are looked at for one nonce.
const STEPS_MAX: usize = 400;
/// Uses of one variable that are looked at.
const USES_MAX: usize = 256;

const MODES: &[&str] = &[
    "crypto/cipher.NewCBCEncrypter",
    "crypto/cipher.NewCFBEncrypter",
    "crypto/cipher.NewCTREncrypter",
    "crypto/cipher.NewCTR",
    "crypto/cipher.NewOFB",
    "crypto/cipher.NewCFB",
    "crypto/cipher.NewCBC",
];

pub(super) fn triggers() -> Vec<Trigger> {
    let mut words = calls_anywhere(MODES);
    words.push((".seal".to_owned(), Asks::Of(|shown, place| first_name(&shown.from(place)[1..]) == "Seal")));
    vec![Trigger::of(&[&NONCE]).part(words)]
}

/// Whether the bytes of a value are known beforehand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bytes {
    Fixed,
    Open,
}

pub(super) fn check<'t>(model: &Model<'_, 't>, callee: &str, call: Node<'t>, report: &mut Report<'_>) {
    let args = LazyCell::new(|| arguments(call));
    let callee = behind(model, call).unwrap_or_else(|| callee.to_owned());
    let mode = MODES.contains(&callee.as_str()) && args.len() == 2;
    let seals = callee.ends_with(").Seal") && args.len() == 4 && {
        let owner = callee.trim_start_matches(['(', '*']);
        owner.starts_with("crypto/cipher.AEAD") || owner.starts_with(')')
    };
    model.steps_left.set(STEPS_MAX);
    if (mode || seals) && bytes_of(model, args[1], call.start_byte(), 0) == Bytes::Fixed {
        report.at(
            &NONCE,
            call,
            "with the same nonce equal texts give equal secrets, and with GCM the key to forge messages",
        );
    }
}

/// What is called through a variable: `seal := gcm.Seal`.
fn behind<'t>(model: &Model<'_, 't>, call: Node<'t>) -> Option<String> {
    let function = call.child_by_field_name("function").filter(|function| function.kind() == "identifier")?;
    let value = model.variable(function)?.values.first()?;
    (value.node.kind() == "selector_expression").then(|| model.callee_of(value.node))
}

/// The bytes of an expression as they are just before `until`.
fn bytes_of<'t>(model: &Model<'_, 't>, node: Node<'t>, until: usize, depth: usize) -> Bytes {
    let left = model.steps_left.get();
    if depth > DEPTH_MAX || left == 0 {
        return Bytes::Open;
    }
    model.steps_left.set(left - 1);
    let of = |field: &str| {
        node.child_by_field_name(field).map_or(Bytes::Open, |child| bytes_of(model, child, until, depth + 1))
    };
    match node.kind() {
        "interpreted_string_literal" | "raw_string_literal" | "int_literal" | "rune_literal" => Bytes::Fixed,
        "composite_literal" if model.is_fixed(node) => Bytes::Fixed,
        "type_conversion_expression" | "unary_expression" => of("operand"),
        "parenthesized_expression" => {
            node.named_child(0).map_or(Bytes::Open, |inner| bytes_of(model, inner, until, depth + 1))
        }
        "slice_expression" => match node.child_by_field_name("operand") {
            Some(operand) if operand.kind() == "identifier" => {
                bytes_of_variable(model, operand, range_of(model, node), until, depth)
            }
            _ => of("operand"),
        },
        "identifier" => bytes_of_variable(model, node, None, until, depth),
        "call_expression" => bytes_of_call(model, node, until, depth),
        _ => Bytes::Open,
    }
}

fn bytes_of_call<'t>(model: &Model<'_, 't>, call: Node<'t>, until: usize, depth: usize) -> Bytes {
    let callee = model.callee(call);
    match callee.as_str() {
        ".make" => return Bytes::Fixed,
        ".string" => return arguments(call).first().map_or(Bytes::Open, |arg| bytes_of(model, *arg, until, depth + 1)),
        _ => {}
    }
    let literal = call.child_by_field_name("function").and_then(|function| match function.kind() {
        "func_literal" => Some(function),
        "parenthesized_expression" => function.named_child(0).filter(|inner| inner.kind() == "func_literal"),
        "identifier" => {
            let held = model.variable(function).and_then(|variable| variable.values.first()).map(|value| value.node);
            held.filter(|held| held.kind() == "func_literal")
        }
        _ => None,
    });
    let own = literal.or_else(|| callee.strip_prefix('.').and_then(|name| model.functions.get(name).copied()));
    own.map_or(Bytes::Open, |function| returned(model, function, depth))
}

/// Whether a function returns fixed bytes somewhere.
fn returned<'t>(model: &Model<'_, 't>, function: Node<'t>, depth: usize) -> Bytes {
    let mut found = Bytes::Open;
    let Some(body) = function.child_by_field_name("body") else { return found };
    walk(body, |node, ancestors| {
        let inner = ancestors.iter().any(|above| is_function(*above));
        if node.kind() == "return_statement" && !inner && found == Bytes::Open {
            let result = node.named_child(0).and_then(|list| list.named_child(0));
            found = result.map_or(Bytes::Open, |result| bytes_of(model, result, node.start_byte(), depth + 1));
        }
    });
    found
}

fn bytes_of_variable<'t>(
    model: &Model<'_, 't>,
    name: Node<'t>,
    part: Option<Range<i128>>,
    until: usize,
    depth: usize,
) -> Bytes {
    let Some(variable) = model.variable(name) else { return Bytes::Open };
    match variable.kind {
        Kind::Constant => return Bytes::Fixed,
        Kind::Parameter => return bytes_of_parameter(model, variable, depth),
        Kind::Package | Kind::Local => {}
        Kind::Range | Kind::Receiver | Kind::Result => return Bytes::Open,
    }
    let values = if variable.kind == Kind::Package { variable.values.clone() } else { reaching(model, variable, name) };
    let fixed = values.iter().any(|value| {
        value.index == 0 && bytes_of(model, value.node, value.node.start_byte(), depth + 1) == Bytes::Fixed
    });
    if !fixed {
        return Bytes::Open;
    }
    let mut covered = Covered { length: length_of(model, variable), ..Covered::default() };
    covered.fill(model, variable, 0, until, depth);
    if covered.is_random(part) { Bytes::Open } else { Bytes::Fixed }
}

/// A parameter is fixed where a caller gives it something fixed, unless the function fills it itself.
fn bytes_of_parameter<'t>(model: &Model<'_, 't>, variable: &Variable<'t>, depth: usize) -> Bytes {
    let mut covered = Covered::default();
    covered.fill(model, variable, 0, usize::MAX, depth);
    if covered.is_random(None) {
        return Bytes::Open;
    }
    let Some(function) = model.ancestors(variable.declared).find(|above| is_function(*above)) else {
        return Bytes::Open;
    };
    let held = || {
        let list = model.parent(function)?;
        let declaration = model.parent(list)?;
        declaration.child_by_field_name("left")?.named_child(0)
    };
    let name = function.child_by_field_name("name").or_else(held).map_or("", |name| model.source(name));
    let Some(position) = position_of(function, variable.declared) else { return Bytes::Open };
    let calls = model.calls.get(name).map_or(&[][..], Vec::as_slice);
    let fixed = calls.iter().take(32).any(|call| {
        let arg = arguments(*call).get(position).copied();
        arg.is_some_and(|arg| bytes_of(model, arg, call.start_byte(), depth + 1) == Bytes::Fixed)
    });
    if fixed { Bytes::Fixed } else { Bytes::Open }
}

fn length_of<'t>(model: &Model<'_, 't>, variable: &Variable<'t>) -> Option<i128> {
    let value = variable.values.first()?.node;
    match value.kind() {
        "call_expression" => model.integer(*arguments(value).get(1)?),
        "composite_literal" => i128::try_from(value.child_by_field_name("body").map(children)?.len()).ok(),
        "type_conversion_expression" => {
            let text = model.string(value.child_by_field_name("operand")?)?;
            i128::try_from(text.len()).ok()
        }
        _ => None,
    }
}

/// The bounds of `x[a:b]`, as far as they are written out.
fn range_of<'t>(model: &Model<'_, 't>, slice: Node<'t>) -> Option<Range<i128>> {
    let bound =
        |field: &str, open: i128| slice.child_by_field_name(field).map_or(Some(open), |node| model.integer(node));
    Some(bound("start", 0)?..bound("end", i128::MAX)?)
}

/// Which bytes of a buffer come from a random source.
#[derive(Default)]
struct Covered {
    length: Option<i128>,
    random: Vec<Range<i128>>,
}

impl Covered {
    fn add(&mut self, part: Range<i128>) {
        let end = self.length.map_or(part.end, |length| part.end.min(length));
        self.random.push(part.start..end);
    }

    fn remove(&mut self, part: Range<i128>) {
        let mut left = Vec::new();
        for range in self.random.drain(..) {
            left.push(range.start..range.end.min(part.start));
            left.push(range.start.max(part.end)..range.end);
        }
        left.retain(|range| range.start < range.end);
        self.random = left;
    }

    fn is_random(&mut self, part: Option<Range<i128>>) -> bool {
        let wanted = part.unwrap_or(0..i128::MAX);
        let end = self.length.map_or(wanted.end, |length| wanted.end.min(length));
        self.random.sort_by_key(|range| range.start);
        let mut at = wanted.start;
        for range in &self.random {
            if range.start <= at {
                at = at.max(range.end);
            }
        }
        !self.random.is_empty() && at >= end
    }

    /// Goes through what happens to a buffer before `until`. Its bytes begin `offset` bytes into the whole.
    fn fill<'t>(&mut self, model: &Model<'_, 't>, variable: &Variable<'t>, offset: i128, until: usize, depth: usize) {
        let left = model.steps_left.get();
        if depth > DEPTH_MAX || left == 0 {
            return;
        }
        model.steps_left.set(left - 1);
        for used in variable.uses.iter().take(USES_MAX).filter(|used| used.start_byte() < until) {
            let mut at = *used;
            let mut part = offset..i128::MAX;
            if let Some(slice) = model.parent(at).filter(|above| above.kind() == "slice_expression") {
                let Some(range) = range_of(model, slice) else { continue };
                part = offset.saturating_add(range.start)..offset.saturating_add(range.end);
                at = slice;
            }
            let Some(above) = model.parent(at) else { continue };
            match above.kind() {
                "argument_list" => {
                    let Some(call) = model.parent(above) else { continue };
                    match filled_by(model, call, at, depth) {
                        Some(true) => self.add(part),
                        Some(false) => self.remove(part),
                        None => {}
                    }
                }
                "index_expression" => self.store(model, above, offset, depth),
                // Another name for the same bytes.
                "expression_list" => {
                    let Some(declaration) = model.parent(above).filter(|node| node.kind() == "short_var_declaration")
                    else {
                        continue;
                    };
                    let is_right =
                        declaration.child_by_field_name("right").is_some_and(|right| right.id() == above.id());
                    let name = declaration.child_by_field_name("left").and_then(|left| left.named_child(0));
                    if let (true, Some(alias)) = (is_right, name.and_then(|name| model.variable(name))) {
                        self.fill(model, alias, part.start, until, depth + 1);
                    }
                }
                _ => {}
            }
        }
    }

    /// `x[i] = value`.
    fn store<'t>(&mut self, model: &Model<'_, 't>, place: Node<'t>, offset: i128, depth: usize) {
        let assignment = model
            .parent(place)
            .and_then(|list| model.parent(list))
            .filter(|above| above.kind() == "assignment_statement");
        let Some(assignment) = assignment else { return };
        if !assignment.child_by_field_name("left").is_some_and(|left| left.byte_range().contains(&place.start_byte())) {
            return;
        }
        let value = assignment.child_by_field_name("right").and_then(|right| right.named_child(0));
        let fixed = value.is_some_and(|value| bytes_of(model, value, place.start_byte(), depth + 1) == Bytes::Fixed);
        let index = place.child_by_field_name("index").and_then(|index| model.integer(index));
        if let (true, Some(index)) = (fixed, index) {
            let index = offset.saturating_add(index);
            self.remove(index..index.saturating_add(1));
        }
    }
}

/// Whether a call fills its argument with what is not known beforehand (true) or with fixed bytes (false).
fn filled_by<'t>(model: &Model<'_, 't>, call: Node<'t>, arg: Node<'t>, depth: usize) -> Option<bool> {
    let callee = behind(model, call).unwrap_or_else(|| model.callee(call));
    if callee.starts_with("crypto/cipher.")
        || callee.starts_with("crypto/aes.")
        || callee.contains("crypto/cipher.AEAD")
    {
        return None;
    }
    let args = arguments(call);
    let position = args.iter().position(|other| other.id() == arg.id())?;
    match callee.as_str() {
        ".copy" => {
            let source = args.get(1).copied()?;
            return (position == 0).then(|| bytes_of(model, source, call.start_byte(), depth + 1) == Bytes::Open);
        }
        ".len" | ".cap" | ".append" | ".string" | ".print" | ".println" => return None,
        _ => {}
    }
    // What prints or compares bytes leaves them as they are.
    if ["fmt.", "encoding/hex.", "encoding/base64.", "bytes.", "log.", "(encoding/base64", "(*encoding/base64"]
        .iter()
        .any(|reader| callee.starts_with(reader))
    {
        return None;
    }
    let function = call.child_by_field_name("function");
    let held = function
        .and_then(|function| model.variable(function))
        .and_then(|variable| variable.values.first())
        .map(|value| value.node);
    let own = callee
        .strip_prefix('.')
        .and_then(|name| model.functions.get(name).copied())
        .or(held.filter(|held| held.kind() == "func_literal"));
    let own = own.or_else(|| {
        let (owner, name) = callee.strip_prefix('(')?.split_once(").")?;
        model.method(owner, name)
    });
    let Some(function) = own else { return Some(true) };
    let name = super::taint::parameters(function).get(position).copied()?;
    let parameter = model.variable(name)?;
    let mut covered = Covered::default();
    covered.fill(model, parameter, 0, usize::MAX, depth + 1);
    if covered.is_random(None) { Some(true) } else { None }
}
