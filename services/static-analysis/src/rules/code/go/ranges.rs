//! Between which numbers the value of an expression lies, by its type, by what it is made of, and by the conditions that were
//! checked before.

use tree_sitter::Node;

use super::conditions::Condition;
use super::model::{Kind, Model};
use super::taint::reaching;
use super::types::{INTEGERS, arguments};

/// From the least to the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interval {
    pub(super) low: i128,
    pub(super) high: i128,
}

/// How far one expression leads to another.
pub(super) const DEPTH_MAX: usize = 8;
/// Expressions that are looked at for one question.
const STEPS_MAX: usize = 400;

/// Wider than any type, and far from what an i128 can hold, so that no step overflows.
pub(super) const ANY: Interval = Interval { low: -(1 << 110), high: 1 << 110 };

impl Interval {
    pub(super) fn point(value: i128) -> Self {
        Self { low: value, high: value }
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self { low: self.low.max(other.low), high: self.high.min(other.high) }
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    pub(super) fn within(self, other: Self) -> bool {
        self.low > self.high || self.low >= other.low && self.high <= other.high
    }

    fn of_corners(self, other: Self, by: fn(i128, i128) -> Option<i128>) -> Option<Self> {
        let mut found: Option<Self> = None;
        for a in [self.low, self.high] {
            for b in [other.low, other.high] {
                let corner = Self::point(by(a, b)?);
                found = Some(found.map_or(corner, |found| found.or(corner)));
            }
        }
        found
    }
}

/// What fits into an integer type.
pub(super) fn of_type(name: &str) -> Option<Interval> {
    let (signed, bits) = match name {
        "int" | "int64" => (true, 64),
        "int8" => (true, 8),
        "int16" => (true, 16),
        "int32" | "rune" => (true, 32),
        "uint" | "uint64" | "uintptr" => (false, 64),
        "uint8" | "byte" => (false, 8),
        "uint16" => (false, 16),
        "uint32" => (false, 32),
        _ => return None,
    };
    Some(if signed {
        Interval { low: -(1_i128 << (bits - 1)), high: (1_i128 << (bits - 1)) - 1 }
    } else {
        Interval { low: 0, high: (1_i128 << bits) - 1 }
    })
}

impl<'a, 't> Model<'a, 't> {
    /// Where the value of `node` lies when `place` is reached.
    pub(super) fn interval(&self, node: Node<'t>, place: Node<'t>) -> Interval {
        self.steps_left.set(STEPS_MAX);
        self.interval_within(node, place, 0)
    }

    /// What conditions say at `place` about an expression that is written like this; `None` when there are none.
    pub(super) fn checked(&self, key: &str, place: Node<'t>) -> Option<Interval> {
        self.steps_left.set(STEPS_MAX);
        self.conditions(key, place, 0).iter().map(|condition| condition.interval).reduce(Interval::and)
    }

    pub(super) fn interval_within(&self, node: Node<'t>, place: Node<'t>, depth: usize) -> Interval {
        let of_type = of_type(&self.underlying(&self.type_of(node))).unwrap_or(ANY);
        let left = self.steps_left.get();
        if depth > DEPTH_MAX || left == 0 {
            return of_type;
        }
        self.steps_left.set(left - 1);
        if let Some(value) = self.integer(node) {
            return Interval::point(value);
        }
        if node.kind() == "identifier" {
            return self.interval_of_variable(node, place, of_type, depth);
        }
        let made = self.interval_made(node, place, depth).filter(|made| made.within(of_type)).unwrap_or(of_type);
        let conditions = self.conditions(self.source(node), place, depth);
        conditions.iter().fold(made.and(of_type), |interval, condition| interval.and(condition.interval))
    }

    /// What an expression is made of says where it lies.
    fn interval_made(&self, node: Node<'t>, place: Node<'t>, depth: usize) -> Option<Interval> {
        let of = |name: &str| Some(self.interval_within(node.child_by_field_name(name)?, place, depth + 1));
        match node.kind() {
            "parenthesized_expression" => Some(self.interval_within(node.named_child(0)?, place, depth + 1)),
            "unary_expression" if self.operator(node) == "-" => {
                let operand = of("operand")?;
                Some(Interval { low: operand.high.checked_neg()?, high: operand.low.checked_neg()? })
            }
            "binary_expression" => self.interval_of_sum(self.operator(node), of("left")?, of("right")?),
            "call_expression" => self.interval_of_call(node, place, depth),
            _ => None,
        }
    }

    fn interval_of_sum(&self, operator: &str, left: Interval, right: Interval) -> Option<Interval> {
        let by = (right.low == right.high).then_some(right.low);
        match operator {
            "+" => left.of_corners(right, i128::checked_add),
            "-" => left.of_corners(right, i128::checked_sub),
            "*" => left.of_corners(right, i128::checked_mul),
            "/" => left.of_corners(Interval::point(by.filter(|by| *by > 0)?), i128::checked_div),
            "%" => {
                let most = right.low.abs().max(right.high.abs()).checked_sub(1).filter(|most| *most >= 0)?;
                let low = if left.low >= 0 { 0 } else { -most };
                Some(Interval { low, high: most.min(left.high.max(0)) })
            }
            "&" => {
                let mask = if right.low >= 0 {
                    right.high
                } else if left.low >= 0 {
                    left.high
                } else {
                    return None;
                };
                let other = if left.low >= 0 { left.high } else { mask };
                Some(Interval { low: 0, high: mask.min(other) })
            }
            ">>" => {
                let by = u32::try_from(right.low).ok().filter(|by| *by < 127)?;
                let most = if right.low == right.high { by } else { 126 };
                let shifted = Interval { low: left.low >> by, high: left.high >> by };
                Some(shifted.or(Interval { low: left.low >> most, high: left.high >> by }))
            }
            "<<" => {
                let by = u32::try_from(by?).ok().filter(|by| *by < 63)?;
                left.of_corners(Interval::point(1_i128 << by), i128::checked_mul)
            }
            "|" | "^" if left.low >= 0 && right.low >= 0 => {
                let most = u128::try_from(left.high.max(right.high)).ok()?;
                let all = most.checked_add(1)?.checked_next_power_of_two()?;
                Some(Interval { low: 0, high: i128::try_from(all - 1).ok()? })
            }
            _ => None,
        }
    }

    fn interval_of_call(&self, call: Node<'t>, place: Node<'t>, depth: usize) -> Option<Interval> {
        let callee = self.callee(call);
        let args = arguments(call);
        let of = |at: usize| Some(self.interval_within(*args.get(at)?, place, depth + 1));
        match callee.as_str() {
            ".len" => {
                // As long as it was made; a slice that is written out or made can only be cut.
                let long = args.first().and_then(|of| super::bounds::room(self, *of, depth));
                return Some(Interval { low: 0, high: long.unwrap_or(i128::from(i64::MAX)) });
            }
            ".cap" => return Some(Interval { low: 0, high: i128::from(i64::MAX) }),
            ".min" | ".max" => {
                let mut all = args.iter().take(16).map(|arg| self.interval_within(*arg, place, depth + 1));
                let first = all.next()?;
                return Some(all.fold(first, |a, b| {
                    if callee == ".min" {
                        Interval { low: a.low.min(b.low), high: a.high.min(b.high) }
                    } else {
                        Interval { low: a.low.max(b.low), high: a.high.max(b.high) }
                    }
                }));
            }
            "strconv.ParseInt" | "strconv.ParseUint" => {
                let bits = self.integer(*args.get(2)?).filter(|bits| (1..=64).contains(bits))?;
                let all = 1_i128 << bits;
                let signed = callee.ends_with("ParseInt");
                return Some(if signed {
                    Interval { low: -(all / 2), high: all / 2 - 1 }
                } else {
                    Interval { low: 0, high: all - 1 }
                });
            }
            _ => {}
        }
        let name = callee.rsplit('.').next().unwrap_or("");
        let is_random = callee.starts_with("math/rand") || callee.contains("math/rand");
        if is_random && matches!(name, "Intn" | "Int31n" | "Int63n" | "IntN" | "Int32N" | "Int64N") {
            return Some(Interval { low: 0, high: of(0)?.high.checked_sub(1)? });
        }
        if is_random && name.starts_with("Int") {
            return Some(Interval { low: 0, high: self::of_type(&self.type_of(call))?.high });
        }
        let converted =
            callee.strip_prefix('.').filter(|name| INTEGERS.contains(name) || self.types.contains_key(name))?;
        let room = self::of_type(&self.underlying(converted))?;
        of(0).filter(|of| of.within(room))
    }

    fn interval_of_variable(&self, node: Node<'t>, place: Node<'t>, of_type: Interval, depth: usize) -> Interval {
        let conditions = self.conditions(self.source(node), place, depth);
        let Some(variable) = self.variable(node) else {
            return conditions.iter().fold(of_type, |interval, condition| interval.and(condition.interval));
        };
        let apply = |start: Interval, at: usize| {
            let holds = |condition: &&Condition| condition.at >= at && !condition.statement.contains(&at);
            conditions
                .iter()
                .filter(holds)
                .fold(start.and(of_type), |interval, condition| interval.and(condition.interval))
        };
        let (up, down) = self.steps(variable.uses.iter().take(256).copied());
        match variable.kind {
            Kind::Local if !variable.values.is_empty() => {
                let mut found: Option<Interval> = None;
                for value in reaching(self, variable, node) {
                    let unknown = value.adds || value.index > 0 || value.at > place.start_byte();
                    let start = if unknown { of_type } else { self.interval_within(value.node, value.node, depth + 1) };
                    let start = Interval {
                        low: if down { of_type.low } else { start.low },
                        high: if up { of_type.high } else { start.high },
                    };
                    let interval = apply(start, value.at);
                    found = Some(found.map_or(interval, |found| found.or(interval)));
                }
                found.unwrap_or(of_type)
            }
            Kind::Range => apply(
                self.interval_of_range(variable.values.first().map(|value| (value.node, value.index)), depth)
                    .unwrap_or(of_type),
                0,
            ),
            // Nothing was put into it yet.
            Kind::Local if !up && !down => apply(Interval::point(0), 0),
            _ => apply(of_type, 0),
        }
    }

    /// Whether a variable is counted up, and down.
    fn steps(&self, uses: impl Iterator<Item = Node<'t>>) -> (bool, bool) {
        let mut steps = (false, false);
        for used in uses {
            match self.parent(used).map(|above| above.kind()) {
                Some("inc_statement") => steps.0 = true,
                Some("dec_statement") => steps.1 = true,
                // Whoever has the address can do what they like.
                Some("unary_expression") if self.parent(used).is_some_and(|above| self.operator(above) == "&") => {
                    return (true, true);
                }
                _ => {}
            }
        }
        steps
    }

    fn interval_of_range(&self, value: Option<(Node<'t>, usize)>, depth: usize) -> Option<Interval> {
        let (ranged, index) = value?;
        if index == 0 {
            let number = self.integer(ranged).or_else(|| {
                let of = self.underlying(&self.type_of(ranged));
                INTEGERS.contains(&of.as_str()).then(|| self.interval_within(ranged, ranged, depth + 1).high)
            });
            let most = number.unwrap_or(i128::from(i64::MAX)).checked_sub(1)?;
            let map = self.underlying(&self.type_of(ranged)).starts_with("map[");
            return (!map).then_some(Interval { low: 0, high: most });
        }
        let literal = if ranged.kind() == "identifier" { self.variable(ranged)?.values.first()?.node } else { ranged };
        let body = literal.child_by_field_name("body").filter(|_| literal.kind() == "composite_literal")?;
        let mut found: Option<Interval> = None;
        for element in self.list(body).iter().take(256) {
            let point = Interval::point(self.integer(element.named_child(0)?)?);
            found = Some(found.map_or(point, |found| found.or(point)));
        }
        found
    }
}
