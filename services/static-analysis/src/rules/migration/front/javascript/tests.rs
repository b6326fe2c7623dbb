use super::*;

pub(super) fn steps(text: &str) -> Vec<Operation> {
    let mut script = Script::of_whole_file();
    read(text, &mut script);
    script.steps.into_iter().map(|step| step.what).collect()
}

#[test]
fn what_is_dropped_or_said_in_sql_is_read() {
    let drop = Operation::DropColumn { table: "a".into(), column: "b".into() };
    let knex = |body: &str| {
        steps(&format!("exports.up = (knex) => {body};\nexports.down = (knex) => knex.schema.dropTable('never');\n"))
    };
    assert_eq!(knex("knex.schema.alterTable('a', (t) => { t.dropColumn('b'); })"), std::slice::from_ref(&drop));
    assert_eq!(knex("knex.schema.dropTableIfExists('a')"), [Operation::DropTable { table: "a".into() }]);
    assert_eq!(knex("knex.raw('ALTER TABLE a DROP COLUMN b')"), std::slice::from_ref(&drop));
    let typeorm = "export class A1 implements MigrationInterface {\n  public async up(queryRunner: QueryRunner): Promise<void> {\n    await queryRunner.query(`ALTER TABLE \"a\" DROP COLUMN \"b\"`);\n  }\n  public async down(queryRunner: QueryRunner): Promise<void> {\n    await queryRunner.query(`DROP TABLE x`);\n  }\n}\n";
    assert_eq!(steps(typeorm), std::slice::from_ref(&drop));
    let sequelize = "module.exports = {\n  up: async (queryInterface) => {\n    await queryInterface.removeColumn('a', 'b');\n  },\n  down: async (queryInterface) => {},\n};\n";
    assert_eq!(steps(sequelize), std::slice::from_ref(&drop));
    let kysely = "export async function up(db: Kysely<any>) {\n  await db.schema.alterTable('a').dropColumn('b').execute();\n}\n";
    assert_eq!(steps(kysely), [drop]);
    let pgm = "exports.up = (pgm) => {\n  pgm.createIndex('a', 'b', { concurrently: true });\n};\n";
    assert!(matches!(steps(pgm).as_slice(), [Operation::CreateIndex { index, .. }] if index.concurrently));
}

/// The rules that find something in a migration, but for those of time limits and ways back.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let findings = crate::sample::scan(vec![crate::sample::added("src/migrations/2_a.ts", text)]).findings;
    let mut found: Vec<_> = findings.iter().map(|finding| finding.rule_id.to_string()).collect();
    found.retain(|rule| rule.starts_with("migration.") && !rule.contains("timeout") && !rule.contains("rollback"));
    found.sort_unstable();
    found.dedup();
    let expected: Vec<_> = expected.iter().map(|rule| format!("migration.{rule}")).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn whatever_the_migration_is_handed_asks_the_database() {
    for text in [
        "exports.up = (db) => db.schema.alterTable('a', (t) => {\n  t.dropColumn('b');\n});\n",
        "export async function up(k: Knex): Promise<void> {\n  await k.schema.table('a', (t) => t.dropColumn('b'));\n}\n",
        "export default {\n  up: async (qi: QueryInterface) => {\n    await qi.removeColumn('a', 'b');\n  },\n};\n",
        "exports.up = function (db) {\n  return db.removeColumn('a', 'b');\n};\n",
        "exports.up = function (db, callback) {\n  db.runSql('ALTER TABLE a DROP COLUMN b', callback);\n};\n",
        "export async function up({ context: pool }: { context: Pool }) {\n  await pool.query('ALTER TABLE a DROP COLUMN b');\n}\n",
        "module.exports.up = async function (client) {\n  await client.query('ALTER TABLE a ' + 'DROP COLUMN b');\n};\n",
        "export async function up(sql: Sql) {\n  await sql`ALTER TABLE a DROP COLUMN b`;\n}\n",
        "export async function up(db) {\n  await sql`ALTER TABLE a DROP COLUMN b`.execute(db);\n}\n",
        "export async function up(db) {\n  await db.transaction().execute(async (t) => {\n    await t.schema.alterTable('a').dropColumn('b').execute();\n  });\n}\n",
        "exports.up = async (pg) => {\n  const text = `ALTER TABLE a DROP COLUMN b`;\n  await pg.query(text);\n  await pg.query(text);\n};\n",
        "const all = ['ALTER TABLE a DROP COLUMN b'];\nexports.up = async (pg) => {\n  for (const one of all) await pg.query(one);\n};\n",
        "exports.up = (knex) => knex.raw('ALTER TABLE ?? DROP COLUMN ??', ['a', 'b']);\n",
    ] {
        assert_eq!(steps(text), [Operation::DropColumn { table: "a".into(), column: "b".into() }], "{text}");
    }
    let required = "export const up: Migration = async ({ context: q }) => {\n  await q.addColumn('a', 'b', { type: 'int', allowNull: false });\n};\n";
    check(required, &["break.required-column"]);
    let migrate =
        "exports.up = function (db) {\n  return db.addColumn('a', 'b', { type: 'int', notNull: true });\n};\n";
    check(migrate, &["break.required-column"]);
}

#[test]
fn what_is_no_migration_of_sql_says_nothing() {
    for body in [
        "await db.collection('a').updateOne({}, { b: 1 }); await db.collection('a').dropIndex('b')",
        "await sql.raw('a'); console.table(rows); x.execute(`a`); await f`drop me`",
        "await client.query(name); cache.delete('a')",
    ] {
        check(&format!("module.exports = {{\n  async up(db, client) {{\n    {body};\n  }},\n}};\n"), &[]);
    }
    let below = "exports.up = (db) => db.query(text);\nexports.down = (db) => {\n  const text = 'DROP TABLE a';\n  return db.query(text);\n};\n";
    check(below, &[]);
    let back = "exports.up = async (db) => {};\nexports.down = async (db) => {\n  await db('a').del();\n  await sql`DROP TABLE a`;\n};\n";
    check(back, &[]);
}

#[test]
fn schemas_views_and_databases_are_dropped() {
    for (call, rule) in [
        ("queryRunner.dropDatabase('a', true)", "sql.drop-database"),
        ("queryRunner.dropSchema('a')", "sql.drop-schema"),
        ("knex.schema.dropSchemaIfExists('a')", "sql.drop-schema"),
        ("queryInterface.dropSchema('a')", "sql.drop-schema"),
        ("knex.schema.dropView('a')", "break.drop-object"),
        ("pgm.dropType('a')", "break.drop-object"),
        ("pgm.renameView('a', 'b')", "break.rename-object"),
        ("queryRunner.dropForeignKey('a', 'b')", "break.drop-constraint"),
    ] {
        check(&format!("exports.up = async () => {{\n  await {call};\n}};\n"), &[rule]);
    }
}

#[test]
fn a_table_of_the_same_migration_is_new() {
    for body in [
        "await knex.schema.createTable('a', (t) => {});\n  await knex('a').del();\n  await knex.raw('CREATE INDEX i ON ?? (b)', ['a'])",
        "await queryRunner.createTable(new Table({ name: 'a' }));\n  await queryRunner.createIndex('a', new TableIndex({ columnNames: ['b'] }))",
        "await db.schema.createTable('a').execute();\n  await db.schema.createIndex('i').on('a').column('b').execute()",
        "pgm.createTable('a', { b: 'int' });\n  pgm.addConstraint('a', 'c', 'CHECK (b > 0)');\n  pgm.createIndex('a', 'b')",
        "await queryInterface.createTable('a', {});\n  await queryInterface.bulkDelete('a', null)",
    ] {
        check(&format!("// postgres\nexports.up = async () => {{\n  {body};\n}};\n"), &[]);
    }
}

#[test]
fn what_only_postgres_minds_is_found_where_it_is_known() {
    for (call, rules) in [
        (
            "queryInterface.changeColumn('a', 'b', { type: 'x', allowNull: false })",
            &["break.required-column", "lock.set-not-null", "rewrite.type-change"][..],
        ),
        (
            "queryInterface.addColumn('a', 'b', { type: 'uuid', defaultValue: Sequelize.fn('uuid_generate_v4') })",
            &["rewrite.volatile-default"],
        ),
        ("queryInterface.addColumn('a', 'b', { type: 'int', autoIncrement: true })", &["rewrite.generated-column"]),
        (
            "knex.schema.alterTable('a', (t) => { t.uuid('b').defaultTo(knex.fn.uuid()) })",
            &["rewrite.volatile-default"],
        ),
        ("knex.schema.alterTable('a', (t) => { t.timestamp('b').defaultTo(knex.fn.now()) })", &[]),
    ] {
        check(&format!("// postgres\nexports.up = async () => {{\n  await {call};\n}};\n"), rules);
    }
}

#[test]
fn concurrently_is_outside_of_the_transaction_of_the_tool() {
    let rule = &["tx.concurrent-in-transaction"][..];
    let build = "CREATE INDEX CONCURRENTLY i ON a (b)";
    let knex = format!("exports.up = (knex) => knex.raw('{build}');\n");
    check(&knex, rule);
    check(&format!("{knex}exports.config = {{ transaction: false }};\n"), &[]);
    let typeorm = |more: &str| {
        format!(
            "export class A1 implements MigrationInterface {{\n  {more}\n  public async up(queryRunner: QueryRunner): Promise<void> {{\n    await queryRunner.query(`{build}`);\n  }}\n}}\n"
        )
    };
    check(&typeorm(""), rule);
    check(&typeorm("transaction = false;"), &[]);
    check(&typeorm("public readonly transaction: boolean = false;"), &[]);
    check(&typeorm("").replace("await", "await queryRunner.commitTransaction(); await"), &[]);
    check(&typeorm("").replace("await", "await queryRunner.query('COMMIT'); await"), &[]);
    let pgm = "exports.up = (pgm) => {\n  pgm.createIndex('a', 'b', { concurrently: true });\n};\n";
    check(pgm, rule);
    check(&pgm.replace("pgm.c", "pgm.noTransaction();\n  pgm.c"), &[]);
    let sequelize = "exports.up = async (q) => {\n  await q.addIndex('a', ['b'], { concurrently: true });\n};\n";
    check(sequelize, &[]);
    check(&sequelize.replace("true", "true, transaction: t"), rule);
    check(&sequelize.replace("true", "true, transaction"), rule);
}

#[test]
fn no_migration_takes_more_than_its_share_of_time() {
    let many = |text: &str| text.repeat(100_000 / text.len());
    for body in [
        many("knex('a').del().then(() => "),
        many("knex('a').del(); "),
        format!("knex('a'){}", many(".update()")),
        many("a.update("),
        many("a.execute(() => "),
        many("a.query(b.query("),
        format!("const s = [{}]; {}", many("'DROP TABLE a', "), many("a.query(s); ")),
        format!("queryRunner.addColumns('a', [{}", many("new TableColumn({ ")),
        format!("queryRunner.addColumns('a', [{}{}", many("new TableColumn({ "), many(")})")),
        format!("db.schema.alterTable('a').addColumn('b', 'c', (c) => {}{})", many("c.a("), many(")")),
        format!("db.schema.alterTable('a'){}", many(".dropColumn('b')")),
        many("a.table("),
        many("sql`a` "),
    ] {
        let started = std::time::Instant::now();
        steps(&format!("exports.up = async (knex) => {{ {body} }}"));
        let took = started.elapsed();
        assert!(took < std::time::Duration::from_secs(5), "{took:?}: {}", body.get(..60).unwrap_or(""));
    }
}
