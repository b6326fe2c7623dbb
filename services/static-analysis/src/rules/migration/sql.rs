//! SQL in tokens and statements: what is a word, what is quoted, and what is a comment or a literal and says nothing. Not a
//! parser, and for every dialect alike.

use std::ops::Range;

/// A piece of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    /// As written; of a quoted name what is between the quotes.
    pub(crate) text: &'a str,
    start: usize,
    end: usize,
}

impl Token<'_> {
    /// The byte it begins at.
    pub(crate) fn start(&self) -> usize {
        self.start
    }

    /// The byte behind it.
    pub(crate) fn end(&self) -> usize {
        self.end
    }
}

/// What sort of piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A keyword, a name or a number.
    Word,
    /// A name in quotes.
    Quoted,
    /// A string, of whatever kind.
    Literal,
    /// One other sign.
    Sign,
}

/// The tokens between two semicolons. Never empty.
#[derive(Clone, Debug)]
pub(crate) struct Statement<'a> {
    pub(crate) tokens: Vec<Token<'a>>,
}

/// The statements of `text`.
pub(crate) fn statements(text: &str) -> Vec<Statement<'_>> {
    let mut statements = Vec::new();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some((token, end)) = next(text, at) {
        at = end;
        match token {
            Some(Token { kind: Kind::Sign, text: ";", .. }) => {
                statements.push(Statement { tokens: std::mem::take(&mut tokens) })
            }
            Some(token) => tokens.push(token),
            None => {}
        }
    }
    statements.push(Statement { tokens });
    statements.retain(|statement| !statement.tokens.is_empty());
    statements
}

/// The next token (none for blanks and comments) and where it ends; `None` at the end.
fn next(text: &str, at: usize) -> Option<(Option<Token<'_>>, usize)> {
    let rest = &text[at..];
    let first = rest.chars().next()?;
    let until = |wanted: &str| rest.find(wanted).map_or(rest.len(), |found| found + wanted.len());
    let token = |kind, inner: Range<usize>, length: usize| {
        // What is never closed may end in the middle of a character: then its inside does not matter.
        let text = rest.get(inner.start..inner.end.max(inner.start)).unwrap_or("");
        Some((Some(Token { kind, text, start: at, end: at + length }), at + length))
    };
    match first {
        c if c.is_whitespace() => Some((None, at + c.len_utf8())),
        '-' if rest.starts_with("--") => Some((None, at + until("\n"))),
        '/' if rest.starts_with("/*") => Some((None, at + block_comment(rest))),
        '\'' => {
            let length = quoted(rest, '\'', Escapes::Doubled);
            token(Kind::Literal, 1..length - 1, length)
        }
        'e' | 'E' if rest[1..].starts_with('\'') => {
            let length = 1 + quoted(&rest[1..], '\'', Escapes::Backslash);
            token(Kind::Literal, 2..length - 1, length)
        }
        '"' | '`' => {
            let length = quoted(rest, first, Escapes::Doubled);
            token(Kind::Quoted, 1..length - 1, length)
        }
        '$' => match dollar_quoted(rest) {
            Some(length) => token(Kind::Literal, 0..length, length),
            None => token(Kind::Sign, 0..1, 1),
        },
        c if c.is_alphanumeric() || c == '_' => {
            let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
            token(Kind::Word, 0..length, length)
        }
        c => token(Kind::Sign, 0..c.len_utf8(), c.len_utf8()),
    }
}

/// PostgreSQL's comments nest.
fn block_comment(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut depth = 0_usize;
    let mut at = 0;
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                at += 2;
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    rest.len()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    Doubled,
    Backslash,
}

/// The length of what is quoted at the beginning of `rest`, quotes included, at least 2 less a missing end.
fn quoted(rest: &str, quote: char, escapes: Escapes) -> usize {
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\\' && escapes == Escapes::Backslash {
            chars.next();
        } else if c == quote {
            if chars.peek().is_some_and(|(_, next)| *next == quote) {
                chars.next();
            } else {
                return at + quote.len_utf8();
            }
        }
    }
    rest.len()
}

/// The length of `$tag$ … $tag$` at the beginning of `rest`.
fn dollar_quoted(rest: &str) -> Option<usize> {
    let tag_length = rest[1..].find('$')? + 2;
    let tag = &rest[..tag_length];
    let inner = &tag[1..tag_length - 1];
    let is_tag =
        inner.chars().all(|c| c.is_alphanumeric() || c == '_') && !inner.starts_with(|c: char| c.is_ascii_digit());
    is_tag.then(|| rest[tag_length..].find(tag).map_or(rest.len(), |found| found + 2 * tag_length))
}

impl<'a> Statement<'a> {
    /// The bytes of the text that it takes.
    pub(crate) fn range(&self) -> Range<usize> {
        self.tokens.first().map_or(0, |first| first.start)..self.tokens.last().map_or(0, |last| last.end)
    }

    /// Reads it from its beginning.
    pub(crate) fn read(&self) -> Reader<'_, 'a> {
        Reader { tokens: &self.tokens }
    }

    /// The table it creates.
    pub(crate) fn created_table(&self) -> Option<String> {
        let mut read = self.read();
        if !read.take(&["create"]) {
            return None;
        }
        for word in ["global", "local", "temporary", "temp", "unlogged"] {
            read.take(&[word]);
        }
        if !read.take(&["table"]) {
            return None;
        }
        read.take(&["if", "not", "exists"]);
        read.name()
    }

    /// Passes the words of an ALTER TABLE, if it is one.
    pub(crate) fn alters_table(read: &mut Reader<'_, 'a>) -> bool {
        [&["alter", "table"][..], &["alter", "foreign", "table"], &["alter", "ignore", "table"]]
            .into_iter()
            .any(|words| read.take(words))
    }

    /// Of an `ALTER TABLE`, the table and its actions, each from its first word.
    pub(crate) fn altered_table(&self) -> Option<(String, Vec<Reader<'_, 'a>>)> {
        let mut read = self.read();
        if !Self::alters_table(&mut read) {
            return None;
        }
        read.take(&["if", "exists"]);
        read.take(&["only"]);
        let name = read.name()?;
        // As ClickHouse says it.
        if read.take(&["on", "cluster"]) {
            read.skip();
        }
        let mut actions = vec![read.clone()];
        let mut depth = 0_i32;
        for (at, token) in read.tokens.iter().enumerate() {
            match (token.kind, token.text) {
                (Kind::Sign, "(") => depth += 1,
                (Kind::Sign, ")") => depth -= 1,
                (Kind::Sign, ",") if depth == 0 => actions.push(Reader { tokens: &read.tokens[at + 1..] }),
                _ => {}
            }
        }
        Some((name, actions))
    }
}

/// Reads a statement word by word.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'s, 'a> {
    pub(crate) tokens: &'s [Token<'a>],
}

impl Reader<'_, '_> {
    /// Passes these words (in small letters), if they come next.
    pub(crate) fn take(&mut self, words: &[&str]) -> bool {
        let found = self.tokens.len() >= words.len()
            && words
                .iter()
                .zip(self.tokens)
                .all(|(word, token)| token.kind == Kind::Word && token.text.eq_ignore_ascii_case(word));
        if found {
            self.tokens = &self.tokens[words.len()..];
        }
        found
    }

    /// Passes this sign, if it comes next.
    pub(crate) fn take_sign(&mut self, sign: &str) -> bool {
        let found = self.tokens.first().is_some_and(|token| token.kind == Kind::Sign && token.text == sign);
        if found {
            self.tokens = &self.tokens[1..];
        }
        found
    }

    /// Passes a name, and gives its last part (without the schema), in small letters unless it is quoted.
    pub(crate) fn name(&mut self) -> Option<String> {
        loop {
            let (first, rest) = self.tokens.split_first()?;
            self.tokens = rest;
            let name = match first.kind {
                Kind::Word => first.text.to_lowercase(),
                Kind::Quoted => first.text.to_owned(),
                Kind::Literal | Kind::Sign => return None,
            };
            match rest.first() {
                Some(Token { kind: Kind::Sign, text: ".", .. }) => self.tokens = &rest[1..],
                _ => return Some(name),
            }
        }
    }

    /// Passes one piece, whatever it is.
    pub(crate) fn skip(&mut self) {
        self.tokens = self.tokens.split_first().map_or(&[], |(_, rest)| rest);
    }

    /// Passes what comes before the next of these words (in small letters) outside brackets.
    pub(crate) fn skip_to(&mut self, words: &[&str]) {
        let mut depth = 0_i32;
        while let Some(token) = self.tokens.first() {
            match (token.kind, token.text) {
                (Kind::Sign, "(") => depth += 1,
                (Kind::Sign, ")") => depth -= 1,
                (Kind::Word, text) if depth == 0 && words.iter().any(|word| text.eq_ignore_ascii_case(word)) => return,
                _ => {}
            }
            self.skip();
        }
    }

    /// Passes what comes before the next comma outside brackets, or before FROM.
    pub(crate) fn skip_part(&mut self) {
        let mut depth = 0_i32;
        while let Some(token) = self.tokens.first() {
            match (token.kind, token.text) {
                (Kind::Sign, "(") => depth += 1,
                (Kind::Sign, ")") => depth -= 1,
                (Kind::Sign, ",") if depth == 0 => return,
                (Kind::Word, word) if depth == 0 && word.eq_ignore_ascii_case("from") => return,
                _ => {}
            }
            self.skip();
        }
    }

    /// How many parts there are before the bracket that closes.
    pub(crate) fn parts(&self) -> usize {
        let mut depth = 0_i32;
        let mut commas = 0;
        for token in self.tokens {
            match (token.kind, token.text) {
                (Kind::Sign, "(") => depth += 1,
                (Kind::Sign, ")") => depth -= 1,
                (Kind::Sign, ",") if depth == 0 => commas += 1,
                _ => {}
            }
            if depth < 0 {
                break;
            }
        }
        commas + 1
    }

    /// True when this word (in small letters) comes anywhere.
    pub(crate) fn holds_anywhere(&self, word: &str) -> bool {
        self.tokens.iter().any(|token| token.kind == Kind::Word && token.text.eq_ignore_ascii_case(word))
    }

    /// True when this word (in small letters) comes before the next comma outside brackets, or the end.
    pub(crate) fn holds(&self, word: &str) -> bool {
        let mut depth = 0_i32;
        for token in self.tokens {
            match (token.kind, token.text) {
                (Kind::Sign, "(") => depth += 1,
                (Kind::Sign, ")") => depth -= 1,
                (Kind::Sign, ",") if depth == 0 => return false,
                (Kind::Word, text) if text.eq_ignore_ascii_case(word) => return true,
                _ => {}
            }
        }
        false
    }
}

/// What `DROP` may also take away from a table, in any dialect. The word COLUMN is optional.
const OTHERS: &[&str] = &[
    "constraint",
    "index",
    "key",
    "foreign",
    "primary",
    "check",
    "partition",
    "default",
    "identity",
    "expression",
    "not",
    "statistics",
    "projection",
];

/// True for an action of ALTER TABLE that drops a column.
pub(crate) fn drops_column(mut action: Reader<'_, '_>) -> bool {
    if !action.take(&["drop"]) {
        return false;
    }
    if action.take(&["column"]) {
        return true;
    }
    action.take(&["if", "exists"]);
    let named = |token: &Token<'_>| match token.kind {
        Kind::Word => !OTHERS.iter().any(|other| token.text.eq_ignore_ascii_case(other)),
        Kind::Quoted => true,
        Kind::Literal | Kind::Sign => false,
    };
    action.tokens.first().is_some_and(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&[&str]]) {
        let got = statements(text);
        let got: Vec<Vec<_>> = got.iter().map(|s| s.tokens.iter().map(|token| token.text).collect()).collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn comments_say_nothing_and_literals_hold_no_words() {
        check("a; -- b;\nc /* d; /* e */ ; */ f", &[&["a"], &["c", "f"]]);
        check("insert 'it''s; drop' x", &[&["insert", "it''s; drop", "x"]]);
        check(r"E'a\'; b' c", &[&[r"a\'; b", "c"]]);
        check("do $$ drop table x; $$; b", &[&["do", "$$ drop table x; $$"], &["b"]]);
        check("$fn$ a $$ b $$ $fn$; c", &[&["$fn$ a $$ b $$ $fn$"], &["c"]]);
        check("\"a;b\".`c` = $1", &[&["a;b", ".", "c", "=", "$", "1"]]);
        check(";;  ;", &[]);
    }

    #[test]
    fn what_is_never_closed_takes_the_rest() {
        for text in ["'", "\"", "`", "$$", "/*", "--", "E'", "'a", "/* /* */", "$x$ a", "E'\\"] {
            assert!(statements(text).len() <= 1, "{text}");
        }
    }

    #[test]
    fn tables_are_read_from_statements() {
        let created = |text: &str| statements(text)[0].created_table();
        assert_eq!(created("CREATE TABLE IF NOT EXISTS public.Users (id int)").as_deref(), Some("users"));
        assert_eq!(created("create unlogged table \"A b\" ()").as_deref(), Some("A b"));
        assert_eq!(created("create index i on t (a)"), None);
        let statement = &statements("ALTER TABLE ONLY s.t ADD COLUMN a numeric(1, 2), DROP b")[0];
        let (name, actions) = statement.altered_table().unwrap();
        assert_eq!((name.as_str(), actions.len()), ("t", 2));
        assert!(actions[1].clone().take(&["drop", "b"]) && !actions[0].holds("drop"));
    }
}
