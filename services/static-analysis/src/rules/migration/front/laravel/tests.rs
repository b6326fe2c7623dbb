use super::super::super::operation::{Column, ConstraintKind, Dialect, Operation, Type, Value};
use super::*;

fn script(body: &str) -> Script {
    let text = format!(
        "<?php\n\nreturn new class extends Migration\n{{\n    public function up(): void\n    {{\n        {body}\n    }}\n\n    public function down(): void\n    {{\n        Schema::drop('never');\n    }}\n}};\n"
    );
    let mut script = Script::of_whole_file();
    read(&text, &mut script);
    script
}

/// What the `up` of a migration does.
fn up(body: &str) -> Vec<Operation> {
    script(body).steps.into_iter().map(|step| step.what).collect()
}

fn table(chain: &str) -> Vec<Operation> {
    up(&format!("Schema::table('a', function (Blueprint $table) {{\n            {chain};\n        }});"))
}

/// The same in a migration that says that it is for PostgreSQL.
fn postgres(chain: &str) -> Vec<Operation> {
    up(&format!(
        "Schema::connection('pgsql')->table('a', function (Blueprint $table) {{\n            {chain};\n        }});"
    ))
}

fn drop(column: &str) -> Operation {
    Operation::DropColumn { table: "a".into(), column: column.into() }
}

fn added(operations: &[Operation]) -> Column {
    match operations {
        [Operation::AddColumn { column, .. }, ..] => column.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_dropped_and_renamed_is_read() {
    assert_eq!(table("$table->dropColumn('b')"), [drop("b")]);
    assert_eq!(table("$table->dropColumn(['b', 'c'])"), [drop("b"), drop("c")]);
    assert_eq!(table("$table->dropColumn('b', 'c')"), [drop("b"), drop("c")]);
    assert_eq!(table("$table->dropTimestamps();\n$table->dropSoftDeletes()"), [drop("created_at"), drop("deleted_at")]);
    assert_eq!(table("$table->dropConstrainedForeignId('b')"), [drop("b")]);
    assert_eq!(up("Schema::dropColumns('a', ['b']);"), [drop("b")]);
    assert_eq!(up("Schema::table('a', fn ($t) => $t->dropColumn(\"b\"));"), [drop("b")]);
    assert_eq!(up("$this->schema->table('a', function ($t) { $t->dropColumn('b'); });"), [drop("b")]);
    assert_eq!(
        table("$table->renameColumn('b', 'c')"),
        [Operation::RenameColumn { table: "a".into(), column: "b".into() }]
    );
    for body in ["Schema::drop('a');", "Schema::dropIfExists('a');", "\\Schema::connection('x')->drop('a');"] {
        assert_eq!(up(body), [Operation::DropTable { table: "a".into() }], "{body}");
    }
    assert_eq!(up("Schema::rename('a', 'b');"), [Operation::RenameTable { table: "a".into(), to: "b".into() }]);
    for none in ["// Schema::drop('a');", "# Schema::drop('a');", "$x = 'Schema::drop()';", "Schema::hasTable('a');"] {
        assert_eq!(up(none), [], "{none}");
    }
}

#[test]
fn a_new_column_may_have_to_be_filled() {
    assert!(added(&table("$table->string('b')")).not_null);
    assert!(added(&table("$table->foreignId('b')->constrained()->cascadeOnDelete()")).not_null);
    assert!(!added(&table("$table->string('b')->nullable()->after('c')")).not_null);
    assert!(added(&table("$table->string('b')->nullable(false)")).not_null);
    assert!(!added(&table("$table->timestamps()")).not_null);
    assert_eq!(added(&table("$table->boolean('b')->default(false)")).default, Value::Same);
    assert_eq!(added(&table("$table->timestamp('b')->useCurrent()")).default, Value::Same);
    assert_eq!(added(&table("$table->string('b')->default(null)")).default, Value::None);
    assert_eq!(added(&table("$table->uuid('b')->default(DB::raw('uuid()'))")).default, Value::Same);
    assert_eq!(added(&postgres("$table->uuid('b')->default(DB::raw('gen_random_uuid()'))")).default, Value::Volatile);
    assert_eq!(added(&table("$table->foreignIdFor(User::class)")).name, "user_id");
}

#[test]
fn what_only_postgresql_minds_is_read_where_the_file_shows_it() {
    assert_eq!(script("Schema::drop('a');").dialect, Dialect::Mysql);
    for chain in ["$table->index('b')", "$table->foreign('b')->references('id')->on('c')", "$table->dropIndex('b')"] {
        assert_eq!(table(chain), [], "{chain}");
        assert_eq!(postgres(chain).len(), 1, "{chain}");
    }
    let column = added(&postgres("$table->foreignId('b')->constrained('c')->unique()"));
    assert!(column.references.is_some() && column.unique);
    let column = added(&table("$table->foreignId('b')->constrained('c')->unique()"));
    assert!(column.references.is_none() && !column.unique);
    assert_eq!(postgres("$table->string('b')->index()").len(), 2);
    assert!(matches!(
        postgres("$table->unique('b')->online()").as_slice(),
        [Operation::CreateIndex { index, .. }] if index.unique && index.concurrently
    ));
    // Old rows may break a unique constraint in any database, but not those of a column that is new.
    assert!(matches!(
        table("$table->unique(['b', 'c'])").as_slice(),
        [Operation::AddConstraint { constraint, .. }] if constraint.kind == ConstraintKind::Unique
    ));
    assert_eq!(table("$table->string('b')->nullable();\n$table->unique('b')").len(), 1);
    let text = "pgsql";
    assert!(script(&format!("DB::connection('{text}')->statement('SELECT 1');")).is_open());
}

#[test]
fn a_change_says_a_type_and_whether_nulls_are_taken() {
    let change = |to: Type| Operation::ChangeType { table: "a".into(), column: "b".into(), to, from: None };
    assert_eq!(table("$table->bigInteger('b')->change()"), [change(Type::default())]);
    assert_eq!(postgres("$table->bigInteger('b')->change()"), [change(Type::of("bigint"))]);
    assert_eq!(
        table("$table->string('b')->nullable()->change()"),
        [Operation::DropNotNull { table: "a".into(), column: "b".into() }]
    );
    assert_eq!(
        table("$table->string('b', 50)->nullable(false)->change()"),
        [Operation::SetNotNull { table: "a".into(), column: "b".into() }]
    );
    assert_eq!(
        table("$table->string('b')->default('x')->change()"),
        [Operation::SetDefault { table: "a".into(), column: "b".into() }]
    );
    let both = |up: &str, down: &str| {
        let text = format!(
            "<?php\nclass A extends Migration {{\n  public function up() {{\n    Schema::table('a', function (Blueprint $t) {{ $t->{up}->change(); }});\n  }}\n  public function down() {{\n    Schema::table('a', function (Blueprint $t) {{ $t->{down}->change(); }});\n  }}\n}}\n"
        );
        let mut script = Script::of_whole_file();
        read(&text, &mut script);
        script.steps.into_iter().map(|step| step.what).collect::<Vec<_>>()
    };
    assert!(matches!(
        both("bigInteger('b')", "integer('b')").as_slice(),
        [Operation::ChangeType { to, from: Some(_), .. }] if to.name == "bigint"
    ));
    assert_eq!(both("string('b')", "string('b')"), []);
    assert_eq!(both("integer('b')->nullable(false)", "renameColumn('b', 'c')").len(), 1);
    assert_eq!(both("text('b')", "string('b')"), [change(Type::default())]);
}

#[test]
fn sql_is_read_in_whatever_quotes() {
    for body in [
        "DB::statement('ALTER TABLE a DROP COLUMN b');",
        "DB::unprepared(\"ALTER TABLE a DROP COLUMN b\");",
        "DB::connection('x')->statement(<<<SQL\n            ALTER TABLE a\n            DROP COLUMN b\n            SQL);",
        "DB::statement(<<<'SQL'\nALTER TABLE a DROP COLUMN b;\nSQL\n);",
        "DB::statement('ALTER TABLE a '\n            . 'DROP COLUMN b');",
    ] {
        assert_eq!(up(body), [drop("b")], "{body}");
    }
    for body in [
        "DB::statement(\"ALTER TABLE {$table} DROP COLUMN b\");",
        "DB::statement(\"ALTER TABLE $table DROP COLUMN b\");",
        "DB::statement('ALTER TABLE ' . $table . ' DROP COLUMN b');",
        "DB::statement(sprintf('ALTER TABLE %s DROP COLUMN b', $table));",
    ] {
        assert!(matches!(up(body).as_slice(), [Operation::DropColumn { column, .. }] if column == "b"), "{body}");
    }
}

#[test]
fn all_rows_of_a_table_are_worked_on() {
    let rows = |deed| vec![Operation::Other { deed, table: "users".into() }];
    assert_eq!(up("DB::table('users')->truncate();"), rows(Deed::Truncate));
    assert_eq!(up("DB::table('users')->delete();"), rows(Deed::DeleteAll));
    assert_eq!(up("DB::table('users')->update(['a' => 1]);"), rows(Deed::UpdateAll));
    assert_eq!(up("User::query()->delete();"), rows(Deed::DeleteAll));
    assert_eq!(up("User::truncate();"), rows(Deed::Truncate));
    for some in [
        "DB::table('users')->where('a', 1)->delete();",
        "DB::table('users')->whereNull('a')->update(['a' => 1]);",
        "DB::table('users')->delete(3);",
        "DB::table('users')->orderBy('id')->chunk(100, function ($users) { });",
        "User::where('a', 1)->delete();",
        "$user->delete();",
    ] {
        assert_eq!(up(some), [], "{some}");
    }
    let inner = "DB::table('users')->orderBy('id')->chunk(9, function ($all) { DB::table('logs')->truncate(); });";
    assert_eq!(up(inner).len(), 1);
}

#[test]
fn new_tables_and_the_way_down_hurt_nobody() {
    let helpers = "$this->tidy();\n    }\n    private function tidy() { Schema::drop('a'); }\n    private function unused() { Schema::drop('b');";
    assert_eq!(up(helpers), [Operation::DropTable { table: "a".into() }]);
    let body = "Schema::create('a', function (Blueprint $table) {\n            $table->id();\n            $table->string('b')->unique();\n            $table->foreignId('c_id')->constrained();\n            $table->foreign('d')->references('id')->on('e');\n        });\n        DB::table('a')->delete();";
    let script = script(body);
    let [made, deleted] = script.steps.as_slice() else { panic!("{:?}", script.steps) };
    assert!(matches!(&made.what, Operation::CreateTable { references, .. } if references == &["cs", "e"]));
    assert!(deleted.what.table().is_some_and(|table| script.is_new(table, 1)));
}

#[test]
fn other_classes_are_no_migrations_and_parts_say_what_they_take_away() {
    let mut script = Script::of_whole_file();
    read("<?php\nclass A extends Seeder { public function up() { Schema::drop('a'); } }\n", &mut script);
    assert!(script.steps.is_empty());
    let mut script = Script::default();
    read("            $table->string('b');\n            $table->dropColumn('c');\n        });\n", &mut script);
    assert!(matches!(script.steps.as_slice(), [step] if matches!(step.what, Operation::DropColumn { .. })));
}
