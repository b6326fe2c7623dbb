//! Terraform's language (<https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md>), as far as the rules need it.
//!
//! Our own and not `hcl-edit`: that refuses a text as a whole where one expression is beyond it or a hunk begins in the middle,
//! and what it then cannot show is not found. Here an expression that is not a plain value is [`Value::Unknown`], and what
//! cannot be read ends its own block only. Every value knows where it stands.

use std::ops::Range;

/// How deep blocks and lists may lie in each other. What lies deeper is not looked at.
const DEPTH_MAX: usize = 48;

/// A value as written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// A string without references in it, a number, `true`, `false` or `null`.
    Plain(String),
    /// A list.
    List(Vec<Value>),
    /// An object.
    Object(Vec<(String, Value)>),
    /// Anything that is only known when it is applied: a reference, a function's result, a string with references in it.
    Unknown(String),
}

/// `name = value`, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Attribute {
    pub(crate) name: String,
    pub(crate) value: Value,
    pub(crate) range: Range<usize>,
}

/// `kind "label" "label" { … }`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Block {
    pub(crate) kind: String,
    pub(crate) labels: Vec<String>,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) blocks: Vec<Block>,
    /// From its first byte to behind its brace.
    pub(crate) range: Range<usize>,
    /// Whether its closing brace was seen.
    pub(crate) closed: bool,
}

impl Block {
    /// The attribute of that name.
    pub(crate) fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// The blocks of that kind, those that `dynamic` makes among them.
    pub(crate) fn blocks<'a>(&'a self, kind: &str) -> impl Iterator<Item = &'a Self> {
        self.blocks.iter().filter_map(move |block| {
            if block.kind == kind {
                return Some(block);
            }
            let made = block.kind == "dynamic" && block.labels.first().is_some_and(|label| label == kind);
            made.then(|| block.blocks.iter().find(|inner| inner.kind == "content").unwrap_or(block))
        })
    }
}

impl Value {
    /// The text of a plain value.
    pub(crate) fn plain(&self) -> Option<&str> {
        match self {
            Self::Plain(text) => Some(text),
            _ => None,
        }
    }

    /// Every plain or unknown text in it, lists and objects included.
    pub(crate) fn texts(&self) -> Vec<&str> {
        match self {
            Self::Plain(text) | Self::Unknown(text) => vec![text],
            Self::List(values) => values.iter().flat_map(Self::texts).collect(),
            Self::Object(fields) => fields.iter().flat_map(|(_, value)| value.texts()).collect(),
        }
    }
}

/// The blocks at the top of `text`.
pub(crate) fn parse(text: &str) -> Vec<Block> {
    let mut reader = Reader { bytes: text.as_bytes(), text, at: 0 };
    let mut top = Block::default();
    while reader.at < text.len() {
        reader.body(&mut top, 0);
        // A brace that closes what was opened above the hunk.
        reader.at += 1;
    }
    top.blocks
}

struct Reader<'a> {
    bytes: &'a [u8],
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Blanks and comments; line ends, too, where `lines`.
    fn skip(&mut self, lines: bool) {
        while let Some(byte) = self.peek() {
            let rest = &self.bytes[self.at..];
            if byte == b'#' || rest.starts_with(b"//") {
                self.at += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            } else if rest.starts_with(b"/*") {
                self.at += 2 + find(&rest[2..], b"*/").map_or(rest.len() - 2, |end| end + 2);
            } else if byte == b' ' || byte == b'\t' || byte == b'\r' || lines && byte == b'\n' {
                self.at += 1;
            } else {
                return;
            }
        }
    }

    fn word(&mut self) -> String {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
            self.at += 1;
        }
        self.text[start..self.at].to_owned()
    }

    /// Attributes and blocks up to the brace that closes them, which stays unread, or the end.
    fn body(&mut self, into: &mut Block, depth: usize) {
        loop {
            self.skip(true);
            match self.peek() {
                None | Some(b'}') => return,
                Some(b'"') | Some(b'a'..=b'z' | b'A'..=b'Z' | b'_') => self.item(into, depth),
                Some(_) => self.rest_of_line(),
            }
        }
    }

    fn item(&mut self, into: &mut Block, depth: usize) {
        let start = self.at;
        let name = if self.peek() == Some(b'"') { self.quoted().0 } else { self.word() };
        let mut labels = Vec::new();
        loop {
            self.skip(false);
            match self.peek() {
                Some(b'"') => labels.push(self.quoted().0),
                Some(b'{') if depth < DEPTH_MAX => {
                    self.at += 1;
                    let mut block = Block { kind: name, labels, ..Block::default() };
                    self.body(&mut block, depth + 1);
                    block.closed = self.peek() == Some(b'}');
                    self.at += usize::from(block.closed);
                    block.range = start..self.at;
                    into.blocks.push(block);
                    return;
                }
                Some(b'=') if self.bytes.get(self.at + 1) != Some(&b'=') && labels.is_empty() => {
                    self.at += 1;
                    let value = self.value(depth);
                    into.attributes.push(Attribute { name, value, range: start..self.at });
                    return;
                }
                Some(b'a'..=b'z' | b'A'..=b'Z' | b'_') => labels.push(self.word()),
                _ => return self.rest_of_line(),
            }
        }
    }

    fn rest_of_line(&mut self) {
        let rest = &self.bytes[self.at..];
        self.at += rest.iter().position(|byte| matches!(byte, b'\n' | b'}')).unwrap_or(rest.len()).max(1);
    }

    fn value(&mut self, depth: usize) -> Value {
        self.skip(false);
        let start = self.at;
        let value = match self.peek() {
            Some(b'"') => {
                let (text, references) = self.quoted();
                match json(&text, depth) {
                    Some(value) => value,
                    None if references => Value::Unknown(text),
                    None => Value::Plain(text),
                }
            }
            Some(b'[' | b'{') if self.is_comprehension() => return self.expression(start, depth),
            Some(b'[') if depth < DEPTH_MAX => self.list(depth),
            Some(b'{') if depth < DEPTH_MAX => self.object(depth),
            Some(b'<') => return self.heredoc(depth),
            _ => return self.expression(start, depth),
        };
        // `"a" == b ? …`, `[…][0]`: more than a plain value.
        self.skip(false);
        match self.peek() {
            None | Some(b'\n' | b',' | b'}' | b']' | b')') => value,
            _ => self.expression(start, depth),
        }
    }

    /// `[for …]`, `{for …}`: what it holds is known later.
    fn is_comprehension(&self) -> bool {
        let inside = self.bytes[self.at + 1..].trim_ascii_start();
        inside.strip_prefix(b"for").is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_whitespace))
    }

    /// A quoted string without its quotes, and whether it holds references.
    fn quoted(&mut self) -> (String, bool) {
        self.at += 1;
        let start = self.at;
        let mut references = false;
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'\\' => self.at += 1,
                b'\n' => break,
                b'{' if self.at > start && matches!(self.bytes[self.at - 1], b'$' | b'%') => {
                    references = true;
                    depth += 1;
                }
                b'}' if depth > 0 => depth -= 1,
                b'"' if depth == 0 => break,
                _ => {}
            }
            self.at += 1;
        }
        let end = self.at.min(self.bytes.len());
        let text = self.text.get(start..end).unwrap_or("").replace("\\\"", "\"");
        self.at = (end + usize::from(self.bytes.get(end) == Some(&b'"'))).min(self.bytes.len());
        (text, references)
    }

    fn list(&mut self, depth: usize) -> Value {
        self.at += 1;
        let mut values = Vec::new();
        loop {
            self.skip(true);
            match self.peek() {
                None => return Value::List(values),
                Some(b']') => {
                    self.at += 1;
                    return Value::List(values);
                }
                Some(b',') => self.at += 1,
                Some(b'}' | b')') => return Value::List(values),
                Some(_) => {
                    let before = self.at;
                    values.push(self.value(depth + 1));
                    self.at = self.at.max(before + 1);
                }
            }
        }
    }

    fn object(&mut self, depth: usize) -> Value {
        self.at += 1;
        let mut fields = Vec::new();
        loop {
            self.skip(true);
            let before = self.at;
            match self.peek() {
                None | Some(b']' | b')') => return Value::Object(fields),
                Some(b'}') => {
                    self.at += 1;
                    return Value::Object(fields);
                }
                Some(b',') => self.at += 1,
                Some(b'"') => {
                    let name = self.quoted().0;
                    self.field(name, &mut fields, depth);
                }
                Some(_) => {
                    let name = self.word();
                    self.field(name, &mut fields, depth);
                }
            }
            self.at = self.at.max(before + 1);
        }
    }

    fn field(&mut self, name: String, fields: &mut Vec<(String, Value)>, depth: usize) {
        self.skip(false);
        if matches!(self.peek(), Some(b'=' | b':')) {
            self.at += 1;
            let value = self.value(depth + 1);
            fields.push((name, value));
        } else if self.peek() == Some(b'{') && depth < DEPTH_MAX {
            let value = self.object(depth + 1);
            fields.push((name, value));
        } else {
            self.rest_of_line();
        }
    }

    fn heredoc(&mut self, depth: usize) -> Value {
        let rest = &self.text[self.at..];
        let Some(tag) = rest.strip_prefix("<<").map(|tag| tag.trim_start_matches(['-', '~'])) else {
            return self.expression(self.at, DEPTH_MAX);
        };
        let tag = tag.lines().next().unwrap_or("").trim();
        let body = rest.find('\n').map_or(rest.len(), |end| end + 1);
        let mut end = body;
        for line in rest[body..].split_inclusive('\n') {
            if line.trim() == tag {
                let text = rest[body..end].to_owned();
                self.at += end + line.trim_end_matches('\n').len();
                if let Some(value) = json(&text, depth) {
                    return value;
                }
                return if text.contains("${") { Value::Unknown(text) } else { Value::Plain(text) };
            }
            end += line.len();
        }
        self.at = self.text.len();
        Value::Unknown(rest[body..].to_owned())
    }

    /// Anything else, up to the end of its line or what closes it, brackets balanced.
    fn expression(&mut self, start: usize, depth: usize) -> Value {
        self.at = start;
        let mut open = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    self.quoted();
                    continue;
                }
                b'(' | b'[' | b'{' => open += 1,
                b')' | b']' | b'}' if open > 0 => open -= 1,
                b')' | b']' | b'}' | b',' | b'\n' if open == 0 => break,
                b'#' | b'/' if byte == b'#' || self.bytes[self.at..].starts_with(b"//") => {
                    if open == 0 {
                        break;
                    }
                    self.skip(false);
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
        let text = self.text.get(start..self.at).unwrap_or("").trim();
        let number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
        if matches!(text, "true" | "false" | "null") || number {
            return Value::Plain(text.to_owned());
        }
        if let Some(json) = text.strip_prefix("jsonencode(").and_then(|rest| rest.strip_suffix(')'))
            && depth < DEPTH_MAX
        {
            return Reader { bytes: json.as_bytes(), text: json, at: 0 }.inner(depth + 1);
        }
        Value::Unknown(text.to_owned())
    }

    fn inner(&mut self, depth: usize) -> Value {
        self.skip(true);
        self.value(depth)
    }
}

/// The JSON that a text is. What the provider would refuse, such as a comma too many, is none.
fn json(text: &str, depth: usize) -> Option<Value> {
    let text = text.trim();
    let inside = text.get(1..).unwrap_or("").trim_start();
    if !inside.starts_with(['"', '{', '['])
        || !(text.starts_with('{') && text.ends_with('}') || text.starts_with('[') && text.ends_with(']'))
        || depth >= DEPTH_MAX
        || has_comma_too_many(text)
    {
        return None;
    }
    let mut reader = Reader { bytes: text.as_bytes(), text, at: 0 };
    let value = reader.value(depth + 1);
    reader.skip(true);
    let is_json = match &value {
        Value::Object(fields) => !fields.is_empty(),
        Value::List(values) => !values.is_empty(),
        _ => false,
    };
    (is_json && reader.at >= text.len()).then_some(value)
}

fn has_comma_too_many(text: &str) -> bool {
    let mut in_string = false;
    let mut escaped = false;
    let mut after_comma = false;
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => {
                in_string = !in_string;
                after_comma = false;
            }
            b',' if !in_string => after_comma = true,
            b'}' | b']' if !in_string && after_comma => return true,
            _ if byte.is_ascii_whitespace() => {}
            _ => after_comma = false,
        }
    }
    false
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Value {
        Value::Plain(text.to_owned())
    }

    #[test]
    fn blocks_have_labels_attributes_and_blocks() {
        let text = "# top\nresource \"aws_x\" \"y\" {\n  a = \"b\" // c\n  n = 3\n  l = [1, \"x\", [true]]\n  m = { k = \"v\", \"q\" : var.z }\n\
                    nested \"lab\" {\n e = false }\n  dynamic \"rule\" {\n content {\n z = 1\n }\n }\n}\nlocals { q = 1 }\n";
        let blocks = parse(text);
        assert_eq!(blocks.len(), 2);
        let block = &blocks[0];
        assert_eq!((block.kind.as_str(), block.labels.join(" ")), ("resource", "aws_x y".to_owned()));
        assert_eq!(block.attribute("a").unwrap().value, plain("b"));
        let list = Value::List(vec![plain("1"), plain("x"), Value::List(vec![plain("true")])]);
        assert_eq!(block.attribute("l").unwrap().value, list);
        let object = vec![("k".to_owned(), plain("v")), ("q".to_owned(), Value::Unknown("var.z".to_owned()))];
        assert_eq!(block.attribute("m").unwrap().value, Value::Object(object));
        assert_eq!(block.blocks("nested").next().unwrap().attribute("e").unwrap().value, plain("false"));
        assert_eq!(block.blocks("rule").next().unwrap().attribute("z").unwrap().value, plain("1"));
        assert!(block.closed && &text[block.attribute("n").unwrap().range.clone()] == "n = 3");
    }

    #[test]
    fn what_is_known_later_is_unknown() {
        for (text, value) in [
            ("a = \"x-${var.b}\"", Value::Unknown("x-${var.b}".to_owned())),
            ("a = var.b ? 1 : 2", Value::Unknown("var.b ? 1 : 2".to_owned())),
            ("a = f(\"x\", [1])\nb = 2", Value::Unknown("f(\"x\", [1])".to_owned())),
            ("a = 1 // c", plain("1")),
            ("a = [for x in y : x]", Value::Unknown("[for x in y : x]".to_owned())),
            ("a = f({ # }\nb = 1\n})", Value::Unknown("f({ # }\nb = 1\n})".to_owned())),
            ("a = <<EOF\nq {\nEOF\nb = 2", plain("q {\n")),
            ("a = jsonencode({ x = [\"*\"] })", Value::Object(vec![("x".to_owned(), Value::List(vec![plain("*")]))])),
        ] {
            let blocks = parse(&format!("r {{\n{text}\n}}"));
            assert_eq!(blocks[0].attribute("a").unwrap().value, value, "{text}");
            assert!(blocks[0].closed, "{text}");
        }
    }

    #[test]
    fn a_fragment_is_read_as_far_as_it_goes() {
        let blocks = parse("  x = 1\n}\n\nresource \"a\" \"b\" {\n  y = 2\n  z {\n");
        assert_eq!(blocks.len(), 1);
        assert!(!blocks[0].closed && blocks[0].attribute("y").is_some());
        for text in [
            "{",
            "}",
            "a \"",
            "a = <<",
            "a = [",
            "a = {",
            "\"",
            "a = \"\\",
            "é = é\n}",
            "a = jsonencode({",
            "a\u{0}b {",
        ] {
            let _ = parse(text);
        }
        let _ = parse(&"a {".repeat(5_000));
        let _ = parse(&format!("a = {}", "[".repeat(5_000)));
    }
}
