//! Migrations of Django in operations.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::super::super::operation::{
    Column, Constraint, ConstraintKind, Generated, Index, Operation, Script, Type, Value,
};
use super::super::calls::{Arguments, Program, literal};
use super::{calls, embedded};
use crate::source::closing;

/// Adds what the operations do.
pub(super) fn read(program: &Program<'_>, script: &mut Script) {
    static OPERATION: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"\b(CreateModel|DeleteModel|RenameModel|AlterModelTable|AddField|RemoveField|RenameField|AlterField|AddIndex|AddIndexConcurrently|RemoveIndex|RemoveIndexConcurrently|AddConstraint|AddConstraintNotValid|ValidateConstraint|RemoveConstraint|AlterUniqueTogether|AlterIndexTogether|RunSQL)[ \t]*\(",
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
        for operation in operations(program, &name, &arguments) {
            script.push(operation, at.clone(), at.clone());
        }
    }
}

fn operations(program: &Program<'_>, name: &str, arguments: &Arguments<'_>) -> Vec<Operation> {
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
    // An empty set takes away what was there.
    let together = |option: &str| {
        let text = arguments.named(option).or(arguments.places.get(1).map(|value| value.text));
        text.is_some_and(|text| text.contains(['"', '\'']))
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
        "AddField" => added_field(program, &table, &lower(1, "name"), arguments),
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
        "AlterUniqueTogether" if together("unique_together") => {
            let constraint =
                Constraint { name: String::new(), kind: ConstraintKind::Unique, validated: true, from_index: false };
            vec![Operation::AddConstraint { table: lower(0, "name"), constraint }]
        }
        "AlterIndexTogether" if together("index_together") => {
            let index = Index { columns: 2, ..Index::default() };
            vec![Operation::CreateIndex { table: lower(0, "name"), index }]
        }
        _ => Vec::new(),
    }
}

fn constraint_name(text: &str) -> String {
    let name = text.split("name=").nth(1).map(|rest| rest.split([',', ')']).next().unwrap_or(""));
    literal(name.unwrap_or("")).to_owned()
}

/// What a default of the database calls to draw another value for each row.
const DRAWN: &[&str] = &["RandomUUID(", "Random(", "gen_random_uuid", "uuid_generate_v4", "uuidv7", "clock_timestamp"];

/// Django fills the rows that are there with a field's default, and then drops the default: the release before, which does
/// not know the field, cannot insert a row any more, unless the default is `db_default`.
fn added_field(program: &Program<'_>, table: &str, name: &str, arguments: &Arguments<'_>) -> Vec<Operation> {
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
        (Some(expression), _) if DRAWN.iter().any(|function| expression.contains(function)) => Value::Volatile,
        (Some(_), _) => Value::Same,
        (None, Some(_)) => Value::Passing,
        (None, None) => Value::None,
    };
    let generated = match (class, options.says("db_persist", "True")) {
        ("GeneratedField", true) => Generated::Stored,
        ("GeneratedField", false) => Generated::Virtual,
        ("AutoField" | "BigAutoField" | "SmallAutoField", _) => Generated::Identity,
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
        // Django has the database check that the number is not negative.
        check: class.starts_with("Positive"),
        references: (is_key && !options.says("db_constraint", "False")).then(String::new),
    };
    let by_itself = matches!(class, "ForeignKey" | "SlugField") && !options.says("db_index", "False");
    let indexed = (options.says("db_index", "True") || by_itself) && !column.unique;
    let index = Index { columns: 1, ..Index::default() };
    let index = indexed.then(|| Operation::CreateIndex { table: table.to_owned(), index });
    std::iter::once(Operation::AddColumn { table: table.to_owned(), column }).chain(index).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::steps;
    use super::*;

    fn django(operations: &str) -> Vec<Operation> {
        steps(&format!("class Migration(migrations.Migration):\n    operations = [\n        {operations},\n    ]\n"))
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
        assert_eq!(added("models.UUIDField(db_default=RandomUUID())").default, Value::Volatile);
        assert_eq!(added("models.BigAutoField(primary_key=True)").generated, Generated::Identity);
        assert!(added("models.PositiveSmallIntegerField(null=True)").check);
        assert_eq!(django("migrations.AddField('a', 'b', models.SlugField(null=True))").len(), 2);
        assert_eq!(django("migrations.AlterIndexTogether('a', {('b', 'c')})").len(), 1);
        assert_eq!(django("migrations.AlterIndexTogether('a', set())"), []);
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
}
