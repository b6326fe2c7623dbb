//! A condition of a policy: text in the Common Expression Language (CEL), checked against the types of the variables when it is
//! loaded, so that nothing is left to go wrong when it is asked.
//!
//! The grammar is CEL's (<https://github.com/google/cel-spec>), read by the crate `cel`. What is understood of it is closed: no
//! condition loops but over the findings, files or labels of one deployment, and never inside another such loop.

use cel::common::ast::{CallExpr, ComprehensionExpr, Expr as Ast, IdedExpr, LiteralValue, SourceInfo, operators};
use cel::parser::Parser;
use domain::Severity;
use globset::{Glob, GlobMatcher};
use regex::Regex;

use super::facts::{Type, Variable, variable};

/// Longest condition, in bytes.
const TEXT_BYTES_MAX: usize = 4_000;
/// How deep a condition may be nested: the parser calls itself for each bracket and each sign before a value.
const DEPTH_MAX: usize = 24;
/// How deep what is asked may be: brackets and links by && and || together.
const ASKED_DEPTH_MAX: usize = 64;
/// What the parser may need for that, several times over.
const STACK_BYTES: usize = 16 << 20;
/// Largest compiled pattern of `matches`, in bytes.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// A condition that has been checked.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) expr: Expr,
    /// What it is asked of.
    pub(crate) each: Each,
}

/// What a condition is asked of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Each {
    /// The deployment, once.
    Deployment,
    /// Each finding that counts.
    Finding,
    /// Each file of the change.
    File,
}

/// A part of a condition.
#[derive(Clone, Debug)]
pub(crate) enum Expr {
    Truth(bool),
    Number(f64),
    Level(Severity),
    Text(String),
    Texts(Vec<String>),
    Variable(&'static Variable),
    /// The label that a loop is at.
    Label,
    Has(&'static Variable),
    Not(Box<Expr>),
    And(Box<(Expr, Expr)>),
    Or(Box<(Expr, Expr)>),
    Compare(Comparison, Box<(Expr, Expr)>),
    In(Box<(Expr, Expr)>),
    Test(Box<Expr>, Test),
    Arithmetic(Operation, Box<(Expr, Expr)>),
    Size(Box<Expr>),
    /// `true` when it asks whether all hold, `false` for any.
    Loop(Over, bool, Box<Expr>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Plus,
    Minus,
    Times,
}

/// What is asked of a text.
#[derive(Clone, Debug)]
pub(crate) enum Test {
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    Matches(Regex),
    Glob(GlobMatcher),
}

/// What a loop runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    Findings,
    Files,
    Labels,
}

/// What is wrong with a condition, and the column, from 1, where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) column: usize,
    pub(crate) message: String,
}

impl Condition {
    /// Reads and checks `text`. The parser's frames are large, so that each condition is read on a stack of its own.
    pub(crate) fn parse(text: &str) -> Result<Self, Mistake> {
        let reading = || Self::read(text);
        let read = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, reading);
            thread.ok().and_then(|thread| thread.join().ok())
        });
        read.unwrap_or_else(|| {
            Err(Mistake { column: 1, message: "cannot be read: there is no memory for it".to_owned() })
        })
    }

    fn read(text: &str) -> Result<Self, Mistake> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(Mistake { column: 1, message: format!("a condition has at most {TEXT_BYTES_MAX} bytes") });
        }
        if let Some(column) = too_deep(text) {
            return Err(Mistake { column, message: format!("a condition is nested at most {DEPTH_MAX} deep") });
        }
        let parser = Parser::new().error_recovery_limit(4);
        let (ast, source) = parser.parse_with_source_info(text).map_err(|errors| {
            let first = errors.errors.first();
            let column = first.and_then(|error| usize::try_from(error.pos.1).ok()).unwrap_or(0).max(1);
            let message = first.map_or_else(|| "cannot be read".to_owned(), |error| error.msg.clone());
            Mistake { column, message }
        })?;
        let mut reader = Reader { source: &source, bound: None, each: Each::Deployment, depth: 0 };
        let (expr, of) = reader.read(&ast)?;
        if of != Type::Truth {
            return Err(reader.mistake(&ast, format!("a condition must be true or false, and this is {}", of.name())));
        }
        Ok(Self { expr, each: reader.each })
    }
}

/// The column where `text` is nested too deep for the parser, counted in its brackets and in signs in a row.
fn too_deep(text: &str) -> Option<usize> {
    let (mut brackets, mut signs) = (0_usize, 0_usize);
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' | b'?' => brackets += 1,
            b')' | b']' | b'}' => brackets = brackets.saturating_sub(1),
            b'!' | b'-' => signs += 1,
            b' ' => {}
            _ => signs = 0,
        }
        if brackets + signs > DEPTH_MAX {
            return Some(index + 1);
        }
    }
    None
}

struct Reader<'a> {
    source: &'a SourceInfo,
    /// The variable of the loop that is being read, and what it runs over.
    bound: Option<(String, Over)>,
    each: Each,
    depth: usize,
}

type Read = Result<(Expr, Type), Mistake>;

impl Reader<'_> {
    fn mistake(&self, at: &IdedExpr, message: impl Into<String>) -> Mistake {
        let column = self.source.offset_for(at.id).map_or(1, |(start, _)| start as usize + 1);
        Mistake { column, message: message.into() }
    }

    fn read(&mut self, ast: &IdedExpr) -> Read {
        // Asking goes as deep as reading does, and on a stack of ordinary size.
        if self.depth == ASKED_DEPTH_MAX {
            return Err(self.mistake(ast, "is one link too many: make two rules of this one"));
        }
        self.depth += 1;
        let read = self.read_one(ast);
        self.depth -= 1;
        read
    }

    fn read_one(&mut self, ast: &IdedExpr) -> Read {
        match &ast.expr {
            Ast::Literal(literal) => self.literal(ast, literal),
            Ast::Ident(name) => self.name(ast, name),
            Ast::Select(select) => {
                let Ast::Ident(root) = &select.operand.expr else {
                    return Err(self.mistake(ast, "is not a variable: they have two parts, as in risk.probability"));
                };
                let variable = self.field(ast, root, &select.field)?;
                Ok(if select.test {
                    (Expr::Has(variable), Type::Truth)
                } else {
                    (Expr::Variable(variable), variable.of)
                })
            }
            Ast::List(list) => {
                let texts = list.elements.iter().map(|element| match &element.expr {
                    Ast::Literal(LiteralValue::String(text)) => Ok(text.inner().to_owned()),
                    _ => Err(self.mistake(element, "a list holds texts, as in [\"main\", \"release\"]")),
                });
                Ok((Expr::Texts(texts.collect::<Result<_, _>>()?), Type::Texts))
            }
            Ast::Call(call) => self.call(ast, call),
            Ast::Comprehension(comprehension) => self.quantifier(ast, comprehension),
            _ => Err(self.mistake(ast, "is not part of the conditions that policies know")),
        }
    }

    fn literal(&self, ast: &IdedExpr, literal: &LiteralValue) -> Read {
        Ok(match literal {
            LiteralValue::Boolean(truth) => (Expr::Truth(*truth.inner()), Type::Truth),
            LiteralValue::Double(number) => (Expr::Number(*number.inner()), Type::Number),
            #[expect(clippy::cast_precision_loss, reason = "a limit beyond 2^53 means the same to a policy")]
            LiteralValue::Int(number) => (Expr::Number(*number.inner() as f64), Type::Number),
            #[expect(clippy::cast_precision_loss, reason = "a limit beyond 2^53 means the same to a policy")]
            LiteralValue::UInt(number) => (Expr::Number(*number.inner() as f64), Type::Number),
            LiteralValue::String(text) => (Expr::Text(text.inner().to_owned()), Type::Text),
            LiteralValue::Bytes(_) | LiteralValue::Null => {
                return Err(
                    self.mistake(ast, "neither bytes nor null are values here; has(…) asks whether something is known")
                );
            }
        })
    }

    fn name(&mut self, ast: &IdedExpr, name: &str) -> Read {
        if let Some((bound, over)) = &self.bound
            && bound == name
        {
            return match over {
                Over::Labels => Ok((Expr::Label, Type::Text)),
                _ => Err(self.mistake(ast, format!("say which field of {name}, as in {name}.path"))),
            };
        }
        if let Some(level) = Severity::from_name(&name.to_lowercase()).filter(|_| name == name.to_uppercase()) {
            return Ok((Expr::Level(level), Type::Level));
        }
        match variable(name) {
            Some(variable) => Ok((Expr::Variable(variable), variable.of)),
            None => Err(self.mistake(ast, unknown_name(name, ""))),
        }
    }

    fn field(&mut self, ast: &IdedExpr, root: &str, field: &str) -> Result<&'static Variable, Mistake> {
        if let Some((bound, over)) = &self.bound
            && bound == root
        {
            let root = match over {
                Over::Findings => "finding",
                Over::Files => "file",
                Over::Labels => return Err(self.mistake(ast, format!("{root} is a label, which has no fields"))),
            };
            return variable(&format!("{root}.{field}")).ok_or_else(|| self.mistake(ast, unknown_name(root, field)));
        }
        let found = variable(&format!("{root}.{field}")).ok_or_else(|| self.mistake(ast, unknown_name(root, field)))?;
        let asked = match root {
            "finding" => Each::Finding,
            "file" => Each::File,
            _ => return Ok(found),
        };
        if self.bound.is_some() {
            return Err(self.mistake(ast, format!("{root} cannot be spoken of inside a loop")));
        }
        if self.each != Each::Deployment && self.each != asked {
            return Err(self
                .mistake(ast, "a rule is asked of each finding or of each file, not of both; use findings.exists(…)"));
        }
        self.each = asked;
        Ok(found)
    }

    fn call(&mut self, ast: &IdedExpr, call: &CallExpr) -> Read {
        match (call.func_name.as_str(), &call.target, call.args.as_slice()) {
            (operators::LOGICAL_NOT, None, [one]) => Ok((Expr::Not(Box::new(self.truth(one)?)), Type::Truth)),
            (operators::LOGICAL_AND, None, [one, other]) => {
                Ok((Expr::And(Box::new((self.truth(one)?, self.truth(other)?))), Type::Truth))
            }
            (operators::LOGICAL_OR, None, [one, other]) => {
                Ok((Expr::Or(Box::new((self.truth(one)?, self.truth(other)?))), Type::Truth))
            }
            (operators::NEGATE, None, [one]) => match self.read(one)? {
                (Expr::Number(number), of) => Ok((Expr::Number(-number), of)),
                _ => Err(self.mistake(ast, "only a number can be negative")),
            },
            (operators::IN, None, [one, list]) => {
                let one = self.typed(one, Type::Text)?;
                Ok((Expr::In(Box::new((one, self.typed(list, Type::Texts)?))), Type::Truth))
            }
            ("size", Some(target), []) => self.size(target),
            ("size", None, [target]) => self.size(target),
            (name, Some(target), [argument]) => self.test(ast, name, target, argument),
            (name, None, [one, other]) => match (comparison(name), operation(name)) {
                (Some(comparison), _) => self.compare(ast, comparison, one, other),
                (None, Some(operation)) => {
                    let (one, other) = (self.number(one)?, self.number(other)?);
                    Ok((Expr::Arithmetic(operation, Box::new((one, other))), Type::Number))
                }
                _ => Err(self.mistake(ast, unknown_call(name))),
            },
            (name, ..) => Err(self.mistake(ast, unknown_call(name))),
        }
    }

    fn size(&mut self, list: &IdedExpr) -> Read {
        Ok((Expr::Size(Box::new(self.typed(list, Type::Texts)?)), Type::Number))
    }

    fn compare(&mut self, ast: &IdedExpr, comparison: Comparison, one: &IdedExpr, other: &IdedExpr) -> Read {
        let ((one, of), (other, other_of)) = (self.read(one)?, self.read(other)?);
        if !of.fits(other_of) {
            let hint = if of == Type::Level || other_of == Type::Level { "; levels are written as HIGH" } else { "" };
            let message = format!("{} cannot be compared with {}{hint}", of.name(), other_of.name());
            return Err(self.mistake(ast, message));
        }
        let ordered = !matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        if of == Type::Texts || ordered && of == Type::Truth {
            return Err(self.mistake(ast, format!("{} cannot be compared like this", of.name())));
        }
        Ok((Expr::Compare(comparison, Box::new((one, other))), Type::Truth))
    }

    fn test(&mut self, ast: &IdedExpr, name: &str, target: &IdedExpr, argument: &IdedExpr) -> Read {
        if !["startsWith", "endsWith", "contains", "matches", "glob"].contains(&name) {
            return Err(self.mistake(ast, unknown_call(name)));
        }
        let target = self.typed(target, Type::Text)?;
        let (Expr::Text(text), _) = self.read(argument)? else {
            return Err(self.mistake(argument, format!("{name} takes a text in quotes")));
        };
        let test = match name {
            "startsWith" => Test::StartsWith(text),
            "endsWith" => Test::EndsWith(text),
            "contains" => Test::Contains(text),
            "matches" => regex::RegexBuilder::new(&text)
                .size_limit(PATTERN_BYTES_MAX)
                .build()
                .map(Test::Matches)
                .map_err(|error| self.mistake(argument, format!("is not a regular expression: {error}")))?,
            _ => Glob::new(&text)
                .map(|glob| Test::Glob(glob.compile_matcher()))
                .map_err(|error| self.mistake(argument, format!("is not a glob: {error}")))?,
        };
        Ok((Expr::Test(Box::new(target), test), Type::Truth))
    }

    fn quantifier(&mut self, ast: &IdedExpr, of: &ComprehensionExpr) -> Read {
        let over = match &of.iter_range.expr {
            Ast::Ident(name) if name == "findings" => Over::Findings,
            Ast::Ident(name) if name == "files" => Over::Files,
            Ast::Select(select)
                if select.field == "labels"
                    && matches!(&select.operand.expr, Ast::Ident(root) if root == "deployment") =>
            {
                Over::Labels
            }
            _ => {
                return Err(
                    self.mistake(&of.iter_range, "only findings, files and deployment.labels can be looped over")
                );
            }
        };
        let body = match &of.loop_step.expr {
            Ast::Call(step) if step.func_name == operators::LOGICAL_AND => step.args.get(1).map(|body| (true, body)),
            Ast::Call(step) if step.func_name == operators::LOGICAL_OR => step.args.get(1).map(|body| (false, body)),
            _ => None,
        };
        let Some((all, body)) = body else {
            return Err(self.mistake(ast, "only exists(…) and all(…) loop"));
        };
        if self.bound.is_some() {
            return Err(self.mistake(ast, "a loop cannot stand inside another"));
        }
        self.bound = Some((of.iter_var.clone(), over));
        let body = self.truth(body);
        self.bound = None;
        Ok((Expr::Loop(over, all, Box::new(body?)), Type::Truth))
    }

    fn truth(&mut self, ast: &IdedExpr) -> Result<Expr, Mistake> {
        self.typed(ast, Type::Truth)
    }

    fn number(&mut self, ast: &IdedExpr) -> Result<Expr, Mistake> {
        self.typed(ast, Type::Number)
    }

    fn typed(&mut self, ast: &IdedExpr, wanted: Type) -> Result<Expr, Mistake> {
        let (expr, of) = self.read(ast)?;
        if of.fits(wanted) {
            Ok(expr)
        } else {
            Err(self.mistake(ast, format!("must be {}, and is {}", wanted.name(), of.name())))
        }
    }
}

fn comparison(name: &str) -> Option<Comparison> {
    Some(match name {
        operators::EQUALS => Comparison::Equal,
        operators::NOT_EQUALS => Comparison::NotEqual,
        operators::LESS => Comparison::Less,
        operators::LESS_EQUALS => Comparison::AtMost,
        operators::GREATER => Comparison::Greater,
        operators::GREATER_EQUALS => Comparison::AtLeast,
        _ => return None,
    })
}

fn operation(name: &str) -> Option<Operation> {
    Some(match name {
        operators::ADD => Operation::Plus,
        operators::SUBSTRACT => Operation::Minus,
        operators::MULTIPLY => Operation::Times,
        _ => return None,
    })
}

fn unknown_call(name: &str) -> String {
    format!(
        "{name} is not known; conditions know startsWith, endsWith, contains, matches, glob, size, has, exists, all, in and \
         + - * == != < <= > >= && || !"
    )
}

fn unknown_name(root: &str, field: &str) -> String {
    let name = if field.is_empty() { root.to_owned() } else { format!("{root}.{field}") };
    let near: Vec<&str> = super::facts::VARIABLES.iter().filter(|one| one.root() == root).map(|one| one.name).collect();
    if near.is_empty() {
        return format!("{name} is not known; there are deployment, risk, finding, file, time and missing");
    }
    format!("{name} is not known; there are {}", near.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Each) {
        assert_eq!(Condition::parse(text).map(|condition| condition.each), Ok(expected), "{text}");
    }

    #[test]
    fn a_condition_is_asked_of_what_it_speaks_of() {
        check("risk.probability >= 0.04", Each::Deployment);
        check("finding.severity >= HIGH && risk.probability > 0.1", Each::Finding);
        check("file.path.glob('infra/**')", Each::File);
        check("findings.exists(f, f.severity == CRITICAL) || files.all(x, x.path.endsWith('.md'))", Each::Deployment);
        check(
            "deployment.labels.exists(l, l.startsWith('risk:')) && !('hotfix' in deployment.labels)",
            Each::Deployment,
        );
        check("size(missing) > 0 && deployment.lines_added + deployment.lines_deleted * 2 > 500", Each::Deployment);
        check("has(risk.percentile) && risk.percentile > 0.95", Each::Deployment);
        check("deployment.environment in ['production', 'staging'] && time.hour >= 9", Each::Deployment);
    }

    #[track_caller]
    fn refuse(text: &str, column: usize, part: &str) {
        let mistake = Condition::parse(text).map(|_| ()).unwrap_err();
        assert!(mistake.message.contains(part), "{text}: {mistake:?}");
        assert_eq!(mistake.column, column, "{text}: {mistake:?}");
    }

    #[test]
    fn a_mistake_says_what_and_where() {
        refuse("finding.severty >= HIGH", 8, "finding.severity");
        refuse("finding.severity >= 'high'", 18, "levels are written as HIGH");
        refuse("risk.probability", 5, "must be true or false");
        refuse("ris.probability > 1", 4, "there are deployment, risk");
        refuse("deployment.title.matches('(')", 26, "not a regular expression");
        refuse("findings.exists(f, files.exists(g, true))", 32, "inside another");
        refuse("findings.map(f, f.path)", 13, "only exists");
        refuse("finding.line > 3 && file.binary", 25, "not of both");
        refuse("deployment.foo() > 1", 15, "not known");
        refuse("1 +", 4, "");
    }

    #[test]
    fn a_condition_nested_too_deep_is_refused_and_not_overflowed() {
        let deep = format!("{}true{}", "(".repeat(1_000), ")".repeat(1_000));
        assert!(Condition::parse(&deep).is_err());
        assert!(Condition::parse(&format!("{}true", "! ".repeat(1_990))).is_err());
        let deepest = format!("{}true{}", "(".repeat(DEPTH_MAX), ")".repeat(DEPTH_MAX));
        assert!(Condition::parse(&deepest).is_ok());
        assert!(Condition::parse(&vec!["true"; 490].join(" && ")).is_ok());
        assert!(Condition::parse(&" ".repeat(5_000)).is_err());
    }
}
