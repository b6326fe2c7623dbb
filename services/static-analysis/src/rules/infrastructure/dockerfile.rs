//! A Dockerfile, as far as a hunk shows it, in instructions.

use domain::diff::{Hunk, LineKind};

/// One instruction, its continued lines joined.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    /// Its first word, in capitals.
    pub(super) keyword: String,
    /// The rest.
    pub(super) arguments: String,
    /// The number in the hunk of its first line that was added; `None` when none was.
    pub(super) added: Option<usize>,
    /// The number in the hunk of its first line.
    pub(super) line: usize,
}

/// The instructions of the file after the change, as far as the hunk shows them.
pub(super) fn instructions(hunk: &Hunk<'_>) -> Vec<Instruction> {
    let mut instructions: Vec<Instruction> = Vec::new();
    let mut continued = false;
    for (index, line) in hunk.lines.iter().enumerate() {
        let text = line.text.trim();
        // Comments and blank lines do not end a continued instruction.
        if line.kind == LineKind::Removed || text.is_empty() || text.starts_with('#') {
            continue;
        }
        let part = text.strip_suffix('\\');
        let added = (line.kind == LineKind::Added).then_some(index);
        match instructions.last_mut().filter(|_| continued) {
            Some(open) => {
                open.arguments.push(' ');
                open.arguments.push_str(part.unwrap_or(text).trim());
                open.added = open.added.or(added);
            }
            None => {
                let whole = part.unwrap_or(text).trim();
                let (keyword, arguments) = whole.split_once(char::is_whitespace).unwrap_or((whole, ""));
                let (keyword, arguments) = (keyword.to_ascii_uppercase(), arguments.trim().to_owned());
                instructions.push(Instruction { keyword, arguments, added, line: index });
            }
        }
        continued = part.is_some();
    }
    instructions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn continued_lines_are_one_instruction() {
        let file = sample::modified("Dockerfile", " FROM a\n+run b \\\n # c\n+  d \\\n-  e\n   f\n USER g");
        let got = instructions(&file.hunks[0]);
        let got: Vec<_> = got.iter().map(|i| (i.keyword.as_str(), i.arguments.as_str(), i.added)).collect();
        assert_eq!(got, [("FROM", "a", None), ("RUN", "b d f", Some(1)), ("USER", "g", None)]);
    }
}
