//! Types of columns, whatever dialect or framework names them.

/// A column's type: its usual name, what is in brackets behind it, and whether it is an array.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Type {
    pub(crate) name: String,
    pub(crate) arguments: Vec<u32>,
    pub(crate) array: bool,
}

impl Type {
    /// Of a type as SQL or a framework writes it: `character varying(20)`, `:string`, `Integer`.
    pub(crate) fn of(text: &str) -> Self {
        let text = text.trim().to_lowercase();
        let array = text.contains('[') || text.ends_with(" array");
        let text = text.split('[').next().unwrap_or("").trim();
        let (name, arguments, behind) = match text.split_once('(') {
            Some((name, rest)) => {
                let (inside, behind) = rest.split_once(')').unwrap_or((rest, ""));
                (name, inside, behind)
            }
            None => (text, "", ""),
        };
        let arguments = arguments.split(',').filter_map(|number| number.trim().parse().ok()).collect();
        let words: Vec<_> = name.split_whitespace().chain(behind.split_whitespace()).collect();
        let name = words.join(" ");
        let name = name.rsplit('.').next().unwrap_or("").trim_matches('"');
        let name = match name {
            "character varying" | "char varying" | "string" => "varchar",
            "character" | "bpchar" => "char",
            "int" | "int4" | "integer" => "integer",
            "int8" | "biginteger" | "big_integer" => "bigint",
            "int2" | "smallinteger" | "small_integer" => "smallint",
            "serial4" => "serial",
            "serial8" => "bigserial",
            "serial2" => "smallserial",
            "decimal" => "numeric",
            "bool" => "boolean",
            "timestamp without time zone" | "datetime" => "timestamp",
            "timestamp with time zone" => "timestamptz",
            "time without time zone" => "time",
            "time with time zone" => "timetz",
            "bit varying" | "bit_varying" => "varbit",
            other => other,
        };
        Self { name: name.to_owned(), arguments, array }
    }

    /// True for a type that draws its values from a sequence of its own.
    pub(crate) fn is_serial(&self) -> bool {
        matches!(self.name.as_str(), "serial" | "bigserial" | "smallserial" | "primary_key")
    }
}
