//! Writing events: each at the end of the chain of its month, under the lock of the chain's end.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{PgConnection, Row};
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use super::statement::Statement;
use crate::chain::{Entry, Hash, Head, Link, Month};

/// The ends of the chains that a transaction writes to, locked until it ends.
#[derive(Debug)]
pub(super) struct Ledger {
    heads: BTreeMap<Month, Head>,
}

impl Ledger {
    /// Locks the ends of the chains of `months`, whose deployments are locked already, and gives those of the events `asked` that are
    /// stored; `None` when a month has not been made.
    pub(super) async fn lock(
        connection: &mut PgConnection,
        months: impl IntoIterator<Item = Month>,
        asked: &[(Month, Uuid)],
    ) -> Result<Option<(Self, BTreeSet<Uuid>)>, sqlx::Error> {
        let mut wanted: Vec<Date> = months.into_iter().map(Month::first_day).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let rows = sqlx::query(
            "SELECT month, events, head, ARRAY(
                 SELECT event_id FROM unnest($2::date[], $3::uuid[]) AS asked (month, event_id)
                 JOIN events USING (month, event_id) WHERE asked.month = chains.month) AS stored
             FROM chains WHERE month = ANY($1) ORDER BY month FOR UPDATE OF chains",
        )
        .bind(&wanted)
        .bind(asked.iter().map(|(month, _)| month.first_day()).collect::<Vec<_>>())
        .bind(asked.iter().map(|(_, id)| *id).collect::<Vec<_>>())
        .fetch_all(connection)
        .named("SELECT chains")
        .await?;
        let (mut heads, mut stored) = (BTreeMap::new(), BTreeSet::new());
        for row in rows {
            let month = Month::of(row.try_get("month")?);
            let hash = read_hash(row.try_get("head")?)?;
            heads.insert(month, Head { month, events: row.try_get("events")?, hash });
            stored.extend(row.try_get::<Vec<Uuid>, _>("stored")?);
        }
        Ok((heads.len() == wanted.len()).then_some((Self { heads }, stored)))
    }

    /// Stores events at the ends of the chains of their months, in this order, and with them the ends as they are then.
    pub(super) async fn append(
        &mut self,
        connection: &mut PgConnection,
        entries: &[(Month, Entry<'_>)],
    ) -> Result<(), sqlx::Error> {
        let mut links: Vec<Link> = Vec::with_capacity(entries.len());
        for (month, entry) in entries {
            let head = self.heads.get_mut(month).expect("the chain of every month written to is locked");
            links.push(head.append(entry));
        }
        let of = |index: fn(&Entry<'_>) -> Uuid| entries.iter().map(|(_, entry)| index(entry)).collect::<Vec<_>>();
        let ends: BTreeMap<Month, Head> = entries.iter().map(|(month, _)| (*month, self.heads[month])).collect();
        sqlx::query(
            "WITH ends AS (
                 UPDATE chains SET events = new.events, head = new.head
                 FROM unnest($14::date[], $15::bigint[], $16::bytea[]) AS new (month, events, head)
                 WHERE chains.month = new.month)
             INSERT INTO events (month, link, event_id, deployment_id, kind, subject, stream_sequence, message_id, traceparent,
                 received_at, body, previous, hash)
             SELECT * FROM unnest($1::date[], $2::bigint[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::bigint[],
                 $8::text[], $9::text[], $10::timestamptz[], $11::bytea[], $12::bytea[], $13::bytea[])",
        )
        .bind(entries.iter().map(|(month, _)| month.first_day()).collect::<Vec<_>>())
        .bind(links.iter().map(|link| link.number).collect::<Vec<_>>())
        .bind(of(|entry| entry.event_id))
        .bind(of(|entry| entry.deployment_id))
        .bind(entries.iter().map(|(_, entry)| entry.kind).collect::<Vec<_>>())
        .bind(entries.iter().map(|(_, entry)| entry.subject).collect::<Vec<_>>())
        .bind(entries.iter().map(|(_, entry)| entry.stream_sequence).collect::<Vec<_>>())
        .bind(entries.iter().map(|(_, entry)| entry.message_id).collect::<Vec<_>>())
        .bind(entries.iter().map(|(_, entry)| entry.traceparent).collect::<Vec<_>>())
        .bind(entries.iter().map(|(_, entry)| entry.received_at).collect::<Vec<OffsetDateTime>>())
        .bind(entries.iter().map(|(_, entry)| entry.body).collect::<Vec<_>>())
        .bind(links.iter().map(|link| link.previous.0.as_slice()).collect::<Vec<_>>())
        .bind(links.iter().map(|link| link.hash.0.as_slice()).collect::<Vec<_>>())
        .bind(ends.keys().map(|month| month.first_day()).collect::<Vec<_>>())
        .bind(ends.values().map(|head| head.events).collect::<Vec<_>>())
        .bind(ends.values().map(|head| head.hash.0.as_slice()).collect::<Vec<_>>())
        .execute(connection)
        .named("INSERT events")
        .await
        .map(|_| ())
    }
}

/// A hash as PostgreSQL keeps it.
pub(super) fn read_hash(bytes: &[u8]) -> Result<Hash, sqlx::Error> {
    Hash::from_slice(bytes).ok_or_else(|| sqlx::Error::Decode("a hash has 32 bytes".into()))
}
