//! Expressions, as far as the rules ask about them: whether a default is the same for every row, and whether a check only asks
//! that a column is not null.

use super::super::operation::Value;
use super::super::sql::{self, Kind, Token};

/// Functions of PostgreSQL and its usual extensions whose value is the same all through a statement (`provolatile` other
/// than `v` in its catalogue), as far as a default may call them.
const STEADY: &str = include_str!("steady.txt");

/// Functions of PostgreSQL and its usual extensions that are called anew for every row.
const VOLATILE: &[&str] = &[
    "clock_timestamp",
    "gen_random_bytes",
    "gen_random_uuid",
    "gen_salt",
    "nanoid",
    "nextval",
    "random",
    "random_normal",
    "setval",
    "timeofday",
    "uuid_generate_v1",
    "uuid_generate_v1mc",
    "uuid_generate_v4",
    "uuid_generate_v7",
    "uuidv4",
    "uuidv7",
];

/// What a default in SQL gives each row.
pub(super) fn of_sql(expression: &str) -> Value {
    let statements = sql::statements(expression);
    let Some(statement) = statements.first() else { return Value::None };
    let tokens = &statement.tokens;
    let bare = |token: &Token<'_>| !(token.kind == Kind::Sign && matches!(token.text, "(" | ")"));
    let mut value = match tokens.iter().find(|token| bare(token)) {
        Some(first) if is_word(first, "null") => Value::None,
        _ => Value::Same,
    };
    for (at, (name, open)) in tokens.iter().zip(tokens.iter().skip(1)).enumerate() {
        let calls = open.kind == Kind::Sign && open.text == "(" && matches!(name.kind, Kind::Word | Kind::Quoted);
        // `a::numeric(10, 2)` only looks like a call.
        let is_type = at > 0 && tokens[at - 1].kind == Kind::Sign && tokens[at - 1].text == ":";
        if !calls || is_type {
            continue;
        }
        let name = name.text.to_lowercase();
        // Who asks, as Supabase tells: the same all through a statement.
        let schema = at.checked_sub(2).map(|schema| tokens[schema].text);
        if schema == Some("auth") && ["uid", "jwt", "role", "email"].contains(&name.as_str()) {
            continue;
        }
        if VOLATILE.contains(&name.as_str()) {
            return Value::Volatile;
        }
        // So do types in other casts, and operators in words.
        let type_or_word = ["varchar", "char", "bit", "decimal", "and", "or", "not", "is", "like", "values", "select"];
        if !STEADY.split_whitespace().any(|steady| steady == name) && !type_or_word.contains(&name.as_str()) {
            value = Value::Unknown;
        }
    }
    value
}

fn is_word(token: &Token<'_>, word: &str) -> bool {
    token.kind == Kind::Word && token.text.eq_ignore_ascii_case(word)
}

/// The column of a check that says no more than `column IS NOT NULL`.
pub(super) fn not_null_column(expression: &str) -> Option<String> {
    let statements = sql::statements(expression);
    let tokens: Vec<_> = statements
        .first()?
        .tokens
        .iter()
        .filter(|token| !matches!(token.text, "(" | ")") || token.kind != Kind::Sign)
        .collect();
    match tokens.as_slice() {
        [column, is, not, null] if is_word(is, "is") && is_word(not, "not") && is_word(null, "null") => {
            Some(if column.kind == Kind::Quoted { column.text.to_owned() } else { column.text.to_lowercase() })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_is_the_same_for_all_rows_or_not() {
        for (text, expected) in [
            ("10", Value::Same),
            ("'x'::text", Value::Same),
            ("NULL", Value::None),
            ("(NULL)", Value::None),
            ("now()", Value::Same),
            ("CURRENT_TIMESTAMP", Value::Same),
            ("date_trunc('day', now()) + interval '1 day'", Value::Same),
            ("ARRAY[]::varchar(20)[]", Value::Same),
            ("cast(1 as numeric(10, 2))", Value::Same),
            ("random()", Value::Volatile),
            ("md5(random()::text)", Value::Volatile),
            ("public.gen_random_uuid()", Value::Volatile),
            ("nextval('s')", Value::Volatile),
            ("'POINT(0 0)'::geometry(Point, 4326)", Value::Same),
            ("uuid_nil()", Value::Same),
            ("regexp_replace('a', 'b', 'c')", Value::Same),
            ("my_function()", Value::Unknown),
        ] {
            assert_eq!(of_sql(text), expected, "{text}");
        }
    }

    #[test]
    fn a_check_may_be_a_not_null() {
        assert_eq!(not_null_column("(Name IS NOT NULL)").as_deref(), Some("name"));
        assert_eq!(not_null_column("\"Name\" is not null").as_deref(), Some("Name"));
        assert_eq!(not_null_column("a IS NOT NULL AND b > 0"), None);
        assert_eq!(not_null_column(""), None);
    }
}
