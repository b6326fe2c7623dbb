use super::super::super::operation::Index;
use super::*;

fn steps(body: &str) -> Vec<Operation> {
    let text = format!("class X < ActiveRecord::Migration[7.1]\n{body}\nend\n");
    let mut script = Script::of_whole_file();
    read(&text, &mut script);
    script.steps.into_iter().map(|step| step.what).collect()
}

fn change(body: &str) -> Vec<Operation> {
    steps(&format!("  def change\n    {body}\n  end"))
}

#[test]
fn calls_are_operations() {
    let drop = |table: &str, column: &str| Operation::DropColumn { table: table.into(), column: column.into() };
    assert_eq!(change("remove_column :users, :email, :string"), [drop("users", "email")]);
    assert_eq!(change("remove_columns :users, :a, :b, type: :string"), [drop("users", "a"), drop("users", "b")]);
    assert_eq!(change("change_table :users do |t|\n      t.remove :email\n    end"), [drop("users", "email")]);
    assert_eq!(change("execute 'ALTER TABLE users DROP COLUMN email'"), [drop("users", "email")]);
    assert_eq!(
        change("execute <<~SQL\n      ALTER TABLE users\n        DROP COLUMN email;\n    SQL"),
        [drop("users", "email")]
    );
    let index = Index { concurrently: true, columns: 1, ..Index::default() };
    assert_eq!(
        change("add_index :users,\n      :name,\n      algorithm: :concurrently"),
        [Operation::CreateIndex { table: "users".into(), index }]
    );
    assert_eq!(change("add_reference :a, :b, index: false, foreign_key: { validate: false }").len(), 2);
    assert_eq!(change("add_reference(:a, :b, foreign_key: true)").len(), 4);
    assert!(
        matches!(change("add_column :a, :b, :json, null: false").as_slice(), [Operation::AddColumn { column, .. }] if column.not_null && column.ty.name == "json")
    );
}

#[test]
fn what_goes_down_and_what_is_answered_for_is_left_out() {
    assert_eq!(change("safety_assured { remove_column :a, :b }"), []);
    assert_eq!(change("safety_assured do\n      remove_column :a, :b\n    end\n    drop_table :c").len(), 1);
    assert_eq!(
        change("reversible do |dir|\n      dir.down { drop_table :a }\n      dir.up { drop_table :b }\n    end").len(),
        1
    );
    assert_eq!(change("reversible do |dir|\n      dir.down do\n        drop_table :a\n      end\n    end"), []);
    assert_eq!(change("revert do\n      create_table :a\n    end"), []);
    assert_eq!(steps("  def up; end\n  def down\n    drop_table :a\n  end"), []);
    assert_eq!(steps("  def down; end\n  def up\n    drop_table :a\n  end").len(), 1);
}

#[test]
fn a_column_that_was_just_added_has_a_known_type() {
    let found = change("add_column :a, :b, :xml\n    change_column :a, :b, :text");
    assert!(matches!(&found[1], Operation::ChangeType { from: Some(from), .. } if from.name == "xml"));
}

#[test]
fn the_way_down_says_what_a_type_was() {
    let found = steps(
        "  def up\n    change_column :a, :b, :string, limit: 50\n  end\n  def down\n    change_column :a, :b, :string, limit: 20\n  end",
    );
    assert!(
        matches!(&found[0], Operation::ChangeType { from: Some(from), to, .. } if from.arguments == [20] && to.arguments == [50])
    );
}
