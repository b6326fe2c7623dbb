use super::super::super::operation::{Generated, Index, Value};
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
fn what_is_said_on_one_line_or_backwards_is_read() {
    let drop = |column: &str| Operation::DropColumn { table: "a".into(), column: column.into() };
    assert_eq!(change("%i[b c].each { |name| remove_column :a, :b }"), [drop("b")]);
    assert_eq!(change("[:b, :c].each { |name| execute 'DROP TABLE a' }"), [Operation::DropTable { table: "a".into() }]);
    assert_eq!(steps("  def change; remove_column :a, :b, :string; end"), [drop("b")]);
    assert_eq!(steps("  def down; remove_column :a, :b, :string; end"), []);
    assert_eq!(change("revert do\n      create_table :a\n    end"), [Operation::DropTable { table: "a".into() }]);
    assert_eq!(change("revert { add_column :a, :b, :string }"), [drop("b")]);
    assert_eq!(change("truncate :a")[0].deed(), Some(Deed::Truncate));
    let required = |call: &str| matches!(&change(call)[0], Operation::AddColumn { column, .. } if column.not_null);
    assert!(required("add_timestamps :a") && !required("add_timestamps :a, null: true"));
}

#[test]
fn sql_under_a_name_or_in_pieces_is_read() {
    let drop = [Operation::DropTable { table: "a".into() }];
    assert_eq!(steps("  SQL = <<~SQL\n    DROP TABLE a;\n  SQL\n\n  def up\n    execute(SQL)\n  end"), drop);
    assert_eq!(change("sql = 'DROP TABLE a'\n    execute sql"), drop);
    assert_eq!(change("execute 'DROP ' \\\n      'TABLE a'"), drop);
    assert_eq!(change("execute 'DROP ' + 'TABLE a'"), drop);
    assert_eq!(steps("  def up\n    execute(SQL)\n  end"), []);
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
    assert_eq!(change("revert do\n      drop_table :a\n    end"), []);
    assert_eq!(steps("  def up; end\n  def down\n    drop_table :a\n  end"), []);
    assert_eq!(steps("  def down; end\n  def up\n    drop_table :a\n  end").len(), 1);
    assert_eq!(steps("  def up = drop_table(:a)\n  def down = drop_table(:b)").len(), 1);
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

#[test]
fn the_block_of_a_table_has_a_method_for_each_type() {
    let block = |line: &str| change(&format!("change_table :a, bulk: true do |t|\n      {line}\n    end"));
    let added = |line: &str| match block(line).remove(0) {
        Operation::AddColumn { column, .. } => column,
        other => panic!("{line}: {other:?}"),
    };
    assert_eq!(added("t.uuid :b, default: 'gen_random_uuid()'").default, Value::Volatile);
    assert!(added("t.bigserial :b").ty.is_serial());
    assert_eq!(added("t.virtual :b, type: :string, as: 'lower(c)', stored: true").generated, Generated::Stored);
    assert_eq!(added("t.decimal :b, precision: 10, scale: 2").ty.arguments, [10, 2]);
    assert_eq!(block("t.string :b, :c, null: false").len(), 2);
    assert!(
        matches!(&block("t.string :b, index: { unique: true }")[1], Operation::CreateIndex { index, .. } if index.unique)
    );
    assert_eq!(block("t.string :b, index: false").len(), 1);
    assert!(matches!(block("t.remove_references :b").as_slice(), [Operation::DropColumn { .. }]));
}

#[test]
fn a_call_has_other_forms() {
    let dropped = |body: &str| matches!(change(body).as_slice(), [Operation::DropColumn { .. }]);
    for body in [
        "execute %q(ALTER TABLE a DROP COLUMN b)",
        "execute %{ALTER TABLE a DROP COLUMN b}",
        "ActiveRecord::Base.connection.execute(\"ALTER TABLE a DROP COLUMN b\")",
        "remove_column(:a, :b)",
        "up_only { remove_column :a, :b }",
    ] {
        assert!(dropped(body), "{body}");
    }
    let index = |call: &str| match change(call).remove(0) {
        Operation::CreateIndex { index, .. } => (index.concurrently, index.columns),
        other => panic!("{call}: {other:?}"),
    };
    assert_eq!(index("add_index :a, %i[b c d e], algorithm: 'concurrently'"), (true, 4));
    assert_eq!(index("add_index :a, :b, { algorithm: :concurrently }"), (true, 1));
    assert_eq!(change("drop_join_table :b, :a"), [Operation::DropTable { table: "a_b".into() }]);
    assert_eq!(change("add_columns :a, :b, :c, type: :json").len(), 2);
}

#[test]
fn what_is_done_to_all_rows_of_a_model_is_read() {
    let deed = |call: &str| change(call).first().and_then(Operation::deed);
    for (call, expected) in [
        ("OrderLine.update_all(a: 1)", Some(Deed::UpdateAll)),
        ("Shop::Order.unscoped.update_all a: 1", Some(Deed::UpdateAll)),
        ("Order.delete_all", Some(Deed::DeleteAll)),
        ("Order.where(a: nil).update_all(a: 1)", None),
        ("Order.in_batches { |batch| batch.update_all(a: 1) }", None),
        ("orders.update_all(a: 1)", None),
    ] {
        assert_eq!(deed(call), expected, "{call}");
    }
    assert!(
        matches!(&change("OrderLine.update_all(a: 1)")[0], Operation::Other { table, .. } if table == "order_lines")
    );
}
