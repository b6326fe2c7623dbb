//! The keywords of all rules, looked for in one pass.
//!
//! Each keyword is known by four of its bytes, those that source text holds least often. At each byte of a text the next three are
//! hashed to a word of a table of 32 kilobytes, which stays in the processor's nearest cache, and a bit of that word stands for the
//! byte behind them; only where it is set keywords are compared. An Aho-Corasick automaton over the same keywords has megabytes of
//! states, each step waits for the one before it, and building it takes longer than a small scan.

use std::collections::HashMap;

/// Bits of a hash that choose a word of the filter.
const FILTER_BITS: u32 = 14;
/// Bits of a hash that choose what keywords are compared.
const BUCKET_BITS: u32 = 12;
/// The bit that tells small letters from capital ones, in each byte. It is set before hashing; what else falls together by it is
/// told apart by the comparison.
const FOLDED: u64 = 0x2020_2020_2020_2020;
/// The commonest words in the sources of twenty projects, in nine languages.
const WORDS: &str = include_str!("keywords/words.txt");

/// Keywords, ready to be looked for.
pub(crate) struct Keywords {
    /// For each hash of three bytes, which bytes may follow them: a bit for each lower half of a byte, which is the same in either
    /// case.
    filter: Box<[u16; 1 << FILTER_BITS]>,
    /// Where the entries of each bucket begin; they end where those of the next begin.
    begins: Vec<u32>,
    entries: Vec<Entry>,
    texts: Vec<String>,
}

/// A keyword under the hash of three of its bytes.
#[derive(Clone, Copy)]
struct Entry {
    keyword: u32,
    /// Bytes of the keyword before the three.
    before: u32,
    /// Its first eight bytes with [`FOLDED`]'s bit set, and which of them there are: most of what is not the keyword differs here.
    begin: u64,
    begin_mask: u64,
}

impl Entry {
    fn new(text: &[u8], keyword: u32, before: usize) -> Self {
        let mut begin = [0; 8];
        let mut mask = [0; 8];
        for ((begin, mask), byte) in begin.iter_mut().zip(&mut mask).zip(text) {
            (*begin, *mask) = (byte | 0x20, 0xff);
        }
        let before = u32::try_from(before).expect("a keyword is short");
        Self { keyword, before, begin: u64::from_le_bytes(begin), begin_mask: u64::from_le_bytes(mask) }
    }

    /// False when `text` cannot begin with the keyword.
    #[inline]
    fn may_begin(&self, text: &[u8]) -> bool {
        text.first_chunk::<8>()
            .is_none_or(|eight| (u64::from_le_bytes(*eight) | FOLDED) & self.begin_mask == self.begin)
    }
}

impl Keywords {
    /// Of these keywords, each of two bytes at least; one of two has to be compared far more often than a longer one. The number of
    /// a keyword is its place among them.
    pub(crate) fn new(texts: Vec<String>) -> Self {
        let common = Common::beside(&texts);
        let mut filter = Box::new([0; 1 << FILTER_BITS]);
        let mut hashed = Vec::with_capacity(texts.len());
        for (text, keyword) in texts.iter().zip(0..) {
            let mut add = |four: [u8; 4], followers: u16, before: usize| {
                filter[word(hash(four))] |= followers;
                hashed.push((bucket(hash(four)), Entry::new(text.as_bytes(), keyword, before)));
            };
            match *text.as_bytes() {
                // Whatever may follow it, the end of the text included.
                [a, b] => (0..=u8::MAX).filter(|c| c & 0x20 != 0).for_each(|c| add([a, b, c, 0], u16::MAX, 0)),
                [a, b, c] => add([a, b, c, 0], u16::MAX, 0),
                ref bytes => {
                    let (before, four) = common.rarest(bytes);
                    add(four, 1 << (four[3] & 0x0f), before);
                }
            }
        }
        hashed.sort_by_key(|(bucket, entry)| (*bucket, entry.keyword));
        hashed.dedup_by_key(|(bucket, entry)| (*bucket, entry.keyword));
        let mut begins = vec![0; (1 << BUCKET_BITS) + 1];
        hashed.iter().for_each(|(bucket, _)| begins[bucket + 1] += 1);
        (1..begins.len()).for_each(|at| begins[at] += begins[at - 1]);
        Self { filter, begins, entries: hashed.into_iter().map(|(_, entry)| entry).collect(), texts }
    }

    /// Whether one of the keywords is in `text`, in whatever case (ASCII).
    pub(crate) fn is_in(&self, text: &str) -> bool {
        let mut found = false;
        self.places_in(text, |_, _| found = true);
        found
    }

    /// Calls `seen` with the number of each keyword in `text`, in whatever case (ASCII), and the byte where it begins, once for each
    /// time it is there.
    #[inline]
    pub(crate) fn places_in(&self, text: &str, mut seen: impl FnMut(usize, usize)) {
        let bytes = text.as_bytes();
        for (at, four) in bytes.windows(4).enumerate() {
            let four = [four[0], four[1], four[2], four[3]];
            if self.may_hold(four) {
                self.compare(bytes, at, hash(four), &mut seen);
            }
        }
        // The last three bytes, and the last two with nothing behind them.
        for at in bytes.len().saturating_sub(3)..bytes.len().saturating_sub(1) {
            let last = [bytes[at], bytes[at + 1], bytes.get(at + 2).copied().unwrap_or(0), 0];
            if self.may_hold(last) {
                self.compare(bytes, at, hash(last), &mut seen);
            }
        }
    }

    /// Whether there may be a keyword with these bytes in it.
    #[inline]
    fn may_hold(&self, four: [u8; 4]) -> bool {
        self.filter[word(hash(four))] >> (four[3] & 0x0f) & 1 != 0
    }

    #[inline(never)]
    fn compare(&self, bytes: &[u8], at: usize, hash: u32, seen: &mut impl FnMut(usize, usize)) {
        let bucket = bucket(hash);
        for entry in &self.entries[self.begins[bucket] as usize..self.begins[bucket + 1] as usize] {
            let Some(start) = at.checked_sub(entry.before as usize) else { continue };
            let Some(rest) = bytes.get(start..) else { continue };
            if entry.may_begin(rest) {
                let keyword = entry.keyword as usize;
                let text = self.texts[keyword].as_bytes();
                if rest.get(..text.len()).is_some_and(|found| found.eq_ignore_ascii_case(text)) {
                    seen(keyword, start);
                }
            }
        }
    }
}

/// Four bytes as a number, whatever their case.
#[inline]
fn folded(four: [u8; 4]) -> u32 {
    u32::from_le_bytes(four) | FOLDED as u32
}

/// The hash of the first three of four bytes, whatever their case. Its upper bits depend on all of them (Fibonacci hashing).
#[inline]
fn hash(four: [u8; 4]) -> u32 {
    (folded(four) & 0x00ff_ffff).wrapping_mul(0x9e37_79b1)
}

#[inline]
fn word(hash: u32) -> usize {
    (hash >> (32 - FILTER_BITS)) as usize
}

#[inline]
fn bucket(hash: u32) -> usize {
    (hash >> (32 - BUCKET_BITS)) as usize
}

/// How often four bytes stand in source text: in how many of the [`WORDS`], and in how many keywords.
struct Common(HashMap<u32, (u32, u32)>);

impl Common {
    fn beside(keywords: &[String]) -> Self {
        let mut common = HashMap::<u32, (u32, u32)>::new();
        for word in WORDS.split_whitespace() {
            for four in fours(format!(" {word} ").as_bytes()) {
                common.entry(folded(four)).or_default().0 += 1;
            }
        }
        for four in keywords.iter().flat_map(|keyword| fours(keyword.as_bytes())) {
            common.entry(folded(four)).or_default().1 += 1;
        }
        Self(common)
    }

    /// The four bytes of a keyword that are the least common, and where they begin.
    fn rarest(&self, keyword: &[u8]) -> (usize, [u8; 4]) {
        let how_common = |(_, four): &(usize, [u8; 4])| {
            let product = four.iter().map(|byte| common(*byte)).product::<u32>();
            (self.0.get(&folded(*four)).copied().unwrap_or_default(), product)
        };
        fours(keyword).enumerate().min_by_key(how_common).expect("shorter keywords stand elsewhere")
    }
}

fn fours(text: &[u8]) -> impl Iterator<Item = [u8; 4]> {
    text.windows(4).map(|four| [four[0], four[1], four[2], four[3]])
}

/// How often a byte stands in source text, roughly, in parts of a thousand.
fn common(byte: u8) -> u32 {
    match byte.to_ascii_lowercase() {
        b' ' => 150,
        b'e' => 85,
        b't' => 65,
        b'a' | b'i' | b'n' | b'o' | b'r' | b's' => 50,
        b'l' | b'c' | b'd' => 30,
        b'm' | b'p' | b'u' => 22,
        b'f' | b'g' | b'h' | b'_' | b'"' | b'.' => 15,
        b'b' | b'y' | b'v' | b'w' | b'-' | b'/' | b':' | b'=' | b'(' | b'0' => 10,
        b'k' | b'x' | b'1' | b'2' | b',' => 6,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(keywords: &[&str], text: &str) -> Vec<usize> {
        let mut found = Vec::new();
        Keywords::new(keywords.iter().map(|&word| word.to_owned()).collect())
            .places_in(text, |word, _| found.push(word));
        found.sort_unstable();
        found
    }

    #[test]
    fn keywords_are_found_wherever_they_stand_and_in_whatever_case() {
        let keywords = ["ey", "sk", "key", "secret_key", "@[", "aé"];
        assert_eq!(found(&keywords, "ey"), [0]);
        assert_eq!(found(&keywords, "KEY"), [0, 2]);
        assert_eq!(found(&keywords, "a Secret_Key"), [0, 2, 3]);
        assert_eq!(found(&keywords, "task"), [1]);
        assert_eq!(found(&keywords, "sk sk-"), [1, 1]);
        assert_eq!(found(&keywords, "`{ @["), [4]);
        assert_eq!(found(&keywords, "Aé AÉ"), [5]);
        assert_eq!(found(&keywords, "e"), [0; 0]);
        assert_eq!(found(&keywords, ""), [0; 0]);
        assert_eq!(found(&[], "whatever"), [0; 0]);
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_is_there(
            keywords in prop::collection::vec("[abAB@`_\0 é-]{2,5}", 0..20),
            text in "[abAB@`_\0 é-]{0,40}",
        ) {
            let words: Vec<_> = keywords.iter().map(String::as_str).collect();
            let mut found = found(&words, &text);
            found.dedup();
            let lower = text.to_ascii_lowercase();
            let there = (0..words.len()).filter(|word| lower.contains(&words[*word].to_ascii_lowercase()));
            prop_assert_eq!(found, there.collect::<Vec<_>>());
        }
    }
}
