//! Blocks of Terraform's language, as far as a hunk shows them.

use std::ops::Range;

/// A block that a place lies in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// What stands before its brace, blanks collapsed: `resource "aws_s3_bucket" "logs"`.
    pub(super) header: String,
    /// The bytes between its braces; to the end of the text where the brace is not closed.
    pub(super) body: Range<usize>,
}

/// The blocks that this byte lies in, the innermost first. `text` is the original, `code` the same without comments and
/// strings.
pub(super) fn enclosing(text: &str, code: &str, byte: usize) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut depth = 0_usize;
    for (at, sign) in code[..byte].bytes().enumerate().rev() {
        match sign {
            b'}' => depth += 1,
            b'{' if depth > 0 => depth -= 1,
            b'{' => {
                let line_start = code[..at].rfind('\n').map_or(0, |end| end + 1);
                let header: Vec<_> = text[line_start..at].split_whitespace().collect();
                let end = crate::source::closing(code, at).unwrap_or(code.len());
                blocks.push(Block { header: header.join(" "), body: at + 1..end });
            }
            _ => {}
        }
    }
    blocks
}

/// The value of an attribute that stands directly in the block, as written.
pub(super) fn attribute<'a>(text: &'a str, code: &str, block: &Block, name: &str) -> Option<&'a str> {
    let mut depth = 0_i32;
    let mut at = block.body.start;
    for line in code[block.body.clone()].split_inclusive('\n') {
        let before = depth;
        depth += line.bytes().map(|b| i32::from(b == b'{') - i32::from(b == b'}')).sum::<i32>();
        if before == 0
            && let Some(rest) = line.trim_start().strip_prefix(name)
            && rest.trim_start().starts_with('=')
        {
            let value = text[at..at + line.trim_end().len()].split_once('=')?.1;
            return Some(value.trim());
        }
        at += line.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Syntax, code_only};

    #[test]
    fn a_place_knows_its_blocks_and_their_attributes() {
        let text =
            "resource \"a\" \"b\" {\n  x { y = 1 }\n  ingress {\n    from_port = 22 # }\n    cidr = [\"0\"]\n  }\n}\n";
        let code = code_only(text, Syntax::Hcl);
        let blocks = enclosing(text, &code, text.find("cidr").unwrap());
        let headers: Vec<_> = blocks.iter().map(|block| block.header.as_str()).collect();
        assert_eq!(headers, ["ingress", "resource \"a\" \"b\""]);
        assert_eq!(attribute(text, &code, &blocks[0], "from_port"), Some("22"));
        assert_eq!(attribute(text, &code, &blocks[1], "from_port"), None);
    }
}
