//! ALTER TABLE and CREATE TABLE, by PostgreSQL's grammar (squawk's parser), in operations.
//!
//! The parser descends by recursion and its tree is freed by recursion, so a statement that is too deep or too long for the
//! stack is not given to it; and should it panic, the statement counts as one that nobody can read.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use squawk_syntax::SourceFile;
use squawk_syntax::ast::{self, AstNode};

use super::super::operation::{Column, Constraint, ConstraintKind, Deed, Generated, Operation, Type, Value};
use super::super::sql::{Kind, Statement};
use super::values;

/// Most pieces of a statement that is parsed: each may be one level of the tree, and a long chain of names takes the parser
/// quadratic time.
const TOKENS_MAX: usize = 2_000;
/// Most brackets in one another, and most signs and words in a row that each ask for an operand.
const DEPTH_MAX: usize = 64;

/// Operations, each with its bytes in the statement.
type Read = Vec<(Range<usize>, Operation)>;

/// True for a statement that the parser can be trusted with.
pub(super) fn is_tame(statement: &Statement<'_>) -> bool {
    if statement.tokens.len() > TOKENS_MAX {
        return false;
    }
    let (mut depth, mut run) = (0_usize, 0_usize);
    for token in &statement.tokens {
        let word = |word: &str| token.kind == Kind::Word && token.text.eq_ignore_ascii_case(word);
        let sign = token.kind == Kind::Sign;
        if sign && matches!(token.text, "(" | "[") || word("case") {
            depth += 1;
        } else if sign && matches!(token.text, ")" | "]") || word("end") {
            depth = depth.saturating_sub(1);
        }
        let prefix = sign && !matches!(token.text, "(" | ")" | "[" | "]" | "," | ".") || word("not");
        run = if prefix { run + 1 } else { 0 };
        if depth > DEPTH_MAX || run > DEPTH_MAX {
            return false;
        }
    }
    true
}

/// What the one statement in `text` does, if it is an ALTER TABLE or a CREATE TABLE.
pub(super) fn operations(text: &str) -> Read {
    catch_unwind(AssertUnwindSafe(|| read(text))).unwrap_or_default()
}

fn read(text: &str) -> Read {
    let file = SourceFile::parse(text).tree();
    let mut read = Read::new();
    let (table, actions) = match file.stmts().next() {
        Some(ast::Stmt::AlterTable(alter)) => (alter.table_relation_name().map(|table| name(&table)), alter.actions()),
        Some(ast::Stmt::AlterForeignTable(alter)) => {
            let table =
                super::super::sql::statements(text).first().and_then(|s| s.altered_table()).map(|(table, _)| table);
            (table, alter.actions())
        }
        Some(ast::Stmt::CreateTable(create)) => {
            let range = bytes(&create);
            read.extend(create_table(&create).map(|operation| (range, operation)));
            return read;
        }
        _ => return read,
    };
    let Some(table) = table else { return read };
    for action in actions {
        let range = bytes(&action);
        let found = alter_action(&table, &action);
        read.extend(found.into_iter().map(|operation| (range.clone(), operation)));
    }
    read
}

fn bytes(node: &impl AstNode) -> Range<usize> {
    let range = node.syntax().text_range();
    range.start().into()..range.end().into()
}

/// The text of a node, on one line, without its comments.
fn words(node: &impl AstNode) -> String {
    let tokens = node.syntax().descendants_with_tokens().filter_map(|element| element.into_token());
    let text: String = tokens
        .filter(|token| token.kind() != squawk_syntax::SyntaxKind::COMMENT)
        .map(|token| token.text().to_owned())
        .collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A name without its schema, in small letters unless it is quoted.
fn name(node: &impl AstNode) -> String {
    let text = words(node);
    let mut statements = super::super::sql::statements(&text);
    let Some(statement) = statements.first_mut() else { return String::new() };
    let mut read = statement.read();
    read.take(&["only"]);
    read.name().unwrap_or_default()
}

fn ty(node: Option<ast::Type>) -> Type {
    node.map(|node| Type::of(&words(&node))).unwrap_or_default()
}

fn alter_action(table: &str, action: &ast::AlterTableAction) -> Vec<Operation> {
    use ast::AlterTableAction as Action;
    let table = table.to_owned();
    let deed = |deed| vec![Operation::Other { deed, table: table.clone() }];
    match action {
        Action::AddColumn(add) => vec![Operation::AddColumn { table, column: added_column(add) }],
        Action::DropColumn(drop) => vec![Operation::DropColumn { table, column: named(drop.column_name_ref()) }],
        Action::RenameColumn(rename) => {
            vec![Operation::RenameColumn { table, column: named(rename.column_name_ref()) }]
        }
        Action::TableRenameTo(rename) => vec![Operation::RenameTable { table, to: named(rename.table_name()) }],
        Action::AddConstraint(add) => {
            let constraint = add.constraint().and_then(|constraint| table_constraint(&constraint));
            constraint.map(|constraint| Operation::AddConstraint { table, constraint }).into_iter().collect()
        }
        Action::DropConstraint(drop) => {
            vec![Operation::DropConstraint { table, name: named(drop.constraint_name_ref()) }]
        }
        Action::ValidateConstraint(validate) => {
            vec![Operation::ValidateConstraint { table, name: named(validate.constraint_name_ref()) }]
        }
        Action::AlterColumn(alter) => alter_column(table, alter),
        Action::DetachPartition(detach) => {
            let waits = detach.detach_partition_option().is_none_or(|option| words(&option).eq_ignore_ascii_case(""));
            deed(if waits { Deed::DetachPartition } else { Deed::ConcurrentWork })
        }
        Action::AttachPartition(_) => deed(Deed::AttachPartition),
        Action::SetLogged(_) | Action::SetUnlogged(_) => deed(Deed::RewriteLogged),
        Action::SetTablespace(_) | Action::SetAccessMethod(_) => deed(Deed::MoveTablespace),
        Action::SetSchema(_) => deed(Deed::MoveSchema),
        Action::DisableRls(_) | Action::NoForceRls(_) => deed(Deed::DisableRowSecurity),
        Action::EnableRls(_) | Action::ForceRls(_) => deed(Deed::EnableRowSecurity),
        Action::DisableTrigger(_)
        | Action::EnableTrigger(_)
        | Action::EnableReplicaTrigger(_)
        | Action::EnableAlwaysTrigger(_) => deed(Deed::SwitchTrigger),
        Action::ReplicaIdentity(_) => deed(Deed::ReplicaIdentity),
        Action::RenameConstraint(_) => deed(Deed::RenameObject),
        _ => vec![Operation::Unknown { schema: true }],
    }
}

fn named(node: Option<impl AstNode>) -> String {
    node.map(|node| name(&node)).unwrap_or_default()
}

fn alter_column(table: String, alter: &ast::AlterColumn) -> Vec<Operation> {
    use ast::AlterColumnOption as Option_;
    let column = named(alter.column_name_ref());
    let operation = match alter.option() {
        Some(Option_::SetType(set)) => Operation::ChangeType { table, column, to: ty(set.ty()), from: None },
        Some(Option_::SetNotNull(_)) => Operation::SetNotNull { table, column },
        Some(Option_::DropNotNull(_)) => Operation::DropNotNull { table, column },
        Some(Option_::SetDefault(_)) => Operation::SetDefault { table, column },
        Some(Option_::DropDefault(_)) => Operation::DropDefault { table, column },
        Some(
            Option_::AddGenerated(_)
            | Option_::DropIdentity(_)
            | Option_::SetGenerated(_)
            | Option_::SetGeneratedOptions(_)
            | Option_::DropExpression(_)
            | Option_::SetExpression(_),
        ) => Operation::Other { deed: Deed::AlterIdentity, table },
        _ => Operation::Unknown { schema: true },
    };
    vec![operation]
}

fn added_column(add: &ast::AddColumn) -> Column {
    let mut column = Column { name: named(add.column_name()), ty: ty(add.ty()), ..Column::default() };
    for constraint in add.constraints() {
        match constraint {
            ast::Constraint::DefaultConstraint(default) => column.default = default_value(&default),
            ast::Constraint::GeneratedConstraint(generated) => column.generated = generation(&generated),
            ast::Constraint::NotNullConstraint(_) => column.not_null = true,
            ast::Constraint::PrimaryKeyConstraint(_) => column.primary = true,
            ast::Constraint::UniqueConstraint(_) => column.unique = true,
            ast::Constraint::CheckConstraint(_) => column.check = true,
            ast::Constraint::ReferencesConstraint(references) => column.references = Some(named(references.table())),
            _ => {}
        }
    }
    column
}

fn created_column(made: &ast::Column) -> Column {
    use ast::ColumnConstraint as Constraint;
    let mut column = Column { name: named(made.name()), ty: ty(made.ty()), ..Column::default() };
    for clause in made.clauses() {
        let ast::ColumnClause::ColumnConstraint(constraint) = clause else { continue };
        match constraint {
            Constraint::DefaultConstraint(default) => column.default = default_value(&default),
            Constraint::GeneratedConstraint(generated) => column.generated = generation(&generated),
            Constraint::NotNullConstraint(_) => column.not_null = true,
            Constraint::PrimaryKeyConstraint(_) => column.primary = true,
            Constraint::UniqueConstraint(_) => column.unique = true,
            Constraint::CheckConstraint(_) => column.check = true,
            Constraint::ReferencesConstraint(references) => column.references = Some(named(references.table())),
            _ => {}
        }
    }
    column
}

fn create_table(create: &ast::CreateTable) -> Option<Operation> {
    let table = name(&create.table_name()?);
    let mut columns = Vec::new();
    let mut references = Vec::new();
    for argument in create.table_arg_list().into_iter().flat_map(|list| list.args()) {
        match argument {
            ast::TableArg::Column(column) => columns.push(created_column(&column)),
            ast::TableArg::TableConstraint(ast::TableConstraint::ForeignKeyConstraint(key)) => {
                references.push(named(key.table_name_ref()));
            }
            _ => {}
        }
    }
    references.extend(columns.iter().filter_map(|column| column.references.clone()));
    references.retain(|other| *other != table);
    Some(Operation::CreateTable { table, columns, references, replaces: false })
}

fn default_value(default: &ast::DefaultConstraint) -> Value {
    let Some(expression) = default.expr() else { return Value::Same };
    values::of_sql(&words(&expression))
}

fn generation(generated: &ast::GeneratedConstraint) -> Generated {
    match generated.generated_as() {
        Some(ast::GeneratedAs::GeneratedIdentity(_)) => Generated::Identity,
        Some(ast::GeneratedAs::GeneratedStored(stored)) => match stored.generated_kind() {
            Some(ast::GeneratedKind::Stored(_)) => Generated::Stored,
            // PostgreSQL 18 made VIRTUAL what is meant when nothing is said.
            Some(ast::GeneratedKind::Virtual(_)) | None => Generated::Virtual,
        },
        None => Generated::No,
    }
}

fn table_constraint(constraint: &ast::Constraint) -> Option<Constraint> {
    use ast::Constraint as Node;
    let (kind, from_index) = match constraint {
        Node::CheckConstraint(check) => (check_kind(check), false),
        Node::ForeignKeyConstraint(_) | Node::ReferencesConstraint(_) => (ConstraintKind::ForeignKey, false),
        Node::UniqueConstraint(unique) => (ConstraintKind::Unique, unique.using_index().is_some()),
        Node::PrimaryKeyConstraint(primary) => (ConstraintKind::Primary, primary.using_index().is_some()),
        Node::ExcludeConstraint(_) => (ConstraintKind::Exclusion, false),
        Node::NotNullConstraint(not_null) => (ConstraintKind::NotNull(named(not_null.column_name_ref())), false),
        _ => return None,
    };
    let name = constraint.constraint_name().map(|node| name(&node)).unwrap_or_default();
    // What is never checked is not checked now either.
    let ignored = words(constraint).to_ascii_lowercase().ends_with("not enforced");
    Some(Constraint { name, kind, validated: !constraint.is_not_valid() && !ignored, from_index })
}

/// `CHECK (a IS NOT NULL)` is a NOT NULL that may be checked later.
fn check_kind(check: &ast::CheckConstraint) -> ConstraintKind {
    let text = check.expr().map(|expression| words(&expression)).unwrap_or_default();
    values::not_null_column(&text).map_or(ConstraintKind::Check, ConstraintKind::NotNull)
}
