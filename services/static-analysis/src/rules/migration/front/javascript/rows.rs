//! What is done to the rows of whole tables: `knex('a').del()`, `db.deleteFrom('a').execute()`, `queryInterface.bulkDelete('a')`. As
//! soon as anything may leave rows out, nothing is said.

use std::ops::Range;

use super::super::super::operation::{Deed, Operation};
use super::super::calls::{Arguments, Program};
use super::chain::{self, Link};
use super::name;

/// How far behind a call the rest of its chain is looked for, in bytes.
const BEHIND_BYTES_MAX: usize = 16_384;

/// The methods whose chain is looked at.
pub(super) const METHODS: &[&str] =
    &["del", "delete", "deleteFrom", "decrement", "increment", "truncate", "update", "updateTable"];

/// What else a chain may say about all rows.
const OF_ALL_ROWS: &[&str] = &[
    "callListeners",
    "catch",
    "clone",
    "createQueryBuilder",
    "debug",
    "execute",
    "executeTakeFirst",
    "executeTakeFirstOrThrow",
    "finally",
    "from",
    "getRepository",
    "into",
    "queryContext",
    "returning",
    "returningAll",
    "set",
    "table",
    "then",
    "timeout",
    "transacting",
    "updateEntity",
    "withSchema",
];

/// What the chain of a call does to all rows of a table, and the bytes from the call's bracket on; `handles` are the names of what asks the database.
pub(super) fn operation(
    program: &Program<'_>,
    end: usize,
    method: &str,
    (dot, open): (usize, usize),
    handles: &[&str],
) -> Option<(Range<usize>, Operation)> {
    let before = chain::before(program, dot);
    let mut end = end.min(open + BEHIND_BYTES_MAX);
    while !program.code.is_char_boundary(end) {
        end -= 1;
    }
    let ahead = chain::ahead(program, end, method, open, chain::LINKS_MAX)?;
    let (own, behind) = ahead.split_first()?;
    let links = || before.links.iter().chain(behind);
    let known = |link: &Link<'_>| OF_ALL_ROWS.contains(&&*link.method) || METHODS.contains(&&*link.method);
    if !links().all(known) {
        return None;
    }
    let runs = behind.iter().any(|link| link.method.starts_with("execute"));
    let said = |method: &str| links().find(|link| link.method == method);
    let place = |link: &Link<'_>| link.arguments.places.first().map(|table| name(table.text));
    let is_handle = handles.contains(&before.root.as_str());
    let table = if method == "update" && own.arguments.places.get(1).is_some_and(|value| says_no_condition(value.text))
    {
        Some(before.root)
    } else if matches!(method, "deleteFrom" | "updateTable") {
        place(own).filter(|_| runs)
    } else if let Some(builder) = said("createQueryBuilder") {
        let named = said("from").and_then(place).or_else(|| place(own));
        named.or_else(|| place(builder)).or_else(|| said("getRepository").and_then(place)).filter(|_| runs)
    } else if is_handle {
        let called = before.called.as_ref().and_then(|arguments| arguments.places.first());
        called
            .map(|table| name(table.text))
            .or_else(|| ["from", "table", "into"].iter().find_map(|at| place(said(at)?)))
    } else {
        None
    }?;
    let deed = match method {
        "del" | "delete" | "deleteFrom" => Deed::DeleteAll,
        "truncate" => Deed::Truncate,
        _ => Deed::UpdateAll,
    };
    Some((own.at.clone(), Operation::Other { deed, table }))
}

/// Sequelize's `{ where: {} }`.
fn says_no_condition(options: &str) -> bool {
    let options: String = options.split_whitespace().collect();
    options.contains("where:{}") && !options.contains("limit:")
}

/// What a call that needs no chain does to all rows, or to all tables.
pub(super) fn of_all(method: &str, receiver: &str, arguments: &Arguments<'_>) -> Option<Operation> {
    let table = arguments.places.first().map_or(String::new(), |table| name(table.text));
    // Without a condition, or with an empty one.
    let is_empty = |number: usize| {
        arguments.places.get(number).is_none_or(|value| {
            let value: String = value.text.split_whitespace().collect();
            matches!(value.as_str(), "{}" | "null" | "undefined" | "{where:{}}")
        })
    };
    let limited = arguments.places.iter().any(|value| value.text.contains("limit"));
    let deed = match method {
        "bulkDelete" if is_empty(1) && !limited => Deed::DeleteAll,
        "bulkUpdate" if is_empty(2) && !limited => Deed::UpdateAll,
        "clearTable" => Deed::Truncate,
        "destroy" if says_no_condition(arguments.places.first()?.text) => {
            return Some(Operation::Other { deed: Deed::DeleteAll, table: receiver.to_owned() });
        }
        "clear" if receiver == "manager" && !table.is_empty() => Deed::Truncate,
        "clearDatabase" | "dropAllTables" => Deed::DropDatabase,
        _ => return None,
    };
    let table = if deed == Deed::DropDatabase { String::new() } else { table };
    Some(Operation::Other { deed, table })
}

#[cfg(test)]
mod tests {
    use super::super::tests::steps;
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: &[Deed]) {
        let text = format!("exports.up = async (knex) => {{\n  {body};\n}};\nexports.down = async (knex) => {{}};\n");
        let deeds: Vec<_> = steps(&text).iter().filter_map(Operation::deed).collect();
        assert_eq!(deeds, expected, "{body}");
    }

    #[test]
    fn rows_are_deleted_or_written_without_a_condition() {
        for body in [
            "await knex('users').del()",
            "await knex('users').delete()",
            "await trx('users').transacting(t).del()",
            "await knex.from('users').del()",
            "await knex.delete().from('users')",
            "await db.deleteFrom('users').execute()",
            "await m.createQueryBuilder().delete().from('users').execute()",
            "await m.createQueryBuilder().delete().from(User).execute()",
            "await queryInterface.bulkDelete('users', null, {})",
            "await queryInterface.bulkDelete('users', {})",
            "await queryInterface.bulkDelete('users')",
            "await User.destroy({ where: {} })",
        ] {
            check(body, &[Deed::DeleteAll]);
        }
        for body in [
            "await knex('users').update({ a: 1 })",
            "await knex('users').increment('a', 1)",
            "await db.updateTable('users').set({ a: 1 }).execute()",
            "await m.createQueryBuilder().update('users').set({ a: 1 }).execute()",
            "await queryInterface.bulkUpdate('users', { a: 1 }, {})",
            "await User.update({ a: 1 }, { where: {} })",
        ] {
            check(body, &[Deed::UpdateAll]);
        }
        check("await knex('users').truncate()", &[Deed::Truncate]);
        check("await queryRunner.clearTable('users')", &[Deed::Truncate]);
        check("await queryRunner.manager.clear(User)", &[Deed::Truncate]);
        check("await queryRunner.clearDatabase()", &[Deed::DropDatabase]);
        check("await queryInterface.dropAllTables()", &[Deed::DropDatabase]);
    }

    #[test]
    fn a_condition_or_something_else_is_no_deletion_of_all_rows() {
        for body in [
            "await knex('users').where({ id: 1 }).del()",
            "await knex('users').update({ a: 1 }).whereNull('a')",
            "await knex('users').modify(some).del()",
            "await knex('users').limit(10).del()",
            "await db.deleteFrom('users').where('a', '=', 1).execute()",
            "let q = db.deleteFrom('users'); q = q.where('a', '=', 1); await q.execute()",
            "await m.createQueryBuilder().delete().from('users').where('a = 1').execute()",
            "await queryInterface.bulkDelete('users', { id: 3 })",
            "await User.destroy({ where: { id: 3 } }); await User.update({ a: 1 }, { where: { id: 3 } })",
            "stream.destroy(); await user.update({ a: 1 })",
            "await queryInterface.bulkUpdate('users', { a: 1 }, { id: 3 })",
            "createHash('sha256').update('a').digest('hex')",
            "cache.delete('a'); seen.clear(); await axios('a').delete()",
            "await db.collection('users').update({}, { a: 1 })",
            "await client.from('users').delete().neq('id', 0)",
        ] {
            check(body, &[]);
        }
    }
}
