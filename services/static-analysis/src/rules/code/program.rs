//! The syntax of what a diff shows of a program, parsed once for all rules that look at it.
//!
//! A file is parsed hunk by hunk, as it reads after the change. What a hunk does not show (imports above it, the function
//! around it) is not known, and a rule that would need it stays silent. No recursion: a program nests as deep as it likes.

use std::cell::RefCell;
use std::collections::HashSet;
use std::num::NonZeroU16;
use std::ops::{ControlFlow, Range};

use domain::diff::{FileDiff, Hunk, LineKind};
use tree_sitter::{Node, ParseOptions, ParseState, Parser, Tree};

use super::gate::Part;
use super::shown::{REACH_LINES, Shown};
use super::{eval_of_input, go, python, regions, sql_concatenation, tls_verification_off};
use crate::new_side::NewSide;
use crate::paths;
use crate::rules::{FileHit, Hit, Rule, Shared};

/// The longest text that is parsed; a program written by hand is much shorter.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// A language whose programs are parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Python,
    Go,
}

impl Language {
    /// By the file's extension.
    pub(crate) fn of(path: &str) -> Option<Self> {
        match paths::extension(path) {
            "py" | "pyw" => Some(Self::Python),
            "go" => Some(Self::Go),
            _ => None,
        }
    }

    /// What of the hunk is worth parsing, if anything is.
    fn opens(self, path: &str, hunk: &Hunk<'_>) -> Option<NewSide> {
        let shown = Shown::of(path, hunk);
        let gate = match self {
            Self::Python => &python::GATE,
            Self::Go => &go::GATE,
        };
        Some(match gate.opens(&shown)? {
            Part::Whole => NewSide::of(hunk),
            Part::Around(wanted) => {
                let kept = regions::around(self, &shown, &wanted)?;
                NewSide::of_lines(hunk, |line| kept.get(line).is_none_or(|kept| *kept))
            }
        })
    }

    /// What `of` says of each kind of node, by the kind's number.
    pub(crate) fn by_kind<T>(self, of: impl Fn(&str) -> T) -> Vec<T> {
        let grammar = self.grammar();
        let kinds = (0..=u16::MAX).take(grammar.node_kind_count());
        kinds.map(|kind| of(grammar.node_kind_for_id(kind).unwrap_or(""))).collect()
    }

    /// The number of a field of nodes: where it is asked for at every node, to compare its name would take longer than all else.
    pub(crate) fn field(self, name: &str) -> u16 {
        self.grammar().field_id_for_name(name).map_or(0, NonZeroU16::get)
    }

    fn grammar(self) -> tree_sitter::Language {
        match self {
            Self::Python => tree_sitter_python::LANGUAGE.into(),
            Self::Go => tree_sitter_go::LANGUAGE.into(),
        }
    }
}

/// The check that speaks for all of these rules.
pub(super) static SHARED: Shared = Shared {
    applies: |change| Language::of(&change.path).is_some(),
    check: |file| check(file).into_iter().map(|(rule, hit)| (rule.id, hit)).collect(),
    besides: &[&sql_concatenation::RULE, &tls_verification_off::RULE, &eval_of_input::RULE],
};

/// What the rules find in the syntax of this file.
fn check(file: &FileDiff<'_>) -> Vec<(&'static Rule, FileHit)> {
    let Some(language) = Language::of(&file.change.path).filter(|_| !is_foreign(file)) else { return Vec::new() };
    let mut found = Vec::new();
    for (number, hunk) in file.hunks.iter().enumerate() {
        if !hunk.lines.iter().any(|line| line.kind == LineKind::Added) {
            continue;
        }
        let part = language.opens(&file.change.path, hunk);
        let mut in_hunk = part.map(|side| check_side(file, number, &side, language)).unwrap_or_default();
        #[cfg(test)]
        is_as_if_parsed_whole(&in_hunk, file, number, language);
        found.append(&mut in_hunk);
    }
    found
}

fn check_side(file: &FileDiff<'_>, hunk: usize, side: &NewSide, language: Language) -> Vec<(&'static Rule, FileHit)> {
    let Some(tree) = parse(&side.text, language) else { return Vec::new() };
    let mut report = Report { file, hunk, side, found: Vec::new(), seen: HashSet::new() };
    match language {
        Language::Python => python::check(&side.text, &tree, &mut report),
        Language::Go => go::check(&side.text, &tree, &mut report),
    }
    report.found
}

/// Whatever any test of this crate gives the rules: they find in a part of it what they find in the whole.
#[cfg(test)]
#[track_caller]
fn is_as_if_parsed_whole(found: &[(&Rule, FileHit)], file: &FileDiff<'_>, number: usize, language: Language) {
    let hunk = &file.hunks[number];
    let named = |found: &[(&Rule, FileHit)]| {
        let mut named: Vec<_> = found.iter().map(|(rule, hit)| (rule.id, hit.line, hit.hit.range.clone())).collect();
        named.sort_by_key(|(id, line, range)| (*id, *line, range.start));
        named
    };
    let whole = named(&check_side(file, number, &NewSide::of(hunk), language));
    let text: Vec<_> = hunk.lines.iter().map(|line| line.text).collect();
    assert_eq!(named(found), whole, "{}:\n{}", file.change.path, text.join("\n"));
}

/// True for a program that nobody here wrote, be it a copy of another's or what a generator made: whoever reads this change
/// cannot mend it, and it is long. By its place and name alone: a comment that says so may stand in any file.
fn is_foreign(file: &FileDiff<'_>) -> bool {
    const GENERATED: &[&str] = &[".pb.go", ".pb.gw.go", "_pb2.py", "_pb2_grpc.py"];
    let path = &file.change.path;
    paths::is_vendored(path) || GENERATED.iter().any(|end| path.ends_with(end))
}

/// The syntax tree of `text`; `None` when it is too long, or so broken that making sense of it would take too long.
pub(crate) fn parse(text: &str, language: Language) -> Option<Tree> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    // Counted in steps and not in time, so that the same diff is always judged the same. A sound program takes a fraction.
    let mut steps_left = 1_000 + text.len();
    let mut progress = |_: &ParseState| {
        steps_left = steps_left.saturating_sub(1);
        if steps_left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let options = ParseOptions::new().progress_callback(&mut progress);
    let bytes = text.as_bytes();
    with_parser(language, |parser| {
        let tree = parser.parse_with_options(&mut |at, _| bytes.get(at..).unwrap_or_default(), None, Some(options));
        if tree.is_none() {
            // Or else it would go on with this text when it is given the next.
            parser.reset();
        }
        tree
    })
}

/// Calls `with` with a parser of this language; each thread keeps its own, since making one takes longer than to parse a hunk.
fn with_parser<T>(language: Language, with: impl FnOnce(&mut Parser) -> Option<T>) -> Option<T> {
    thread_local! {
        static PARSERS: RefCell<Vec<(Language, Parser)>> = const { RefCell::new(Vec::new()) };
    }
    PARSERS.with_borrow_mut(|parsers| {
        if let Some((_, parser)) = parsers.iter_mut().find(|(known, _)| *known == language) {
            return with(parser);
        }
        let mut parser = Parser::new();
        parser.set_language(&language.grammar()).ok()?;
        parsers.push((language, parser));
        with(&mut parsers.last_mut()?.1)
    })
}

/// Every named node below `root`, parents first, with its ancestors (the nearest last).
pub(crate) fn walk<'t>(root: Node<'t>, visit: impl FnMut(Node<'t>, &[Node<'t>])) {
    walk_where(root, |_| true, visit);
}

/// The same without what is below nodes that `enters` refuses.
pub(crate) fn walk_where<'t>(
    root: Node<'t>,
    enters: impl Fn(Node<'t>) -> bool,
    mut visit: impl FnMut(Node<'t>, &[Node<'t>]),
) {
    let mut cursor = root.walk();
    let mut ancestors = Vec::new();
    loop {
        let node = cursor.node();
        if node.is_named() {
            visit(node, &ancestors);
        }
        if enters(node) && cursor.goto_first_child() {
            ancestors.push(node);
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return;
            }
            ancestors.pop();
        }
    }
}

/// The source of a node.
pub(crate) fn text_of<'a>(text: &'a str, node: Node<'_>) -> &'a str {
    text.get(node.byte_range()).unwrap_or("")
}

/// The named children of a node that are no comments.
pub(crate) fn children<'t>(node: Node<'t>) -> Vec<Node<'t>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor).filter(|child| child.kind() != "comment").collect()
}

/// What was found in a hunk so far.
pub(crate) struct Report<'a> {
    file: &'a FileDiff<'a>,
    hunk: usize,
    side: &'a NewSide,
    found: Vec<(&'static Rule, FileHit)>,
    seen: HashSet<(&'static str, usize)>,
}

impl<'a> Report<'a> {
    /// The path of the file.
    pub(crate) fn path(&self) -> &'a str {
        &self.file.change.path
    }

    /// The text that the nodes are of.
    pub(crate) fn side(&self) -> &'a NewSide {
        self.side
    }

    /// Notes what a rule found at a node, if the change is the cause of it. A rule speaks once about a line.
    pub(crate) fn at(&mut self, rule: &'static Rule, node: Node<'_>, message: &'static str) {
        self.hit(rule, node.byte_range(), |range| Hit::at(range, message));
    }

    /// The same, where `value` is not to be shown.
    pub(crate) fn hidden(&mut self, rule: &'static Rule, node: Node<'_>, value: Node<'_>, message: &'static str) {
        let (start, secret) = (node.start_byte(), value.byte_range());
        self.hit(rule, node.byte_range(), |range| {
            // What stands on another line than the finding is not shown with it.
            let from = secret.start.checked_sub(start).map(|offset| range.start + offset);
            let secret = from.filter(|from| *from < range.end).map(|from| from..(from + secret.len()).min(range.end));
            Hit { secret, ..Hit::at(range, message) }
        });
    }

    /// The same, where the hit is made of the bytes of the line that it is about.
    pub(crate) fn hit(&mut self, rule: &'static Rule, bytes: Range<usize>, hit: impl FnOnce(Range<usize>) -> Hit) {
        let first = self.side.line_at(bytes.start);
        let Some(line) = self.side.first_added(bytes.clone()) else { return };
        if line > first + REACH_LINES || !self.seen.insert((rule.id, line)) {
            return;
        }
        let Some(text) = self.file.hunks.get(self.hunk).and_then(|hunk| hunk.lines.get(line)).map(|line| line.text)
        else {
            return;
        };
        let from = self.side.start_of(line);
        let indented = text.len() - text.trim_start().len();
        let start = if line == first { bytes.start.saturating_sub(from).min(text.len()) } else { indented };
        let end = bytes.end.saturating_sub(from).min(text.trim_end().len()).max(start);
        let hit = hit(start..end);
        self.found.push((rule, FileHit { line: Some((self.hunk, line)), hit }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn what_others_or_generators_wrote_is_not_parsed() {
        #[track_caller]
        fn check(path: &str, text: &str, expected: usize) {
            assert_eq!(super::check(&sample::added(path, text)).len(), expected, "{path}");
        }
        let text = "package a\n\nfunc f() {\n\tx := unsafe.Pointer(y)\n}\n";
        check("a/b.go", text, 1);
        check("vendor/example.org/a/b.go", text, 0);
        check("a/b.pb.go", text, 0);
        check("a/b.go", &format!("// Code generated by x. DO NOT EDIT.\n\n{text}"), 1);
    }

    #[test]
    fn a_text_that_is_given_up_leaves_nothing_behind() {
        let broken = "((((([[[[{{{{".repeat(2_000);
        let parsed = |text: &str| parse(text, Language::Python).map(|tree| tree.root_node().to_sexp());
        let before = parsed("a = 1\n");
        _ = parsed(&broken);
        assert_eq!(parsed("a = 1\n"), before);
        assert!(before.is_some_and(|tree| tree.contains("assignment")));
    }
}
