//! Go: what is imported, called, converted and put together. Names are resolved through the imports and declarations that the
//! file shows.

mod bounds;
mod conditions;
mod contexts;
mod conversions;
mod errors;
mod files;
mod gate;
mod ids;
mod injection;
mod model;
mod network;
mod nonce;
mod ranges;
mod resolve;
mod rows;
mod secrets;
mod settings;
mod sinks;
mod taint;
#[cfg(test)]
mod tests;
mod types;

use tree_sitter::{Node, Tree};

pub(super) use self::gate::GATE;
use self::model::{FIELD, FUNCTION, Model};
use self::taint::Taint;
use super::program::Report;
use crate::rules::Rule;

/// Every rule of this language.
pub(super) fn rules() -> Vec<&'static Rule> {
    let rows = rows::ROWS.iter().map(|row| &row.rule).chain(sinks::SINKS.iter().map(|row| &row.rule));
    let special = [
        errors::RULES,
        files::RULES,
        injection::RULES,
        network::RULES,
        secrets::RULES,
        &[&sinks::UNLIMITED_FORM, &nonce::NONCE, &conversions::OVERFLOW, &bounds::OUT_OF_BOUNDS, &contexts::CONTEXT],
        settings::RULES,
    ];
    rows.chain(special.into_iter().flatten().copied()).collect()
}

/// Looks at everything in the tree that can lead to what was changed.
pub(super) fn check(text: &str, tree: &Tree, report: &mut Report<'_>) {
    let model = Model::of(text, tree);
    let taint = Taint::new(&model);
    let side = report.side();
    for &node in model.nodes.iter().filter(|node| side.is_changed(**node) || leads_away(&model, **node)) {
        match node.kind() {
            "call_expression" => {
                let callee = model.callee(node);
                rows::check_call(&model, &callee, node, report);
                files::check(&model, &callee, node, report);
                network::check_call(&model, &callee, node, report);
                injection::check(&model, &callee, node, report);
                errors::check_call(&model, &callee, node, report);
                secrets::check_serialized(&model, &callee, node, report);
                conversions::check(&model, &callee, node, report);
                contexts::check_cancel(&model, &callee, node, report);
                settings::check_call(&model, &taint, &callee, node, report);
                nonce::check(&model, &callee, node, report);
                sinks::check(&model, &taint, &callee, node, report);
            }
            "import_spec" => rows::check_import(&model, node, report),
            "composite_literal" => {
                network::check_literal(&model, node, report);
                settings::check_literal(&model, node, report);
                secrets::check(&model, node, report);
            }
            "assignment_statement" => {
                network::check_assignment(&model, node, report);
                settings::check_assignment(&model, node, report);
                secrets::check(&model, node, report);
            }
            "short_var_declaration" | "var_spec" | "const_spec" | "binary_expression" => {
                secrets::check(&model, node, report)
            }
            "index_expression" => bounds::check_index(&model, node, report),
            "slice_expression" => bounds::check_slice(&model, node, report),
            "go_statement" => contexts::check_go(&model, node, report),
            "for_statement" => contexts::check_loop(&model, node, report),
            "expression_statement" => errors::check_statement(&model, node, report),
            _ => {}
        }
    }
}

/// True for what may be found at another place than the node that tells of it: where a statement was put together, in the
/// function that a folder is walked with, where a field is set.
fn leads_away<'t>(model: &Model<'_, 't>, node: Node<'t>) -> bool {
    match node.kind() {
        "call_expression" => {
            let name = node.child_by_field_id(*FUNCTION).and_then(|function| function.child_by_field_id(*FIELD));
            let starts = ["Exec", "Query", "Prepare", "Walk"];
            name.is_some_and(|name| starts.iter().any(|start| model.source(name).starts_with(start)))
        }
        "composite_literal" => {
            let of = node.child_by_field_name("type").map_or("", |of| model.source(of));
            of.ends_with("Config")
        }
        _ => false,
    }
}
