//! Which hunks are worth parsing: the triggers that stand beside the checks, and how a call looks before it is parsed.

use std::sync::LazyLock;

use super::model::USUAL;
use super::{bounds, contexts, conversions, errors, files, injection, network, nonce, rows, secrets, settings, sinks};
use crate::rules::code::gate::{Asks, Gate};
use crate::rules::code::shown::{Place, Shown, first_name, is_name_byte, last_name};

/// The gate of this language.
pub(in crate::rules::code) static GATE: LazyLock<Gate> = LazyLock::new(|| {
    let triggers = [
        bounds::triggers(),
        contexts::triggers(),
        conversions::triggers(),
        errors::triggers(),
        files::triggers(),
        injection::triggers(),
        network::triggers(),
        nonce::triggers(),
        rows::triggers(),
        secrets::triggers(),
        settings::triggers(),
        sinks::triggers(),
    ];
    Gate::new(&super::rules(), triggers.into_iter().flatten().collect())
});

/// The words of calls to these functions, named as [`super::model::Model::callee`] names them, on a line that a change may reach.
pub(super) fn calls<'n>(names: impl IntoIterator<Item = &'n &'static str>) -> Vec<(String, Asks)> {
    names.into_iter().map(|name| (format!(".{}", method(name)), Asks::Call(is_live_call, name))).collect()
}

/// The same, wherever they are.
pub(super) fn calls_anywhere<'n>(names: impl IntoIterator<Item = &'n &'static str>) -> Vec<(String, Asks)> {
    names.into_iter().map(|name| (format!(".{}", method(name)), Asks::Call(is_call, name))).collect()
}

/// The imports of these packages.
pub(super) fn imports(paths: &[&'static str]) -> Vec<(String, Asks)> {
    paths.iter().map(|path| (format!("\"{path}\""), Asks::Nothing)).collect()
}

/// The name of a function or method without what it belongs to.
pub(super) fn method(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

fn is_live_call(shown: &Shown<'_>, place: Place, name: &'static str) -> bool {
    is_call(shown, place, name) && shown.is_live(place.line)
}

/// Whether the word at a place, which begins with a dot, may be a call of this function.
pub(super) fn is_call(shown: &Shown<'_>, place: Place, name: &'static str) -> bool {
    let from = shown.from(place).get(1..).unwrap_or("");
    if first_name(from) != method(name) || from.as_bytes().get(method(name).len()).is_some_and(|byte| *byte == b'.') {
        return false;
    }
    let owner = last_name(shown.before(place));
    match name.strip_prefix('(') {
        // Of a method it is not known what it is called on.
        Some(rest) => rest.split_once(").").is_some_and(|(of, _)| is_named(shown, of.trim_start_matches('*'))),
        None => {
            let path = name.rsplit_once('.').map_or(name, |(path, _)| path);
            stands_for(shown, owner, path)
        }
    }
}

/// Whether a local name may stand for a package.
fn stands_for(shown: &Shown<'_>, local: &str, path: &'static str) -> bool {
    let usual = USUAL.contains(&(local, path));
    if local.is_empty() || usual {
        return usual;
    }
    let mut parts = path.rsplit('/');
    let last = parts.next().unwrap_or(path);
    let is_version = last.strip_prefix('v').is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let last = if is_version { parts.next().unwrap_or(last) } else { last };
    let last = last.split_once(".v").map_or(last, |(name, _)| name);
    last == local && shown.quotes(path) || shown.renamed().contains(&(local, path))
}

/// Whether something of this type may be in the hunk: it is written, or comes from what is known to give it.
fn is_named(shown: &Shown<'_>, of: &'static str) -> bool {
    shown.answer(of, || finds_type(shown, of))
}

fn finds_type(shown: &Shown<'_>, of: &str) -> bool {
    let name = method(of);
    let written = |text: &str, word: &str| {
        text.match_indices(word)
            .any(|(at, _)| !text[at + word.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    };
    let text = shown.text();
    written(text, &format!(".{name}"))
        || written(text, &format!(".Default{name}"))
        || super::types::sources_of(of)
            .any(|source| !source.is_empty() && written(text, &format!(".{}", method(source))))
}

/// Whether the byte before a place is no part of a name, and none of these.
pub(super) fn begins_word(shown: &Shown<'_>, place: Place, but: &[u8]) -> bool {
    shown.before(place).bytes().next_back().is_none_or(|byte| !is_name_byte(byte) && !but.contains(&byte))
}
