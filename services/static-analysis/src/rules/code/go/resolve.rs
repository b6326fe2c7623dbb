//! Whether an expression is fixed when the program is built, and what it is then.

use tree_sitter::Node;

use super::model::{FIELD, FUNCTION, Kind, Model, Value};
use super::types::arguments;
use crate::rules::code::program::children;

const DEPTH_MAX: usize = 12;

impl<'a, 't> Model<'a, 't> {
    /// Whether all that goes into an expression is written out in the file: literals, constants, and variables that were
    /// declared with such a value.
    pub(super) fn is_fixed(&self, node: Node<'t>) -> bool {
        self.fixed_within(node, 0)
    }

    fn fixed_within(&self, node: Node<'t>, depth: usize) -> bool {
        if depth > DEPTH_MAX {
            return false;
        }
        let of = |name: &str| node.child_by_field_name(name).is_some_and(|child| self.fixed_within(child, depth + 1));
        match node.kind() {
            "interpreted_string_literal"
            | "raw_string_literal"
            | "int_literal"
            | "float_literal"
            | "rune_literal"
            | "true"
            | "false"
            | "nil"
            | "imaginary_literal" => true,
            "literal_element" | "variadic_argument" | "parenthesized_expression" => {
                node.named_child(0).is_some_and(|child| self.fixed_within(child, depth + 1))
            }
            "composite_literal" => {
                node.child_by_field_name("body").is_some_and(|body| self.fixed_within(body, depth + 1))
            }
            "literal_value" => {
                let elements = children(node);
                !elements.is_empty()
                    && elements.len() < 4_096
                    && elements.into_iter().all(|element| self.fixed_within(element, depth + 1))
            }
            "keyed_element" => of("key") && of("value"),
            "binary_expression" => of("left") && of("right"),
            "index_expression" | "slice_expression" => of("operand"),
            "identifier" => match self.variable(node) {
                Some(variable) if variable.kind == Kind::Constant => true,
                Some(variable) if matches!(variable.kind, Kind::Parameter | Kind::Receiver | Kind::Result) => false,
                Some(variable) => {
                    let first: Option<&Value<'_>> = variable.values.first();
                    first.is_some_and(|value| {
                        value.at == variable.declared.start_byte() && self.fixed_within(value.node, depth + 1)
                    })
                }
                // The constant of another file or a function; in a hunk that does not show the function around it, perhaps a
                // variable.
                None => self.function_of(node).is_some() || self.source(node).starts_with(|c: char| c.is_uppercase()),
            },
            "call_expression" => self.is_fixed_builder(node, depth),
            _ => false,
        }
    }

    /// `b.String()` of a builder into which only fixed texts were written.
    fn is_fixed_builder(&self, call: Node<'t>, depth: usize) -> bool {
        let Some(function) = call.child_by_field_id(*FUNCTION) else { return false };
        let name = function.child_by_field_id(*FIELD).map(|name| self.source(name));
        let Some(operand) = function.child_by_field_name("operand").filter(|_| name == Some("String")) else {
            return false;
        };
        let of = self.type_of(operand);
        if !matches!(of.trim_start_matches('*'), "strings.Builder" | "bytes.Buffer") {
            return false;
        }
        let Some(variable) = self.variable(operand).filter(|variable| variable.kind == Kind::Local) else {
            return false;
        };
        let empty = variable.values.iter().all(|value| self.source(value.node).ends_with("{}"));
        let fixed = |written: Node<'t>| {
            let selector = self.parent(written).filter(|parent| parent.kind() == "selector_expression")?;
            let call = self.parent(selector).filter(|parent| parent.kind() == "call_expression")?;
            let method = self.source(selector.child_by_field_id(*FIELD)?);
            match method {
                "WriteString" | "WriteByte" | "WriteRune" | "Write" => {
                    Some(arguments(call).into_iter().all(|argument| self.fixed_within(argument, depth + 1)))
                }
                "String" | "Len" | "Cap" | "Reset" | "Grow" => Some(true),
                _ => Some(false),
            }
        };
        empty && variable.uses.len() < 1_000 && variable.uses.iter().all(|written| fixed(*written) == Some(true))
    }

    /// The text of a string literal, without its quotes.
    pub(super) fn literal(&self, node: Node<'t>) -> Option<&'a str> {
        let text = self.source(node);
        let quote = match node.kind() {
            "interpreted_string_literal" => '"',
            "raw_string_literal" => '`',
            _ => return None,
        };
        text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote))
    }

    /// The text of an expression that is fixed: a literal, a constant, a sum of them.
    pub(super) fn string(&self, node: Node<'t>) -> Option<String> {
        self.string_within(node, 0)
    }

    fn string_within(&self, node: Node<'t>, depth: usize) -> Option<String> {
        if depth > DEPTH_MAX {
            return None;
        }
        if let Some(text) = self.literal(node) {
            return Some(text.to_owned());
        }
        match node.kind() {
            "parenthesized_expression" => self.string_within(node.named_child(0)?, depth + 1),
            "binary_expression" if self.operator(node) == "+" => {
                let left = self.string_within(node.child_by_field_name("left")?, depth + 1)?;
                Some(left + &self.string_within(node.child_by_field_name("right")?, depth + 1)?)
            }
            "identifier" => {
                let variable = self.variable(node)?;
                let value = variable.values.first().filter(|value| value.at == variable.declared.start_byte())?;
                self.string_within(value.node, depth + 1)
            }
            _ => None,
        }
    }

    /// An integer that is written out, perhaps behind a constant or a variable.
    pub(super) fn integer(&self, node: Node<'t>) -> Option<i128> {
        // What is greater than every type is no number that a program counts with.
        self.integer_within(node, 0).filter(|value| (-(1 << 100)..=1 << 100).contains(value))
    }

    fn integer_within(&self, node: Node<'t>, depth: usize) -> Option<i128> {
        if depth > DEPTH_MAX {
            return None;
        }
        let of = |name: &str| self.integer_within(node.child_by_field_name(name)?, depth + 1);
        match node.kind() {
            "int_literal" => integer_literal(self.source(node)),
            "rune_literal" => self.source(node).trim_matches('\'').chars().next().map(|c| i128::from(u32::from(c))),
            "parenthesized_expression" => self.integer_within(node.named_child(0)?, depth + 1),
            "unary_expression" if self.operator(node) == "-" => of("operand")?.checked_neg(),
            "binary_expression" => {
                let (left, right) = (of("left")?, of("right")?);
                match self.operator(node) {
                    "+" => left.checked_add(right),
                    "-" => left.checked_sub(right),
                    "*" => left.checked_mul(right),
                    "/" => left.checked_div(right),
                    "%" => left.checked_rem(right),
                    "<<" => u32::try_from(right).ok().filter(|by| *by < 100).and_then(|by| left.checked_mul(1 << by)),
                    ">>" => u32::try_from(right).ok().and_then(|by| left.checked_shr(by)),
                    "&" => Some(left & right),
                    "|" => Some(left | right),
                    _ => None,
                }
            }
            "selector_expression" => {
                let package = self.package(node.child_by_field_name("operand")?)?;
                let name = self.source(node.child_by_field_id(*FIELD)?);
                if package == "math" { math_constant(name) } else { None }
            }
            "identifier" => {
                let variable = self.variable(node).filter(|variable| variable.kind == Kind::Constant)?;
                self.integer_within(variable.values.first()?.node, depth + 1)
            }
            "call_expression" => {
                let name = self.callee(node);
                let name = name.strip_prefix('.')?;
                let argument = *arguments(node).first()?;
                if name == "len" {
                    return i128::try_from(self.literal(argument)?.len()).ok();
                }
                super::types::INTEGERS.contains(&name).then(|| self.integer_within(argument, depth + 1)).flatten()
            }
            _ => None,
        }
    }

    /// The operator of an expression or a statement.
    pub(super) fn operator(&self, node: Node<'t>) -> &'a str {
        node.child_by_field_name("operator").map_or("", |operator| self.source(operator))
    }

    /// The operands of a sum of sums.
    pub(super) fn operands(&self, node: Node<'t>) -> Vec<Node<'t>> {
        let mut stack = vec![node];
        let mut operands = Vec::new();
        while let Some(node) = stack.pop() {
            if node.kind() == "binary_expression" && operands.len() < 256 {
                stack.extend(node.child_by_field_name("right"));
                stack.extend(node.child_by_field_name("left"));
            } else {
                operands.push(node);
            }
        }
        operands
    }
}

fn integer_literal(text: &str) -> Option<i128> {
    let text = text.replace('_', "").to_ascii_lowercase();
    let of = |digits: &str, base| i128::from_str_radix(digits, base).ok();
    if let Some(digits) = text.strip_prefix("0x") {
        of(digits, 16)
    } else if let Some(digits) = text.strip_prefix("0b") {
        of(digits, 2)
    } else if let Some(digits) = text.strip_prefix("0o") {
        of(digits, 8)
    } else if text.len() > 1 && text.starts_with('0') {
        of(&text, 8)
    } else {
        text.parse().ok()
    }
}

fn math_constant(name: &str) -> Option<i128> {
    let (signed, bits) = match name.split_at_checked(3)? {
        ("Max", rest) | ("Min", rest) => {
            let (signed, bits) = match rest.strip_prefix("Uint") {
                Some(bits) => (false, bits),
                None => (true, rest.strip_prefix("Int")?),
            };
            (signed, if bits.is_empty() { 64 } else { bits.parse::<u32>().ok().filter(|bits| *bits <= 64)? })
        }
        _ => return None,
    };
    match (name.starts_with("Max"), signed) {
        (true, true) => Some((1_i128 << (bits - 1)) - 1),
        (true, false) => Some((1_i128 << bits) - 1),
        (false, true) => Some(-(1_i128 << (bits - 1))),
        (false, false) => None,
    }
}
