//! Sentences with holes, by their names.
//!
//! Pure.

use std::collections::BTreeMap;
use std::sync::LazyLock;

static ENGLISH: LazyLock<Sentences> = LazyLock::new(|| {
    let text: &'static str = include_str!("../english.toml");
    let sentences: BTreeMap<String, String> = toml::from_str(text).expect("the sentences are tested");
    // They live as long as the program.
    let sentences = sentences.into_iter().map(|(key, sentence)| (&*key.leak(), sentence));
    Sentences(sentences.collect())
});

/// The sentences as they are in English.
pub(super) fn english() -> &'static Sentences {
    &ENGLISH
}

/// Sentences with holes.
#[derive(Clone, Debug)]
pub(crate) struct Sentences(BTreeMap<&'static str, String>);

impl Sentences {
    /// The sentence of that name, filled in.
    pub(crate) fn say(&self, key: &str, with: &[(&str, &str)]) -> String {
        let text = self.0.get(key);
        debug_assert!(text.is_some(), "there is no sentence {key}");
        filled(text.map_or("", String::as_str), with)
    }

    /// What is said of so many: `{n}` stands for the number.
    pub(crate) fn count(&self, key: &str, number: u64, with: &[(&str, &str)]) -> String {
        let key = format!("{key}-{}", if number == 1 { "one" } else { "many" });
        let number = number.to_string();
        let with: Vec<(&str, &str)> = [&[("n", number.as_str())], with].concat();
        self.say(&key, &with)
    }

    /// `a`, `a and b`, `a, b and c`.
    pub(crate) fn list(&self, items: &[String]) -> String {
        match items {
            [] => String::new(),
            [one] => one.clone(),
            [first @ .., last] => format!("{} {} {last}", first.join(", "), self.say("and", &[])),
        }
    }

    pub(super) fn set(&mut self, key: &'static str, text: String) {
        self.0.insert(key, text);
    }

    /// The name and the text of a sentence.
    pub(super) fn get(&self, key: &str) -> Option<(&'static str, &str)> {
        self.0.get_key_value(key).map(|(key, text)| (*key, text.as_str()))
    }

    #[cfg(test)]
    pub(super) fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }
}

/// `text` with what stands in braces replaced; what is filled in is not looked at again.
fn filled(text: &str, with: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len() + 32);
    let mut rest = text;
    while let Some((before, hole, behind)) = next_hole(rest) {
        filled.push_str(before);
        filled.push_str(with.iter().find(|(name, _)| *name == hole).map_or("", |(_, value)| *value));
        rest = behind;
    }
    filled + rest
}

/// What stands in braces in `text`.
pub(super) fn holes(text: &str) -> Vec<&str> {
    let mut holes = Vec::new();
    let mut rest = text;
    while let Some((_, hole, behind)) = next_hole(rest) {
        holes.push(hole);
        rest = behind;
    }
    holes
}

/// What stands before the next hole, in it and behind it.
fn next_hole(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('{')?;
    let (hole, behind) = rest.split_once('}')?;
    Some((before, hole, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_filled_once_and_lists_and_numbers_read_well() {
        let sentences = english();
        assert_eq!(filled("{a} and {b}, {a}", &[("a", "{b}"), ("b", "2")]), "{b} and 2, {b}");
        assert_eq!(filled("open { brace", &[]), "open { brace");
        assert_eq!(holes("{a} and {b}"), ["a", "b"]);
        assert_eq!(sentences.count("secret", 3, &[]), "3 credentials are in the code");
        assert_eq!(sentences.count("place", 1, &[]), "1 more place");
        let list = |items: &[&str]| sentences.list(&items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>());
        assert_eq!((list(&[]), list(&["a"]), list(&["a", "b", "c"])), (String::new(), "a".into(), "a, b and c".into()));
    }
}
