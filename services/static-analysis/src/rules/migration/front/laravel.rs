//! Migrations of Laravel (PHP) in operations. Which database they are for is seldom said, and mostly it is MySQL: what only PostgreSQL
//! minds is read where the file shows it. What `down` does is left out.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::super::operation::{Deed, Dialect, Language, Operation, Script, Type};
use super::calls::{Arguments, Program, literal, ways_down};
use super::embedded::as_one;
use super::rails::table_of_model;
use super::sql;
use crate::source::{Syntax, closing};

mod blueprint;

/// Most calls in one another that are looked into.
const NESTED_MAX: usize = 8;

/// A method of a chain, its arguments, and where those close.
struct Link<'t> {
    name: String,
    arguments: Arguments<'t>,
    end: usize,
}

/// Adds what the migration does, if the text is one.
pub(super) fn read(text: &str, script: &mut Script) {
    static CLASS: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\bextends\s+\\?(?:\w+\\)*\w*Migration\b").expect("the pattern is tested"));
    static HEAD: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\b([A-Z]\w*)\s*::|\$(?:this\s*->\s*)?(\w+)\s*->").expect("the pattern is tested")
    });
    let shows_part = !script.whole && ["Schema::", "$table->", "DB::"].iter().any(|sign| text.contains(sign));
    if !CLASS.is_match(text) && !shows_part {
        return;
    }
    let program = Program::of(text, Syntax::Php);
    if shows_part && is_end_of_class(&program.code) {
        return;
    }
    script.language = Language::Framework;
    script.dialect = dialect(text);
    if script.whole && script.is_postgres() && !says_without_transaction(&program.code) {
        script.open();
    }
    let down = ways_down(&program.code, &methods(&program.code));
    let is_down = |at: usize| down.iter().any(|range| range.contains(&at));
    let types = down_types(&program, &down);
    let mut walk =
        Walk { program: &program, script, types, tables: Vec::new(), behind: 0, open: Vec::new(), is_cut: false };
    for head in HEAD.captures_iter(&program.code) {
        let Some(all) = head.get(0).filter(|all| !is_down(all.start())) else { continue };
        match (head.get(1), head.get(2)) {
            (Some(class), _) => walk.on_class(class.as_str(), all.range()),
            (None, Some(variable)) => walk.on_variable(variable.as_str(), all.range()),
            _ => {}
        }
    }
}

/// True for a piece of the last method of a class, which in a migration is the way down: it shows how the class ends, and no method's name.
fn is_end_of_class(code: &str) -> bool {
    let last = code.trim_end().rsplit('\n').next().unwrap_or("");
    matches!(last.trim_end(), "}" | "};") && methods(code).is_empty()
}

/// By what the file says of its database.
fn dialect(text: &str) -> Dialect {
    const POSTGRES: [&str; 19] = [
        "pgsql",
        "postgres",
        "concurrently",
        "jsonb",
        "timestamptz",
        "gen_random_uuid",
        "uuid_generate_v4",
        "generatedas(",
        "plpgsql",
        "create extension",
        "set not null",
        "drop not null",
        "set data type",
        "not valid",
        "using gin",
        "using gist",
        "::text",
        "::integer",
        "->online(",
    ];
    const MYSQL: [&str; 6] = ["mysql", "mariadb", "engine", "`", "modify column", "->after("];
    let lower = text.to_ascii_lowercase();
    let says = |signs: &[&str]| signs.iter().any(|sign| lower.contains(sign));
    if says(&POSTGRES) && !says(&MYSQL) { Dialect::Postgres } else { Dialect::Mysql }
}

fn says_without_transaction(code: &str) -> bool {
    static SAYS: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\$withinTransaction\s*=\s*false").expect("the pattern is tested"));
    SAYS.is_match(code)
}

/// The methods by name, each from there to where it closes.
fn methods(code: &str) -> Vec<(String, Range<usize>)> {
    static METHOD: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\bfunction\s+&?(\w+)\s*(\()").expect("the pattern is tested"));
    let names = METHOD.captures_iter(code).filter_map(|found| found.get(1).zip(found.get(2)));
    let starts: Vec<_> = names.map(|(name, open)| (name.as_str().to_owned(), name.start(), open.start())).collect();
    let ends = starts.iter().skip(1).map(|(_, next, _)| *next).chain([code.len()]);
    let mut methods = Vec::new();
    for ((name, start, open), next) in starts.iter().zip(ends) {
        // No method is in another one, so that the search for a bracket ends at the next.
        let within = &code[..next];
        let body = closing(within, *open).and_then(|close| Some(close + within[close..].find('{')?));
        let end = body.and_then(|body| closing(within, body)).unwrap_or(next);
        methods.push((name.clone(), *start..end));
    }
    methods
}

/// The chain of calls that begins at `from`, behind `->` or `::`; nothing when it is cut off.
fn chain<'t>(program: &Program<'t>, from: usize) -> Option<Vec<Link<'t>>> {
    static CALL: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^\s*(\w+)\s*\(").expect("the pattern is tested"));
    static ARROW: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^\s*\??->").expect("the pattern is tested"));
    let mut links = Vec::new();
    let mut at = from;
    while let Some(call) = CALL.captures(&program.code[at..]) {
        let open = at + call[0].len() - 1;
        let end = closing(&program.code, open)?;
        links.push(Link { name: call[1].to_owned(), arguments: program.arguments(open + 1..end), end });
        match ARROW.find(&program.code[end + 1..]) {
            Some(arrow) => at = end + 1 + arrow.end(),
            None => break,
        }
    }
    Some(links)
}

/// The types that the way down changes columns back to.
fn down_types(program: &Program<'_>, down: &[Range<usize>]) -> HashMap<String, Type> {
    static CHANGED: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\$\w+\s*->").expect("the pattern is tested"));
    let mut types = HashMap::new();
    for range in down {
        let mut behind = range.start;
        for head in CHANGED.find_iter(&program.code[range.clone()]) {
            let at = range.start + head.end();
            if at < behind {
                continue;
            }
            let Some(links) = chain(program, at) else { break };
            let changes = links.iter().any(|link| link.name == "change");
            if let Some(first) = links.first().filter(|first| changes && blueprint::is_column(&first.name)) {
                let column = first.arguments.place(0).unwrap_or("").to_owned();
                types.insert(column, blueprint::column_type(&first.name, &first.arguments));
            }
            behind = links.last().map_or(behind, |last| last.end);
        }
    }
    types
}

/// The function that `Schema::create` or `Schema::table` is given.
struct Table {
    name: String,
    variable: String,
    is_new: bool,
    end: usize,
}

struct Walk<'p, 't, 's> {
    program: &'p Program<'t>,
    script: &'s mut Script,
    /// What the way down says that columns were of.
    types: HashMap<String, Type>,
    tables: Vec<Table>,
    /// Where the last call on a table ends.
    behind: usize,
    /// Where the calls end that the next one is in.
    open: Vec<usize>,
    /// A call was cut off, and so is what it is in.
    is_cut: bool,
}

impl Walk<'_, '_, '_> {
    /// `Schema::…`, `DB::…`, `User::…`
    fn on_class(&mut self, class: &str, head: Range<usize>) {
        self.open.retain(|end| *end > head.start);
        if self.is_cut || self.open.len() > NESTED_MAX {
            return;
        }
        let Some(links) = chain(self.program, head.end) else {
            self.is_cut = true;
            return;
        };
        let Some(last) = links.last() else { return };
        self.open.push(last.end);
        let at = head.start..last.end + 1;
        match class {
            "Schema" => self.on_schema(&links, at),
            "DB" => {
                let connected = usize::from(links[0].name == "connection");
                match links.get(connected) {
                    Some(link) if link.name == "table" => {
                        let table = link.arguments.place(0).unwrap_or("").to_owned();
                        self.on_rows(&links, &table, at);
                    }
                    Some(link) if RUNS_SQL.contains(&link.name.as_str()) => self.embedded(&link.arguments),
                    _ => {}
                }
            }
            model if MODEL.contains(&links[0].name.as_str()) => {
                if let Some(table) = table_of_model(model) {
                    self.on_rows(&links, &table, at);
                }
            }
            _ => {}
        }
    }

    /// `$table->…`, `$schema->…`, `$this->schema->…`
    fn on_variable(&mut self, variable: &str, head: Range<usize>) {
        if variable.eq_ignore_ascii_case("schema") {
            self.on_class("Schema", head);
            return;
        }
        self.tables.retain(|table| table.end > head.start);
        let table = self.tables.iter().rev().find(|table| table.variable == variable);
        // A part of a migration may not show the table.
        let (name, is_new) = match table {
            Some(table) => (table.name.clone(), table.is_new),
            None if !self.script.whole && variable == "table" => (String::new(), false),
            None => return,
        };
        if head.start < self.behind {
            return;
        }
        let Some(links) = chain(self.program, head.end) else {
            self.behind = usize::MAX;
            return;
        };
        let Some(last) = links.last() else { return };
        self.behind = last.end;
        let at = head.start..last.end + 1;
        self.script.statement();
        let shows_table = table.is_some();
        if is_new && let Some(other) = blueprint::reference(&links) {
            self.script.refer(&name, Some(other));
        }
        for operation in blueprint::operations(self.program, self.script, &name, &links, &self.types) {
            match operation {
                // Whether the table is new or old is not known, or it is new.
                Operation::AddColumn { column, .. } if is_new || !shows_table => {
                    self.script.note_added(&name, &column.name);
                }
                _ if is_new => {}
                Operation::DropColumn { .. } | Operation::RenameColumn { .. } => {
                    self.script.push(operation, at.clone(), at.clone());
                }
                _ if shows_table => self.script.push(operation, at.clone(), at.clone()),
                _ => {}
            }
        }
    }

    fn on_schema(&mut self, links: &[Link<'_>], at: Range<usize>) {
        let connected = usize::from(links[0].name == "connection");
        let Some(link) = links.get(connected) else { return };
        let place = |number: usize| link.arguments.place(number).unwrap_or("").to_owned();
        self.script.statement();
        let operations = match link.name.as_str() {
            "create" => {
                let table = place(0);
                vec![Operation::CreateTable { table, columns: vec![], references: vec![], replaces: false }]
            }
            "drop" | "dropIfExists" => vec![Operation::DropTable { table: place(0) }],
            "rename" => vec![Operation::RenameTable { table: place(0), to: place(1) }],
            "dropColumns" => blueprint::dropped(self.program, &place(0), link.arguments.places.iter().skip(1)),
            "dropDatabaseIfExists" => vec![Operation::Other { deed: Deed::DropDatabase, table: String::new() }],
            _ => Vec::new(),
        };
        for operation in operations {
            self.script.push(operation, at.clone(), at.clone());
        }
        if matches!(link.name.as_str(), "create" | "table") {
            self.tables.retain(|table| table.end > at.start);
            self.open_table(link);
        }
    }

    fn open_table(&mut self, link: &Link<'_>) {
        static PARAMETER: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r"^(?:static\s+)?(?:function|fn)\s*\(\s*(?:[\\\w|?]+\s+)?&?\$(\w+)")
                .expect("the pattern is tested")
        });
        let Some(function) = link.arguments.places.get(1) else { return };
        let code = self.program.code.get(function.start..link.end).unwrap_or("");
        if let Some(parameter) = PARAMETER.captures(code) {
            self.tables.push(Table {
                name: link.arguments.place(0).unwrap_or("").to_owned(),
                variable: parameter[1].to_owned(),
                is_new: link.name == "create",
                end: link.end,
            });
        }
    }

    /// What a query does to the rows of a table, where it leaves none out.
    fn on_rows(&mut self, links: &[Link<'_>], table: &str, at: Range<usize>) {
        // A model asked for by its key is one row.
        let Some(last) = links.iter().find(|link| !ALL_ROWS.contains(&link.name.as_str())) else { return };
        let deed = match last.name.as_str() {
            "delete" | "forceDelete" if last.arguments.places.is_empty() => Deed::DeleteAll,
            "truncate" => Deed::Truncate,
            "update" => Deed::UpdateAll,
            _ => return,
        };
        self.script.statement();
        self.script.push(Operation::Other { deed, table: table.to_owned() }, at.clone(), at);
    }

    /// `DB::statement('…')`
    fn embedded(&mut self, arguments: &Arguments<'_>) {
        let Some(first) = arguments.places.first() else { return };
        let Some((text, start)) = as_one(self.program, first.start..first.start + first.text.len()) else { return };
        sql::read(&without_variables(&text), start, self.script);
    }
}

/// The methods of `DB` that are given SQL which changes something.
const RUNS_SQL: &[&str] = &["statement", "unprepared", "update", "delete", "insert", "affectingStatement"];

/// The methods that a query of a model begins with.
const MODEL: &[&str] = &["query", "truncate", "withTrashed", "withoutGlobalScopes", "on"];

/// The methods of a query that leave no row out.
const ALL_ROWS: &[&str] = &[
    "connection",
    "from",
    "newQuery",
    "on",
    "orderBy",
    "orderByDesc",
    "query",
    "select",
    "table",
    "toBase",
    "withTrashed",
    "withoutGlobalScope",
    "withoutGlobalScopes",
];

/// SQL with what PHP puts into it (`$table`, `$this->table`, `%s`) replaced by a word of the same length.
fn without_variables(text: &str) -> String {
    static VARIABLE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\$[A-Za-z_]\w*(?:->\w+)?\$?|%(?:\d\$)?s").expect("the pattern is tested"));
    // `$body$` is a quote of PostgreSQL's.
    let word = |found: &regex::Captures<'_>| {
        if found[0].ends_with('$') { found[0].to_owned() } else { "x".repeat(found[0].len()) }
    };
    VARIABLE.replace_all(text, word).into_owned()
}

/// `'a'`, `['a', 'b']`: the strings that a list or a single argument holds.
fn names(program: &Program<'_>, argument: &super::calls::Value<'_>) -> Vec<String> {
    let found = super::embedded::strings(program, argument.start..argument.start + argument.text.len());
    if found.is_empty() {
        return vec![literal(argument.text).to_owned()];
    }
    found.into_iter().filter_map(|range| program.text.get(range)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
