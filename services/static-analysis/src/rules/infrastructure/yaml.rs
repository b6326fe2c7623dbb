//! YAML as a tree whose nodes know their lines. Built on the events of `saphyr-parser`, which is pure Rust, gives a place
//! with each event and never expands an alias: here an alias is the node that it names, so that no file grows while it is
//! read. Whatever is wrong with the text, what was read before the fault is kept, and [`Document::whole`] says that it is
//! not all.
//!
//! Templates (`{{ … }}`, `{% … %}`) are blanked or turned into a value of no meaning, so that a chart can be read as far as
//! it is YAML.

use std::borrow::Cow;

use saphyr_parser::{Event, Parser, ScalarStyle};

/// Bytes of the longest document that is read.
const DOCUMENT_BYTES_MAX: usize = 1 << 20;
/// Nodes of the largest document that is read.
const NODES_MAX: usize = 200_000;
/// Levels of the deepest document that is read.
const DEPTH_MAX: usize = 64;
/// Merged mappings (`<<`) that are followed for one key.
const MERGES_MAX: usize = 4;
/// Keys that are compared one by one.
const KEYS_MAX: usize = 1_000;
/// What stands for a template's result.
pub(super) const TEMPLATE: &str = "__template__";

/// One document of a file.
#[derive(Debug)]
pub(super) struct Document {
    nodes: Vec<Node>,
    /// Whether all of it was read, and none of it came out of a template.
    pub(super) whole: bool,
}

#[derive(Debug)]
struct Node {
    /// Counted from 0, in the text that was read.
    line: usize,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Scalar {
        text: String,
        plain: bool,
    },
    Sequence(Vec<usize>),
    /// Keys and values, in order.
    Mapping(Vec<(usize, usize)>),
}

/// What `{{ … }}` means in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Templates {
    /// Something writes the YAML before it is read.
    Written,
    /// Nothing: it is a part of a value.
    None,
}

/// A node of a document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Yaml<'d> {
    document: &'d Document,
    id: usize,
}

/// The text between the lines that begin with `---`, each with the number of its first line. A document that is broken
/// does not take the others with it.
pub(super) fn pieces(text: &str) -> Vec<(usize, &str)> {
    let mut pieces = Vec::new();
    let (mut start, mut first_line, mut at) = (0, 0, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let rest = line.strip_prefix("---");
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace)) {
            pieces.push((first_line, &text[start..at]));
            // What stands behind the dashes is a comment or, very rarely, a value.
            (start, first_line) = (at + line.len(), number + 1);
        }
        at += line.len();
    }
    pieces.push((first_line, &text[start..]));
    pieces.retain(|(_, piece)| !piece.trim().is_empty());
    pieces
}

/// `text` as one document that begins on `line`; `None` when it holds nothing or is too long.
pub(super) fn document(text: &str, line: usize, templates: Templates) -> Option<Document> {
    if text.len() > DOCUMENT_BYTES_MAX {
        return None;
    }
    let (text, templated) =
        if templates == Templates::Written { without_templates(text) } else { (Cow::Borrowed(text), false) };
    let text = with_brackets_indented(text);
    let mut builder =
        Builder { document: Document { nodes: Vec::new(), whole: !templated }, open: Vec::new(), anchors: Vec::new() };
    let mut read = false;
    for event in Parser::new_from_str(&text) {
        let Ok((event, span)) = event else {
            builder.document.whole = false;
            break;
        };
        read |= matches!(event, Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..));
        if !builder.event(event, line + span.start.line().saturating_sub(1)) {
            builder.document.whole = false;
            break;
        }
    }
    read.then_some(builder.document)
}

struct Builder {
    document: Document,
    /// The collections that are open, and for a mapping the key that waits for its value.
    open: Vec<(usize, Option<usize>)>,
    /// The node of each anchor, by the parser's number.
    anchors: Vec<(usize, usize)>,
}

impl Builder {
    /// False when the document is too much.
    fn event(&mut self, event: Event<'_>, line: usize) -> bool {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                let id = self.node(line, Kind::Scalar { text: text.into_owned(), plain }, anchor);
                self.place(id);
            }
            Event::Alias(anchor) => {
                let known = self.anchors.binary_search_by_key(&anchor, |(number, _)| *number);
                let id = match known {
                    Ok(at) => self.anchors[at].1,
                    Err(_) => self.node(line, Kind::Scalar { text: TEMPLATE.to_owned(), plain: true }, 0),
                };
                self.place(id);
            }
            Event::SequenceStart(anchor, _) => self.start(line, Kind::Sequence(Vec::new()), anchor),
            Event::MappingStart(anchor, _) => self.start(line, Kind::Mapping(Vec::new()), anchor),
            Event::SequenceEnd | Event::MappingEnd => {
                self.open.pop();
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {}
        }
        self.document.nodes.len() <= NODES_MAX && self.open.len() <= DEPTH_MAX
    }

    fn node(&mut self, line: usize, kind: Kind, anchor: usize) -> usize {
        let id = self.document.nodes.len();
        self.document.nodes.push(Node { line, kind });
        // The parser counts anchors up, so that the list is in order.
        if anchor > 0 {
            self.anchors.push((anchor, id));
        }
        id
    }

    fn start(&mut self, line: usize, kind: Kind, anchor: usize) {
        let id = self.node(line, kind, anchor);
        self.place(id);
        self.open.push((id, None));
    }

    /// Puts a node where it belongs in the collection that is open.
    fn place(&mut self, id: usize) {
        let Some((parent, key)) = self.open.last_mut() else { return };
        match &mut self.document.nodes[*parent].kind {
            Kind::Sequence(items) => items.push(id),
            Kind::Mapping(entries) => match key.take() {
                Some(key) => entries.push((key, id)),
                None => *key = Some(id),
            },
            Kind::Scalar { .. } => {}
        }
    }
}

/// The text with each bracket that closes on a line of its own moved to the right. Many write it at the indent of its key,
/// which the grammar forbids, and which libyaml and Go's reader (Kubernetes' and GitHub's own) take.
fn with_brackets_indented(text: Cow<'_, str>) -> Cow<'_, str> {
    let closes = |line: &str| line.trim_start_matches(' ').starts_with([']', '}']);
    if !text.lines().any(closes) {
        return text;
    }
    let mut moved = String::with_capacity(text.len() + 64);
    for line in text.split_inclusive('\n') {
        if closes(line) {
            moved.push_str(&" ".repeat(DEPTH_MAX));
        }
        moved.push_str(line);
    }
    Cow::Owned(moved)
}

/// The text without its templates, line for line, and whether it had any. `${{ … }}` is GitHub's and stays.
fn without_templates(text: &str) -> (Cow<'_, str>, bool) {
    let opens = |line: &str| line.match_indices("{{").any(|(at, _)| !line[..at].ends_with('$'));
    if !text.contains("{{") && !text.contains("{%")
        || !text.lines().any(|l| opens(l) || l.trim_start().starts_with("{%"))
    {
        return (Cow::Borrowed(text), false);
    }
    let mut clean = String::with_capacity(text.len());
    let mut inside = false;
    for line in text.split_inclusive('\n') {
        let (body, end) = line.strip_suffix('\n').map_or((line, ""), |body| (body, "\n"));
        let alone = body.trim();
        if inside {
            inside = !alone.contains("}}");
        } else if alone.starts_with("{{") && !alone.contains("}}") {
            inside = true;
        } else if alone.starts_with("{%")
            || alone.starts_with("{{") && alone.ends_with("}}") && alone.matches("{{").count() == 1
        {
            // A line of nothing but control; what it writes is not known.
        } else {
            inside = replace(body, &mut clean);
        }
        clean.push_str(end);
    }
    (Cow::Owned(clean), true)
}

/// Writes `line` with its templates replaced; true when the last one goes on below.
fn replace(line: &str, clean: &mut String) -> bool {
    let mut rest = line;
    while let Some(at) = rest.find("{{") {
        if rest[..at].ends_with('$') {
            clean.push_str(&rest[..at + 2]);
            rest = &rest[at + 2..];
            continue;
        }
        clean.push_str(&rest[..at]);
        clean.push_str(TEMPLATE);
        match rest[at..].find("}}") {
            Some(end) => rest = &rest[at + end + 2..],
            None => return true,
        }
    }
    clean.push_str(rest);
    false
}

impl Document {
    /// The node that holds all others.
    pub(super) fn root(&self) -> Yaml<'_> {
        Yaml { document: self, id: 0 }
    }

    /// The same, as if its first `lines` lines were not there.
    pub(super) fn shift(&mut self, lines: usize) {
        for node in &mut self.nodes {
            node.line = node.line.saturating_sub(lines);
        }
    }

    /// Every mapping in it, each with the key that it stands under (that of its list, for one in a list).
    pub(super) fn mappings(&self) -> impl Iterator<Item = (Option<&str>, Yaml<'_>)> {
        let mut keys: Vec<Option<usize>> = vec![None; self.nodes.len()];
        for id in 0..self.nodes.len() {
            match &self.nodes[id].kind {
                // A node comes before what it holds, so that its own key is known by now.
                Kind::Mapping(entries) => entries.iter().for_each(|(key, value)| keys[*value] = Some(*key)),
                Kind::Sequence(items) => items.iter().for_each(|item| keys[*item] = keys[id]),
                Kind::Scalar { .. } => {}
            }
        }
        let is_mapping = |id: &usize| matches!(self.nodes[*id].kind, Kind::Mapping(_));
        (0..self.nodes.len()).filter(is_mapping).map(move |id| {
            let key = keys[id].and_then(|key| Yaml { document: self, id: key }.text());
            (key, Yaml { document: self, id })
        })
    }
}

impl<'d> Yaml<'d> {
    fn node(self) -> &'d Node {
        &self.document.nodes[self.id]
    }

    fn with(self, id: usize) -> Self {
        Self { id, ..self }
    }

    /// The line that it begins on, counted from 0.
    pub(super) fn line(self) -> usize {
        self.node().line
    }

    /// The value of `key`, and the key itself. Of a key that is there twice, the first.
    pub(super) fn entry(self, key: &str) -> Option<(Self, Self)> {
        self.entry_within(key, MERGES_MAX)
    }

    fn entry_within(self, key: &str, merges: usize) -> Option<(Self, Self)> {
        let Kind::Mapping(entries) = &self.node().kind else { return None };
        let at = |name: &str| entries.iter().find(|(k, _)| self.with(*k).text() == Some(name));
        if let Some((k, v)) = at(key) {
            return Some((self.with(*k), self.with(*v)));
        }
        let merged = self.with(at("<<").filter(|_| merges > 0)?.1);
        let mut sources = merged.items().take(MERGES_MAX).collect::<Vec<_>>();
        sources.push(merged);
        sources.into_iter().find_map(|source| source.entry_within(key, merges - 1))
    }

    /// The value of `key`.
    pub(super) fn get(self, key: &str) -> Option<Self> {
        self.entry(key).map(|(_, value)| value)
    }

    /// The value of a key that may be written in another case.
    pub(super) fn get_ignoring_case(self, key: &str) -> Option<Self> {
        let mut entries = self.entries().take(KEYS_MAX);
        entries.find(|(name, _)| name.text().is_some_and(|name| name.eq_ignore_ascii_case(key))).map(|(_, value)| value)
    }

    /// The value at the end of these keys.
    pub(super) fn at(self, path: &[&str]) -> Option<Self> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The text at the end of these keys.
    pub(super) fn text_at(self, path: &[&str]) -> Option<&'d str> {
        self.at(path).and_then(Self::text)
    }

    /// What a list holds; nothing when it is none.
    pub(super) fn items(self) -> impl Iterator<Item = Self> {
        let items = if let Kind::Sequence(items) = &self.node().kind { items.as_slice() } else { &[] };
        items.iter().map(move |id| self.with(*id))
    }

    /// What the list under `key` holds.
    pub(super) fn list(self, key: &str) -> impl Iterator<Item = Self> + use<'d> {
        self.get(key).into_iter().flat_map(Self::items)
    }

    /// The keys and values of a mapping; nothing when it is none.
    pub(super) fn entries(self) -> impl Iterator<Item = (Self, Self)> {
        let entries = if let Kind::Mapping(entries) = &self.node().kind { entries.as_slice() } else { &[] };
        entries.iter().map(move |(key, value)| (self.with(*key), self.with(*value)))
    }

    /// Whether it is a mapping.
    pub(super) fn is_mapping(self) -> bool {
        matches!(self.node().kind, Kind::Mapping(_))
    }

    /// A scalar's text.
    pub(super) fn text(self) -> Option<&'d str> {
        match &self.node().kind {
            Kind::Scalar { text, .. } => Some(text),
            Kind::Sequence(_) | Kind::Mapping(_) => None,
        }
    }

    /// The texts of a scalar or of a list of scalars.
    pub(super) fn texts(self) -> Vec<&'d str> {
        self.text().into_iter().chain(self.items().filter_map(Self::text)).collect()
    }

    /// Whether nothing is said: no value, `null` or `~`.
    pub(super) fn is_null(self) -> bool {
        matches!(&self.node().kind, Kind::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null"))
    }

    /// Whether it says nothing, or holds nothing.
    pub(super) fn is_empty(self) -> bool {
        match &self.node().kind {
            Kind::Scalar { .. } => self.is_null(),
            Kind::Sequence(items) => items.is_empty(),
            Kind::Mapping(entries) => entries.is_empty(),
        }
    }

    /// Whether it says yes, quoted or not.
    pub(super) fn is_true(self) -> bool {
        self.text().is_some_and(|text| matches!(text, "true" | "True" | "TRUE" | "yes" | "on"))
    }

    /// Whether it says no, quoted or not.
    pub(super) fn is_false(self) -> bool {
        self.text().is_some_and(|text| matches!(text, "false" | "False" | "FALSE" | "no" | "off"))
    }

    /// The number that it is.
    pub(super) fn number(self) -> Option<i64> {
        self.text().and_then(|text| text.trim().parse().ok())
    }

    /// Whether a template decides what it is.
    pub(super) fn is_unknown(self) -> bool {
        self.text().is_some_and(|text| text.contains(TEMPLATE) || text.contains("${"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(text: &str) -> Vec<Document> {
        pieces(text).into_iter().filter_map(|(line, piece)| document(piece, line, Templates::Written)).collect()
    }

    fn one(text: &str) -> Document {
        let mut all = documents(text);
        assert_eq!(all.len(), 1, "{text}");
        all.remove(0)
    }

    #[test]
    fn values_are_found_with_their_lines() {
        let document = one("# a\na:\n  b: [x, 'true']\n  c: true\n");
        let root = document.root();
        assert!(document.whole);
        assert_eq!(root.text_at(&["a", "c"]), Some("true"));
        assert_eq!(root.at(&["a", "b"]).unwrap().texts(), ["x", "true"]);
        let (key, value) = root.at(&["a"]).unwrap().entry("c").unwrap();
        assert_eq!((key.line(), value.line()), (3, 3));
        assert!(value.is_true() && root.get("z").is_none());
    }

    #[test]
    fn documents_are_told_apart_and_a_broken_one_harms_no_other() {
        let all = documents("a: 1\n---\nb: [\nc: }\n--- # x\nd: 2\n");
        let lines: Vec<_> = all.iter().map(|document| (document.root().line(), document.whole)).collect();
        assert_eq!(lines, [(0, true), (2, false), (5, true)]);
    }

    #[test]
    fn anchors_are_followed_and_never_expanded() {
        let document = one("a: &x\n  b: 1\nc:\n  <<: *x\n  d: 2\ne: *x\n");
        assert_eq!(document.root().text_at(&["c", "b"]), Some("1"));
        assert_eq!(document.root().text_at(&["e", "b"]), Some("1"));
        let mut bomb = String::from("a0: &a0 [x, x]\n");
        for n in 1..60 {
            let before = n - 1;
            bomb.push_str(&format!("a{n}: &a{n} [*a{before}, *a{before}, *a{before}]\n"));
        }
        assert!(one(&bomb).nodes.len() < 500);
    }

    #[test]
    fn templates_are_read_over() {
        let document = one(
            "{{- if .Values.a }}\na: {{ .Values.b }}\nb: \"x-{{ .c }}\"\n{{ include \"x\" . |\n  indent 2 }}\nc: 1\n{{ end }}\n",
        );
        let root = document.root();
        assert!(!document.whole && root.get("a").unwrap().is_unknown() && root.get("b").unwrap().is_unknown());
        assert_eq!(root.get("c").unwrap().line(), 5);
        let github = one("a: ${{ github.ref }}\n");
        assert_eq!((github.whole, github.root().text_at(&["a"])), (true, Some("${{ github.ref }}")));
    }

    #[test]
    fn what_kubernetes_and_github_take_is_taken() {
        let document = one("a:\n  b: [\n    [1, 2],\n  ]\n  c: {\n    d: 1\n}\n");
        assert!(document.whole);
        assert_eq!(document.root().text_at(&["a", "c", "d"]), Some("1"));
        let script = one("a: |\n  {\n  }\nb: 1\n");
        assert_eq!(script.root().text_at(&["b"]), Some("1"));
    }

    #[test]
    fn what_is_too_deep_is_left() {
        for text in ["[".repeat(5_000), "a:\n".repeat(3) + &"- ".repeat(3_000), "{a: ".repeat(200)] {
            for document in documents(&text) {
                assert!(!document.whole);
            }
        }
    }
}
