//! Migrations of Django in operations.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::super::super::operation::{
    Column, Constraint, ConstraintKind, Deed, Generated, Index, Operation, Script, Type, Value,
};
use super::super::calls::{Arguments, Program, literal};
use super::{calls, embedded, indented};
use crate::source::closing;

/// Adds what the operations do.
pub(super) fn read(program: &Program<'_>, script: &mut Script) {
    static OPERATION: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"\b(CreateModel|DeleteModel|RenameModel|AlterModelTable|AddField|RemoveField|RenameField|AlterField|AddIndex|AddIndexConcurrently|RemoveIndex|RemoveIndexConcurrently|AddConstraint|AddConstraintNotValid|ValidateConstraint|RemoveConstraint|AlterUniqueTogether|AlterIndexTogether|RunSQL|RunPython)[ \t]*\(",
        )
        .expect("the pattern is tested")
    });
    static STATE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\bstate_operations[ \t]*=[ \t]*\[").expect("the pattern is tested"));
    static SEPARATE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\b(SeparateDatabaseAndState)[ \t]*\(").expect("the pattern is tested"));
    static AUTOCOMMIT: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\batomic[ \t]*=[ \t]*False\b").expect("the pattern is tested"));
    let code = &program.code;
    // What only the framework's own picture of the schema is told is not done to the database.
    let mut state: Vec<Range<usize>> = Vec::new();
    for (_, _, arguments) in calls(program, 0..code.len(), &SEPARATE) {
        state.extend(arguments.places.get(1).map(|told| told.start..told.start + told.text.len()));
    }
    for found in STATE.find_iter(code) {
        if state.last().is_none_or(|last| last.end <= found.start()) {
            let Some(close) = closing(code, found.end() - 1) else { break };
            state.push(found.start()..close);
        }
    }
    state.sort_unstable_by_key(|range| range.start);
    if script.whole && !AUTOCOMMIT.is_match(code) {
        script.open();
    }
    let found = calls(program, 0..code.len(), &OPERATION);
    let kept = tables_kept(&found);
    for (name, at, arguments) in found {
        if kept.contains(&at.start) {
            continue;
        }
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
        if name == "RunPython" {
            run(program, arguments.at_or_named(0, "code").unwrap_or(""), script);
            continue;
        }
        for operation in operations(program, &name, &arguments) {
            script.push(operation, at.clone(), at.clone());
        }
    }
}

/// Where models get another name and are told to keep the table of the old one: `RenameModel('A', 'B')`, `AlterModelTable('b', 'shop_a')`.
fn tables_kept(calls: &[(String, Range<usize>, Arguments<'_>)]) -> HashSet<usize> {
    let mut kept = HashSet::new();
    let mut renames = HashMap::new();
    for (name, at, arguments) in calls {
        let told = |number, key: &str| arguments.at_or_named(number, key).unwrap_or("").to_lowercase();
        match name.as_str() {
            "RenameModel" => {
                renames.insert(told(1, "new_name"), (told(0, "old_name"), at.start));
            }
            "AlterModelTable" => {
                let renamed = renames.get(&told(0, "name"));
                let of_it = renamed.filter(|(old, _)| told(1, "table").ends_with(&format!("_{old}")));
                kept.extend(of_it.into_iter().flat_map(|(_, rename)| [*rename, at.start]));
            }
            _ => {}
        }
    }
    kept
}

/// What the function of a `RunPython` does to all rows, and what it says in SQL.
fn run(program: &Program<'_>, function: &str, script: &mut Script) {
    static WORK: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?:\.objects(?:\.all\(\))?\.(?:delete|update)|\.(?:execute))[ \t]*\(")
            .expect("the pattern is tested")
    });
    let name = function.rsplit('.').next().unwrap_or("");
    let Some(body) = function_body(&program.code, name) else { return };
    for found in WORK.find_iter(&program.code[body.clone()]) {
        let open = body.start + found.end() - 1;
        let Some(close) = closing(&program.code, open) else { break };
        let at = body.start + found.start()..close + 1;
        script.statement();
        let deed = match found.as_str() {
            all if all.contains("delete") => Deed::DeleteAll,
            all if all.contains("update") => Deed::UpdateAll,
            _ => {
                let first =
                    program.arguments(open + 1..close).places.first().map(|sql| sql.start..sql.start + sql.text.len());
                first.into_iter().for_each(|sql| embedded(program, sql, script));
                continue;
            }
        };
        script.push(Operation::Other { deed, table: String::new() }, at.clone(), at);
    }
}

/// From behind the header of a function to the next line that is not indented.
fn function_body(code: &str, name: &str) -> Option<Range<usize>> {
    if name.is_empty() {
        return None;
    }
    let header = format!("def {name}(");
    let begins = code.starts_with(&header).then_some(0);
    let start = begins.or_else(|| code.find(&format!("\n{header}")).map(|at| at + 1))? + header.len();
    Some(indented(code, start))
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
        "AlterField" => altered_field(&table, &lower(1, "name"), arguments),
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

/// What a field was before is not told. A key that is a big number now was a smaller one until Django 3.2 made it the default.
fn altered_field(table: &str, name: &str, arguments: &Arguments<'_>) -> Vec<Operation> {
    let field = arguments.named("field").or(arguments.places.get(2).map(|value| value.text)).unwrap_or("");
    let class = field.split('(').next().unwrap_or("").rsplit('.').next().unwrap_or("");
    if class != "BigAutoField" || !field.contains("primary_key=True") {
        return Vec::new();
    }
    let (to, from) = (Type::of("bigint"), Some(Type::of("integer")));
    vec![Operation::ChangeType { table: table.to_owned(), column: name.to_owned(), to, from }]
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
    fn what_a_function_does_to_all_rows_is_read() {
        let run = |body: &str| {
            let text = format!(
                "def forwards(apps, schema_editor):\n    A = apps.get_model('a', 'A')\n    {body}\n\n\ndef back(apps, schema_editor):\n    A.objects.all().delete()\n\n\nclass Migration(migrations.Migration):\n    operations = [migrations.RunPython(forwards, back)]\n"
            );
            steps(&text)
        };
        assert_eq!(run("A.objects.all().delete()")[0].deed(), Some(Deed::DeleteAll));
        assert_eq!(run("A.objects.update(b=1)")[0].deed(), Some(Deed::UpdateAll));
        assert_eq!(run("A.objects.filter(b=1).update(b=2)"), []);
        assert_eq!(run("schema_editor.execute(\"DROP TABLE a\")"), [Operation::DropTable { table: "a".into() }]);
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
        assert_eq!(django("migrations.SeparateDatabaseAndState([], [migrations.DeleteModel('A')])"), []);
        assert_eq!(django("migrations.RenameModel('A', 'B'), migrations.AlterModelTable('b', 'shop_a')"), []);
        assert_eq!(django("migrations.RenameModel('A', 'B'), migrations.AlterModelTable('c', 'shop_a')").len(), 2);
        assert_eq!(django("migrations.AlterField('a', 'id', models.BigAutoField(primary_key=True))").len(), 1);
        assert_eq!(django("migrations.AlterField('a', 'b', models.CharField(max_length=9))"), []);
        assert!(matches!(
            django("AddIndexConcurrently('order', models.Index(fields=['a'], name='i'))").as_slice(),
            [Operation::CreateIndex { index, .. }] if index.concurrently
        ));
    }
}
