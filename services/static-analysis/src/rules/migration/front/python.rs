//! Migrations of Django and of Alembic in operations.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::super::operation::{
    Column, Constraint, ConstraintKind, Generated, Index, Language, Operation, Script, Type, Value,
};
use super::calls::{Arguments, Program, literal, sql_text, strings};
use super::{sql, values};
use crate::source::{Syntax, closing};

/// Adds what the migration does, if the text is one.
pub(super) fn read(text: &str, script: &mut Script) {
    static REVISION: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?m)^(?:down_)?revision\b[^=\n]*=").expect("the pattern is tested"));
    let program = Program::of(text, Syntax::Python);
    script.language = Language::Framework;
    if REVISION.is_match(&program.code) {
        alembic(&program, script);
    } else if program.code.contains("Migration") && program.code.contains("operations") {
        django(&program, script);
    }
}

/// Every call of a pattern whose first group is its name, with its arguments; one that is cut off ends the search.
fn calls<'t>(
    program: &Program<'t>,
    within: Range<usize>,
    pattern: &Regex,
) -> Vec<(String, Range<usize>, Arguments<'t>)> {
    let mut calls: Vec<(String, Range<usize>, Arguments<'t>)> = Vec::new();
    for found in pattern.captures_iter(&program.code[within.clone()]) {
        let (Some(all), Some(name)) = (found.get(0), found.get(1)) else { continue };
        // Each bracket is looked for once: what is inside a call is that call's.
        if calls.last().is_some_and(|(_, last, _)| last.contains(&(within.start + all.start()))) {
            continue;
        }
        let open = within.start + all.end() - 1;
        let Some(close) = closing(&program.code, open) else { break };
        let arguments = program.arguments(open + 1..close);
        calls.push((name.as_str().to_owned(), within.start + all.start()..close + 1, arguments));
    }
    calls
}

fn embedded(program: &Program<'_>, within: Range<usize>, script: &mut Script) {
    for range in strings(program, within) {
        sql::read(&sql_text(&program.text[range.clone()]), range.start, script);
    }
}

fn django(program: &Program<'_>, script: &mut Script) {
    static OPERATION: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"\b(CreateModel|DeleteModel|RenameModel|AlterModelTable|AddField|RemoveField|RenameField|AlterField|AddIndex|AddIndexConcurrently|RemoveIndex|RemoveIndexConcurrently|AddConstraint|AddConstraintNotValid|ValidateConstraint|RemoveConstraint|AlterUniqueTogether|RunSQL)[ \t]*\(",
        )
        .expect("the pattern is tested")
    });
    static STATE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\bstate_operations[ \t]*=[ \t]*\[").expect("the pattern is tested"));
    static AUTOCOMMIT: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\batomic[ \t]*=[ \t]*False\b").expect("the pattern is tested"));
    let code = &program.code;
    // What only the framework's own picture of the schema is told is not done to the database.
    let mut state: Vec<Range<usize>> = Vec::new();
    for found in STATE.find_iter(code) {
        if state.last().is_none_or(|last| last.end <= found.start()) {
            let Some(close) = closing(code, found.end() - 1) else { break };
            state.push(found.start()..close);
        }
    }
    if script.whole && !AUTOCOMMIT.is_match(code) {
        script.open();
    }
    for (name, at, arguments) in calls(program, 0..code.len(), &OPERATION) {
        let before = state.partition_point(|range| range.start <= at.start);
        if before > 0 && state[before - 1].contains(&at.start) {
            continue;
        }
        script.statement();
        if name == "RunSQL" {
            let first = arguments.names.iter().find(|(key, _)| key == "sql").map(|(_, value)| value);
            if let Some(value) = first.or(arguments.places.first()) {
                embedded(program, value.start..value.start + value.text.len(), script);
            }
            continue;
        }
        for operation in django_operations(program, &name, &arguments) {
            script.push(operation, at.clone(), at.clone());
        }
    }
}

fn django_operations(program: &Program<'_>, name: &str, arguments: &Arguments<'_>) -> Vec<Operation> {
    let lower = |number, key: &str| arguments.at_or_named(number, key).unwrap_or("").to_lowercase();
    let table = lower(0, "model_name");
    let constraint = |validated| {
        let text = arguments.named("constraint").or(arguments.places.get(1).map(|value| value.text)).unwrap_or("");
        let kind = if text.contains("UniqueConstraint") {
            ConstraintKind::Unique
        } else if text.contains("ExclusionConstraint") {
            ConstraintKind::Exclusion
        } else {
            ConstraintKind::Check
        };
        vec![Operation::AddConstraint {
            table: table.clone(),
            constraint: Constraint { name: constraint_name(text), kind, validated, from_index: false },
        }]
    };
    let index = |concurrently| {
        let index = Index { concurrently, columns: 1, ..Index::default() };
        vec![Operation::CreateIndex { table: table.clone(), index }]
    };
    let drop_index =
        |concurrently| vec![Operation::DropIndex { table: Some(table.clone()), concurrently, guarded: false }];
    match name {
        "CreateModel" => {
            let table = lower(0, "name");
            vec![Operation::CreateTable { table, columns: vec![], references: vec![], replaces: false }]
        }
        "DeleteModel" => vec![Operation::DropTable { table: lower(0, "name") }],
        "RenameModel" => vec![Operation::RenameTable { table: lower(0, "old_name"), to: lower(1, "new_name") }],
        "AlterModelTable" => vec![Operation::RenameTable { table: lower(0, "name"), to: String::new() }],
        "RemoveField" => vec![Operation::DropColumn { table, column: lower(1, "name") }],
        "RenameField" => vec![Operation::RenameColumn { table, column: lower(1, "old_name") }],
        "AddField" => django_field(program, &table, &lower(1, "name"), arguments),
        "AddIndex" => index(false),
        "AddIndexConcurrently" => index(true),
        "RemoveIndex" => drop_index(false),
        "RemoveIndexConcurrently" => drop_index(true),
        "AddConstraint" => constraint(true),
        "AddConstraintNotValid" => constraint(false),
        "ValidateConstraint" => {
            vec![Operation::ValidateConstraint {
                table,
                name: arguments.at_or_named(1, "name").unwrap_or("").to_owned(),
            }]
        }
        "RemoveConstraint" => vec![Operation::DropConstraint { table, name: lower(1, "name") }],
        "AlterUniqueTogether" => {
            let text = arguments.named("unique_together").or(arguments.places.get(1).map(|value| value.text));
            // An empty set takes the constraint away.
            let adds = text.is_some_and(|text| text.contains(['"', '\'']));
            let constraint =
                Constraint { name: String::new(), kind: ConstraintKind::Unique, validated: true, from_index: false };
            adds.then_some(Operation::AddConstraint { table: lower(0, "name"), constraint }).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn constraint_name(text: &str) -> String {
    let name = text.split("name=").nth(1).map(|rest| rest.split([',', ')']).next().unwrap_or(""));
    literal(name.unwrap_or("")).to_owned()
}

/// Django fills the rows that are there with a field's default, and then drops the default: the release before, which does
/// not know the field, cannot insert a row any more, unless the default is `db_default`.
fn django_field(program: &Program<'_>, table: &str, name: &str, arguments: &Arguments<'_>) -> Vec<Operation> {
    let field =
        arguments.names.iter().find(|(key, _)| key == "field").map(|(_, value)| value).or(arguments.places.get(2));
    let Some(field) = field else { return Vec::new() };
    let Some(open) = field.text.find('(') else { return Vec::new() };
    let Some(close) = closing(&program.code, field.start + open) else { return Vec::new() };
    let options = program.arguments(field.start + open + 1..close);
    let class = field.text[..open].rsplit('.').next().unwrap_or("").trim();
    if class == "ManyToManyField" || class == "GenericForeignKey" {
        return Vec::new();
    }
    let default = match (options.named("db_default"), options.named("default")) {
        (Some(_), _) => Value::Same,
        (None, Some(_)) => Value::Passing,
        (None, None) => Value::None,
    };
    let generated = match (class, options.says("db_persist", "True")) {
        ("GeneratedField", true) => Generated::Stored,
        ("GeneratedField", false) => Generated::Virtual,
        _ => Generated::No,
    };
    let is_key = matches!(class, "ForeignKey" | "OneToOneField");
    let column = Column {
        name: name.to_owned(),
        ty: Type::default(),
        not_null: !options.says("null", "True") && generated == Generated::No,
        default,
        generated,
        unique: options.says("unique", "True") || class == "OneToOneField",
        primary: options.says("primary_key", "True"),
        check: false,
        references: (is_key && !options.says("db_constraint", "False")).then(String::new),
    };
    let indexed = options.says("db_index", "True") || (class == "ForeignKey" && !options.says("db_index", "False"));
    let index = Index { columns: 1, ..Index::default() };
    let index = indexed.then(|| Operation::CreateIndex { table: table.to_owned(), index });
    std::iter::once(Operation::AddColumn { table: table.to_owned(), column }).chain(index).collect()
}

fn alembic(program: &Program<'_>, script: &mut Script) {
    static OPERATION: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\b(?:op|batch_op|batch)\.([a-z_]+)[ \t]*\(").expect("the pattern is tested"));
    let Some(body) = upgrade_body(&program.code) else { return };
    if script.whole && !program.code.contains("autocommit_block") {
        script.open();
    }
    let mut batch: Option<String> = None;
    for (name, at, arguments) in calls(program, body, &OPERATION) {
        let is_batch = !program.code[at.start..].starts_with("op.");
        script.statement();
        match name.as_str() {
            "batch_alter_table" => batch = arguments.at_or_named(0, "table_name").map(str::to_owned),
            "execute" => {
                let inside = arguments.places.first().or(arguments.names.first().map(|(_, value)| value));
                if let Some(value) = inside {
                    embedded(program, value.start..value.start + value.text.len(), script);
                }
            }
            _ => {
                let table = batch.as_deref().filter(|_| is_batch);
                for operation in alembic_operations(program, &name, &arguments, table) {
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
    let mut end = start;
    for line in code[start..].split_inclusive('\n') {
        if end > start && !line.trim().is_empty() && !line.starts_with([' ', '\t', ')']) {
            break;
        }
        end += line.len();
    }
    Some(start..end)
}

/// What a call on `op` does, or one on a batch for `batch`, whose calls leave the table out.
fn alembic_operations(
    program: &Program<'_>,
    name: &str,
    arguments: &Arguments<'_>,
    batch: Option<&str>,
) -> Vec<Operation> {
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
            let column = arguments.places.get(first).and_then(|value| alembic_column(program, value.start, value.text));
            column.map(|column| Operation::AddColumn { table: table_at(0), column }).into_iter().collect()
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
        let from = arguments.named("existing_type").map(alembic_type);
        operations.push(Operation::ChangeType {
            table: table.clone(),
            column: column.clone(),
            to: alembic_type(ty),
            from,
        });
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
fn alembic_column(program: &Program<'_>, start: usize, text: &str) -> Option<Column> {
    let open = text.find('(').filter(|open| text[..*open].ends_with("Column"))?;
    let close = closing(&program.code, start + open)?;
    let arguments = program.arguments(start + open + 1..close);
    let ty = arguments.places.get(1).map(|ty| alembic_type(ty.text)).unwrap_or_default();
    let has = |word: &str| arguments.places.iter().any(|value| value.text.contains(word));
    let generated = match (has("Computed("), has("Identity(")) {
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

fn alembic_type(text: &str) -> Type {
    let mut ty = Type::of(&text.replace("length=", "").replace("precision=", "").replace("scale=", ""));
    if ty.name == "timestamp" && text.contains("timezone=True") {
        ty.name = "timestamptz".to_owned();
    }
    ty
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(text: &str) -> Vec<Operation> {
        let mut script = Script::of_whole_file();
        read(text, &mut script);
        script.steps.into_iter().map(|step| step.what).collect()
    }

    fn django(operations: &str) -> Vec<Operation> {
        steps(&format!("class Migration(migrations.Migration):\n    operations = [\n        {operations},\n    ]\n"))
    }

    fn alembic(call: &str) -> Vec<Operation> {
        steps(&format!(
            "revision = 'a'\n\ndef upgrade():\n    {call}\n\n\ndef downgrade():\n    op.drop_table('never')\n"
        ))
    }

    #[test]
    fn operations_of_django_are_read() {
        let drop = Operation::DropColumn { table: "order".into(), column: "note".into() };
        assert_eq!(django("migrations.RemoveField(model_name='order', name='note')"), std::slice::from_ref(&drop));
        assert_eq!(django("migrations.RemoveField('Order', 'note')"), [drop]);
        let added = |field: &str| match django(&format!("migrations.AddField('order', 'a', {field})")).remove(0) {
            Operation::AddColumn { column, .. } => column,
            other => panic!("{field}: {other:?}"),
        };
        assert!(!added("models.TextField(null=True)").not_null);
        let column = added("models.TextField(default='')");
        assert!(column.not_null && column.default == Value::Passing);
        assert_eq!(added("models.TextField(db_default='')").default, Value::Same);
        assert_eq!(django("migrations.AddField('a', 'b', models.ManyToManyField('c'))"), []);
        assert_eq!(
            django("migrations.RunSQL('DROP TABLE a', 'DROP TABLE b')"),
            [Operation::DropTable { table: "a".into() }]
        );
        assert_eq!(django("migrations.RunSQL(sql=[('DROP TABLE a', None)], reverse_sql='DROP TABLE b')").len(), 1);
        assert_eq!(django("migrations.SeparateDatabaseAndState(state_operations=[migrations.DeleteModel('A')])"), []);
        assert!(matches!(
            django("AddIndexConcurrently('order', models.Index(fields=['a'], name='i'))").as_slice(),
            [Operation::CreateIndex { index, .. }] if index.concurrently
        ));
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
        assert_eq!(alembic("op.execute(\"DROP TABLE a\")"), [Operation::DropTable { table: "a".into() }]);
        assert_eq!(alembic("op.execute(sa.text('''DROP TABLE a'''))"), [Operation::DropTable { table: "a".into() }]);
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
        let column = added("sa.Column('b', sa.String(length=50), nullable=False)");
        assert!(column.not_null && column.ty.arguments == [50]);
    }
}
