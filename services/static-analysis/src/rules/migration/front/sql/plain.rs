//! What stands in a script of SQL and is not SQL: the commands and the data of a client, and the words that a tool replaces before it
//! sends the script. Any of these in front of a statement would hide it.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// `text` with blanks, or a name, in the place of what is not SQL. Every byte stays where it is.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    const SIGNS: [&str; 9] = ["\\", "#", "/*!", "${", "{{", "{%", "$(", "%", "["];
    let is_sql = !SIGNS.iter().any(|sign| text.contains(sign)) && !text.contains(['@', '<', ':']) && !GO.is_match(text);
    if is_sql {
        return Cow::Borrowed(text);
    }
    let mut plain = text.to_owned();
    for data in copied(text) {
        blank(&mut plain, data);
    }
    for pattern in [&*CLIENT, &*HASH, &*TAG] {
        let found: Vec<_> = pattern.captures_iter(&plain).filter_map(|all| all.get(1)).map(|one| one.range()).collect();
        found.into_iter().for_each(|range| blank(&mut plain, range));
    }
    let plain = VERSIONED.replace_all(&plain, |all: &Captures<'_>| {
        let blanks = |part: usize| " ".repeat(all.get(part).map_or(0, |part| part.len()));
        format!("{}{}{}", blanks(1), &all[2], blanks(3))
    });
    let plain = GO.replace_all(&plain, |all: &Captures<'_>| {
        let line = all[0].chars().map(|c| match c {
            'g' | 'G' => ';',
            '\r' => c,
            _ => ' ',
        });
        line.collect::<String>()
    });
    let plain = BRACKETED.replace_all(&plain, |all: &Captures<'_>| format!("{}\"{}\"", &all[1], &all[2]));
    let plain = PLACEHOLDER.replace_all(&plain, |all: &Captures<'_>| {
        let before = all.get(1).map_or("", |before| before.as_str());
        before.to_owned() + &name(&all[0][before.len()..])
    });
    Cow::Owned(plain.into_owned())
}

/// A command of psql, which ends with its line: `\set ON_ERROR_STOP on`.
static CLIENT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?m)^(\\[A-Za-z!?.;][^\n]*)").expect("the pattern is tested"));
/// A comment as MySQL also writes it. What begins with another sign behind the hash is an operator of PostgreSQL, or a placeholder.
static HASH: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?m)(?:^|;)[ \t]*(#(?:(?:[ \t!*#A-Za-z0-9]|--|==)[^\n]*)?)$").expect("the pattern is tested")
});
/// A tag of a template: `{% if … %}`.
static TAG: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(\{%[^%\n]*%\})").expect("the pattern is tested"));
/// What MySQL reads and others take for a comment: `/*!50001 … */`.
static VERSIONED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(/\*!\d{0,6})((?s:.)*?)(\*/)").expect("the pattern is tested"));
/// The end of a batch in SQL Server's tools.
static GO: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?mi)^[ \t]*go[ \t]*(?:\d{1,4}[ \t]*)?\r?$").expect("the pattern is tested"));
/// A name in SQL Server's brackets. Behind a name, brackets are of an array.
static BRACKETED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"([\s.,(])\[([A-Za-z_][A-Za-z0-9_ $-]*)\]").expect("the pattern is tested"));
/// What a tool puts a name in the place of: `${schema}`, `{{ schema }}`, `$(schema)`, `#{schema}`, `%(schema)s`, `%s`, `@schema@`, `<schema>`, and
/// psql's `:schema` where a name begins.
static PLACEHOLDER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"[$#]\{[A-Za-z0-9_.:\-]+\}|\{\{[^{}\n]+\}\}|\$\([A-Za-z0-9_]+\)|%(?:\([A-Za-z0-9_]+\))?s",
        r"|@[A-Za-z_][A-Za-z0-9_.\-]*@|<[A-Za-z_][A-Za-z0-9_]*>",
        r"|([\s(,]):[A-Za-z_][A-Za-z0-9_]*",
    ))
    .expect("the pattern is tested")
});

/// A name of the same length.
fn name(placeholder: &str) -> String {
    placeholder
        .bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte.to_ascii_lowercase()) } else { '_' })
        .collect()
}

/// The rows behind each `COPY … FROM stdin;`, with the line that ends them.
fn copied(text: &str) -> Vec<Range<usize>> {
    static COPY: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?mi)^[ \t]*copy\b[^;]*\bfrom\s+stdin\b[^;\n]*;[ \t]*\r?\n").expect("the pattern is tested")
    });
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(copy) = COPY.find_at(text, at) {
        at = copy.end();
        let end =
            if text[at..].starts_with("\\.") { Some(at) } else { text[at..].find("\n\\.").map(|end| at + end + 1) };
        let Some(end) = end else { break };
        found.push(at..end + 2);
        at = end + 2;
    }
    found
}

/// Blanks out the bytes of a part, but for the ends of its lines.
fn blank(text: &mut String, part: Range<usize>) {
    let blanks: String = text[part.clone()].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect();
    text.replace_range(part, &blanks);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let got = plain(text);
        assert_eq!(got, expected);
        assert_eq!(got.len(), text.len(), "{text}");
    }

    #[test]
    fn what_a_client_reads_itself_is_blank() {
        check("\\set x on\nDROP TABLE a;", "         \nDROP TABLE a;");
        check("COPY a (b) FROM stdin;\n1\tx;'\n\\.\nSELECT 1;", "COPY a (b) FROM stdin;\n     \n  \nSELECT 1;");
        check("COPY a FROM stdin;\n1\n", "COPY a FROM stdin;\n1\n");
        check("# it's\nDROP TABLE a; # b\n", "      \nDROP TABLE a;    \n");
        check("DROP TABLE a\nGO 2\r\n", "DROP TABLE a\n;   \r\n");
        check("{% if a %}DROP TABLE a;{% endif %}", "          DROP TABLE a;           ");
    }

    #[test]
    fn what_mysql_reads_is_read() {
        check("/*!50001 DROP TABLE a */;", "         DROP TABLE a   ;");
        check("/* no */ /*! no", "/* no */ /*! no");
    }

    #[test]
    fn a_placeholder_is_a_name() {
        check("ALTER TABLE ${app.schema}.a", "ALTER TABLE __app_schema_.a");
        check("ALTER TABLE {{ s }}.a", "ALTER TABLE ___s___.a");
        check(
            "ALTER TABLE :s.a, $(s).a, %(s)s, @s@.a, <s>.a, #{s}.a",
            "ALTER TABLE _s.a, __s_.a, __s_s, _s_.a, _s_.a, __s_.a",
        );
        check("DROP TABLE [dbo].[Some Users]", "DROP TABLE \"dbo\".\"Some Users\"");
    }

    #[test]
    fn sql_stays() {
        for text in [
            "SELECT a::int, b[1:2], c #>> '{d}', ARRAY[1], x[y] FROM t WHERE a<b AND c>d",
            "SELECT a\n#> '{b}'\n#- '{c}' FROM t",
            "DO $$ BEGIN v := 1; END $$;",
            "SELECT '{{1,2},{3,4}}'::int[]; SET @a = 1; SELECT 'a' || $1",
            "SELECT 1; -- go on\nSELECT 'GO';",
        ] {
            check(text, text);
        }
    }
}
