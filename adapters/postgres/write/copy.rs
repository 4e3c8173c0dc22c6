//! Rows as binary COPY takes them: per field a length and its bytes, floats big-endian.

use super::jsonb::{self, Refused};
use crate::error::Place;
use bytes::{BufMut, Bytes, BytesMut};
use futures::SinkExt;
use palanquin_engine::contract::{Error, ErrorKind, Result};
use palanquin_engine::rows::{Row, RowBatch};
use std::collections::HashMap;
use std::pin::pin;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio_postgres::CopyInSink;

/// Bytes handed to the socket at once.
const CHUNK: usize = 256 << 10;
/// Postgres counts time from 2000-01-01.
const EPOCH: u64 = 946_684_800;
const HEAD: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// An index page holds at least three keys. What is longer may still fit, compressed.
const LONG_ID: usize = 2_700;

/// Rows that can be written, each id once.
pub(super) struct Rows<'a> {
    batch: &'a RowBatch,
    /// The rows to be written, in order; all of them without.
    kept: Option<Vec<usize>>,
}

impl<'a> Rows<'a> {
    /// The last row of each id.
    pub(super) fn last_of_each_id(batch: &'a RowBatch) -> Self {
        let last: HashMap<&str, usize> = batch.ids().iter().flatten().zip(0..).collect();
        if last.len() == batch.len() {
            return Self { batch, kept: None };
        }
        let mut kept: Vec<usize> = last.into_values().collect();
        kept.sort_unstable();
        Self { batch, kept: Some(kept) }
    }

    pub(super) fn len(&self) -> usize {
        self.kept.as_ref().map_or(self.batch.len(), Vec::len)
    }

    fn each(&self) -> impl Iterator<Item = Row<'a>> + '_ {
        let mut kept = self.kept.as_ref().map(|kept| kept.iter().copied().peekable());
        let mut is_kept = move |place: usize| kept.as_mut().is_none_or(|kept| kept.next_if_eq(&place).is_some());
        self.batch.rows().enumerate().filter(move |(place, _)| is_kept(*place)).map(|(_, row)| row)
    }

    /// The longest id, if it is one that Postgres may not be able to index.
    pub(super) fn overlong_id(&self) -> Option<&'a str> {
        let longest = self.batch.ids().iter().flatten().max_by_key(|id| id.len())?;
        (longest.len() > LONG_ID).then_some(longest)
    }

    /// Sends the rows and ends the COPY.
    pub(super) async fn send(&self, sink: CopyInSink<Bytes>, dated: bool, place: &Place) -> Result<u64, Failed> {
        let mut sink = pin!(sink);
        let mut buffer = BytesMut::with_capacity(CHUNK + (64 << 10));
        buffer.put_slice(HEAD);
        let now = dated.then(now);
        for row in self.each() {
            put(&mut buffer, row, now).map_err(|what| Failed::Row(refused(place, row.id, what)))?;
            if buffer.len() >= CHUNK {
                sink.feed(buffer.split().freeze()).await.map_err(Failed::Sql)?;
                buffer.reserve(CHUNK);
            }
        }
        buffer.put_i16(-1);
        sink.feed(buffer.freeze()).await.map_err(Failed::Sql)?;
        sink.finish().await.map_err(Failed::Sql)
    }
}

/// Why rows could not be sent.
pub(super) enum Failed {
    Row(Error),
    Sql(tokio_postgres::Error),
}

fn refused(place: &Place, id: &str, what: &str) -> Error {
    let shown: String = id.chars().take(200).collect();
    place.error(ErrorKind::RowRefused, format!("Postgres cannot hold row {shown:?}: {what}"))
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX) - (EPOCH * 1_000_000) as i64
}

fn put(out: &mut BytesMut, row: Row<'_>, now: Option<i64>) -> Result<(), &'static str> {
    out.put_i16(if now.is_some() { 5 } else { 4 });
    put_text(out, row.id).map_err(|()| "its id has a NUL in it")?;
    match row.document {
        Some(document) => put_text(out, document).map_err(|()| "its document has a NUL in it")?,
        None => out.put_i32(-1),
    }
    let metadata = jsonb::of_text(row.metadata).map_err(|refused| match refused {
        Refused::Nul => "its metadata has a NUL in it",
        Refused::Malformed => "its metadata is no canonical JSON",
    })?;
    put_length(out, metadata.len() + 1);
    out.put_u8(1);
    out.put_slice(metadata.as_bytes());
    match row.embedding {
        Some(vector) => put_vector(out, vector)?,
        None => out.put_i32(-1),
    }
    if let Some(now) = now {
        out.put_i32(8);
        out.put_i64(now);
    }
    Ok(())
}

fn put_text(out: &mut BytesMut, text: &str) -> Result<(), ()> {
    if text.as_bytes().contains(&0) {
        return Err(());
    }
    put_length(out, text.len());
    out.put_slice(text.as_bytes());
    Ok(())
}

fn put_vector(out: &mut BytesMut, vector: &[f32]) -> Result<(), &'static str> {
    // Without an early end, so that many are looked at at once.
    if !vector.iter().fold(true, |finite, component| finite & component.is_finite()) {
        return Err("its vector has a component that is infinite or not a number (NaN)");
    }
    put_length(out, 4 + vector.len() * 4);
    out.put_u16(u16::try_from(vector.len()).map_err(|_| "its vector is too wide")?);
    out.put_u16(0);
    let start = out.len();
    out.resize(start + vector.len() * 4, 0);
    let (places, _) = out[start..].as_chunks_mut::<4>();
    for (place, component) in places.iter_mut().zip(vector) {
        *place = component.to_be_bytes();
    }
    Ok(())
}

/// A field of 2 GiB cannot be in a batch: Arrow's offsets end there.
fn put_length(out: &mut BytesMut, length: usize) {
    out.put_i32(i32::try_from(length).unwrap_or(i32::MAX));
}
