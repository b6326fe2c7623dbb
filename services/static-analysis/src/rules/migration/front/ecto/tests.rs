use super::super::super::operation::{ConstraintKind, Deed, Dialect, Operation, Type, Value};
use super::*;

fn script(text: &str) -> Script {
    let mut script = Script::of_whole_file();
    read(text, &mut script);
    script
}

/// What the `change` of a migration does.
fn change(body: &str) -> Vec<Operation> {
    let text = format!("defmodule A do\n  use Ecto.Migration\n\n  def change do\n    {body}\n  end\nend\n");
    script(&text).steps.into_iter().map(|step| step.what).collect()
}

fn alter(body: &str) -> Vec<Operation> {
    change(&format!("alter table(:a) do\n      {body}\n    end"))
}

fn added(body: &str) -> super::super::super::operation::Column {
    match alter(body).remove(0) {
        Operation::AddColumn { table, column } if table == "a" => column,
        other => panic!("{body}: {other:?}"),
    }
}

fn drop(column: &str) -> Operation {
    Operation::DropColumn { table: "a".into(), column: column.into() }
}

#[test]
fn columns_are_dropped_and_renamed() {
    for body in ["remove :b", "remove(:b)", "remove :b, :text, default: \"\"", "remove_if_exists :b, :text"] {
        assert_eq!(alter(body), [drop("b")], "{body}");
    }
    assert_eq!(alter("remove :b\n      remove :c"), [drop("b"), drop("c")]);
    assert_eq!(change("alter table(\"a\"), do: remove(:b)"), [drop("b")]);
    assert_eq!(change("alter(table(:a)) do\n      remove(:b)\n    end"), [drop("b")]);
    assert_eq!(change("alter table(:a) do remove :b end\n    remove :c"), [drop("b")]);
    assert_eq!(alter("# remove :b"), []);
    assert_eq!(
        change("rename table(\"a\"), :b, to: :c"),
        [Operation::RenameColumn { table: "a".into(), column: "b".into() }]
    );
}

#[test]
fn tables_are_dropped_and_renamed() {
    let gone = [Operation::DropTable { table: "a".into() }];
    for body in ["drop table(:a)", "drop(table(\"a\"))", "drop_if_exists table(:a), mode: :cascade", "drop table :a"] {
        assert_eq!(change(body), gone, "{body}");
    }
    assert_eq!(
        change("rename table(\"a\"), to: table(\"b\")"),
        [Operation::RenameTable { table: "a".into(), to: "b".into() }]
    );
    assert_eq!(change("drop unique_index(:a, [:b], concurrently: true)").len(), 1);
}

#[test]
fn columns_are_added_and_changed() {
    assert!(added("add :b, :boolean, null: false").not_null);
    assert_eq!(added("add :b, :boolean, null: false, default: false").default, Value::Same);
    assert_eq!(added("add(:b, :uuid, default: fragment(\"gen_random_uuid()\"))").default, Value::Volatile);
    assert_eq!(added("add :b, :utc_datetime, default: fragment(\"now()\")").default, Value::Same);
    assert_eq!(added("add :b, :map, default: %{}, null: false").default, Value::Same);
    assert_eq!(added("add :b, :json").ty.name, "json");
    assert_eq!(added("add :b, {:array, :string}").ty, Type { array: true, ..Type::of("varchar(255)") });
    assert!(added("add :b, references(\"c\")").references.is_some());
    assert!(added("add :b, references(:c, validate: false)").references.is_none());
    assert!(added("timestamps()").not_null);
    assert!(!added("timestamps(null: true)").not_null);
    let change = |to: &str, from: Option<&str>| Operation::ChangeType {
        table: "a".into(),
        column: "b".into(),
        to: if to.is_empty() { Type::default() } else { Type::of(to) },
        from: from.map(Type::of),
    };
    let set = Operation::SetNotNull { table: "a".into(), column: "b".into() };
    assert_eq!(alter("modify :b, :text, from: :string"), [change("text", Some("varchar(255)"))]);
    assert_eq!(alter("modify :b, :boolean, null: false"), [change("", None), set.clone()]);
    assert_eq!(alter("modify :b, :text, null: false, from: {:text, null: true}"), [set]);
    assert_eq!(alter("modify :b, :text, null: false, from: {:text, null: false}"), []);
    assert_eq!(
        alter("modify :b, :string, size: 40, from: {:string, size: 20}"),
        [change("varchar(40)", Some("varchar(20)"))]
    );
    assert!(matches!(
        alter("modify :b, references(:c, on_delete: :nothing), from: references(:c)").as_slice(),
        [Operation::AddConstraint { constraint, .. }] if constraint.validated
    ));
    let both = |up: &str, down: &str| {
        let alter = |body: &str| format!("    alter table(:a) do\n      {body}\n    end\n  end\n");
        let (up, down) = (alter(up), alter(down));
        let text = format!("defmodule A do\n  use Ecto.Migration\n  def up do\n{up}\n  def down do\n{down}end\n");
        script(&text).steps.into_iter().map(|step| step.what).collect::<Vec<_>>()
    };
    let same = Operation::Unknown { schema: true };
    let set = || Operation::SetNotNull { table: "a".into(), column: "b".into() };
    assert_eq!(both("modify :b, :text", "modify :b, :string"), [change("text", Some("varchar(255)"))]);
    assert_eq!(both("modify :b, :text, null: false", "modify :b, :text, null: true"), [same.clone(), set()]);
    assert_eq!(both("modify :b, :text, null: false", "modify :b, :text, null: false"), [same.clone(), same.clone()]);
    for column in [":text", "references(:c, type: :text)"] {
        let body = format!("add :b, {column}\n      modify :b, :text, null: false");
        assert_eq!(alter(&body)[1..], [same.clone(), set()], "{body}");
    }
}

#[test]
fn indexes_and_constraints_are_made_and_dropped() {
    let index = |body: &str| match change(body).remove(0) {
        Operation::CreateIndex { index, .. } => index,
        other => panic!("{body}: {other:?}"),
    };
    assert!(!index("create index(:a, [:b])").concurrently);
    assert!(index("create index(\"a\", [:b], concurrently: true)").concurrently);
    assert!(index("create unique_index(:a, [:b, :c], name: :x)").unique);
    assert!(index("create_if_not_exists(index(:a, [\"lower(b)\"]))").guarded);
    assert_eq!(index("create index(\n      :a,\n      [:b, :c, \"coalesce(d, e)\"]\n    )").columns, 3);
    let constraint = |body: &str| match change(body).remove(0) {
        Operation::AddConstraint { constraint, .. } => (constraint.kind, constraint.validated),
        other => panic!("{body}: {other:?}"),
    };
    assert_eq!(constraint("create constraint(:a, :b, check: \"c > 0\")"), (ConstraintKind::Check, true));
    assert_eq!(
        constraint("create constraint(\"a\", :b, check: \"c IS NOT NULL\", validate: false)"),
        (ConstraintKind::NotNull("c".into()), false)
    );
    assert_eq!(
        constraint("create constraint(\"a\", :b, exclude: ~s|gist (int4range(\"c\", \"d\", '[]') WITH &&)|)").0,
        ConstraintKind::Exclusion
    );
    assert!(matches!(change("drop constraint(:a, \"b\")").as_slice(), [Operation::DropConstraint { .. }]));
    assert!(matches!(change("drop index(:a, [:b])").as_slice(), [Operation::DropIndex { concurrently: false, .. }]));
}

#[test]
fn sql_is_read_where_it_goes_up() {
    for body in [
        "execute \"ALTER TABLE a DROP COLUMN b\"",
        "execute(\"ALTER TABLE a DROP COLUMN b\", \"ALTER TABLE a DROP COLUMN c\")",
        "execute \"\"\"\n    ALTER TABLE a\n      DROP COLUMN b\n    \"\"\"",
        "execute ~s(ALTER TABLE a DROP COLUMN \"b\")",
        "execute(\n      \"ALTER TABLE a \" <>\n        \"DROP COLUMN b\",\n      \"\"\n    )",
        "repo().query!(\"ALTER TABLE a DROP COLUMN b\")",
        "Ecto.Adapters.SQL.query!(Shop.Repo, \"ALTER TABLE a DROP COLUMN b\", [])",
        "execute(fn -> repo().query!(\"ALTER TABLE a DROP COLUMN b\") end, fn -> repo().query!(\"DROP TABLE c\") end)",
    ] {
        assert_eq!(change(body), [drop("b")], "{body}");
    }
    assert_eq!(change("execute(\"\", \"DROP TABLE a\")"), []);
}

#[test]
fn rows_are_worked_on() {
    let rows = |deed, table: &str| vec![Operation::Other { deed, table: table.into() }];
    assert_eq!(change("Shop.Repo.delete_all(Shop.Post)"), rows(Deed::DeleteAll, "posts"));
    assert_eq!(change("Repo.delete_all(\"posts\")"), rows(Deed::DeleteAll, "posts"));
    assert_eq!(change("\"posts\" |> repo().update_all(set: [a: 1])"), rows(Deed::UpdateAll, "posts"));
    let from = "from(p in \"posts\", update: [set: [a: p.b]])\n    |> Repo.update_all([])";
    assert_eq!(change(from), rows(Deed::UpdateAll, "posts"));
    assert_eq!(change("query = from(p in Post)\n    repo().delete_all(query)"), rows(Deed::DeleteAll, "posts"));
    for some in [
        "Repo.delete_all(from p in Post, where: p.a > 1)",
        "Post\n    |> where(a: nil)\n    |> Repo.update_all(set: [a: 1])",
        "query = from(p in Post, where: is_nil(p.a))\n    repo().delete_all(query)",
        "Repo.delete_all(query)",
    ] {
        assert_eq!(change(some), [], "{some}");
    }
    let fill = "alter table(:posts) do\n      add :a, :integer\n    end\n\n    flush()\n\n    Shop.Post\n    |> where(a: nil)\n    |> Repo.update_all(set: [a: 1])";
    assert_eq!(change(fill).pop(), rows(Deed::UpdateAll, "posts").pop());
}

#[test]
fn the_way_down_and_new_tables_hurt_nobody() {
    let text = "defmodule A do\n  use Ecto.Migration\n\n  def up do\n    create table(:a) do\n      add :b, references(:c), null: false\n      timestamps()\n    end\n\n    create index(:a, [:b])\n  end\n\n  def down do\n    drop table(:a)\n    undo()\n  end\n\n  defp undo, do: execute(\"DROP TABLE b\")\n\n  def drop, do: execute(\"DROP TABLE c\")\nend\n";
    let script = script(text);
    let [made, index] = script.steps.as_slice() else { panic!("{:?}", script.steps) };
    assert!(matches!(&made.what, Operation::CreateTable { references, .. } if references == &["c"]));
    assert!(index.what.table() == Some("a") && script.is_new("a", 1) && index.transaction.is_some());
    assert!(super::tests::script("defmodule A do\n  def change do\n    drop table(:a)\n  end\nend\n").steps.is_empty());
}

#[test]
fn the_file_says_its_database_and_its_transaction() {
    let with = |line: &str| {
        script(&format!(
            "defmodule A do\n  use Ecto.Migration\n  {line}\n  def change do\n    create index(:a, [:b])\n  end\nend\n"
        ))
    };
    assert!(with("").steps[0].transaction.is_some());
    assert!(with("@disable_ddl_transaction true").steps[0].transaction.is_none());
    assert_eq!(with("# for Ecto.Adapters.MyXQL").dialect, Dialect::Mysql);
    assert_eq!(with("").dialect, Dialect::Postgres);
}

#[test]
fn a_part_of_a_migration_says_what_it_takes_away() {
    let mut script = Script::default();
    read("      add :c, :text, null: false\n      remove :b\n    end\n", &mut script);
    assert!(matches!(script.steps.as_slice(), [step] if matches!(step.what, Operation::DropColumn { .. })));
}
