//! Whether a hunk can hold what a rule of a parsed language looks for, by its words alone: most cannot, and are not parsed.
//!
//! What a check asks for stands beside the check, as a [`Trigger`] made of the same names. A rule without one is let through by
//! its keywords. In tests every hunk that stays closed is parsed all the same, and nothing may be found in it: see
//! [`super::program`].

use std::collections::{BTreeMap, BTreeSet};

use super::shown::{Place, Shown};
use crate::keywords::Keywords;
use crate::rules::Rule;

/// What a hunk must show before some rules can find something in it.
pub(crate) struct Trigger {
    /// The rules whose keywords it stands for.
    rules: Vec<&'static Rule>,
    /// All of these have to be in the hunk, each at one of its places.
    parts: Vec<Vec<Word>>,
    /// What is asked of the hunk as a whole, after that.
    also: fn(&Shown<'_>) -> bool,
    reach: Reach,
}

/// How much of a hunk the checks look at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Whole,
    /// The functions around its words, those that call one another with them, and what is declared beside functions.
    Linked,
    /// The functions around its words, and what is declared beside functions.
    Near,
}

/// A text, in whatever case, and what its place has to look like.
struct Word {
    text: String,
    asks: Asks,
}

/// What a place has to look like.
#[derive(Clone, Copy)]
pub(crate) enum Asks {
    /// The text is enough.
    Nothing,
    /// Whatever it says of the place.
    Of(fn(&Shown<'_>, Place) -> bool),
    /// A call of this function, as its language writes it.
    Call(fn(&Shown<'_>, Place, &'static str) -> bool, &'static str),
}

impl Trigger {
    /// For these rules, and nothing asked yet.
    pub(crate) fn of(rules: &[&'static Rule]) -> Self {
        Self { rules: rules.to_vec(), parts: Vec::new(), also: |_| true, reach: Reach::Whole }
    }

    /// One of these words has to be there.
    pub(crate) fn word(self, words: &[&str]) -> Self {
        self.part(words.iter().map(|word| ((*word).to_owned(), Asks::Nothing)).collect())
    }

    /// One of these words has to be there, at a place that looks like this.
    pub(crate) fn word_where(self, words: &[&str], place: fn(&Shown<'_>, Place) -> bool) -> Self {
        self.part(words.iter().map(|word| ((*word).to_owned(), Asks::Of(place))).collect())
    }

    /// One of these has to be there.
    pub(crate) fn part(mut self, words: Vec<(String, Asks)>) -> Self {
        self.parts.push(words.into_iter().map(|(text, asks)| Word { text, asks }).collect());
        self
    }

    /// Nothing but the functions around its words and the imports is looked at.
    pub(crate) fn near(self) -> Self {
        Self { reach: Reach::Near, ..self }
    }

    /// The same, and how those functions are called and what they call, as far as the hunk shows it.
    pub(crate) fn linked(self) -> Self {
        Self { reach: Reach::Linked, ..self }
    }

    /// The hunk as a whole has to look like this.
    pub(crate) fn also(self, also: fn(&Shown<'_>) -> bool) -> Self {
        Self { also, ..self }
    }
}

/// The words of a language's rules.
pub(crate) struct Gate {
    words: Keywords,
    /// What each word may be a part of.
    uses: Vec<Vec<Use>>,
    triggers: Vec<Trigger>,
    /// The number of each trigger's first part, and behind them how many parts there are.
    firsts: Vec<usize>,
}

/// A word as a part of a trigger.
#[derive(Clone, Copy)]
struct Use {
    trigger: usize,
    part: usize,
    asks: Asks,
}

impl Gate {
    pub(crate) fn new(rules: &[&'static Rule], mut triggers: Vec<Trigger>) -> Self {
        for rule in rules {
            if !triggers.iter().any(|trigger| trigger.rules.iter().any(|other| other.id == rule.id)) {
                triggers.push(Trigger::of(&[rule]).word(rule.keywords));
            }
        }
        let mut by_word = BTreeMap::<String, Vec<Use>>::new();
        let mut firsts = vec![0];
        for (trigger, Trigger { parts, .. }) in triggers.iter().enumerate() {
            let first = firsts[trigger];
            for (part, words) in (first..).zip(parts) {
                for word in words {
                    by_word.entry(word.text.to_ascii_lowercase()).or_default().push(Use {
                        trigger,
                        part,
                        asks: word.asks,
                    });
                }
            }
            firsts.push(first + parts.len());
        }
        let (words, uses): (Vec<_>, _) = by_word.into_iter().unzip();
        Self { words: Keywords::new(words), uses, triggers, firsts }
    }

    /// What of the hunk is worth parsing, in the file after the change; `None` when no rule can find anything in it.
    pub(crate) fn opens(&self, shown: &Shown<'_>) -> Option<Part> {
        let mut seen = vec![false; self.firsts.last().copied().unwrap_or(0)];
        let mut open = false;
        for (line, text) in shown.texts().enumerate() {
            self.words.places_in(text, |word, at| {
                for used in &self.uses[word] {
                    if !open && !seen[used.part] && asked(used.asks, shown, Place { line, at }) {
                        seen[used.part] = true;
                        open = self.is_met(used.trigger, &seen, shown);
                    }
                }
            });
            if open {
                return Some(self.part(shown));
            }
        }
        None
    }

    fn is_met(&self, trigger: usize, seen: &[bool], shown: &Shown<'_>) -> bool {
        let parts = &seen[self.firsts[trigger]..self.firsts[trigger + 1]];
        parts.iter().all(|seen| *seen) && (self.triggers[trigger].also)(shown)
    }

    /// What is worth parsing of a hunk in which a rule may find something.
    fn part(&self, shown: &Shown<'_>) -> Part {
        let mut seen = vec![false; self.firsts.last().copied().unwrap_or(0)];
        let mut places = Vec::new();
        for (line, text) in shown.texts().enumerate() {
            self.words.places_in(text, |word, at| {
                for used in &self.uses[word] {
                    let all = self.triggers[used.trigger].reach != Reach::Whole;
                    if (all || !seen[used.part]) && asked(used.asks, shown, Place { line, at }) {
                        seen[used.part] = true;
                        places.push((used.trigger, used.part, line));
                    }
                }
            });
        }
        let mut triggers: Vec<_> = places.iter().map(|(trigger, ..)| *trigger).collect();
        triggers.sort_unstable();
        triggers.dedup();
        triggers.retain(|trigger| self.is_met(*trigger, &seen, shown));
        let mut wanted = Wanted { near: BTreeSet::new(), linked: Vec::new() };
        for trigger in triggers {
            let of_trigger = places.iter().filter(|(other, ..)| *other == trigger);
            match self.triggers[trigger].reach {
                Reach::Whole => return Part::Whole,
                Reach::Near => wanted.near.extend(of_trigger.map(|(_, _, line)| line)),
                Reach::Linked => {
                    let (first, end) = (self.firsts[trigger], self.firsts[trigger + 1]);
                    let mut parts = vec![Vec::new(); end - first];
                    of_trigger.for_each(|(_, part, line)| parts[part - first].push(*line));
                    wanted.linked.push(parts);
                }
            }
        }
        Part::Around(wanted)
    }
}

/// What of a hunk is worth parsing.
pub(crate) enum Part {
    Whole,
    Around(Wanted),
}

/// The lines that are worth parsing what is around them.
pub(crate) struct Wanted {
    /// The functions around these.
    pub(crate) near: BTreeSet<usize>,
    /// Of each of these: the groups of functions that hold one of the lines of every part.
    pub(crate) linked: Vec<Vec<Vec<usize>>>,
}

fn asked(asks: Asks, shown: &Shown<'_>, place: Place) -> bool {
    match asks {
        Asks::Nothing => true,
        Asks::Of(place_is) => place_is(shown, place),
        Asks::Call(is_call, name) => is_call(shown, place, name),
    }
}
