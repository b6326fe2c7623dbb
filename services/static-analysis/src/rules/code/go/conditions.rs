//! What the conditions that were checked on the way to a place leave to the value of an expression.

use tree_sitter::Node;

use super::model::{Model, is_function};
use super::ranges::{ANY, DEPTH_MAX, Interval, of_type};
use super::types::{INTEGERS, arguments};
use crate::rules::code::program::children;

/// Blocks around a place, and statements above it in each, that are looked at for conditions.
const BLOCKS_MAX: usize = 40;
const STATEMENTS_MAX: usize = 40;

/// A condition that holds at a place: the interval that it leaves to what was asked about, and the statement it stands in.
pub(super) struct Condition {
    pub(super) interval: Interval,
    pub(super) at: usize,
    pub(super) statement: std::ops::Range<usize>,
}

impl<'a, 't> Model<'a, 't> {
    /// What the conditions around and above `place` say about the expression that is written as `key`.
    pub(super) fn conditions(&self, key: &str, place: Node<'t>, depth: usize) -> Vec<Condition> {
        let mut found = Vec::new();
        let mut child = place;
        for above in self.ancestors(place).take(BLOCKS_MAX) {
            if is_function(above) {
                break;
            }
            let is = |field: &str| above.child_by_field_name(field).is_some_and(|node| node.id() == child.id());
            let condition = above.child_by_field_name("condition");
            match above.kind() {
                "if_statement" if is("consequence") => self.note(condition, true, key, above, depth, &mut found),
                "if_statement" if is("alternative") => self.note(condition, false, key, above, depth, &mut found),
                "binary_expression" if is("right") && self.operator(above) == "&&" => {
                    self.note(above.child_by_field_name("left"), true, key, above, depth, &mut found);
                }
                "binary_expression" if is("right") && self.operator(above) == "||" => {
                    self.note(above.child_by_field_name("left"), false, key, above, depth, &mut found);
                }
                "for_statement" if is("body") => {
                    let clause = children(above).into_iter().find(|part| part.id() != child.id());
                    let condition = clause.and_then(|clause| {
                        if clause.kind() == "for_clause" {
                            clause.child_by_field_name("condition")
                        } else {
                            Some(clause)
                        }
                    });
                    self.note(
                        condition.filter(|condition| condition.kind() != "range_clause"),
                        true,
                        key,
                        above,
                        depth,
                        &mut found,
                    );
                }
                "expression_case" => self.note_case(above, key, depth, &mut found),
                "statement_list" | "block" => self.note_above(above, child, key, depth, &mut found),
                _ => {}
            }
            child = above;
        }
        found
    }

    fn note(
        &self,
        condition: Option<Node<'t>>,
        holds: bool,
        key: &str,
        statement: Node<'t>,
        depth: usize,
        found: &mut Vec<Condition>,
    ) {
        if let Some(condition) = condition
            && let Some(interval) = self.left_by(condition, holds, key, depth)
        {
            // What is declared in the same statement stands before its condition.
            let at = condition.start_byte().max(statement.start_byte());
            found.push(Condition { interval, at, statement: 0..0 });
        }
    }

    fn note_case(&self, case: Node<'t>, key: &str, depth: usize, found: &mut Vec<Condition>) {
        let Some(switch) = self.parent(case) else { return };
        let subject = switch.child_by_field_name("value");
        if subject.is_none() {
            let cases = self.list(switch);
            let earlier = cases.iter().take(16).take_while(|other| other.start_byte() < case.start_byte());
            earlier
                .filter(|other| other.kind() == "expression_case")
                .for_each(|other| self.note_not(*other, switch, key, depth, found));
        }
        let values = case.child_by_field_name("value").map(children).unwrap_or_default();
        let mut interval: Option<Interval> = None;
        for value in &values {
            let one = match subject {
                Some(subject) if self.source(subject) == key => Some(self.interval_within(*value, *value, depth + 1)),
                Some(_) => None,
                None => self.left_by(*value, true, key, depth),
            };
            let Some(one) = one else { return };
            interval = Some(interval.map_or(one, |interval| interval.or(one)));
        }
        if let Some(interval) = interval {
            found.push(Condition { interval, at: switch.start_byte(), statement: 0..0 });
        }
    }

    /// The statements above that leave when a condition holds.
    fn note_above(&self, list: Node<'t>, child: Node<'t>, key: &str, depth: usize, found: &mut Vec<Condition>) {
        let statements = self.list(list);
        let above = statements.partition_point(|node| node.start_byte() < child.start_byte());
        for &statement in statements[..above].iter().rev().take(STATEMENTS_MAX) {
            if statement.kind() == "expression_switch_statement" {
                self.note_switch(statement, key, depth, found);
            }
            if statement.kind() != "if_statement" {
                continue;
            }
            let (Some(condition), Some(then)) =
                (statement.child_by_field_name("condition"), statement.child_by_field_name("consequence"))
            else {
                continue;
            };
            let otherwise = statement.child_by_field_name("alternative");
            let leaves = self.leaves(then);
            let sets = |block: Node<'t>| {
                self.list(block.named_child(0).unwrap_or(block)).iter().any(|inner| {
                    let left = inner.child_by_field_name("left").filter(|_| inner.kind() == "assignment_statement");
                    left.is_some_and(|left| self.source(left) == key)
                })
            };
            let holds = if leaves || otherwise.is_none() && sets(then) {
                false
            } else if otherwise.is_some_and(|otherwise| self.leaves(otherwise)) {
                true
            } else {
                continue;
            };
            if let Some(interval) = self.left_by(condition, holds, key, depth) {
                let after = if leaves { 0..0 } else { statement.byte_range() };
                found.push(Condition { interval, at: statement.start_byte(), statement: after });
            }
        }
    }

    /// A switch above whose cases leave.
    fn note_switch(&self, switch: Node<'t>, key: &str, depth: usize, found: &mut Vec<Condition>) {
        if switch.child_by_field_name("value").is_some() {
            return;
        }
        for &case in self.list(switch).iter().take(16) {
            let body = self.list(case).last().copied();
            if case.kind() == "expression_case" && body.is_some_and(|body| self.leaves(body)) {
                self.note_not(case, switch, key, depth, found);
            }
        }
    }

    /// None of the values of a case holds.
    fn note_not(&self, case: Node<'t>, statement: Node<'t>, key: &str, depth: usize, found: &mut Vec<Condition>) {
        for value in case.child_by_field_name("value").map(children).unwrap_or_default() {
            self.note(Some(value), false, key, statement, depth, found);
        }
    }

    /// Whether a block never goes on to what follows it.
    fn leaves(&self, block: Node<'t>) -> bool {
        let list = block.named_child(0).filter(|list| list.kind() == "statement_list").unwrap_or(block);
        let Some(last) = self.list(list).last().copied() else { return false };
        match last.kind() {
            "return_statement" | "continue_statement" | "break_statement" | "goto_statement" => true,
            "expression_statement" => {
                let callee = last.named_child(0).map(|call| self.callee(call)).unwrap_or_default();
                let name = callee.rsplit('.').next().unwrap_or("");
                callee == ".panic"
                    || callee == "os.Exit"
                    || matches!(name, "Fatal" | "Fatalf" | "Fatalln" | "Panic" | "Panicf" | "Goexit")
            }
            _ => false,
        }
    }

    /// The interval that a condition leaves to `key` when it holds, or when it does not.
    fn left_by(&self, condition: Node<'t>, holds: bool, key: &str, depth: usize) -> Option<Interval> {
        if depth > DEPTH_MAX {
            return None;
        }
        match condition.kind() {
            "parenthesized_expression" => self.left_by(condition.named_child(0)?, holds, key, depth + 1),
            "unary_expression" if self.operator(condition) == "!" => {
                self.left_by(condition.child_by_field_name("operand")?, !holds, key, depth + 1)
            }
            "binary_expression" => {
                let (left, right) = (condition.child_by_field_name("left")?, condition.child_by_field_name("right")?);
                let operator = self.operator(condition);
                match operator {
                    "&&" | "||" => {
                        let of_left = self.left_by(left, holds, key, depth + 1);
                        let of_right = self.left_by(right, holds, key, depth + 1);
                        if (operator == "&&") == holds {
                            Some(of_left.unwrap_or(ANY).and(of_right.unwrap_or(ANY))).filter(|both| *both != ANY)
                        } else {
                            Some(of_left?.or(of_right?))
                        }
                    }
                    _ => {
                        let operator = if holds { operator } else { negated(operator)? };
                        let straight = self.bound(left, operator, right, key, depth);
                        straight.or_else(|| self.bound(right, mirrored(operator)?, left, key, depth))
                    }
                }
            }
            _ => None,
        }
    }

    /// What `side operator other` leaves to `key`, which stands in `side`.
    fn bound(&self, side: Node<'t>, operator: &str, other: Node<'t>, key: &str, depth: usize) -> Option<Interval> {
        let limit = self.interval_within(other, other, depth + 2);
        let left = match operator {
            "<" => Interval { high: limit.high.checked_sub(1)?, ..ANY },
            "<=" => Interval { high: limit.high, ..ANY },
            ">" => Interval { low: limit.low.checked_add(1)?, ..ANY },
            ">=" => Interval { low: limit.low, ..ANY },
            "==" => limit,
            "!=" if limit == Interval::point(0) => {
                let of = of_type(&self.underlying(&self.type_of(side)))?;
                (of.low == 0).then_some(Interval { low: 1, ..ANY })?
            }
            _ => return None,
        };
        self.solved(side, left, key, depth)
    }

    /// The interval of `key` when the expression `side` that is made of it lies in `interval`.
    fn solved(&self, side: Node<'t>, interval: Interval, key: &str, depth: usize) -> Option<Interval> {
        if self.source(side) == key {
            return Some(interval);
        }
        if depth > DEPTH_MAX {
            return None;
        }
        match side.kind() {
            "parenthesized_expression" => self.solved(side.named_child(0)?, interval, key, depth + 1),
            "call_expression" => {
                let callee = self.callee(side);
                let converted =
                    callee.strip_prefix('.').filter(|name| INTEGERS.contains(name) || self.types.contains_key(name))?;
                let inner = *arguments(side).first()?;
                // Only where nothing is lost on the way.
                let room = of_type(&self.underlying(converted))?;
                let of = of_type(&self.underlying(&self.type_of(inner)))?;
                let signs = of.low < 0 && room.low == 0 && interval.low <= ANY.low;
                if of.within(room) {
                    self.solved(inner, interval, key, depth + 1)
                } else if signs && interval.high < room.high / 2 {
                    // A negative number would have become a great one.
                    self.solved(inner, Interval { low: 0, ..interval }, key, depth + 1)
                } else {
                    None
                }
            }
            "binary_expression" => {
                let (left, right) = (side.child_by_field_name("left")?, side.child_by_field_name("right")?);
                let (inner, by) = match (self.integer(left), self.integer(right)) {
                    (None, Some(by)) => (left, by),
                    (Some(by), None) if matches!(self.operator(side), "+" | "*") => (right, by),
                    _ => return None,
                };
                let solved = match self.operator(side) {
                    "+" => Interval { low: interval.low.saturating_sub(by), high: interval.high.saturating_sub(by) },
                    "-" => Interval { low: interval.low.saturating_add(by), high: interval.high.saturating_add(by) },
                    "*" if by > 0 => Interval { low: interval.low / by, high: interval.high / by },
                    "/" if by > 0 => Interval {
                        low: interval.low.saturating_mul(by),
                        high: interval.high.saturating_add(1).saturating_mul(by).saturating_sub(1),
                    },
                    ">>" if (0..63).contains(&by) => Interval {
                        low: interval.low.saturating_mul(1 << by),
                        high: interval.high.saturating_add(1).saturating_mul(1 << by).saturating_sub(1),
                    },
                    "<<" if (0..63).contains(&by) => Interval { low: interval.low >> by, high: interval.high >> by },
                    _ => return None,
                };
                self.solved(inner, solved, key, depth + 1)
            }
            _ => None,
        }
    }
}

fn negated(operator: &str) -> Option<&'static str> {
    Some(match operator {
        "<" => ">=",
        "<=" => ">",
        ">" => "<=",
        ">=" => "<",
        "==" => "!=",
        "!=" => "==",
        _ => return None,
    })
}

fn mirrored(operator: &str) -> Option<&'static str> {
    Some(match operator {
        "<" => ">",
        "<=" => ">=",
        ">" => "<",
        ">=" => "<=",
        "==" => "==",
        "!=" => "!=",
        _ => return None,
    })
}
