//! The keywords of all rules, looked for in one pass.
//!
//! Each keyword is known by four of its bytes, the rarest in source text. Three bytes at a time are hashed into a filter of eight
//! kilobytes, which stays in the processor's nearest cache; where it says yes, a second one is asked about the four, and only where
//! that says yes, too, keywords are compared. An Aho-Corasick
//! automaton over the same keywords has megabytes of states, each step waits for the one before it, and building it takes longer
//! than a small scan.

/// Hashes: as many as the filter has bits.
const HASHES: usize = 1 << 16;
/// Bytes of a keyword that are hashed, at first.
const HASHED: usize = 3;
/// The shortest keyword that can be looked for.
pub(crate) const BYTES_MIN: usize = 2;
/// The bit that tells small letters from capital ones. Set on every byte before hashing; what else falls together by it is told
/// apart by the comparison.
const FOLDED: u32 = 0x0020_2020;

/// A bit for each hash.
struct Filter(Box<[u64; HASHES / 64]>);

impl Filter {
    fn empty() -> Self {
        Self(Box::new([0; HASHES / 64]))
    }

    fn add(&mut self, hash: usize) {
        self.0[hash / 64] |= 1 << (hash % 64);
    }

    #[inline]
    fn has(&self, hash: usize) -> bool {
        self.0[hash / 64] >> (hash % 64) & 1 != 0
    }
}

/// Keywords, ready to be looked for.
pub(crate) struct Keywords {
    filter: Filter,
    /// The same of four bytes, of the keywords that have as many, and of three, of those that do not.
    fours: Filter,
    short: Filter,
    /// How many hashes there are before each word of the filter.
    ranks: Box<[u32; HASHES / 64]>,
    /// The entries of each hash that there is: where they begin; they end where those of the next begin. So small that it is
    /// near, too.
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
        const FOLDED: u64 = 0x2020_2020_2020_2020;
        text.first_chunk::<8>()
            .is_none_or(|eight| (u64::from_le_bytes(*eight) | FOLDED) & self.begin_mask == self.begin)
    }
}

impl Keywords {
    /// Of these keywords, each of two bytes at least. The number of a keyword is its place among them.
    pub(crate) fn new(texts: Vec<String>) -> Self {
        let mut hashed = Vec::with_capacity(texts.len());
        let (mut fours, mut short) = (Filter::empty(), Filter::empty());
        for (text, keyword) in texts.iter().zip(0..) {
            let bytes = text.as_bytes();
            if bytes.len() == BYTES_MIN {
                // Whatever may follow it, the end of the text included.
                let third = (0..=u8::MAX).filter(|byte| byte & 0x20 != 0);
                let entry = Entry::new(bytes, keyword, 0);
                for third in third {
                    let hash = hash([bytes[0], bytes[1], third, 0]);
                    short.add(hash);
                    hashed.push((hash, entry));
                }
            } else {
                let before = rarest(bytes);
                let hash = hash([bytes[before], bytes[before + 1], bytes[before + 2], 0]);
                match bytes[before..].first_chunk() {
                    Some(four) => fours.add(hash_of_four(*four)),
                    None => short.add(hash),
                }
                hashed.push((hash, Entry::new(bytes, keyword, before)));
            }
        }
        hashed.sort_by_key(|(hash, entry)| (*hash, entry.keyword));
        let mut filter = Filter::empty();
        let mut begins = Vec::new();
        for ((hash, _), at) in hashed.iter().zip(0..) {
            if !filter.has(*hash) {
                filter.add(*hash);
                begins.push(at);
            }
        }
        begins.push(u32::try_from(hashed.len()).expect("keywords are few"));
        let mut ranks = Box::new([0; HASHES / 64]);
        for word in 1..ranks.len() {
            ranks[word] = ranks[word - 1] + filter.0[word - 1].count_ones();
        }
        let entries = hashed.into_iter().map(|(_, entry)| entry).collect();
        Self { filter, fours, short, ranks, begins, entries, texts }
    }

    /// Whether one of the keywords is in `text`, in whatever case (ASCII).
    pub(crate) fn is_in(&self, text: &str) -> bool {
        let mut found = false;
        self.in_text(text, |_| found = true);
        found
    }

    /// Calls `seen` with the number of each keyword in `text`, in whatever case (ASCII), once for each time it is there.
    #[inline]
    pub(crate) fn in_text(&self, text: &str, mut seen: impl FnMut(usize)) {
        self.places_in(text, |keyword, _| seen(keyword));
    }

    /// The same, with the byte of the text where the keyword begins.
    #[inline]
    pub(crate) fn places_in(&self, text: &str, mut seen: impl FnMut(usize, usize)) {
        let bytes = text.as_bytes();
        for (at, four) in bytes.windows(4).enumerate() {
            let four = [four[0], four[1], four[2], four[3]];
            let hash = hash(four);
            if self.filter.has(hash) && (self.fours.has(hash_of_four(four)) || self.short.has(hash)) {
                self.compare(bytes, at, hash, &mut seen);
            }
        }
        // The last three bytes, and the last two with nothing behind them.
        let last = bytes.len().saturating_sub(HASHED);
        for at in last..bytes.len().saturating_sub(1) {
            let hash = hash([bytes[at], bytes[at + 1], bytes.get(at + 2).copied().unwrap_or(0), 0]);
            if self.filter.has(hash) {
                self.compare(bytes, at, hash, &mut seen);
            }
        }
    }

    #[inline(never)]
    fn compare(&self, bytes: &[u8], at: usize, hash: usize, seen: &mut impl FnMut(usize, usize)) {
        let lower = self.filter.0[hash / 64] & ((1 << (hash % 64)) - 1);
        let rank = (self.ranks[hash / 64] + lower.count_ones()) as usize;
        for entry in &self.entries[self.begins[rank] as usize..self.begins[rank + 1] as usize] {
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

/// The hash of the first three of four bytes, whatever their case.
#[inline]
fn hash(four: [u8; 4]) -> usize {
    let three = (u32::from_le_bytes(four) & 0x00ff_ffff) | FOLDED;
    // Fibonacci hashing: the upper bits of the product depend on all bits of the key.
    (three.wrapping_mul(0x9e37_79b1) >> 16) as usize
}

/// The hash of four bytes, whatever their case.
#[inline]
fn hash_of_four(four: [u8; 4]) -> usize {
    let four = u32::from_le_bytes(four) | FOLDED << 8 | FOLDED;
    (four.wrapping_mul(0x9e37_79b1) >> 16) as usize
}

/// Where the four bytes of `keyword` begin that are rarest in source text, or the three that it has.
fn rarest(keyword: &[u8]) -> usize {
    let hashed = keyword.len().min(HASHED + 1);
    let places = 0..=keyword.len() - hashed;
    let commonness = |at: &usize| keyword[*at..at + hashed].iter().map(|byte| common(*byte)).product::<u32>();
    places.min_by_key(commonness).unwrap_or(0)
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
        Keywords::new(keywords.iter().map(|&word| word.to_owned()).collect()).in_text(text, |word| found.push(word));
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
