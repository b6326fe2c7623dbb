//! Migrations of Active Record (Rails): `up` without `down`, or a `change` with something that Rails cannot turn round.

use std::ops::Range;
use std::sync::LazyLock;

use domain::Severity;
use regex::Regex;

use super::Missing;
use crate::source::{Syntax, arguments, code_only};

static METHOD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?m)^([ \t]*)def (?:self\.)?(up|down|change)\b[ \t]*(?:\(\))?(;?)[^\n]*$")
        .expect("the pattern is tested")
});

/// What is missing to take the migration in this new file back.
pub(in crate::rules::migration) fn missing(text: &str) -> Option<Missing> {
    if !text.contains("Migration") {
        return None;
    }
    let code = code_only(text, Syntax::Ruby);
    let mut up = None;
    let mut down = None;
    let mut change = None;
    for method in METHOD.captures_iter(&code) {
        let (Some(all), Some(name)) = (method.get(0), method.get(2)) else { continue };
        let body = if method.get(3).is_some_and(|sign| !sign.is_empty()) {
            all.end()..all.end()
        } else {
            body(&code, all.end(), &method[1])
        };
        match name.as_str() {
            "up" => up = Some((name.start(), body)),
            "down" => down = Some((name.start(), body)),
            _ => change = Some(body),
        }
    }
    match (up, down) {
        (Some((at, up)), None) if !code[up.clone()].trim().is_empty() => {
            let missing = Missing::high(at, "the migration has a method up and no method down");
            let kept = !shapes(&text[up.clone()]) && !takes_rows(&text[up]);
            return Some(if kept { Missing { severity: Severity::Medium, ..missing } } else { missing });
        }
        (Some((_, up)), Some((at, down))) if !code[up.clone()].trim().is_empty() => {
            let down = code[down].trim();
            if down.is_empty() || matches!(down, "nil" | "true" | "return") {
                let missing = Missing::high(at, "the migration's method down does nothing");
                // Of a change of data alone, the author may mean to let it stay.
                let severity = if shapes(&text[up]) { missing.severity } else { Severity::Medium };
                return Some(Missing { severity, ..missing });
            }
            if down.starts_with("raise") {
                return Some(Missing::high(at, "the migration says of itself that it cannot be taken back"));
            }
        }
        _ => {}
    }
    irreversible(&code, change?)
}

/// Whether the body changes what tables look like, or may: by Rails' methods or by SQL.
fn shapes(body: &str) -> bool {
    static SHAPE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)\b(?:(?:create|drop|add|remove|rename|change|enable|disable|validate)_[a-z_]+|(?:create|drop|alter|truncate)\s+[a-z]+)\b")
            .expect("the pattern is tested")
    });
    static SQL: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"\bexecute\b[\s(]*(?:<<[~-]?["']?\w+["']?[^\n]*\n|["'])?\s*(\w*)"#).expect("the pattern is tested")
    });
    let moves_data = |word: &str| ["insert", "update"].iter().any(|verb| word.eq_ignore_ascii_case(verb));
    SHAPE.is_match(body)
        || SQL.captures_iter(body).any(|call| !call.get(1).is_some_and(|word| moves_data(word.as_str())))
}

/// Whether the body takes rows away, or may.
fn takes_rows(body: &str) -> bool {
    let lower = body.to_ascii_lowercase();
    ["delete", "destroy", "remove", "purge"].iter().any(|word| lower.contains(word))
}

/// From behind the method's first line to the `end` below it at its indentation.
fn body(code: &str, start: usize, indentation: &str) -> Range<usize> {
    let mut at = start;
    for line in code[start..].split_inclusive('\n') {
        let is_end = line.strip_prefix(indentation).is_some_and(|rest| {
            rest.strip_prefix("end").is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        });
        if is_end {
            return start..at;
        }
        at += line.len();
    }
    start..code.len()
}

/// The first call in `change` that Rails cannot turn round.
fn irreversible(code: &str, change: Range<usize>) -> Option<Missing> {
    static BLOCK: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^([ \t]*)(?:reversible|up_only|revert)\b.*(?:\bdo\b|\{)[^\n}]*$").expect("the pattern is tested")
    });
    static CALL: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^[ \t]*(?:(t)\.)?([a-z_]+)[ \t(]*").expect("the pattern is tested"));
    let mut at = change.start;
    // The indentation of the block that takes care of both ways itself.
    let mut own_way: Option<&str> = None;
    let body = &code[change.clone()];
    for line in body.split_inclusive('\n') {
        let here = at;
        at += line.len();
        if let Some(indentation) = own_way {
            if line.strip_prefix(indentation).is_some_and(|rest| rest.starts_with("end") || rest.starts_with('}')) {
                own_way = None;
            }
            continue;
        }
        if let Some(block) = BLOCK.captures(line.trim_end_matches('\n')) {
            own_way = block.get(1).map(|indentation| indentation.as_str());
            continue;
        }
        // What the author answers for can be turned round no better.
        let inner = line
            .trim_start()
            .strip_prefix("safety_assured")
            .map(str::trim_start)
            .and_then(|rest| rest.strip_prefix('{'));
        let skipped = inner.map_or(0, |inner| line.len() - inner.len());
        let (here, line) = (here + skipped, &line[skipped..]);
        let Some(call) = CALL.captures(line) else { continue };
        let start = call.get(0).map_or(0, |call| call.end());
        let rest = logical_line(&code[here + start..change.end]);
        if let Some(why) = why_irreversible(call.get(1).is_some(), &call[2], rest) {
            return Some(Missing::high(here + line.len() - line.trim_start().len(), why));
        }
    }
    None
}

/// The line, and those below it as long as a comma says that the call goes on.
fn logical_line(code: &str) -> &str {
    let mut end = 0;
    for line in code.split_inclusive('\n') {
        end += line.len();
        if !line.trim_end().ends_with([',', '(']) {
            break;
        }
    }
    &code[..end]
}

fn why_irreversible(in_table: bool, method: &str, rest: &str) -> Option<&'static str> {
    let list = rest.trim().trim_end_matches(')');
    let list = list.split(" if ").next().unwrap_or(list);
    let arguments = arguments(list);
    let is_option = |argument: &&&str| {
        let key = argument.trim_start_matches(':').find(|c: char| !(c.is_alphanumeric() || c == '_'));
        let key = key.map_or("", |end| &argument.trim_start_matches(':')[end..]);
        (key.starts_with(':') && !key.starts_with("::")) || key.trim_start().starts_with("=>")
    };
    let positional = arguments.iter().filter(|argument| !is_option(argument)).count();
    let has = |key: &str| arguments.iter().any(|argument| argument.trim_start_matches(':').starts_with(key));
    let has_block = rest.contains(" do") || rest.contains('{');
    match (in_table, method) {
        (false, "execute") => Some("change runs SQL, which Rails cannot turn round: write up and down, or reversible"),
        (false, "change_column") | (true, "change") => {
            Some("change alters a column's type, which Rails cannot turn round: write up and down")
        }
        (false, "remove_column") if positional < 3 && !has("type:") => {
            Some("remove_column without the column's type cannot be turned round")
        }
        (false, "remove_columns") | (true, "remove") if !has("type:") => {
            Some("a column removed without its type cannot be turned round")
        }
        (false, "drop_table") if !has_block => {
            Some("drop_table without a block that describes the table cannot be turned round")
        }
        (false, "change_column_default") if !(has("from:") && has("to:")) => {
            Some("change_column_default without from: and to: cannot be turned round")
        }
        (false, "remove_index") if positional < 2 && !has("column:") => {
            Some("remove_index without column: cannot be turned round")
        }
        (false, "change_table_comment" | "change_column_comment") if !(has("from:") && has("to:")) => {
            Some("a comment changed without from: and to: cannot be turned round")
        }
        (false, "remove_check_constraint") if positional < 2 => {
            Some("remove_check_constraint without its expression cannot be turned round")
        }
        (false, "remove_foreign_key") if positional < 2 && !has("to_table:") => {
            Some("remove_foreign_key without the other table cannot be turned round")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use domain::Severity;

    use crate::rules::migration::rollback_missing::RULE;
    use crate::sample;

    #[track_caller]
    fn check(body: &str, line: Option<u32>) {
        let text = format!("class X < ActiveRecord::Migration[7.1]\n{body}end\n");
        let expected: Vec<_> = line.map(|line| (line, Severity::High)).into_iter().collect();
        sample::finds_in_file(&RULE, "db/migrate/20260101120000_x.rb", &text, &expected);
    }

    #[test]
    fn up_needs_down() {
        check("  def up\n    execute 'x'\n  end\n", Some(2));
        check("  def self.up\n    add_index :a, :b\n  end\n\n  def self.down\n    remove_index :a, :b\n  end\n", None);
        check("  def up\n    execute 'x'\n  end\n\n  def down\n    # nothing\n  end\n", Some(6));
        check("  def up\n    execute 'x'\n  end\n  def down; end\n", Some(5));
        check(
            "  def up\n    execute 'x'\n  end\n  def down\n    raise ActiveRecord::IrreversibleMigration\n  end\n",
            Some(5),
        );
        check("  def up\n  end\n", None);
    }

    #[test]
    fn that_data_stays_may_be_meant() {
        let check = |up: &str, severity| {
            let head = "class X < ActiveRecord::Migration[7.1]\n  def down\n  end\n  def up\n";
            let text = format!("{head}    {up}\n  end\nend\n");
            sample::finds_in_file(&RULE, "db/migrate/20260101120000_x.rb", &text, &[(2, severity)]);
        };
        check("Note.where(a: nil).update_all(a: 1)", Severity::Medium);
        check("execute \"UPDATE notes SET a = 1\"", Severity::Medium);
        check("execute(<<~SQL)\n      insert into notes (a) values (1)\n    SQL", Severity::Medium);
        check("add_column :notes, :a, :integer", Severity::High);
        check("execute <<~SQL\n      ALTER TABLE notes ADD a int\n    SQL", Severity::High);
        check("execute SCRIPT", Severity::High);
        let alone = |up: &str, severity| {
            let text = format!("class X < ActiveRecord::Migration[7.1]\n  def up\n    {up}\n  end\nend\n");
            sample::finds_in_file(&RULE, "db/migrate/20260101120000_x.rb", &text, &[(2, severity)]);
        };
        alone("Note.where(a: nil).update_all(a: 1)", Severity::Medium);
        alone("Note.where(a: nil).delete_all", Severity::High);
        alone("add_column :notes, :a, :integer", Severity::High);
    }

    #[test]
    fn change_may_hold_only_what_can_be_turned_round() {
        let change = |call: &str, line: Option<u32>| check(&format!("  def change\n    {call}\n  end\n"), line);
        for call in [
            "execute 'UPDATE a SET b = 1'",
            "execute <<~SQL\n      DROP TABLE a\n    SQL",
            "change_column :a, :b, :bigint",
            "remove_column :a, :b",
            "remove_column(:a, :b)",
            "remove_columns :a, :b, :c",
            "drop_table :a",
            "change_column_default :a, :b, 1",
            "remove_index :a, name: :i",
            "remove_foreign_key :a, column: :b_id",
            "safety_assured { execute 'x' }",
            "change_table_comment :a, 'x'",
            "remove_check_constraint :a, name: 'c'",
        ] {
            change(call, Some(3));
        }
        for call in [
            "create_table :a do |t|\n      t.string :b\n    end",
            "remove_column :invoices, :legacy, :string",
            "remove_column :a, :b, :string, null: false",
            "remove_column :a,\n      :b,\n      :string",
            "remove_columns :a, :b, type: :string",
            "drop_table :a do |t|\n      t.string :b\n    end",
            "change_column_default :a, :b, from: nil, to: 1",
            "change_column_null :a, :b, false",
            "remove_index :a, :b",
            "remove_index :a, column: :b, name: :i",
            "remove_foreign_key :a, :b",
            "add_column :a, :execute, :string",
            "reversible do |dir|\n      dir.up { execute 'x' }\n      dir.down { execute 'y' }\n    end",
            "reversible do |dir|\n      dir.up do\n        execute 'x'\n      end\n    end",
            "up_only { execute 'x' }",
            "# execute 'x'",
        ] {
            change(call, None);
        }
        change("reversible do |dir|\n      dir.up { execute 'x' }\n    end\n    drop_table :a", Some(6));
    }
}
