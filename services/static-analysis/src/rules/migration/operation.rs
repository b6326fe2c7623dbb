//! What migrations do, whatever they are written in. The front ends (SQL, Rails, Django, …) read operations, the rules
//! judge them, and neither knows of the other.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use domain::{Confidence, Severity};

pub(crate) use types::Type;

mod types;

/// One thing that a migration does. Names are without their schema, in small letters unless they were quoted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operation {
    /// Makes a table. `references` are the other tables it points at.
    CreateTable { table: String, columns: Vec<Column>, references: Vec<String>, replaces: bool },
    /// Makes a view.
    CreateView { view: String },
    /// Takes a table away.
    DropTable { table: String },
    /// Gives a table another name.
    RenameTable { table: String, to: String },
    /// Adds a column.
    AddColumn { table: String, column: Column },
    /// Takes a column away.
    DropColumn { table: String, column: String },
    /// Gives a column another name.
    RenameColumn { table: String, column: String },
    /// Gives a column another type; `from` where the migration says it.
    ChangeType { table: String, column: String, to: Type, from: Option<Type> },
    /// Refuses nulls in a column that took them.
    SetNotNull { table: String, column: String },
    /// Takes nulls in a column that refused them.
    DropNotNull { table: String, column: String },
    /// Gives a column a default.
    SetDefault { table: String, column: String },
    /// Takes a column's default away.
    DropDefault { table: String, column: String },
    /// Adds a constraint to a table.
    AddConstraint { table: String, constraint: Constraint },
    /// Checks the rows that were there before a constraint.
    ValidateConstraint { table: String, name: String },
    /// Takes a constraint away.
    DropConstraint { table: String, name: String },
    /// Builds an index.
    CreateIndex { table: String, index: Index },
    /// Takes an index away; `table` where the migration says it.
    DropIndex { table: Option<String>, concurrently: bool, guarded: bool },
    /// Opens a transaction.
    Begin,
    /// Ends one.
    Commit,
    /// Limits how long a statement waits for a lock; false when it takes the limit away.
    LockTimeout(bool),
    /// Limits how long a statement runs; false when it takes the limit away.
    StatementTimeout(bool),
    /// Copies rows into a table: the columns that are not just taken over, and the table of which it takes every row.
    FillTable { table: String, made_up: Vec<String>, taken: Vec<String>, all_of: Option<String> },
    /// Anything else that has a rule of its own, and the table it is done to where there is one.
    Other { deed: Deed, table: String },
    /// A statement that no rule asks about, and whether it alters what is there.
    Unknown { schema: bool },
}

/// What is done that needs no more words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Deed {
    AddDomainConstraint,
    AddReferenceWithKey,
    AddEnumValue,
    AddEnumValueLast,
    AlterIdentity,
    AttachPartition,
    Cluster,
    CreateDomainWithConstraint,
    CreateEnum,
    CreateTrigger,
    ConcurrentWork,
    /// As MySQL does it: writes wait, reads do not.
    CopyTable,
    DeleteAll,
    DetachPartition,
    DisableRowSecurity,
    DropDatabase,
    DropObject,
    DropPartition,
    DropSchema,
    DropTrigger,
    /// Of what columns or tables hang on, with them.
    DropWithColumns,
    EnableRowSecurity,
    LockTable,
    LongName,
    MoveSchema,
    MoveTablespace,
    Query,
    RefreshView,
    Reindex,
    RenameObject,
    ReplicaIdentity,
    Revert,
    RewriteLogged,
    SwitchTrigger,
    Truncate,
    TruncateCascade,
    UpdateAll,
    VacuumFull,
    WriteRows,
}

/// A column as it is made.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) not_null: bool,
    pub(crate) default: Value,
    pub(crate) generated: Generated,
    pub(crate) unique: bool,
    pub(crate) primary: bool,
    pub(crate) check: bool,
    pub(crate) references: Option<String>,
}

/// What a new row gets when nobody says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Value {
    /// Null.
    #[default]
    None,
    /// The same for all rows of one statement.
    Same,
    /// Another for each row.
    Volatile,
    /// A function that nobody knows, which PostgreSQL takes for volatile unless told otherwise.
    Unknown,
    /// An expression in brackets, as MySQL asks for; the same for all rows.
    Bracketed,
    /// The framework fills the rows that are there, and leaves no default behind.
    Passing,
}

/// Whether a column's values come from an expression or a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Generated {
    #[default]
    No,
    Stored,
    Virtual,
    Identity,
}

/// A constraint as it is added to a table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Constraint {
    pub(crate) name: String,
    pub(crate) kind: ConstraintKind,
    /// False with NOT VALID: only new rows are checked.
    pub(crate) validated: bool,
    /// Made of an index that is there.
    pub(crate) from_index: bool,
}

/// What a constraint asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ConstraintKind {
    Check,
    /// That a column is not null.
    NotNull(String),
    ForeignKey,
    Unique,
    Primary,
    Exclusion,
}

/// An index as it is built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) unique: bool,
    pub(crate) concurrently: bool,
    /// With IF NOT EXISTS.
    pub(crate) guarded: bool,
    pub(crate) columns: usize,
    /// In MySQL, which builds an index beside the traffic unless it is told not to: that it is told so.
    pub(crate) blocks: bool,
}

/// An operation, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) what: Operation,
    /// The bytes of the statement or call.
    pub(crate) at: Range<usize>,
    /// The bytes of the part of it that says this.
    pub(crate) own: Range<usize>,
    /// The number of its statement.
    pub(crate) statement: usize,
    /// The number of the transaction that it is surely in.
    pub(crate) transaction: Option<u32>,
}

/// Which database a migration is written for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// PostgreSQL, or nothing says otherwise.
    #[default]
    Postgres,
    Mysql,
    Sqlite,
    SqlServer,
}

/// Whether the tool runs the whole migration in a transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wrapped {
    #[default]
    Unknown,
    Yes,
    No,
}

/// What a migration is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Language {
    #[default]
    Sql,
    Framework,
}

/// The part of a migration that goes up, as far as a hunk shows it.
#[derive(Debug, Default)]
pub struct Script {
    pub(crate) steps: Vec<Step>,
    pub(crate) dialect: Dialect,
    pub(crate) wrapped: Wrapped,
    pub(crate) language: Language,
    /// Whether all of the file is there.
    pub(crate) whole: bool,
    /// Whether the framework takes a column called `type` for the name of a row's class.
    pub(crate) inherits: bool,
    transaction: Option<u32>,
    transactions: u32,
    statements: usize,
    created: HashMap<String, usize>,
    added: HashMap<(String, String), usize>,
    proofs: HashMap<(String, String), usize>,
    /// Old names that new tables took.
    replaced: HashSet<String>,
    /// Names that were made and given up again: nothing of use was under them before.
    passing: HashSet<String>,
    /// What old tables are called now.
    moved: HashMap<String, String>,
    /// What they were called.
    left_over: HashMap<String, String>,
    /// Views that were made.
    views: HashSet<String>,
    /// New tables that hold every row of an old one: the old one by the new.
    aside: HashMap<String, String>,
}

/// What a rule has to say about a step.
pub struct Note {
    pub(crate) step: usize,
    pub(crate) message: Cow<'static, str>,
    pub(crate) severity: Option<Severity>,
    pub(crate) confidence: Option<Confidence>,
}

impl Note {
    /// A note about the step of that number.
    pub(crate) fn new(step: usize, message: impl Into<Cow<'static, str>>) -> Self {
        Self { step, message: message.into(), severity: None, confidence: None }
    }

    /// The same, as bad as `severity`.
    pub(crate) fn severity(self, severity: Severity) -> Self {
        Self { severity: Some(severity), ..self }
    }

    /// The same, as sure as `confidence`.
    pub(crate) fn confidence(self, confidence: Confidence) -> Self {
        Self { confidence: Some(confidence), ..self }
    }
}

impl Script {
    /// That of a file of which everything is there.
    pub(crate) fn of_whole_file() -> Self {
        Self { whole: true, ..Self::default() }
    }

    /// The next statement begins.
    pub(crate) fn statement(&mut self) {
        self.statements += 1;
    }

    /// Knows a column that is added where nobody can tell whether its table is new.
    pub(crate) fn note_added(&mut self, table: &str, column: &str) {
        self.added.entry((table.to_owned(), column.to_owned())).or_insert(self.steps.len());
    }

    /// The tables that it makes, and the columns that it adds, each with its table.
    pub(crate) fn made(&self) -> (impl Iterator<Item = &String>, impl Iterator<Item = &(String, String)>) {
        (self.created.keys(), self.added.keys())
    }

    /// Adds what the statement does.
    pub(crate) fn push(&mut self, what: Operation, at: Range<usize>, own: Range<usize>) {
        let number = self.steps.len();
        match &what {
            Operation::Begin => self.open(),
            Operation::CreateTable { table, .. } => {
                self.created.entry(table.clone()).or_insert(number);
            }
            Operation::CreateView { view } => {
                self.views.insert(view.clone());
            }
            // What a table is called from now on was never there before.
            Operation::RenameTable { table, to } if self.created.contains_key(table) => {
                self.replaced.insert(to.clone());
                self.passing.insert(table.clone());
                self.created.entry(to.clone()).or_insert(number);
            }
            Operation::RenameTable { table, to } => {
                self.moved.insert(table.clone(), to.clone());
                self.left_over.insert(to.clone(), table.clone());
            }
            Operation::FillTable { table, all_of: Some(from), .. } if self.created.contains_key(table) => {
                if !self.created.contains_key(from) {
                    self.aside.insert(table.clone(), from.clone());
                } else if self.aside.get(from) == Some(table) {
                    self.replaced.insert(table.clone());
                }
            }
            Operation::AddConstraint { table, constraint } => {
                self.proofs.entry((table.clone(), constraint.name.clone())).or_insert(number);
            }
            Operation::ValidateConstraint { table, name } => {
                self.proofs.entry((table.clone(), name.clone())).or_insert(number);
            }
            Operation::AddColumn { table, column } => {
                self.added.entry((table.clone(), column.name.clone())).or_insert(number);
            }
            _ => {}
        }
        let transaction = self.transaction;
        if what == Operation::Commit {
            self.transaction = None;
        }
        self.steps.push(Step { what, at, own, statement: self.statements, transaction });
    }

    /// The new table refers to another one, as is said only behind its creation.
    pub(crate) fn refer(&mut self, table: &str, other: Option<String>) {
        let made = self.steps.iter_mut().rev().find_map(|step| match &mut step.what {
            Operation::CreateTable { table: made, references, .. } if made == table => Some(references),
            _ => None,
        });
        if let (Some(references), Some(other)) = (made, other) {
            references.push(other);
        }
    }

    /// A transaction begins.
    pub(crate) fn open(&mut self) {
        self.transactions += 1;
        self.transaction = Some(self.transactions);
    }

    /// The transaction ends.
    pub(crate) fn close(&mut self) {
        self.transaction = None;
    }

    /// True while a transaction is open.
    pub(crate) fn is_open(&self) -> bool {
        self.transaction.is_some()
    }

    /// How many statements it has.
    pub(crate) fn statements(&self) -> usize {
        self.statements
    }

    /// True for a table that an earlier step made: what is done to it hurts nobody yet.
    pub(crate) fn is_new(&self, table: &str, step: usize) -> bool {
        self.created.get(table).is_some_and(|made| *made < step)
    }

    /// True for a column that an earlier step made, alone or with its table.
    pub(crate) fn is_new_column(&self, table: &str, column: &str, step: usize) -> bool {
        self.is_new(table, step)
            || self.added.get(&(table.to_owned(), column.to_owned())).is_some_and(|made| *made < step)
    }

    /// True for a table that another takes the place of: SQLite cannot alter much, so that a table is made anew, filled, and
    /// renamed to the old name, or the old one is renamed out of the way first, or the rows go to another table and come back.
    pub(crate) fn is_rebuilt(&self, table: &str) -> bool {
        self.replaced.contains(table)
            || self.passing.contains(table)
            || self.moved.contains_key(table) && self.created.contains_key(table)
    }

    /// True for a table whose old name a view or another table has in the end, or that takes the name of one that was renamed.
    pub(crate) fn is_stood_in_for(&self, table: &str, to: &str) -> bool {
        self.views.contains(table) || self.left_over.contains_key(table) || self.moved.contains_key(to)
    }

    /// True for a table that was renamed out of the way of the one made in its place.
    pub(crate) fn is_left_over(&self, table: &str) -> bool {
        self.left_over.get(table).is_some_and(|from| self.created.contains_key(from))
    }

    /// True for a constraint that an earlier step added or validated, to prove something on the way.
    pub(crate) fn is_proof(&self, table: &str, name: &str, step: usize) -> bool {
        self.proofs.get(&(table.to_owned(), name.to_owned())).is_some_and(|made| *made < step)
    }

    /// What `judge` says about each step.
    pub(crate) fn each(&self, judge: impl Fn(usize, &Step) -> Option<Note>) -> Vec<Note> {
        self.steps.iter().enumerate().filter_map(|(number, step)| judge(number, step)).collect()
    }

    /// The same, where only PostgreSQL is like that.
    pub(crate) fn each_in_postgres(&self, judge: impl Fn(usize, &Step) -> Option<Note>) -> Vec<Note> {
        if self.is_postgres() { self.each(judge) } else { Vec::new() }
    }

    /// True when it is written for PostgreSQL, or nothing says otherwise.
    pub(crate) fn is_postgres(&self) -> bool {
        self.dialect == Dialect::Postgres
    }

    /// The same, for what is done to a table that was there before.
    pub(crate) fn each_on_old_table(&self, judge: impl Fn(usize, &Step) -> Option<Note>) -> Vec<Note> {
        self.each(|number, step| {
            let is_new = step.what.table().is_some_and(|table| self.is_new(table, number));
            if is_new { None } else { judge(number, step) }
        })
    }
}

impl Operation {
    /// The table that it is done to, where that is known; not for one that it makes.
    pub(crate) fn table(&self) -> Option<&str> {
        match self {
            Self::DropTable { table }
            | Self::RenameTable { table, .. }
            | Self::AddColumn { table, .. }
            | Self::DropColumn { table, .. }
            | Self::RenameColumn { table, .. }
            | Self::ChangeType { table, .. }
            | Self::SetNotNull { table, .. }
            | Self::DropNotNull { table, .. }
            | Self::SetDefault { table, .. }
            | Self::DropDefault { table, .. }
            | Self::AddConstraint { table, .. }
            | Self::ValidateConstraint { table, .. }
            | Self::DropConstraint { table, .. }
            | Self::CreateIndex { table, .. }
            | Self::FillTable { table, .. }
            | Self::Other { table, .. } => Some(table),
            Self::DropIndex { table, .. } => table.as_deref(),
            Self::CreateTable { .. }
            | Self::CreateView { .. }
            | Self::Begin
            | Self::Commit
            | Self::LockTimeout(_)
            | Self::StatementTimeout(_)
            | Self::Unknown { .. } => None,
        }
    }

    /// The deed, if it is one.
    pub(crate) fn deed(&self) -> Option<Deed> {
        match self {
            Self::Other { deed, .. } => Some(*deed),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
