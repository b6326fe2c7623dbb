//! A line of shell in commands and words, as far as that can be told without running it.

/// A command of a shell.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Command {
    /// The variables that are set for it.
    pub(super) variables: Vec<(String, String)>,
    /// Its words, without their quotes.
    pub(super) words: Vec<String>,
    /// Whether it reads what the command before it writes.
    pub(super) piped: bool,
}

impl Command {
    /// The program's name without its folder; empty when the command only sets variables.
    pub(super) fn program(&self) -> &str {
        self.words.first().map_or("", |word| word.rsplit('/').next().unwrap_or(word))
    }

    /// The words behind the program that are no options.
    pub(super) fn operands(&self) -> impl Iterator<Item = &str> {
        self.words.iter().skip(1).map(String::as_str).filter(|word| !word.starts_with('-'))
    }

    /// Whether it has one of these options. A short one (`-y`) may stand among others (`-qy`).
    pub(super) fn has_option(&self, options: &[&str]) -> bool {
        self.words.iter().skip(1).any(|word| {
            let name = word.split('=').next().unwrap_or(word);
            options.iter().any(|option| {
                let short = option.strip_prefix('-').filter(|letters| letters.len() == 1);
                let cluster = word.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
                name == *option || matches!((short, cluster), (Some(letter), Some(rest)) if rest.contains(letter))
            })
        })
    }
}

/// Commands of one RUN that are looked at: they are held against each other.
const COMMANDS_MAX: usize = 200;

/// The commands of a RUN, in order. `sudo`, `env` and the like are taken off the front of those that they run.
pub(super) fn commands(text: &str) -> Vec<Command> {
    let text = text.trim();
    if text.starts_with('[') {
        let words = text.trim_matches(['[', ']']).split(',').map(|word| word.trim().trim_matches('"').to_owned());
        return vec![Command { variables: Vec::new(), words: words.collect(), piped: false }];
    }
    let mut commands = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let (mut quote, mut begun, mut piped) = (None, false, false);
    let mut signs = text.chars().peekable();
    while let Some(sign) = signs.next().filter(|_| commands.len() < COMMANDS_MAX) {
        match (quote, sign) {
            (Some(open), _) if sign == open => quote = None,
            (Some('"') | None, '\\') => {
                begun = true;
                word.extend(signs.next().filter(|next| *next != '\n'));
            }
            (Some(_), _) => word.push(sign),
            (None, '"' | '\'') => (quote, begun) = (Some(sign), true),
            (None, '#') if word.is_empty() && !begun => while signs.next_if(|next| *next != '\n').is_some() {},
            (None, ';' | '&' | '|' | '\n' | '(' | ')' | '{' | '}') if !in_word(sign, &word) => {
                take_word(&mut word, &mut begun, &mut words);
                let doubled = signs.next_if_eq(&sign).is_some();
                finish(&mut words, piped, &mut commands);
                piped = sign == '|' && !doubled;
            }
            (None, _) if sign.is_whitespace() => take_word(&mut word, &mut begun, &mut words),
            (None, _) => word.push(sign),
        }
    }
    take_word(&mut word, &mut begun, &mut words);
    finish(&mut words, piped, &mut commands);
    commands
}

/// Braces belong to a word that has begun (`${a}`, `{a,b}`), and so does the `&` of `2>&1`.
fn in_word(sign: char, word: &str) -> bool {
    matches!(sign, '{' | '}') && !word.is_empty()
        || sign == '&' && word.ends_with('>')
        || sign == '(' && word.ends_with('=')
}

fn take_word(word: &mut String, begun: &mut bool, words: &mut Vec<String>) {
    if !word.is_empty() || *begun {
        words.push(std::mem::take(word));
    }
    *begun = false;
}

fn finish(words: &mut Vec<String>, piped: bool, commands: &mut Vec<Command>) {
    let mut all = std::mem::take(words).into_iter().peekable();
    let mut variables = Vec::new();
    while let Some(word) = all.next_if(|word| is_prefix(word)) {
        if let Some((name, value)) = word.split_once('=') {
            variables.push((name.to_owned(), value.to_owned()));
        }
    }
    let words: Vec<_> = all.collect();
    if !words.is_empty() || !variables.is_empty() {
        commands.push(Command { variables, words, piped });
    }
}

/// What stands before a program and is not one: variables, the shell's own words, options of RUN.
fn is_prefix(word: &str) -> bool {
    let variable = word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && !name.starts_with(|c: char| c.is_ascii_digit())
    });
    variable
        || matches!(
            word,
            "if" | "then"
                | "else"
                | "elif"
                | "do"
                | "while"
                | "until"
                | "!"
                | "time"
                | "exec"
                | "export"
                | "env"
                | "eval"
                | "command"
        )
        || word.starts_with("--mount=")
        || word.starts_with("--network=")
        || word.starts_with("--security=")
        || word.starts_with("<<")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&[&str]]) {
        let got: Vec<Vec<_>> = commands(text).into_iter().map(|command| command.words).collect();
        assert_eq!(got, expected, "{text}");
    }

    #[test]
    fn a_line_of_shell_is_split_into_commands() {
        check("a b && c 'd; e' || f", &[&["a", "b"], &["c", "d; e"], &["f"]]);
        check("A=1 B=2 a --c=\"d e\"; cd ${X}/y", &[&["a", "--c=d e"], &["cd", "${X}/y"]]);
        check("a | b 2>&1\nc # d", &[&["a"], &["b", "2>&1"], &["c"]]);
        check("--mount=type=cache,target=/x if [ a ]; then b; fi", &[&["[", "a", "]"], &["b"], &["fi"]]);
        check("[\"a\", \"b c\"]", &[&["a", "b c"]]);
        check("\"unclosed \\", &[&["unclosed "]]);
    }

    #[test]
    fn options_and_variables_are_known() {
        let all = commands("X=0 apt-get -qy install a --b=c | sh");
        assert!(all[0].has_option(&["-y"]) && all[0].has_option(&["--b"]) && !all[0].has_option(&["-z"]));
        assert_eq!(all[0].variables, [("X".to_owned(), "0".to_owned())]);
        assert_eq!(all[0].operands().collect::<Vec<_>>(), ["install", "a"]);
        assert!(!all[0].piped && all[1].piped);
    }
}
