//! Places in slices and arrays that are beyond their end.

use std::collections::{HashMap, HashSet};

use tree_sitter::Node;

use super::model::{Kind, Model, is_function};
use super::ranges::of_type;
use super::taint::position_of;
use super::types::arguments;
use crate::rules::Rule;
use crate::rules::code::PROGRAM;
use crate::rules::code::gate::Trigger;
use crate::rules::code::program::Report;
use crate::rules::code::shown::{Shown, first_name, last_name, words};

pub(super) static OUT_OF_BOUNDS: Rule = Rule {
    id: "code.go.out-of-bounds",
    title: "Place beyond the end of a slice",
    cwe: 118,
    keywords: &["make(", "[]byte", "[]int", "func "],
    remediation: "Check the index against len before it is used.",
    references: &["https://go.dev/ref/spec#Index_expressions"],
    aliases: &["G602"],
    ..PROGRAM
};

const DEPTH_MAX: usize = 6;
/// What is greater than this is not a number that somebody wrote down as a limit.
const WRITTEN_MAX: i128 = 1 << 24;
const MESSAGE: &str = "the program stops here with a panic";

pub(super) fn triggers() -> Vec<Trigger> {
    let makes = ["make([]", "[]", "[...]", "[0", "[1", "[2", "[3", "[4", "[5", "[6", "[7", "[8", "[9"];
    vec![Trigger::of(&[&OUT_OF_BOUNDS]).word(&makes).also(may_be_beyond)]
}

/// Whether a place in something whose room is written is written, too.
fn may_be_beyond(shown: &Shown<'_>) -> bool {
    let mut known: HashSet<&str> = HashSet::new();
    for line in shown.texts() {
        let assigned = line.contains('=').then(|| line.split_once(" := ").or_else(|| line.split_once(" = "))).flatten();
        match assigned {
            // Of a declaration the type is among the names, which does no harm.
            Some((left, right)) if gives_room(right.trim_start(), &known) => known.extend(words(left)),
            None if line.contains('[') => known.extend(with_room(shown, line)),
            _ => {}
        }
    }
    let mut limited = HashMap::new();
    shown.texts().enumerate().any(|(number, line)| {
        line.match_indices('[').any(|(at, _)| {
            let name = last_name(&line[..at]);
            let index = line[at + 1..].split(']').next().unwrap_or("");
            (known.contains(name) || line[..at].ends_with('}'))
                && may_be_number(shown, index, &mut limited)
                && shown.is_live(number)
        })
    })
}

fn gives_room(value: &str, known: &HashSet<&str>) -> bool {
    let value = value.trim_start_matches(['&', '(']);
    let literal = value.starts_with('[') && value.find(['{', '(']).is_some_and(|at| value[at..].starts_with('{'));
    let name = first_name(value);
    literal || value.starts_with("make([]") || known.contains(name) && !value[name.len()..].starts_with(['.', '('])
}

/// The names that a line declares without a value and that may have a known room: `var x []T`, `x [4]T`, and the parameters of
/// a function that is called here.
fn with_room<'l>(shown: &Shown<'_>, line: &'l str) -> Vec<&'l str> {
    let begin = line.trim_start();
    let called = || {
        let name = begin.strip_prefix("func ").map_or("", first_name);
        let twice = || shown.text().matches(&format!("{name}(")).nth(1).is_some();
        !name.is_empty() && (!shown.may_scan() || twice())
    };
    let slices = begin.starts_with("var ") || called();
    let declared = |(at, _): (usize, &str)| {
        let array = !line[at + 1..].starts_with(']');
        let before = line[..at].strip_suffix(' ')?;
        let name = last_name(before);
        (!name.is_empty() && (array || slices)).then_some(name)
    };
    line.match_indices('[').filter_map(declared).collect()
}

/// Whether an index may be a number that is written somewhere. `limited` knows the variables that were asked about.
fn may_be_number<'l>(shown: &Shown<'_>, index: &'l str, limited: &mut HashMap<&'l str, bool>) -> bool {
    words(index).any(|word| {
        let digit = word.starts_with(|c: char| c.is_ascii_digit());
        let empty = || ["var ", "{}", ", 0)", ", 0,"].into_iter().any(|sign| shown.has(sign));
        if digit { word != "0" || empty() } else { *limited.entry(word).or_insert_with(|| is_limited(shown, word)) }
    })
}

/// Whether a variable may be compared with a number, or be one.
fn is_limited(shown: &Shown<'_>, name: &str) -> bool {
    if !shown.may_scan() {
        return true;
    }
    let text = shown.text();
    text.match_indices(name).any(|(at, _)| {
        let rest = text[at + name.len()..].trim_start_matches(' ');
        let value = rest.trim_start_matches([':', '<', '=', '!', '>']);
        let is_compared = value.len() < rest.len();
        let loop_begin = text[..at].ends_with("for ");
        let value = value.trim_start_matches(' ');
        let number = first_name(value);
        is_compared && !loop_begin && !number.is_empty() && !value[number.len()..].starts_with(['(', '.'])
    })
}

pub(super) fn check_index<'t>(model: &Model<'_, 't>, node: Node<'t>, report: &mut Report<'_>) {
    let (Some(operand), Some(index)) = (node.child_by_field_name("operand"), node.child_by_field_name("index")) else {
        return;
    };
    let Some(room) = room(model, operand, 0) else { return };
    let most = model.interval(index, node).high;
    if most >= room && most < WRITTEN_MAX && is_written(model, index) && !is_guarded(model, operand, node, most + 1) {
        report.at(&OUT_OF_BOUNDS, node, MESSAGE);
    }
}

pub(super) fn check_slice<'t>(model: &Model<'_, 't>, node: Node<'t>, report: &mut Report<'_>) {
    let Some(operand) = node.child_by_field_name("operand") else { return };
    let Some(room) = room(model, operand, 0) else { return };
    let bounds =
        ["start", "end", "capacity"].into_iter().filter_map(|field| model.integer(node.child_by_field_name(field)?));
    let Some(most) = bounds.max() else { return };
    if most > room && !is_guarded(model, operand, node, most) {
        report.at(&OUT_OF_BOUNDS, node, MESSAGE);
    }
}

/// Whether every variable in an index only counts up, to a limit that somebody wrote down.
fn is_written<'t>(model: &Model<'_, 't>, index: Node<'t>) -> bool {
    model.operands(index).into_iter().all(|operand| {
        if model.integer(operand).is_some() {
            return true;
        }
        let Some(variable) = model.variable(operand) else { return false };
        let down = variable
            .uses
            .iter()
            .take(256)
            .any(|used| model.parent(*used).is_some_and(|above| above.kind() == "dec_statement"));
        let once = variable.values.len() == 1 && variable.values.iter().all(|value| value.index == 0 && !value.adds);
        let all = of_type(&model.underlying(&model.type_of(operand)));
        !down && once && all.is_some_and(|all| model.interval(operand, index).high < all.high)
    })
}

/// Whether a condition around the place says that there is enough.
fn is_guarded<'t>(model: &Model<'_, 't>, operand: Node<'t>, place: Node<'t>, wanted: i128) -> bool {
    let name = model.source(operand);
    ["len", "cap"]
        .iter()
        .any(|of| model.checked(&format!("{of}({name})"), place).is_some_and(|interval| interval.low >= wanted))
}

/// How many elements an expression has room for, if that is written in the file.
pub(super) fn room<'t>(model: &Model<'_, 't>, node: Node<'t>, depth: usize) -> Option<i128> {
    if depth > DEPTH_MAX {
        return None;
    }
    match node.kind() {
        "identifier" => {
            let variable = model.variable(node)?;
            if variable.kind == Kind::Parameter {
                return room_of_parameter(model, variable.declared, depth);
            }
            if let Some(of) = variable.type_node.filter(|of| of.kind() == "array_type") {
                return model.integer(of.child_by_field_name("length")?);
            }
            if !matches!(variable.kind, Kind::Local) {
                return None;
            }
            match &variable.values[..] {
                [] => {
                    // Declared, and nothing ever put into it.
                    let slice = variable.type_node.is_some_and(|of| of.kind() == "slice_type");
                    let taken = variable
                        .uses
                        .iter()
                        .any(|used| model.parent(*used).is_some_and(|above| model.operator(above) == "&"));
                    (slice && !taken).then_some(0)
                }
                [value] if value.index == 0 && !is_ranged(model, value.node) => room(model, value.node, depth + 1),
                _ => None,
            }
        }
        "call_expression" if model.callee(node) == ".make" => {
            let args = arguments(node);
            let slice = args.first().is_some_and(|of| of.kind() == "slice_type");
            let count = args.get(2).or(args.get(1)).filter(|_| slice)?;
            model.integer(*count)
        }
        "composite_literal" => {
            let of = node.child_by_field_name("type")?;
            match of.kind() {
                "array_type" => model.integer(of.child_by_field_name("length")?),
                "slice_type" | "implicit_length_array_type" => {
                    let elements = model.list(node.child_by_field_name("body")?);
                    let plain = elements.iter().all(|element| element.kind() == "literal_element");
                    plain.then_some(i128::try_from(elements.len()).ok()?)
                }
                _ => None,
            }
        }
        "slice_expression" => {
            let whole = room(model, node.child_by_field_name("operand")?, depth + 1)?;
            let start = node.child_by_field_name("start").map_or(Some(0), |start| model.integer(start))?;
            let end = node.child_by_field_name("capacity").map_or(Some(whole), |end| model.integer(end))?;
            end.checked_sub(start).filter(|room| *room >= 0)
        }
        "parenthesized_expression" => room(model, node.named_child(0)?, depth + 1),
        _ => None,
    }
}

fn is_ranged<'t>(model: &Model<'_, 't>, node: Node<'t>) -> bool {
    model.parent(node).is_some_and(|above| above.kind() == "range_clause")
}

/// The least that a caller gives.
fn room_of_parameter<'t>(model: &Model<'_, 't>, parameter: Node<'t>, depth: usize) -> Option<i128> {
    if let Some(known) = model.known_rooms.borrow().get(&parameter.id()) {
        return *known;
    }
    // A function that calls itself says nothing new.
    model.known_rooms.borrow_mut().insert(parameter.id(), None);
    let found = least_given(model, parameter, depth);
    model.known_rooms.borrow_mut().insert(parameter.id(), found);
    found
}

fn least_given<'t>(model: &Model<'_, 't>, parameter: Node<'t>, depth: usize) -> Option<i128> {
    let function = model
        .ancestors(parameter)
        .find(|above| is_function(*above))
        .filter(|function| function.kind() == "function_declaration")?;
    let name = model.source(function.child_by_field_name("name")?);
    let position = position_of(function, parameter)?;
    let rooms = model.calls.get(name)?.iter().take(16).filter_map(|call| {
        let arg = arguments(*call).get(position).copied()?;
        room(model, arg, depth + 1)
    });
    rooms.min()
}
