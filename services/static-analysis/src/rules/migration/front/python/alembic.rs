//! Migrations of Alembic in operations.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::super::super::operation::{
    Column, Constraint, ConstraintKind, Generated, Index, Operation, Script, Type, Value,
};
use super::super::calls::{Arguments, Program, literal};
use super::super::values;
use super::{calls, embedded, indented};
use crate::source::closing;

/// What runs the SQL it is given.
const RUNS: &[&str] = &["execute", "exec_driver_sql"];

/// Adds what `upgrade` does.
pub(super) fn read(program: &Program<'_>, script: &mut Script) {
    static OPERATION: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?:\b[A-Za-z_]\w*)?\.([a-z_]+)[ \t]*\(").expect("the pattern is tested"));
    static ALIAS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^\s+as\s+(\w+)").expect("the pattern is tested"));
    let Some(body) = upgrade_body(&program.code) else { return };
    if script.whole && !program.code.contains("autocommit_block") {
        script.open();
    }
    // The table that is altered as a whole, and what it is called meanwhile.
    let mut batch: Option<String> = None;
    let mut alias = "batch_op";
    for (name, at, arguments) in calls(program, body, &OPERATION) {
        let receiver = program.code[at.clone()].split('.').next().unwrap_or("");
        let is_batch = receiver == alias;
        // SQL may be given to a connection by whatever name.
        if receiver != "op" && !is_batch && !RUNS.contains(&name.as_str()) {
            continue;
        }
        script.statement();
        match name.as_str() {
            "batch_alter_table" => {
                batch = arguments.at_or_named(0, "table_name").map(str::to_owned);
                let named = ALIAS.captures(&program.code[at.end..]).and_then(|named| named.get(1));
                alias = named.map_or(alias, |named| named.as_str());
            }
            name if RUNS.contains(&name) => {
                let inside = arguments.places.first().or(arguments.names.first().map(|(_, value)| value));
                if let Some(value) = inside {
                    embedded(program, value.start..value.start + value.text.len(), script);
                }
            }
            _ => {
                let table = batch.as_deref().filter(|_| is_batch);
                for operation in operations(program, &name, &arguments, table) {
                    script.push(operation, at.clone(), at.clone());
                }
            }
        }
    }
}

/// From behind the header of `upgrade` to the next line that is not indented.
fn upgrade_body(code: &str) -> Option<Range<usize>> {
    static HEADER: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?m)^def upgrade[a-z_]*[ \t]*\([^\n]*$").expect("the pattern is tested"));
    let start = HEADER.find(code)?.end();
    Some(indented(code, start))
}

/// What a call on `op` does, or one on a batch for `batch`, whose calls leave the table out.
fn operations(program: &Program<'_>, name: &str, arguments: &Arguments<'_>, batch: Option<&str>) -> Vec<Operation> {
    let place = |number: usize| arguments.place(number).unwrap_or("").to_owned();
    // Where the table stands among the arguments, and how far a batch moves the others to the front.
    let table_at = |number: usize| {
        batch.map_or_else(|| arguments.at_or_named(number, "table_name").unwrap_or("").to_owned(), str::to_owned)
    };
    let first = usize::from(batch.is_none());
    let validated = !arguments.says("postgresql_not_valid", "True");
    let constraint = |kind| {
        vec![Operation::AddConstraint {
            table: table_at(1),
            constraint: Constraint { name: place(0), kind, validated, from_index: false },
        }]
    };
    match name {
        "create_table" => {
            vec![Operation::CreateTable { table: place(0), columns: vec![], references: vec![], replaces: false }]
        }
        "drop_table" => vec![Operation::DropTable { table: place(0) }],
        "rename_table" => vec![Operation::RenameTable { table: place(0), to: place(1) }],
        "add_column" => {
            let place = arguments.places.get(first);
            let column = place.and_then(|value| column_of(program, value.start, value.text));
            let indexed = place.filter(|value| value.text.replace(' ', "").contains("index=True"));
            let index = indexed.map(|_| Operation::CreateIndex {
                table: table_at(0),
                index: Index { columns: 1, ..Index::default() },
            });
            let column = column.map(|column| Operation::AddColumn { table: table_at(0), column });
            column.into_iter().chain(index).collect()
        }
        "drop_column" => vec![Operation::DropColumn { table: table_at(0), column: place(first) }],
        "alter_column" => altered_column(&table_at(0), &place(first), arguments),
        "create_index" => {
            let concurrently = arguments.says("postgresql_concurrently", "True");
            let index = Index {
                unique: arguments.says("unique", "True"),
                concurrently,
                guarded: arguments.says("if_not_exists", "True"),
                columns: 1,
                blocks: false,
            };
            vec![Operation::CreateIndex { table: table_at(1), index }]
        }
        "drop_index" => {
            let table = Some(table_at(1)).filter(|table| !table.is_empty());
            vec![Operation::DropIndex {
                table,
                concurrently: arguments.says("postgresql_concurrently", "True"),
                guarded: false,
            }]
        }
        "create_foreign_key" => constraint(ConstraintKind::ForeignKey),
        "create_unique_constraint" => constraint(ConstraintKind::Unique),
        "create_check_constraint" => constraint(ConstraintKind::Check),
        "create_primary_key" => constraint(ConstraintKind::Primary),
        "create_exclude_constraint" => constraint(ConstraintKind::Exclusion),
        "drop_constraint" => vec![Operation::DropConstraint { table: table_at(1), name: place(0) }],
        _ => Vec::new(),
    }
}

fn altered_column(table: &str, column: &str, arguments: &Arguments<'_>) -> Vec<Operation> {
    let (table, column) = (table.to_owned(), column.to_owned());
    let mut operations = Vec::new();
    if let Some(ty) = arguments.named("type_") {
        let from = arguments.named("existing_type").map(type_of);
        operations.push(Operation::ChangeType { table: table.clone(), column: column.clone(), to: type_of(ty), from });
    }
    match arguments.named("nullable") {
        Some("False") => operations.push(Operation::SetNotNull { table: table.clone(), column: column.clone() }),
        Some("True") => operations.push(Operation::DropNotNull { table: table.clone(), column: column.clone() }),
        _ => {}
    }
    if arguments.named("new_column_name").is_some() {
        operations.push(Operation::RenameColumn { table: table.clone(), column: column.clone() });
    }
    match arguments.named("server_default") {
        Some("None") => operations.push(Operation::DropDefault { table, column }),
        Some(_) => operations.push(Operation::SetDefault { table, column }),
        None => {}
    }
    operations
}

/// `sa.Column('name', sa.Integer(), sa.ForeignKey('a.id'), nullable=False, server_default='0')`
fn column_of(program: &Program<'_>, start: usize, text: &str) -> Option<Column> {
    let open = text.find('(').filter(|open| text[..*open].ends_with("Column"))?;
    let close = closing(&program.code, start + open)?;
    let arguments = program.arguments(start + open + 1..close);
    let ty = arguments.places.get(1).map(|ty| type_of(ty.text)).unwrap_or_default();
    let has = |word: &str| arguments.places.iter().any(|value| value.text.contains(word));
    let generated = match (has("Computed("), has("Identity(")) {
        (true, _) if has("persisted=False") => Generated::Virtual,
        (true, _) => Generated::Stored,
        (_, true) => Generated::Identity,
        _ => Generated::No,
    };
    let default = arguments.named("server_default").map_or(Value::None, |text| {
        let inner = text.trim_start_matches("sa.").trim_start_matches("sqlalchemy.");
        let expression = inner
            .strip_prefix("func.")
            .or_else(|| inner.strip_prefix("text(").and_then(|rest| rest.strip_suffix(')')).map(literal));
        match expression {
            Some(expression) => values::of_sql(expression),
            None if text == "None" => Value::None,
            None => Value::Same,
        }
    });
    let primary = arguments.says("primary_key", "True");
    Some(Column {
        name: arguments.place(0)?.to_owned(),
        ty,
        not_null: arguments.says("nullable", "False") || primary,
        default,
        generated,
        unique: arguments.says("unique", "True"),
        primary,
        check: false,
        references: has("ForeignKey(").then(String::new),
    })
}

/// `sa.String(length=50)`, `postgresql.JSON(astext_type=sa.Text())`
fn type_of(text: &str) -> Type {
    let text = text.split("astext_type=").next().unwrap_or(text);
    let mut ty = Type::of(&text.replace("length=", "").replace("precision=", "").replace("scale=", ""));
    if ty.name == "timestamp" && text.contains("timezone=True") {
        ty.name = "timestamptz".to_owned();
    }
    ty
}

#[cfg(test)]
mod tests {
    use super::super::tests::steps;
    use super::*;

    fn alembic(call: &str) -> Vec<Operation> {
        steps(&format!(
            "revision = 'a'\n\ndef upgrade():\n    {call}\n\n\ndef downgrade():\n    op.drop_table('never')\n"
        ))
    }

    #[test]
    fn operations_of_alembic_are_read() {
        assert_eq!(
            alembic("op.drop_column('a', 'b')"),
            [Operation::DropColumn { table: "a".into(), column: "b".into() }]
        );
        assert_eq!(
            alembic("with op.batch_alter_table('a') as batch_op:\n        batch_op.drop_column('b')"),
            [Operation::DropColumn { table: "a".into(), column: "b".into() }]
        );
        assert_eq!(
            alembic("with op.batch_alter_table('a') as table:\n        table.drop_column('b')"),
            [Operation::DropColumn { table: "a".into(), column: "b".into() }]
        );
        assert_eq!(alembic("op.execute(\"DROP TABLE a\")"), [Operation::DropTable { table: "a".into() }]);
        assert_eq!(
            alembic("op.get_bind().execute(sa.text('DROP TABLE a'))"),
            [Operation::DropTable { table: "a".into() }]
        );
        assert_eq!(alembic("op.execute(sa.text('''DROP TABLE a'''))"), [Operation::DropTable { table: "a".into() }]);
        assert_eq!(alembic("op.execute('DROP TABLE %s.a' % S)"), [Operation::DropTable { table: "a".into() }]);
        assert_eq!(alembic("op.add_column('a', sa.Column('b', sa.Integer(), index=True))").len(), 2);
        assert_eq!(alembic("op.execute('DROP '\n        'TABLE a')"), [Operation::DropTable { table: "a".into() }]);
        assert_eq!(alembic("s = 'DROP TABLE a'\n    op.execute(s)"), [Operation::DropTable { table: "a".into() }]);
        assert_eq!(alembic("op.alter_column('a', 'b', nullable=False, existing_type=sa.Integer())").len(), 1);
        let added = |column: &str| match alembic(&format!("op.add_column('a', {column})")).remove(0) {
            Operation::AddColumn { column, .. } => column,
            other => panic!("{column}: {other:?}"),
        };
        assert_eq!(
            added("sa.Column('b', sa.UUID(), server_default=sa.text('gen_random_uuid()'))").default,
            Value::Volatile
        );
        assert_eq!(added("sa.Column('b', sa.DateTime(), server_default=sa.func.now())").default, Value::Same);
        assert_eq!(
            added("sa.Column('b', sa.Integer(), sa.Computed('c', persisted=False))").generated,
            Generated::Virtual
        );
        assert_eq!(added("sa.Column('b', postgresql.JSON(astext_type=sa.Text()))").ty.name, "json");
        let column = added("sa.Column('b', sa.String(length=50), nullable=False)");
        assert!(column.not_null && column.ty.arguments == [50]);
    }
}
