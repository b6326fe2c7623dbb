//! GitHub's expressions (`${{ … }}`): finding them in a text and reading them.

use std::ops::Range;

/// Levels of the deepest expression that is read.
const DEPTH_MAX: usize = 40;

/// An expression, read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Expression {
    /// A string, a number, `true`, `false` or `null`, as it reads.
    Literal(String),
    /// A name such as `github.event.issue.title`, in lower case. `*` stands for whatever is computed.
    Context(Vec<String>),
    /// A function, in lower case, and its arguments.
    Call(String, Vec<Expression>),
    /// A part of what a function returns.
    Part(Box<Expression>),
    /// Two sides and what is between them.
    Binary(&'static str, Box<Expression>, Box<Expression>),
    /// What is not.
    Not(Box<Expression>),
}

/// The places in `text` of the insides of its expressions.
pub(super) fn places(text: &str) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    let mut at = 0;
    while places.len() < PLACES_MAX
        && let Some(start) = text[at..].find("${{").map(|found| at + found + 3)
    {
        let Some(end) = end_of(&text[start..]) else { break };
        places.push(start..start + end);
        at = start + end + 2;
    }
    places
}

/// Expressions of one text that are looked at.
const PLACES_MAX: usize = 200;

/// Where the expression ends: `}}` in a string does not end it.
fn end_of(text: &str) -> Option<usize> {
    let mut in_string = false;
    let bytes = text.as_bytes();
    for at in 0..bytes.len().min(EXPRESSION_BYTES_MAX) {
        match bytes[at] {
            b'\'' => in_string = !in_string,
            b'}' if !in_string && bytes.get(at + 1) == Some(&b'}') => return Some(at),
            _ => {}
        }
    }
    None
}

/// Bytes of the longest expression; GitHub's own limit is 21,000 characters.
const EXPRESSION_BYTES_MAX: usize = 21_000;

/// Reads one expression; `None` when it is none.
pub(super) fn parse(text: &str) -> Option<Expression> {
    if text.len() > EXPRESSION_BYTES_MAX {
        return None;
    }
    let mut reader = Reader { tokens: tokens(text)?, at: 0 };
    let expression = reader.or(0)?;
    (reader.at == reader.tokens.len()).then_some(expression)
}

/// The expression of a condition, which may stand without its braces.
pub(super) fn parse_condition(text: &str) -> Option<Expression> {
    let inside = places(text).first().map_or(text, |place| &text[place.clone()]);
    parse(inside)
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Text(String),
    Number(String),
    Name(String),
    Sign(&'static str),
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    const SIGNS: &[&str] = &["&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "(", ")", "[", "]", ".", ",", "*"];
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            let (string, length) = string(rest)?;
            tokens.push(Token::Text(string));
            rest = &rest[length..];
        } else if first.is_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').unwrap_or(rest.len());
            tokens.push(Token::Name(rest[..end].to_owned()));
            rest = &rest[end..];
        } else if first.is_ascii_digit() || matches!(first, '-' | '+') {
            let end =
                rest[1..].find(|c: char| !c.is_ascii_alphanumeric() && c != '.').map_or(rest.len(), |end| end + 1);
            tokens.push(Token::Number(rest[..end].to_owned()));
            rest = &rest[end..];
        } else {
            let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign))?;
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        }
        rest = rest.trim_start();
    }
    Some(tokens)
}

/// The string at the beginning of `text`, and how long it is there. A quote in it is doubled.
fn string(text: &str) -> Option<(String, usize)> {
    let mut read = String::new();
    let mut signs = text.char_indices().skip(1).peekable();
    while let Some((at, sign)) = signs.next() {
        if sign != '\'' {
            read.push(sign);
        } else if signs.next_if(|(_, next)| *next == '\'').is_some() {
            read.push('\'');
        } else {
            return Some((read, at + 1));
        }
    }
    None
}

struct Reader {
    tokens: Vec<Token>,
    at: usize,
}

impl Reader {
    fn take(&mut self, signs: &[&'static str]) -> Option<&'static str> {
        match self.tokens.get(self.at) {
            Some(Token::Sign(sign)) if signs.contains(sign) => {
                self.at += 1;
                Some(sign)
            }
            _ => None,
        }
    }

    fn or(&mut self, depth: usize) -> Option<Expression> {
        self.binary(depth, &["||"], Self::and)
    }

    fn and(&mut self, depth: usize) -> Option<Expression> {
        self.binary(depth, &["&&"], Self::equality)
    }

    fn equality(&mut self, depth: usize) -> Option<Expression> {
        self.binary(depth, &["==", "!=", "<=", ">=", "<", ">"], Self::unary)
    }

    /// A chain of one level, as deep to the left as it is long: walks over it have a limit, too.
    fn binary(
        &mut self,
        depth: usize,
        signs: &[&'static str],
        next: fn(&mut Self, usize) -> Option<Expression>,
    ) -> Option<Expression> {
        if depth > DEPTH_MAX {
            return None;
        }
        let mut left = next(self, depth + 1)?;
        for _ in 0..=DEPTH_MAX {
            let Some(sign) = self.take(signs) else { return Some(left) };
            left = Expression::Binary(sign, Box::new(left), Box::new(next(self, depth + 1)?));
        }
        None
    }

    fn unary(&mut self, depth: usize) -> Option<Expression> {
        if depth > DEPTH_MAX {
            return None;
        }
        if self.take(&["!"]).is_some() {
            return Some(Expression::Not(Box::new(self.unary(depth + 1)?)));
        }
        let primary = self.primary(depth + 1)?;
        self.parts(primary, depth + 1)
    }

    fn primary(&mut self, depth: usize) -> Option<Expression> {
        if self.take(&["("]).is_some() {
            let inner = self.or(depth)?;
            self.take(&[")"])?;
            return Some(inner);
        }
        let token = self.tokens.get(self.at)?.clone();
        self.at += 1;
        match token {
            Token::Text(text) | Token::Number(text) => Some(Expression::Literal(text)),
            Token::Name(name) if self.take(&["("]).is_some() => {
                let mut arguments = Vec::new();
                while self.take(&[")"]).is_none() {
                    arguments.push(self.or(depth)?);
                    if self.take(&[","]).is_none() {
                        self.take(&[")"])?;
                        break;
                    }
                }
                Some(Expression::Call(name.to_ascii_lowercase(), arguments))
            }
            Token::Name(name) if matches!(name.as_str(), "true" | "false" | "null" | "NaN" | "Infinity") => {
                Some(Expression::Literal(name))
            }
            Token::Name(name) => Some(Expression::Context(vec![name.to_ascii_lowercase()])),
            Token::Sign(_) => None,
        }
    }

    /// What follows with a dot or in brackets.
    fn parts(&mut self, mut of: Expression, depth: usize) -> Option<Expression> {
        for _ in 0..=DEPTH_MAX {
            let part = match self.take(&[".", "["]) {
                None => return Some(of),
                Some(".") if self.take(&["*"]).is_some() => "*".to_owned(),
                Some(".") => {
                    let Some(Token::Name(name)) = self.tokens.get(self.at).cloned() else { return None };
                    self.at += 1;
                    name.to_ascii_lowercase()
                }
                Some(_) => {
                    let index = if self.take(&["*"]).is_some() { None } else { Some(self.or(depth)?) };
                    self.take(&["]"])?;
                    match index {
                        Some(Expression::Literal(text)) if text.parse::<f64>().is_err() => text.to_ascii_lowercase(),
                        _ => "*".to_owned(),
                    }
                }
            };
            of = match of {
                Expression::Context(mut path) => {
                    path.push(part);
                    Expression::Context(path)
                }
                Expression::Part(of) => Expression::Part(of),
                other => Expression::Part(Box::new(other)),
            };
        }
        None
    }
}

impl Expression {
    /// Every part of it, itself first.
    pub(super) fn walk<'e>(&'e self, visit: &mut impl FnMut(&'e Self)) {
        visit(self);
        match self {
            Self::Literal(_) | Self::Context(_) => {}
            Self::Call(_, arguments) => arguments.iter().for_each(|argument| argument.walk(visit)),
            Self::Part(inner) | Self::Not(inner) => inner.walk(visit),
            Self::Binary(_, left, right) => {
                left.walk(visit);
                right.walk(visit);
            }
        }
    }

    /// The names whose values can be what the whole is, or a piece of it. What is only compared or asked for does not get
    /// through.
    pub(super) fn sources<'e>(&'e self, sources: &mut Vec<&'e [String]>) {
        match self {
            Self::Literal(_) | Self::Not(_) => {}
            Self::Context(path) => sources.push(path),
            Self::Part(inner) => inner.sources(sources),
            Self::Binary("||", left, right) => {
                left.sources(sources);
                right.sources(sources);
            }
            // The left side of a `&&` gets through only where it is empty, 0 or false.
            Self::Binary("&&", _, right) => right.sources(sources),
            Self::Binary(..) => {}
            Self::Call(name, arguments) => match name.as_str() {
                "contains" | "startswith" | "endswith" | "hashfiles" | "success" | "always" | "cancelled"
                | "failure" => {}
                _ => arguments.iter().for_each(|argument| argument.sources(sources)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(text: &str) -> Vec<String> {
        let expression = parse(text).expect(text);
        let mut found = Vec::new();
        expression.sources(&mut found);
        found.into_iter().map(|path| path.join(".")).collect()
    }

    #[test]
    fn what_gets_through_is_told_from_what_is_asked() {
        assert_eq!(sources("github.event.issue.title"), ["github.event.issue.title"]);
        assert_eq!(sources("GitHub['Event'].commits[0].message"), ["github.event.commits.*.message"]);
        assert_eq!(sources("a.b == 'x' && c.d || e.f"), ["c.d", "e.f"]);
        assert_eq!(sources("format('{0}', a.b)"), ["a.b"]);
        assert_eq!(sources("fromJSON(a.b).c[1]"), ["a.b"]);
        assert_eq!(sources("contains(a.b, 'x') || !c.d"), [""; 0]);
        assert_eq!(sources("(a.*.b)"), ["a.*.b"]);
    }

    #[test]
    fn what_is_no_expression_is_none() {
        for text in [
            "",
            "a b",
            "'open",
            "a.",
            "(a",
            "a[",
            "f(a",
            "%",
            "a == ",
            &"(".repeat(5_000),
            &"!".repeat(5_000),
            &"a||".repeat(3_000),
        ] {
            assert_eq!(parse(text), None, "{}", text.len());
        }
        assert_eq!(parse("'it''s'"), Some(Expression::Literal("it's".to_owned())));
    }

    #[test]
    fn expressions_are_found_in_a_text() {
        let text = "a ${{ b }} ${{ '}}' }} ${{ open";
        let found: Vec<_> = places(text).into_iter().map(|place| &text[place]).collect();
        assert_eq!(found, [" b ", " '}}' "]);
    }
}
