//! How a keyword has to stand before its row looks at the line. Short keywords are parts of everyday words, and most places are told
//! from the few bytes around them.

use super::needs::Needs;
use super::{Form, Kind, Pattern, named};

/// How a keyword stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Inside a credential: what is around it is as long as the shortest one.
    Inside,
    /// As a name of this many bytes that is no part of another word.
    Word(usize),
}

impl Pattern {
    /// How the keyword has to stand; `None` when it may stand in any way.
    pub(crate) fn standing(&self, keyword: &str) -> Option<Standing> {
        match (&self.form, self.kind) {
            (_, Kind::Token) if self.holds_its_keywords => Some(Standing::Inside),
            (Form::Named { names, .. }, _) if keyword.len() <= named::SHORT_NAME_BYTES => {
                let mut with_it = names.iter().map(|name| &name.text).filter(|name| may_hold(name, keyword));
                let is_the_name = with_it.next()?.eq_ignore_ascii_case(keyword) && with_it.next().is_none();
                is_the_name.then_some(Standing::Word(keyword.len()))
            }
            _ => None,
        }
    }

    /// False when the keyword at this place does not stand so.
    #[inline]
    pub(crate) fn may_stand(&self, text: &str, at: usize, standing: Standing) -> bool {
        match standing {
            Standing::Inside => {
                self.whole.get_or_init(|| Needs::of_whole(&self.form.needed())).are_met_around(text.as_bytes(), at)
            }
            Standing::Word(bytes) => named::is_word(text, at..at + bytes),
        }
    }
}

/// Whether the expression of a name may match more than the keyword around it: by its letters, or because it has classes of them.
fn may_hold(name: &str, keyword: &str) -> bool {
    let plain = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    name.contains(['[', '.', '\\']) || plain(name).contains(&plain(keyword))
}
