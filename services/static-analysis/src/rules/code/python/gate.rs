//! Which hunks are worth parsing: the triggers that stand beside the checks, and how calls and imports look before they are parsed.

use std::sync::LazyLock;

use super::{calls, crypto, imports, literals, process, rows, statements, templates, web};
use crate::rules::code::gate::{Asks, Gate, Trigger};
use crate::rules::code::shown::{Place, Shown, first_name, is_name_byte, last_name};

/// The gate of this language.
pub(in crate::rules::code) static GATE: LazyLock<Gate> = LazyLock::new(|| {
    let triggers = [
        calls::triggers(),
        crypto::triggers(),
        imports::triggers(),
        literals::triggers(),
        process::triggers(),
        rows::triggers(),
        statements::triggers(),
        templates::triggers(),
        web::triggers(),
    ];
    // A check of this language looks at a node and those around it, and at the imports.
    Gate::new(&super::rules(), triggers.into_iter().flatten().map(Trigger::near).collect())
});

/// The words of calls to these functions, named as they resolve, on a line that a change may reach.
pub(super) fn calls<'n>(names: impl IntoIterator<Item = &'n &'static str>) -> Vec<(String, Asks)> {
    names.into_iter().map(|name| (last(name).to_owned(), Asks::Call(is_call, name))).collect()
}

/// The words of imports of these modules.
pub(super) fn imports<'n>(names: impl IntoIterator<Item = &'n &'static str>) -> Vec<(String, Asks)> {
    names.into_iter().map(|name| (last(name).to_owned(), Asks::Call(is_import, name))).collect()
}

fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// Whether the word at a place may be a call of this function, or its import under another name.
fn is_call(shown: &Shown<'_>, place: Place, name: &'static str) -> bool {
    if !is_word(shown, place, last(name)) {
        return false;
    }
    let top = name.split('.').next().unwrap_or(name);
    if is_imported(shown, place.line, name) {
        // What it is called by here may be on any line.
        return shown.line(place.line).contains(" as ") || !shown.line(place.line).contains("import");
    }
    let rest = shown.from(place).get(last(name).len()..).unwrap_or("");
    if !rest.trim_start().starts_with('(') || !shown.is_live(place.line) {
        return false;
    }
    // The names that it is reached through: `a.b.` of `a.b.c(`.
    let before = shown.before(place);
    let length = before.bytes().rev().take_while(|byte| is_name_byte(*byte) || *byte == b'.').count();
    let chain = &before[before.len() - length..];
    let first = if chain.is_empty() { last(name) } else { first_name(chain) };
    if chain.strip_suffix('.').unwrap_or("") == name.rsplit_once('.').map_or("", |(module, _)| module) {
        return true;
    }
    shown.imports().any(|(_, names)| names.contains(&first) && names.contains(&top))
}

/// Whether the line is of an import that has a part of this name.
fn is_imported(shown: &Shown<'_>, line: usize, name: &str) -> bool {
    let top = name.split('.').next().unwrap_or(name);
    shown.imports().any(|(lines, names)| lines.contains(&line) && names.contains(&top))
}

/// Whether the word at a place may be the import of this module.
fn is_import(shown: &Shown<'_>, place: Place, name: &'static str) -> bool {
    is_word(shown, place, last(name))
        && (shown.has("import_module")
            || shown.has("__import__")
            || shown.imports().any(|(lines, names)| {
                lines.contains(&place.line)
                    && name.split('.').all(|part| names.contains(&part))
                    && lines.clone().any(|line| shown.is_live(line))
            }))
}

/// Whether the word at a place is this one, with nothing before and behind it that belongs to a name.
pub(super) fn is_word(shown: &Shown<'_>, place: Place, word: &str) -> bool {
    first_name(shown.from(place)) == word && last_name(shown.before(place)).is_empty()
}

/// Whether a change may be the cause of what stands here.
pub(super) fn is_live(shown: &Shown<'_>, place: Place) -> bool {
    shown.is_live(place.line)
}
