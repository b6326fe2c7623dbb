//! How explanations sound: the language and the tone that a model is asked for, by what words a text in that language says a
//! verdict, and the sentences of explanations that no model writes. English unless a file says otherwise.
//!
//! A file is checked when it is read: every mistake in it is told with its line.

mod sentences;

use std::collections::BTreeMap;
use std::path::Path;

use domain::Verdict;
use serde::Deserialize;
use toml::Spanned;

use crate::check::Sayings;
pub(crate) use sentences::Sentences;
use sentences::{english, holes};

/// Most bytes of a file.
const FILE_BYTES_MAX: u64 = 256 * 1024;
/// Most characters of the language's name, and of the tone.
const LANGUAGE_CHARS_MAX: usize = 40;
pub(crate) const TONE_CHARS_MAX: usize = 500;
/// Most characters of a sentence.
const SENTENCE_CHARS_MAX: usize = 400;

/// How explanations sound.
#[derive(Clone, Debug)]
pub struct Template {
    /// The language's English name.
    pub(crate) language: String,
    /// What else the model is told of how to write; may be empty.
    pub(crate) tone: String,
    /// How texts say a verdict.
    pub(crate) sayings: Sayings,
    /// Words with dots that name nothing, such as `z.B`.
    pub(crate) abbreviations: Vec<String>,
    pub(crate) sentences: Sentences,
}

/// A file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    language: Option<Spanned<String>>,
    tone: Option<Spanned<String>>,
    #[serde(default)]
    abbreviations: Vec<Spanned<String>>,
    says: Option<Says>,
    #[serde(default)]
    sentences: BTreeMap<Spanned<String>, Spanned<String>>,
}

/// How a text in the file's language says a verdict.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Says {
    allow: Vec<Spanned<String>>,
    review: Vec<Spanned<String>>,
    block: Vec<Spanned<String>>,
    not: Vec<Spanned<String>>,
}

impl Template {
    /// Plain English.
    #[must_use]
    pub fn english() -> Self {
        Self {
            language: "English".to_owned(),
            tone: String::new(),
            sayings: Sayings::english(),
            abbreviations: Vec::new(),
            sentences: english().clone(),
        }
    }

    /// English, save for what the file at `path` says.
    ///
    /// # Errors
    /// The file, and each mistake in it with its line.
    pub fn load(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let cannot = |error: std::io::Error| format!("cannot read {shown}: {error}");
        if std::fs::metadata(path).map_err(cannot)?.len() > FILE_BYTES_MAX {
            return Err(format!("{shown}: more than {FILE_BYTES_MAX} bytes"));
        }
        let text = std::fs::read_to_string(path).map_err(cannot)?;
        Self::parse(&text).map_err(|mistakes| format!("{shown}: {}", mistakes.join("; ")))
    }

    /// English, save for what `text` says; or each mistake in it with its line.
    fn parse(text: &str) -> Result<Self, Vec<String>> {
        let file: File = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_at(text, span.start));
            vec![format!("line {line}: {}", error.message().replace('\n', " "))]
        })?;
        let mut template = Self::english();
        let mut mistakes = Vec::new();
        if file.language.is_some() && file.says.is_none() {
            mistakes.push((0, "a language needs the table [says]: by what words it says a verdict".to_owned()));
        }
        for (field, text, most, into) in [
            ("language", file.language, LANGUAGE_CHARS_MAX, &mut template.language),
            ("tone", file.tone, TONE_CHARS_MAX, &mut template.tone),
        ] {
            let Some(text) = text else { continue };
            match plain(text.get_ref(), most) {
                Ok(()) => *into = text.into_inner(),
                Err(mistake) => mistakes.push((text.span().start, format!("{field} {mistake}"))),
            }
        }
        if let Some(says) = file.says {
            template.learn(says, &mut mistakes);
        }
        for word in file.abbreviations {
            match plain(word.get_ref(), LANGUAGE_CHARS_MAX) {
                Ok(()) => template.abbreviations.push(word.into_inner().trim_end_matches('.').to_owned()),
                Err(mistake) => mistakes.push((word.span().start, format!("an abbreviation {mistake}"))),
            }
        }
        for (key, sentence) in file.sentences {
            match check_sentence(key.get_ref(), sentence.get_ref()) {
                Ok(key) => template.sentences.set(key, sentence.into_inner()),
                Err(mistake) => mistakes.push((key.span().start, mistake)),
            }
        }
        mistakes.sort_by_key(|(at, _)| *at);
        let mistakes: Vec<String> =
            mistakes.into_iter().map(|(at, mistake)| format!("line {}: {mistake}", line_at(text, at))).collect();
        if mistakes.is_empty() { Ok(template) } else { Err(mistakes) }
    }

    /// Learns by what words a verdict is said.
    fn learn(&mut self, says: Says, mistakes: &mut Vec<(usize, String)>) {
        let lists = [
            ("allow", says.allow, Some(Verdict::Allow)),
            ("review", says.review, Some(Verdict::Review)),
            ("block", says.block, Some(Verdict::Block)),
            ("not", says.not, None),
        ];
        for (name, phrases, verdict) in lists {
            if phrases.is_empty() {
                mistakes.push((0, format!("says.{name} must hold a phrase")));
            }
            for phrase in phrases {
                let text = phrase.get_ref();
                match (plain(text, LANGUAGE_CHARS_MAX), verdict) {
                    (Err(mistake), _) => mistakes.push((phrase.span().start, format!("a phrase {mistake}"))),
                    (Ok(()), Some(verdict)) => self.sayings.add(verdict, text),
                    (Ok(()), None) => self.sayings.add_not(text),
                }
            }
        }
    }
}

/// The key of a sentence that there is, when `text` can stand for it.
fn check_sentence(key: &str, text: &str) -> Result<&'static str, String> {
    let Some((known, english)) = english().get(key) else {
        return Err(format!("there is no sentence {key:?}"));
    };
    plain(text, SENTENCE_CHARS_MAX).map_err(|mistake| format!("{key} {mistake}"))?;
    let known_holes = holes(english);
    match holes(text).into_iter().find(|hole| !known_holes.contains(hole)) {
        None => Ok(known),
        Some(hole) if known_holes.is_empty() => {
            Err(format!("{key} has nothing to fill in, and {{{hole}}} stands in it"))
        }
        Some(hole) => Err(format!("{key} knows {{{}}} and not {{{hole}}}", known_holes.join("}, {"))),
    }
}

/// Whether it is a line of text that is not too long.
fn plain(text: &str, chars_max: usize) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("is empty".to_owned());
    }
    if text.chars().any(char::is_control) || text.chars().count() > chars_max {
        return Err(format!("must be one line of at most {chars_max} characters"));
    }
    Ok(())
}

/// The line, from 1, of that byte.
fn line_at(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_changes_what_it_names_and_leaves_the_rest() {
        let template = Template::parse(
            "language = 'German'\ntone = 'Say du.'\nabbreviations = ['z.B.']\n[says]\nallow = ['freigegeben']\n\
             review = ['braucht einen blick']\nblock = ['gesperrt']\nnot = ['nicht']\n\
             [sentences]\nheadline-block = '{deployment} ist gesperrt'\n",
        )
        .unwrap();
        assert_eq!((template.language.as_str(), template.tone.as_str()), ("German", "Say du."));
        assert_eq!(template.abbreviations, ["z.B"]);
        assert_eq!(
            template.sentences.say("headline-block", &[("deployment", "acme/shop #7")]),
            "acme/shop #7 ist gesperrt"
        );
        assert_eq!(template.sentences.say("and", &[]), "and");
        for (text, other) in [
            ("Es ist freigegeben.", true),
            ("Es ist nicht freigegeben.", false),
            ("Es ist gesperrt.", false),
            ("It is approved.", true),
        ] {
            assert_eq!(template.sayings.assert_another(text, Verdict::Block), other, "{text}");
        }
    }

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        assert_eq!(Template::parse(text).err().unwrap_or_default(), expected, "{text}");
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        check("", &[]);
        check("tone = 'Warm.'", &[]);
        check(
            "\nlanguage = ''\n\n[says]\nallow = ['']\nreview = ['r']\nblock = ['b']\nnot = []\n\n[sentences]\nand = 'und {n}'\n\
             nobody = 'x'\nputs = 'Das Risiko ist {riks}.'\n",
            &[
                "line 1: says.not must hold a phrase",
                "line 2: language is empty",
                "line 5: a phrase is empty",
                "line 11: and has nothing to fill in, and {n} stands in it",
                "line 12: there is no sentence \"nobody\"",
                "line 13: puts knows {risk} and not {riks}",
            ],
        );
        check("language = 'German'", &["line 1: a language needs the table [says]: by what words it says a verdict"]);
        for (wrong, line) in [("\ntune = 'x'", "line 2"), ("tone = 7", "line 1"), ("\n\ntone =", "line 3")] {
            let mistakes = Template::parse(wrong).unwrap_err();
            assert!(mistakes.len() == 1 && mistakes[0].starts_with(line), "{mistakes:?}");
        }
    }

    #[test]
    fn the_template_that_comes_with_failsafe_says_everything() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/voice.de.toml");
        let template = Template::load(Path::new(path)).unwrap();
        assert_eq!(template.language, "German");
        let file: File = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let said: Vec<&str> = file.sentences.keys().map(|key| key.get_ref().as_str()).collect();
        let missing: Vec<&str> = english().keys().filter(|key| !said.contains(key)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
