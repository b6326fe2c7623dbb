//! What the changes of Liquibase do, by their names and attributes, whatever they are written in.

use super::super::super::operation::{
    Column, Constraint, ConstraintKind, Deed, Generated, Index, Operation, Type, Value,
};
use super::super::values;

/// The changes that are read.
pub(super) const CHANGES: [&str; 28] = [
    "addColumn",
    "addDefaultValue",
    "addForeignKeyConstraint",
    "addNotNullConstraint",
    "addPrimaryKey",
    "addUniqueConstraint",
    "createIndex",
    "createTable",
    "delete",
    "dropAllForeignKeyConstraints",
    "dropColumn",
    "dropDefaultValue",
    "dropForeignKeyConstraint",
    "dropIndex",
    "dropNotNullConstraint",
    "dropPrimaryKey",
    "dropProcedure",
    "dropSequence",
    "dropTable",
    "dropUniqueConstraint",
    "dropView",
    "modifyDataType",
    "renameColumn",
    "renameSequence",
    "renameTable",
    "renameView",
    "sql",
    "update",
];

/// Whether the changelog says that the database is PostgreSQL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Database {
    Postgres,
    #[default]
    Unknown,
}

impl Database {
    /// By what only changelogs for PostgreSQL say.
    pub(super) fn of(text: &str) -> Self {
        const POSTGRES: &[&str] = &[
            "gen_random_uuid",
            "uuid_generate_v4",
            "CONCURRENTLY",
            "concurrently",
            "jsonb",
            "JSONB",
            "timestamptz",
            "TIMESTAMPTZ",
            "bigserial",
            "BIGSERIAL",
            "plpgsql",
            "tsvector",
            "citext",
        ];
        let lower = text.to_ascii_lowercase();
        let others = ["mysql", "mariadb", "oracle", "mssql", "h2", "sqlite", "db2"];
        // Change sets for several databases say so one by one.
        let one = lower.contains("postgres") && !others.iter().any(|other| says_word(&lower, other));
        if one || POSTGRES.iter().any(|word| text.contains(word)) { Self::Postgres } else { Self::Unknown }
    }

    /// By the databases that a change set is for, where it says any.
    pub(super) fn of_set(names: &str) -> Option<Self> {
        let mut names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
        let first = names.next()?;
        let postgres = std::iter::once(first).chain(names).any(|name| name == "postgresql" || name == "cockroachdb");
        Some(if postgres { Self::Postgres } else { Self::Unknown })
    }
}

fn says_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric()).any(|other| other == word)
}

/// What a change of this name does, by its attributes.
pub(super) fn operation(change: &str, database: Database, attribute: impl Fn(&str) -> String) -> Option<Operation> {
    let (table, column) = (attribute("tableName"), attribute("columnName"));
    let object = |deed| Operation::Other { deed, table: String::new() };
    Some(match change {
        "createTable" => Operation::CreateTable { table, columns: vec![], references: vec![], replaces: false },
        "dropTable" => Operation::DropTable { table },
        "dropColumn" => Operation::DropColumn { table, column },
        "renameTable" => Operation::RenameTable { table: attribute("oldTableName"), to: attribute("newTableName") },
        "renameColumn" => Operation::RenameColumn { table, column: attribute("oldColumnName") },
        "renameView" | "renameSequence" => object(Deed::RenameObject),
        "dropView" | "dropSequence" | "dropProcedure" => object(Deed::DropObject),
        "modifyDataType" => {
            Operation::ChangeType { table, column, to: Type::of(&attribute("newDataType")), from: None }
        }
        "dropForeignKeyConstraint" | "dropAllForeignKeyConstraints" => {
            Operation::DropConstraint { table: attribute("baseTableName"), name: attribute("constraintName") }
        }
        "dropUniqueConstraint" | "dropPrimaryKey" => {
            Operation::DropConstraint { table, name: attribute("constraintName") }
        }
        "dropDefaultValue" => Operation::DropDefault { table, column },
        "addDefaultValue" => Operation::SetDefault { table, column },
        "dropNotNullConstraint" => Operation::DropNotNull { table, column },
        "delete" => Operation::Other { deed: Deed::DeleteAll, table },
        "update" => Operation::Other { deed: Deed::UpdateAll, table },
        _ if database == Database::Postgres => return in_postgres(change, table, column, attribute),
        _ => return None,
    })
}

/// What only PostgreSQL minds.
fn in_postgres(change: &str, table: String, column: String, attribute: impl Fn(&str) -> String) -> Option<Operation> {
    let constraint = |table: String, kind| {
        let from_index = !attribute("forIndexName").is_empty();
        let validated = attribute("validate") != "false";
        let constraint = Constraint { name: attribute("constraintName"), kind, validated, from_index };
        Operation::AddConstraint { table, constraint }
    };
    Some(match change {
        "createIndex" => {
            let index = Index { unique: attribute("unique") == "true", columns: 1, ..Index::default() };
            Operation::CreateIndex { table, index }
        }
        "dropIndex" => {
            let table = Some(table).filter(|table| !table.is_empty());
            Operation::DropIndex { table, concurrently: false, guarded: false }
        }
        "addForeignKeyConstraint" => constraint(attribute("baseTableName"), ConstraintKind::ForeignKey),
        "addUniqueConstraint" => constraint(table, ConstraintKind::Unique),
        "addPrimaryKey" => constraint(table, ConstraintKind::Primary),
        "addNotNullConstraint" => Operation::SetNotNull { table, column },
        _ => return None,
    })
}

/// A column's attribute of this name.
pub(super) fn say(column: &mut Column, database: Database, name: &str, value: &str) {
    let postgres = database == Database::Postgres;
    match name {
        "name" => value.clone_into(&mut column.name),
        "type" if postgres => column.ty = Type::of(value),
        "autoIncrement" if value == "true" => {
            column.default = Value::Same;
            if postgres {
                column.generated = Generated::Identity;
            }
        }
        // The function is given by its name, or called.
        "defaultValueComputed" if postgres => {
            let call = if value.contains('(') { value.to_owned() } else { format!("{value}()") };
            column.default = match values::of_sql(&call) {
                Value::Volatile => Value::Volatile,
                _ => Value::Same,
            };
        }
        // Whatever the default is, every row has a value.
        "valueComputed" => column.default = Value::Same,
        _ if name.starts_with("defaultValue") && name != "defaultValueConstraintName" => column.default = Value::Same,
        _ => {}
    }
}

/// What a column's constraints ask for.
pub(super) fn constrain(column: &mut Column, database: Database, attribute: impl Fn(&str) -> String) {
    let postgres = database == Database::Postgres;
    column.not_null |= attribute("nullable") == "false";
    column.unique |= postgres && attribute("unique") == "true";
    column.primary |= postgres && attribute("primaryKey") == "true";
    column.check |= postgres && !attribute("checkConstraint").is_empty();
    let refers = ["references", "referencedTableName"].iter().any(|name| !attribute(name).is_empty());
    if postgres && refers {
        column.references = Some(String::new());
    }
}
