//! Migrations in JavaScript and TypeScript (Knex, Sequelize, TypeORM, Kysely, node-pg-migrate, db-migrate, and what hands SQL to a
//! driver) in operations. Which database they are for is seldom said, so what only PostgreSQL minds is read where something
//! says that it is the one.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::super::operation::{Deed, Dialect, Language, Operation, Script};
use super::calls::{Arguments, Program, literal};
use super::sql;
use crate::source::{Syntax, closing};
use builders::Database;
use embedded::{Said, Variables};

mod builders;
mod chain;
mod embedded;
mod kysely;
mod pgm;
mod rows;
mod typeorm;

/// Most builders in one another that are looked into.
const BUILDERS_MAX: usize = 4;

/// What is given SQL; the second ones are called so elsewhere too.
const SQL: &[&str] = &["query", "raw", "sql", "addSql", "runSql"];
const MAYBE_SQL: &[&str] = &["execute", "exec", "unsafe", "none", "$executeRawUnsafe", "$queryRawUnsafe"];
/// What Sequelize and db-migrate are told by an object.
const BY_OBJECT: &[&str] = &[
    "addColumn",
    "changeColumn",
    "addConstraint",
    "removeConstraint",
    "addIndex",
    "removeIndex",
    "addForeignKey",
    "removeForeignKey",
];
/// What is said with names alone, and how rows are told apart.
const NAMED: &[&str] = &[
    "alterTable",
    "bulkDelete",
    "bulkUpdate",
    "clear",
    "clearDatabase",
    "clearTable",
    "createTable",
    "destroy",
    "dropAllTables",
    "dropColumn",
    "dropColumns",
    "dropDatabase",
    "dropDomain",
    "dropEnum",
    "dropExtension",
    "dropFunction",
    "dropMaterializedView",
    "dropSchema",
    "dropSchemaIfExists",
    "dropSequence",
    "dropTable",
    "dropTableIfExists",
    "dropType",
    "dropView",
    "dropViewIfExists",
    "removeColumn",
    "renameColumn",
    "renameFunction",
    "renameSchema",
    "renameSequence",
    "renameTable",
    "renameType",
    "renameView",
    "table",
];
/// What asks the database, besides what the migration is handed.
const HANDLES: &[&str] = &[
    "knex",
    "queryInterface",
    "queryRunner",
    "context",
    "pgm",
    "db",
    "trx",
    "tx",
    "transaction",
    "connection",
    "manager",
];

/// A call in the way up, or a template behind a tag, whose first bracket or tick is at `open`.
struct Call<'p> {
    receiver: &'p str,
    method: &'p str,
    start: usize,
    dot: usize,
    open: usize,
}

/// Adds what the migration does, if the text is one.
pub(super) fn read(text: &str, script: &mut Script) {
    let program = Program::of(text, Syntax::JavaScript);
    let Some(up) = way_up(&program.code) else { return };
    let calls = calls(&program.code, &up);
    let handles = handles(&program.code, &up);
    let said = said(&program, &calls, &handles);
    let database = builders::database(text);
    script.language = Language::Framework;
    let is_pgm = text.contains("pgm") || text.contains("MigrationBuilder");
    script.dialect = if is_pgm { Dialect::Postgres } else { dialect(&said) };
    if script.whole && is_in_transaction(text, &program.code) {
        script.open();
    }
    let mut reader = Reader {
        program: &program,
        end: up.end,
        script,
        database,
        is_pgm,
        handles,
        said,
        read: HashSet::new(),
        builders: Vec::new(),
        behind: 0,
    };
    for call in calls {
        // What is cut off is not read.
        if reader.call(&call).is_none() {
            break;
        }
    }
}

/// The calls in the way up that may matter.
fn calls<'p>(code: &'p str, up: &Range<usize>) -> Vec<Call<'p>> {
    static CALL: LazyLock<Regex> = LazyLock::new(|| {
        let lists = [SQL, MAYBE_SQL, BY_OBJECT, NAMED, pgm::METHODS, typeorm::METHODS, rows::METHODS];
        let methods: Vec<_> = lists.concat().into_iter().map(regex::escape).collect();
        let call = format!(
            r"(?:([A-Za-z_$][\w$]*)\s*)?(\?\.|\.)\s*({})\s*(?:<[^()=;]*>\s*)?\(|([A-Za-z_$][\w$]*)\s*`",
            methods.join("|")
        );
        Regex::new(&call).expect("the pattern is tested")
    });
    let word = |found: Option<regex::Match<'p>>| found.map_or("", |found| found.as_str());
    let call = |found: regex::Captures<'p>| {
        let all = found.get(0)?;
        let tag = found.get(4);
        Some(Call {
            receiver: word(tag.or(found.get(1))),
            method: word(found.get(3)),
            start: up.start + all.start(),
            dot: up.start + found.get(2).map_or(0, |dot| dot.start()),
            open: up.start + all.end() - 1,
        })
    };
    CALL.captures_iter(&code[up.clone()]).filter_map(call).collect()
}

/// The names of what asks the database: what the migration is handed, what a transaction is, and the usual ones.
fn handles<'p>(code: &'p str, up: &Range<usize>) -> Vec<&'p str> {
    static HANDED: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"^\s*(?::\s*[\w.$<>\[\], ]+?\s*=|[:=])?\s*(?:async\b\s*)?(?:function\b\s*\w*\s*)?\(?\s*(?:\{([^}]*)\}|([A-Za-z_$][\w$]*))",
        )
        .expect("the pattern is tested")
    });
    static TRANSACTION: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\.\s*transaction\s*\(\s*(?:async\b\s*)?(?:function\b\s*\w*\s*)?\(?\s*([A-Za-z_$][\w$]*)")
            .expect("the pattern is tested")
    });
    let body = &code[up.clone()];
    let mut handles = HANDLES.to_vec();
    if let Some(handed) = HANDED.captures(body) {
        handles.extend(handed.get(2).map(|name| name.as_str()));
        // `{ context: queryInterface }` hands over `queryInterface`.
        let bound = handed.get(1).map_or("", |names| names.as_str()).split(',');
        handles.extend(bound.filter_map(|name| name.rsplit(':').next()).map(str::trim).filter(|name| !name.is_empty()));
    }
    handles.extend(TRANSACTION.captures_iter(body).filter_map(|found| found.get(1)).map(|name| name.as_str()));
    handles
}

/// The SQL that each call is given, by its bracket.
fn said(program: &Program<'_>, calls: &[Call<'_>], handles: &[&str]) -> BTreeMap<usize, Vec<Said>> {
    static FUNCTION: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^\s*(?:async\b|function\b|\(|[\w$]+\s*=>)").expect("the pattern is tested"));
    let mut variables = Variables::of(&program.code);
    let mut said = BTreeMap::new();
    let mut behind = 0;
    for call in calls.iter().filter(|call| is_given_sql(call.method)) {
        if call.open < behind {
            continue;
        }
        if call.method.is_empty() {
            let is_tag = call.receiver.eq_ignore_ascii_case("sql") || handles.contains(&call.receiver);
            let template = is_tag.then(|| embedded::in_template(program, call.open)).flatten();
            said.extend(template.map(|template| (call.open, vec![template])));
            continue;
        }
        // A function has calls of its own.
        if FUNCTION.is_match(&program.code[call.open + 1..]) {
            continue;
        }
        let Some(close) = closing(&program.code, call.open) else { break };
        behind = close;
        let arguments = program.arguments(call.open + 1..close);
        let Some(value) = arguments.places.first() else { continue };
        let range = value.start..value.start + value.text.len();
        let mut given = embedded::in_argument(program, &mut variables, range);
        if MAYBE_SQL.contains(&call.method) {
            given.retain(|said| embedded::is_sql(&said.text));
        }
        if !given.is_empty() {
            said.insert(call.open, given);
        }
    }
    said
}

fn is_given_sql(method: &str) -> bool {
    method.is_empty() || SQL.contains(&method) || MAYBE_SQL.contains(&method)
}

/// The dialect of all SQL that the migration says.
fn dialect(said: &BTreeMap<usize, Vec<Said>>) -> Dialect {
    let all: Vec<_> = said.values().flatten().map(|said| said.text.as_str()).collect();
    sql::dialect(&all.join("\n"))
}

/// True where the tool runs a migration in a transaction unless it is told not to, and it is not told so.
fn is_in_transaction(text: &str, code: &str) -> bool {
    static OUTSIDE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"\btransaction\s*(?::\s*boolean\s*)?[=:]\s*false|\b(?:noTransaction|commitTransaction|isTransactional)\b|\bdisableTransactions?\b",
        )
        .expect("the pattern is tested")
    });
    let wraps = ["QueryRunner", "queryRunner", "knex", "Knex", "Kysely", "pgm", "MigrationBuilder", "addSql"];
    wraps.iter().any(|word| text.contains(word)) && !OUTSIDE.is_match(code)
}

/// From `up` to `down`, or to the end.
fn way_up(code: &str) -> Option<Range<usize>> {
    static METHOD: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?m)(?:\bexports\s*\.\s*|\bexport\s+(?:const|let|(?:async\s+)?function)\s+|\bfunction\s+|^\s*(?:public\s+)?(?:override\s+)?(?:async\s+)?)(up|down)\s*[=(:]",
        )
        .expect("the pattern is tested")
    });
    let methods: Vec<_> = METHOD.captures_iter(code).filter_map(|found| found.get(1)).collect();
    let up = methods.iter().find(|method| method.as_str() == "up")?;
    let down = methods.iter().find(|method| method.as_str() == "down" && method.start() > up.start());
    Some(up.end()..down.map_or(code.len(), |down| down.start()))
}

/// What goes through the calls of a migration.
struct Reader<'r, 'p, 't> {
    program: &'r Program<'t>,
    /// Where the way up ends.
    end: usize,
    script: &'r mut Script,
    database: Database,
    is_pgm: bool,
    handles: Vec<&'p str>,
    said: BTreeMap<usize, Vec<Said>>,
    /// Where SQL begins that was read: a variable may be used twice.
    read: HashSet<usize>,
    /// The table of the builder that the calls inside belong to, and where its brackets close.
    builders: Vec<(String, usize)>,
    /// Each bracket is looked for once, but for those of builders in one another.
    behind: usize,
}

impl Reader<'_, '_, '_> {
    /// Adds what a call does; nothing when it is cut off.
    fn call(&mut self, call: &Call<'_>) -> Option<()> {
        self.builders.retain(|(_, end)| *end > call.open);
        if call.open < self.behind || self.builders.len() > BUILDERS_MAX {
            return Some(());
        }
        if is_given_sql(call.method) {
            return self.sql(call);
        }
        if rows::METHODS.contains(&call.method) {
            let places = (call.dot, call.open);
            let done = rows::operation(self.program, self.end, call.method, places, &self.handles);
            self.push(done.map(|(at, operation)| (call.start..at.end, operation)));
            return Some(());
        }
        let close = closing(&self.program.code, call.open)?;
        let at = call.start..close + 1;
        let arguments = self.program.arguments(call.open + 1..close);
        match call.method {
            "alterTable" | "table" if arguments.places.len() > 1 => self.builder(&arguments, close),
            "alterTable" => self.chain(call, kysely::altered),
            "table" => self.behind = close,
            "createIndex" | "dropIndex" if call.receiver == "schema" => self.chain(call, |_, chain, database| {
                let index = kysely::index(chain).filter(|_| database == Database::Postgres);
                index.map(|index| (at.clone(), index)).into_iter().collect()
            }),
            _ => {
                self.behind = close;
                self.named(call, &arguments, &at);
            }
        }
        Some(())
    }

    fn push(&mut self, operations: impl IntoIterator<Item = (Range<usize>, Operation)>) {
        self.script.statement();
        for (at, operation) in operations {
            self.script.push(operation, at.clone(), at);
        }
    }

    /// Adds what the SQL does that a call is given.
    fn sql(&mut self, call: &Call<'_>) -> Option<()> {
        let Some(said) = self.said.get(&call.open) else { return Some(()) };
        let mut arguments = Arguments::default();
        if !call.method.is_empty() {
            let close = closing(&self.program.code, call.open)?;
            arguments = self.program.arguments(call.open + 1..close);
            self.behind = close;
        }
        for Said { start, text } in said {
            if !self.read.insert(*start) {
                continue;
            }
            match embedded::bound(text, &arguments) {
                Some(bound) => {
                    let before = self.script.steps.len();
                    sql::read(&bound, *start, self.script);
                    // The names are longer or shorter than the marks.
                    for step in &mut self.script.steps[before..] {
                        step.at = *start..start + text.len();
                        step.own = step.at.clone();
                    }
                }
                None => sql::read(text, *start, self.script),
            }
        }
        Some(())
    }

    /// A builder is a function that is given the table; Kysely goes on behind the bracket.
    fn builder(&mut self, arguments: &Arguments<'_>, close: usize) {
        let table = arguments.places.first().map_or(String::new(), |table| name(table.text));
        if let Some(builder) = arguments.places.get(1) {
            let within = builder.start..builder.start + builder.text.len();
            self.push(builders::built(self.program, within, &table, self.database));
        }
        self.builders.push((table, close));
    }

    /// Adds what all of a chain does.
    fn chain(
        &mut self,
        call: &Call<'_>,
        read: impl Fn(&Program<'_>, &[chain::Link<'_>], Database) -> Vec<(Range<usize>, Operation)>,
    ) {
        let Some(chain) = chain::ahead(self.program, self.end, call.method, call.open, chain::CHAIN_MAX) else {
            return;
        };
        self.behind = chain.last().map_or(call.open, |link| link.at.end);
        self.push(read(self.program, &chain, self.database));
    }

    /// Adds what a call does that says it by names and objects.
    fn named(&mut self, call: &Call<'_>, arguments: &Arguments<'_>, at: &Range<usize>) {
        let is_handle = self.handles.contains(&call.receiver);
        let is_typeorm = is_handle && typeorm::METHODS.contains(&call.method) && self.is_typeorm(call, arguments);
        let operations = if self.is_pgm && is_handle && pgm::METHODS.contains(&call.method) {
            pgm::operations(self.program, call.method, arguments)
        } else if is_typeorm {
            typeorm::operations(self.program, call.method, arguments, self.database)
        } else if is_handle && BY_OBJECT.contains(&call.method) {
            builders::by_object(self.program, call.method, arguments, self.database)
        } else if let Some(operation) = rows::of_all(call.method, call.receiver, arguments) {
            vec![operation]
        } else {
            operations(call.method, arguments, self.builders.last().map(|(table, _)| table.clone()))
        };
        // Sequelize is told which transaction a call belongs to.
        let is_in_one = !self.script.is_open() && is_handle && says_transaction(arguments);
        if is_in_one {
            self.script.open();
        }
        self.push(operations.into_iter().map(|operation| (at.clone(), operation)));
        if is_in_one {
            self.script.close();
        }
    }

    /// Sequelize has methods of the same names.
    fn is_typeorm(&self, call: &Call<'_>, arguments: &Arguments<'_>) -> bool {
        !BY_OBJECT.contains(&call.method)
            || arguments.places.iter().any(|value| value.text.contains("TableColumn"))
            || call.receiver == "queryRunner"
    }
}

/// True for a call with `{ transaction: t }` or `{ transaction }`.
fn says_transaction(arguments: &Arguments<'_>) -> bool {
    static OPTION: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"[{,]\s*transaction\s*(?:[,}]|:\s*[A-Za-z_])").expect("the pattern is tested"));
    arguments.places.iter().any(|value| OPTION.is_match(value.text))
}

fn operations(method: &str, arguments: &Arguments<'_>, builder: Option<String>) -> Vec<Operation> {
    let place = |number: usize| arguments.places.get(number).map_or(String::new(), |value| name(value.text));
    let other = |deed| vec![Operation::Other { deed, table: String::new() }];
    // Outside a builder the table is the first argument.
    let at = usize::from(builder.is_none());
    let table = builder.unwrap_or_else(|| place(0));
    match method {
        "dropTable" | "dropTableIfExists" => vec![Operation::DropTable { table: place(0) }],
        "createTable" => {
            vec![Operation::CreateTable { table: place(0), columns: vec![], references: vec![], replaces: false }]
        }
        "renameTable" => vec![Operation::RenameTable { table: place(0), to: place(1) }],
        "dropColumn" | "dropColumns" | "removeColumn" => vec![Operation::DropColumn { table, column: place(at) }],
        "renameColumn" => vec![Operation::RenameColumn { table, column: place(at) }],
        "dropDatabase" => other(Deed::DropDatabase),
        "dropSchema" | "dropSchemaIfExists" => other(Deed::DropSchema),
        "dropDomain"
        | "dropEnum"
        | "dropExtension"
        | "dropFunction"
        | "dropMaterializedView"
        | "dropSequence"
        | "dropType"
        | "dropView"
        | "dropViewIfExists" => other(Deed::DropObject),
        "renameFunction" | "renameSchema" | "renameSequence" | "renameType" | "renameView" => other(Deed::RenameObject),
        _ => Vec::new(),
    }
}

/// `'a'`, `'s.a'`, `{ schema: 's', tableName: 'a' }`, `new Table({ name: 'a' })`
fn name(text: &str) -> String {
    static NAMED: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\b(?:name|tableName)\s*:\s*([^,}]*)").expect("the pattern is tested"));
    let named = NAMED.captures(text).and_then(|found| found.get(1)).map(|name| name.as_str());
    let name = literal(named.unwrap_or(text).trim());
    name.rsplit('.').next().unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests;
