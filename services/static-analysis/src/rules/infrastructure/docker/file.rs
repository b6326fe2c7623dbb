//! A Dockerfile, as far as a hunk shows it, in instructions.

use domain::diff::{Hunk, LineKind};

/// One instruction, its continued lines joined, and the here-document of a RUN with them.
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

impl Instruction {
    /// The words that are no options (`--platform=…`).
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.arguments.split_whitespace().skip_while(|word| word.starts_with("--"))
    }

    /// The value of an option, such as `--from`.
    pub(super) fn option(&self, name: &str) -> Option<&str> {
        let options = self.arguments.split_whitespace().take_while(|word| word.starts_with("--"));
        options.filter_map(|word| word.strip_prefix(name)).find_map(|rest| rest.strip_prefix('='))
    }
}

/// The instructions of the file after the change, as far as the hunk shows them.
pub(super) fn instructions(hunk: &Hunk<'_>) -> Vec<Instruction> {
    let mut instructions: Vec<Instruction> = Vec::new();
    let mut continued = false;
    // The words that end the here-documents that are open, and whether their text is a program.
    let mut documents: Vec<(String, bool)> = Vec::new();
    let mut escape = '\\';
    for (index, line) in hunk.lines.iter().enumerate().filter(|(_, line)| line.kind != LineKind::Removed) {
        let text = line.text.trim();
        let added = (line.kind == LineKind::Added).then_some(index);
        if let Some((end, is_program)) = documents.last() {
            if text == end {
                documents.pop();
            } else if let Some(open) = instructions.last_mut().filter(|_| *is_program) {
                open.arguments.push('\n');
                open.arguments.push_str(text);
                open.added = open.added.or(added);
            }
            continue;
        }
        // Comments and blank lines do not end a continued instruction.
        if text.is_empty() || text.starts_with('#') {
            let directive = text.trim_start_matches('#').trim_start().strip_prefix("escape=");
            if instructions.is_empty() && directive.is_some_and(|sign| sign.trim() == "`") {
                escape = '`';
            }
            continue;
        }
        let part = text.strip_suffix(escape);
        let whole = part.unwrap_or(text).trim();
        match instructions.last_mut().filter(|_| continued) {
            Some(open) => {
                open.arguments.push(' ');
                open.arguments.push_str(whole);
                open.added = open.added.or(added);
            }
            None => {
                let (keyword, arguments) = whole.split_once(char::is_whitespace).unwrap_or((whole, ""));
                let (keyword, arguments) = (keyword.to_ascii_uppercase(), arguments.trim().to_owned());
                instructions.push(Instruction { keyword, arguments, added, line: index });
            }
        }
        continued = part.is_some();
        if let Some(open) =
            instructions.last().filter(|open| !continued && matches!(open.keyword.as_str(), "RUN" | "COPY" | "ADD"))
        {
            documents = here_documents(&open.arguments, open.keyword == "RUN");
        }
    }
    instructions
}

/// The here-documents that an instruction opens, the last first.
fn here_documents(arguments: &str, is_program: bool) -> Vec<(String, bool)> {
    let mut ends: Vec<_> = arguments
        .match_indices("<<")
        .filter_map(|(at, _)| {
            let rest = arguments[at + 2..].trim_start_matches('-');
            let quoted = rest.strip_prefix(['"', '\'']).unwrap_or(rest);
            let word: String = quoted.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let free =
                !word.is_empty() && !word.starts_with(|c: char| c.is_ascii_digit()) && !arguments[..at].ends_with('<');
            free.then_some((word, is_program))
        })
        .collect();
    ends.reverse();
    ends
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[track_caller]
    fn check(hunk: &str, expected: &[(&str, &str, Option<usize>)]) {
        let file = sample::modified("Dockerfile", hunk);
        let got = instructions(&file.hunks[0]);
        let got: Vec<_> = got.iter().map(|i| (i.keyword.as_str(), i.arguments.as_str(), i.added)).collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn continued_lines_are_one_instruction() {
        let hunk = " FROM a\n+run b \\\n # c\n+  d \\\n-  e\n   f\n USER g";
        check(hunk, &[("FROM", "a", None), ("RUN", "b d f", Some(1)), ("USER", "g", None)]);
        check(" # escape=`\n FROM a\n+RUN b `\n+  c", &[("FROM", "a", None), ("RUN", "b c", Some(2))]);
    }

    #[test]
    fn here_documents_belong_to_their_instruction() {
        check("+RUN <<EOF\n+USER root\n+EOF\n+USER a", &[("RUN", "<<EOF\nUSER root", Some(0)), ("USER", "a", Some(3))]);
        check("+COPY <<-'X' /a\n+FROM b\n+X\n+CMD c", &[("COPY", "<<-'X' /a", Some(0)), ("CMD", "c", Some(3))]);
        check("+RUN a <<<b\n+CMD c", &[("RUN", "a <<<b", Some(0)), ("CMD", "c", Some(1))]);
    }

    #[test]
    fn options_stand_before_the_words() {
        let file = sample::modified("Dockerfile", "+COPY --from=a --chown=b c d");
        let copy = &instructions(&file.hunks[0])[0];
        assert_eq!((copy.option("--from"), copy.words().collect::<Vec<_>>()), (Some("a"), vec!["c", "d"]));
    }
}
