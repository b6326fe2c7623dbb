//! The chain of events: each row of a month holds the hash of the one before, so that none can be changed, left out or put in
//! without all that follow telling. `deploy/audit.md` says the same for those who verify without this code.
//!
//! Pure: no clock, no I/O, no SQL.

use std::fmt;

use sha2::{Digest, Sha256};
use time::{Date, Month as Calendar, OffsetDateTime, UtcOffset};
use uuid::Uuid;

/// What the hashed bytes begin with, so that they can be taken for nothing else.
const DOMAIN: &[u8] = b"failsafe audit event 1\n";
/// The length that says that a field is not there at all.
const ABSENT: u32 = u32::MAX;

/// A SHA-256 (FIPS 180-4).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// What the first event of a month has before it.
    pub const ZERO: Self = Self([0; 32]);

    /// The hash in these 32 bytes; `None` when they are not 32.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().map(Self).ok()
    }

    /// The hash written in 64 hexadecimal digits; `None` when `text` is something else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        from_hex(text).map(Self)
    }
}

/// The bytes written in hexadecimal digits; `None` when `text` is something else.
pub(crate) fn from_hex<const BYTES: usize>(text: &str) -> Option<[u8; BYTES]> {
    if text.len() != BYTES * 2 || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; BYTES];
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(bytes)
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A month in UTC: that in which the first word of a deployment came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(Date);

impl Month {
    /// The month of `date`.
    #[must_use]
    pub fn of(date: Date) -> Self {
        Self(date.replace_day(1).expect("every month has a first day"))
    }

    /// The month that `time` lies in.
    #[must_use]
    pub fn at(time: OffsetDateTime) -> Self {
        Self::of(time.to_offset(UtcOffset::UTC).date())
    }

    /// A month written as `2026-11`.
    ///
    /// # Errors
    /// A sentence that says what a month looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("must be a month such as 2026-11, not {text:?}");
        let (year, month) =
            text.split_once('-').filter(|parts| parts.0.len() == 4 && parts.1.len() == 2).ok_or_else(wrong)?;
        let month = month.parse::<u8>().ok().and_then(|month| Calendar::try_from(month).ok()).ok_or_else(wrong)?;
        let year = year.parse().map_err(|_| wrong())?;
        Date::from_calendar_date(year, month, 1).map(Self).map_err(|_| wrong())
    }

    /// Its first day.
    #[must_use]
    pub const fn first_day(self) -> Date {
        self.0
    }

    /// The month behind it.
    #[must_use]
    pub fn next(self) -> Self {
        Self::of(self.0.saturating_add(time::Duration::days(31)))
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.year(), u8::from(self.0.month()))
    }
}

/// What the hash of an event is made of, besides its place in the chain.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Its id.
    pub event_id: Uuid,
    /// The deployment that it is about.
    pub deployment_id: Uuid,
    /// Its kind.
    pub kind: &'a str,
    /// Its subject.
    pub subject: &'a str,
    /// Its place in the stream; `None` for a verdict.
    pub stream_sequence: Option<i64>,
    /// The message id that its sender gave it.
    pub message_id: Option<&'a str>,
    /// The trace that it is part of.
    pub traceparent: Option<&'a str>,
    /// When it was stored; counted in microseconds.
    pub received_at: OffsetDateTime,
    /// Its protobuf bytes.
    pub body: &'a [u8],
}

/// The place of an event in its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// From 1, without gaps.
    pub number: i64,
    /// The hash of the one before.
    pub previous: Hash,
    /// Its own hash.
    pub hash: Hash,
}

/// Where the chain of a month ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Which month.
    pub month: Month,
    /// How many events are in it.
    pub events: i64,
    /// The hash of the last.
    pub hash: Hash,
}

impl Head {
    /// That of a month without events.
    #[must_use]
    pub const fn empty(month: Month) -> Self {
        Self { month, events: 0, hash: Hash::ZERO }
    }

    /// Puts `entry` at the end of the chain.
    pub fn append(&mut self, entry: &Entry<'_>) -> Link {
        let (number, previous) = (self.events + 1, self.hash);
        let hash = hash(previous, self.month, number, entry);
        (self.events, self.hash) = (number, hash);
        Link { number, previous, hash }
    }
}

/// The hash of the event at place `number` of a month's chain.
#[must_use]
pub fn hash(previous: Hash, month: Month, number: i64, entry: &Entry<'_>) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(DOMAIN);
    let microseconds = entry.received_at.unix_timestamp_nanos().div_euclid(1_000);
    let microseconds = i64::try_from(microseconds).expect("the years of a timestamp fit");
    let (month, sequence) = (month.to_string(), entry.stream_sequence.map(i64::to_be_bytes));
    let fields: [Option<&[u8]>; 12] = [
        Some(&previous.0),
        Some(month.as_bytes()),
        Some(&number.to_be_bytes()),
        Some(entry.event_id.as_bytes()),
        Some(entry.deployment_id.as_bytes()),
        Some(entry.kind.as_bytes()),
        Some(entry.subject.as_bytes()),
        sequence.as_ref().map(<[u8; 8]>::as_slice),
        entry.message_id.map(str::as_bytes),
        entry.traceparent.map(str::as_bytes),
        Some(&microseconds.to_be_bytes()),
        Some(entry.body),
    ];
    for field in fields {
        let length = field.map_or(ABSENT, |bytes| u32::try_from(bytes.len()).expect("PostgreSQL keeps no such field"));
        hasher.update(length.to_be_bytes());
        hasher.update(field.unwrap_or_default());
    }
    Hash(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry<'static> {
        Entry {
            event_id: Uuid::from_u128(1),
            deployment_id: Uuid::from_u128(0x1000_0000_0000_0000_0000_0000_0000_0001),
            kind: "outcome.recorded",
            subject: "s",
            stream_sequence: Some(1),
            message_id: None,
            traceparent: Some("tp"),
            received_at: time::macros::datetime!(2026-03-04 05:06:07.123456 UTC),
            body: &[1, 2],
        }
    }

    #[test]
    fn the_hash_of_an_event_is_the_same_for_ever() {
        // As the migration computes it in PostgreSQL.
        let mut head = Head::empty(Month::parse("2026-03").unwrap());
        let first = head.append(&entry());
        assert_eq!(first.previous, Hash::ZERO);
        assert_eq!(first.hash.to_string(), "259dc8f42bd2333c6d6e71460a67d55bb57d86e13277ac3fb8775e5fbf874982");
        let second = Entry {
            event_id: Uuid::from_u128(2),
            stream_sequence: None,
            message_id: Some("mid"),
            traceparent: None,
            received_at: time::macros::datetime!(2026-10-04 05:06:07.5 UTC),
            body: &[],
            ..entry()
        };
        let second = head.append(&second);
        assert_eq!((second.number, second.previous), (2, first.hash));
        assert_eq!(second.hash.to_string(), "f649ef048e71e1979fd7b14491d2c2df6b09255cd78709bfecc107e9ebfef7ed");
        assert_eq!((head.events, head.hash), (2, second.hash));
    }

    #[test]
    fn every_field_changes_the_hash() {
        let (one, month) = (entry(), Month::parse("2026-03").unwrap());
        let changed = [
            Entry { event_id: Uuid::from_u128(3), ..one },
            Entry { deployment_id: Uuid::from_u128(3), ..one },
            Entry { kind: "outcome.recorde", subject: "ds", ..one },
            Entry { stream_sequence: None, ..one },
            Entry { message_id: Some(""), ..one },
            Entry { traceparent: None, message_id: Some("tp"), ..one },
            Entry { received_at: one.received_at + time::Duration::microseconds(1), ..one },
            Entry { body: &[1, 3], ..one },
        ];
        let mut hashes: Vec<Hash> = changed.iter().map(|entry| hash(Hash::ZERO, month, 1, entry)).collect();
        hashes.push(hash(Hash::ZERO, month, 1, &one));
        hashes.push(hash(Hash::ZERO, month, 2, &one));
        hashes.push(hash(Hash::ZERO, month.next(), 1, &one));
        hashes.push(hash(hashes[0], month, 1, &one));
        for (at, hash) in hashes.iter().enumerate() {
            assert!(!hashes[..at].contains(hash), "{at}");
        }
    }

    #[test]
    fn a_month_is_written_as_a_year_and_a_number() {
        let month = Month::parse("2026-12").unwrap();
        assert_eq!((month.to_string(), month.next().to_string()), ("2026-12".to_owned(), "2027-01".to_owned()));
        assert_eq!(Month::at(time::macros::datetime!(2027-01-01 00:30 +1)), month);
        for wrong in ["2026-13", "2026-1", "26-11", "2026", "2026-11-01", ""] {
            assert!(Month::parse(wrong).unwrap_err().contains("such as 2026-11"), "{wrong}");
        }
    }

    #[test]
    fn a_hash_is_sixty_four_digits() {
        let hash = hash(Hash::ZERO, Month::parse("2026-03").unwrap(), 1, &entry());
        assert_eq!(Hash::parse(&hash.to_string()), Some(hash));
        assert_eq!((Hash::parse("12"), Hash::parse(&"g".repeat(64))), (None, None));
    }
}
