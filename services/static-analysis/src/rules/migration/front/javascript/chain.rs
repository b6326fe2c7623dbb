//! Calls that hang on one another: `knex('a').where('b', 1).del()`.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::super::calls::{Arguments, Program};
use crate::source::closing;

/// Most calls of a chain that are looked at around one of them, and from its first on.
pub(super) const LINKS_MAX: usize = 32;
pub(super) const CHAIN_MAX: usize = 1_024;
/// How far before a call its chain is looked for, in bytes.
const BEFORE_BYTES_MAX: usize = 4_096;

/// A method of a chain, its arguments, and its bytes.
pub(super) struct Link<'t> {
    pub(super) method: String,
    pub(super) arguments: Arguments<'t>,
    pub(super) at: Range<usize>,
}

/// What stands before a call: the name that the chain begins with, its arguments if it is called itself, and the calls between.
#[derive(Default)]
pub(super) struct Before<'t> {
    pub(super) root: String,
    pub(super) called: Option<Arguments<'t>>,
    pub(super) links: Vec<Link<'t>>,
}

/// The call of `method` whose bracket is at `open`, and those that follow it in the bytes before `end`, `most` at most; nothing when it
/// is cut off.
pub(super) fn ahead<'t>(
    program: &Program<'t>,
    end: usize,
    method: &str,
    open: usize,
    most: usize,
) -> Option<Vec<Link<'t>>> {
    static LINK: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^\s*\??\.\s*(\w+)\s*\(").expect("the pattern is tested"));
    let code = &program.code[..end];
    let (mut method, mut start, mut open) = (method.to_owned(), open, open);
    let mut chain = Vec::new();
    loop {
        let close = closing(code, open)?;
        chain.push(Link { method, arguments: program.arguments(open + 1..close), at: start..close + 1 });
        let Some(link) = LINK.captures(&code[close + 1..]).filter(|_| chain.len() < most) else {
            return Some(chain);
        };
        start = close + 1;
        open = close + link[0].len();
        method = link[1].to_owned();
    }
}

/// What stands before the dot at `dot`.
pub(super) fn before<'t>(program: &Program<'t>, dot: usize) -> Before<'t> {
    let mut floor = dot.saturating_sub(BEFORE_BYTES_MAX);
    while !program.code.is_char_boundary(floor) {
        floor += 1;
    }
    let mut before = Before::default();
    let mut end = dot;
    for _ in 0..LINKS_MAX {
        let code = program.code[floor..end].trim_end().trim_end_matches(['?', '!']);
        let (named, arguments) = match code.strip_suffix(')') {
            Some(inner) => match opening(inner) {
                Some(open) => (code[..open].trim_end(), Some(floor + open + 1..floor + inner.len())),
                None => return before,
            },
            None => (code, None),
        };
        let name_at = named
            .rfind(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '$')))
            .map_or(0, |at| at + named[at..].chars().next().map_or(1, char::len_utf8));
        let name = &named[name_at..];
        let rest = named[..name_at].trim_end();
        let Some(on) = rest.strip_suffix('.').filter(|_| !rest.ends_with("..")) else {
            name.clone_into(&mut before.root);
            before.called = arguments.map(|range| program.arguments(range));
            return before;
        };
        if let Some(range) = arguments {
            let at = floor + name_at..range.end + 1;
            before.links.push(Link { method: name.to_owned(), arguments: program.arguments(range), at });
        }
        end = floor + on.len();
    }
    before
}

/// The bracket that the one behind `inner` closes.
fn opening(inner: &str) -> Option<usize> {
    let mut depth = 1_usize;
    for (at, byte) in inner.bytes().enumerate().rev() {
        match byte {
            b')' | b']' | b'}' => depth += 1,
            b'(' | b'[' | b'{' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Syntax;

    #[test]
    fn what_stands_before_a_call_is_its_chain() {
        let read = |text: &str| {
            let program = Program::of(text, Syntax::JavaScript);
            let before = before(&program, text.rfind('.').unwrap_or(0));
            let links: Vec<_> = before.links.into_iter().map(|link| link.method).collect();
            (before.root, before.called.and_then(|called| called.place(0).map(str::to_owned)), links)
        };
        let (root, called, links) = read("x = 1; await knex('a')\n  .where({ b: f(1) })\n  .del()");
        assert_eq!((root.as_str(), called.as_deref(), links), ("knex", Some("a"), vec!["where".to_owned()]));
        let (root, called, links) = read("q.manager?.createQueryBuilder().delete()");
        assert_eq!((root.as_str(), called, links), ("q", None, vec!["createQueryBuilder".to_owned()]));
        assert_eq!(read("(é).del()").0, "");
        assert_eq!(read("').del()").0, "");
    }
}
