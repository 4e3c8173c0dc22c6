//! Applying to the target, the one way for copying, following and levelling: what the target cannot hold as it is is
//! converted, rows it refuses are found by halving the batch and set aside, the rest goes on.
//!
//! A dead letter is in the journal before the position passes its row, and leaves it when the row has arrived or is gone.

#[cfg(test)]
mod tests;

use super::{Desk, News, Pair, Prepared};
use crate::clock::now_ms;
use palanquin_engine::contract::{
    ChangeBatch, Collection, Conversion, Error, ErrorKind, Filter, GetRequest, Include, Patch, Result, RowLists,
    Selection, WriteMode, token,
};
use palanquin_engine::journal::DeadLetter;
use palanquin_engine::link::{SetAside, passing};
use palanquin_engine::rows::{Row, RowBatch, RowSchemaError, convert};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Delivers to one link's target.
pub(super) struct Delivery {
    desk: Desk,
    epoch: u64,
    filter: Filter,
    conversions: &'static [Conversion],
    /// Ids of the dead letters in the journal, by the collection's name in the source.
    letters: Mutex<BTreeMap<String, BTreeSet<String>>>,
}

/// What came up while a batch was delivered.
#[derive(Default)]
struct Found {
    refusals: Vec<Refusal>,
    converted: Vec<(Conversion, String)>,
    /// Rows that were to be patched and are not in the target.
    missing: Vec<String>,
    /// Whether rows were left untried, since more were refused than may be set aside.
    stopped_early: bool,
}

/// A row that is not to be in the target, and the failure the link halts with if it may not be set aside.
struct Refusal {
    letter: DeadLetter,
    error: Error,
}

impl Delivery {
    /// Takes up the dead letters there are.
    pub(super) async fn begin(desk: &Desk, prepared: &Prepared) -> Result<Self> {
        let mut letters: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for letter in desk.setup.journal.dead_letters(&desk.setup.id).await? {
            letters.entry(letter.about.collection).or_default().insert(letter.about.id);
        }
        Ok(Self {
            desk: desk.clone(),
            epoch: prepared.epoch,
            filter: prepared.filter.clone(),
            conversions: desk.setup.target.conversions,
            letters: Mutex::new(letters),
        })
    }

    /// Applies what a feed tells. Of a filtered link, rows that do not pass leave the target, and rows of which the feed
    /// tells only some fields are read anew: whether they pass, and what else there is to them, only the source knows.
    pub(super) async fn deliver_changes(&self, pair: &Pair, mut batch: ChangeBatch) -> Result<()> {
        let bytes = batch.upserts.as_ref().map_or(0, RowBatch::bytes);
        self.desk.setup.limits.pass(&self.desk.heartbeat, batch.rows(), bytes).await;
        if !self.filter.is_all() {
            batch = self.filtered(pair, batch).await.map_err(|error| self.at_source(pair, error))?;
        } else if !self.desk.setup.target.capabilities.has(token::UPDATE) {
            batch = whole(pair, batch).await.map_err(|error| self.at_source(pair, error))?;
        }
        self.deliver(pair, pair.target.as_ref(), batch, WriteMode::Upsert).await.map(drop)
    }

    /// Applies a batch; durable when it returns. Returns the ids of the rows that were set aside.
    ///
    /// # Errors
    /// Of a row the target refuses, if no more may be set aside; it names the row. Of any other failure the first.
    pub(super) async fn deliver(
        &self,
        pair: &Pair,
        target: &dyn Collection,
        batch: ChangeBatch,
        mode: WriteMode,
    ) -> Result<Vec<String>> {
        let mut found = Found::default();
        let batch = self.with_letters(pair, batch).await?;
        let touched = self.touched_letters(pair, &batch);
        let as_it_was = batch.upserts.clone();
        let batch = self.converted(pair, batch, &mut found).await?;
        if batch.rows() > 0 {
            self.apply(pair, target, batch, mode, &mut found).await?;
        }
        let missing = std::mem::take(&mut found.missing);
        if !missing.is_empty() {
            // What they had before the patch never came here; one that is gone by now is told of later.
            let rows = reread(pair, &missing).await.map_err(|error| self.at_source(pair, error))?;
            if let Some(rows) = self.fit(pair, &rows, &mut found)? {
                self.apply_rows(pair, target, rows, &mut found).await?;
            }
        }
        let Found { mut refusals, mut converted, stopped_early, .. } = found;
        let refused: BTreeSet<String> = refusals.iter().map(|refusal| refusal.letter.about.id.clone()).collect();
        if converted.iter().any(|(_, id)| refused.contains(id)) {
            as_it_was.iter().for_each(|rows| unconvert(&mut refusals, rows));
        }
        self.set_aside(pair, refusals).await?;
        if stopped_early {
            // Others made room meanwhile; the rows that were not looked at are delivered by the next attempt.
            return Err(Error::new(ErrorKind::Busy, "more rows were refused than could be set aside just then"));
        }
        converted.retain(|(_, id)| !refused.contains(id));
        self.note_converted(pair, &converted).await?;
        let arrived: Vec<String> = touched.into_iter().filter(|id| !refused.contains(id)).collect();
        self.release(pair, &arrived).await?;
        Ok(refused.into_iter().collect())
    }

    /// The batch with those rows whole that it only patches and that never arrived: they are dead letters.
    async fn with_letters(&self, pair: &Pair, batch: ChangeBatch) -> Result<ChangeBatch> {
        if batch.patches.iter().all(|patch| self.known_among(pair, &patch.rows).is_empty()) {
            return Ok(batch);
        }
        let ChangeBatch { upserts, patches, mut deletes, .. } = batch;
        let mut whole: Vec<RowBatch> = upserts.into_iter().collect();
        let mut others = Vec::new();
        for Patch { rows, fields } in patches {
            let known = self.known_among(pair, &rows);
            if !known.is_empty() {
                let there = reread(pair, &known).await.map_err(|error| self.at_source(pair, error))?;
                deletes.extend(lacking(&known, &there));
                whole.push(there);
            }
            let kept = rows.ids().iter().flatten().map(|id| !known.iter().any(|known| known == id)).collect();
            let rows = rows.kept(kept).map_err(broken)?;
            if !rows.is_empty() {
                others.push(Patch { rows, fields });
            }
        }
        whole.retain(|rows| !rows.is_empty());
        let upserts = if whole.is_empty() { None } else { Some(RowBatch::concat(&whole).map_err(broken)?) };
        Ok(ChangeBatch { upserts, patches: others, deletes, ..ChangeBatch::default() })
    }

    /// The rows of a batch that are to be in the target: as the source has them, and as the target is to hold them.
    pub(super) fn as_copied(&self, batch: RowBatch) -> Result<(RowBatch, RowBatch)> {
        let rows = passing(&self.filter, batch)?;
        let converted = convert(&rows, self.desk.conversions_made()).map_err(broken)?;
        Ok((rows, converted.rows))
    }

    async fn filtered(&self, pair: &Pair, batch: ChangeBatch) -> Result<ChangeBatch> {
        let ChangeBatch { upserts, patches, mut deletes, .. } = batch;
        let mut changed: Vec<RowBatch> = upserts.into_iter().collect();
        for patch in patches {
            let ids: Vec<String> = patch.rows.ids().iter().flatten().map(str::to_owned).collect();
            let there = reread(pair, &ids).await?;
            deletes.extend(lacking(&ids, &there));
            changed.push(there);
        }
        let mut kept = Vec::new();
        for rows in changed {
            let passing = passing(&self.filter, rows.clone())?;
            if passing.len() < rows.len() {
                let pass: BTreeSet<&str> = passing.ids().iter().flatten().collect();
                deletes.extend(rows.ids().iter().flatten().filter(|id| !pass.contains(id)).map(str::to_owned));
            }
            if !passing.is_empty() {
                kept.push(passing);
            }
        }
        let upserts = if kept.is_empty() { None } else { Some(RowBatch::concat(&kept).map_err(broken)?) };
        Ok(ChangeBatch { upserts, deletes, ..ChangeBatch::default() })
    }

    /// The batch as the target can hold it. What no conversion makes fit is refused, and with `--strict` what one would.
    async fn converted(&self, pair: &Pair, batch: ChangeBatch, found: &mut Found) -> Result<ChangeBatch> {
        if self.conversions.is_empty() {
            return Ok(batch);
        }
        let ChangeBatch { upserts, patches, deletes, .. } = batch;
        let upserts = match upserts {
            Some(rows) => self.fit(pair, &rows, found)?,
            None => None,
        };
        let mut fitting = Vec::new();
        for Patch { rows, fields } in patches {
            let mut of_patch = Found::default();
            if let Some(rows) = self.fit(pair, &rows, &mut of_patch)? {
                fitting.push(Patch { rows, fields });
            }
            found.converted.extend(of_patch.converted);
            found.refusals.extend(self.whole(pair, of_patch.refusals).await?);
        }
        Ok(ChangeBatch { upserts, patches: fitting, deletes, ..ChangeBatch::default() })
    }

    fn fit(&self, pair: &Pair, rows: &RowBatch, found: &mut Found) -> Result<Option<RowBatch>> {
        let converted = convert(rows, self.conversions).map_err(broken)?;
        if converted.changed.is_empty() && converted.refused.is_empty() {
            return Ok(Some(rows.clone()));
        }
        let mut out: BTreeMap<usize, &str> = converted.refused.into_iter().collect();
        for (place, conversion) in converted.changed {
            if self.desk.setup.options.strict {
                out.insert(place, conversion.strictly());
            } else {
                found.converted.push((conversion, rows.ids().value(place).to_owned()));
            }
        }
        for (place, row) in rows.rows().enumerate() {
            if let Some(why) = out.get(&place) {
                let error = Error::new(ErrorKind::RowRefused, *why).of_row(row.id);
                found.refusals.push(self.refusal(pair, row, error));
            }
        }
        let kept = converted.rows.kept((0..rows.len()).map(|place| !out.contains_key(&place)).collect());
        kept.map(|kept| (!kept.is_empty()).then_some(kept)).map_err(broken)
    }

    /// Applies the batch, or what is left of it without the rows the target refuses.
    async fn apply(
        &self,
        pair: &Pair,
        target: &dyn Collection,
        batch: ChangeBatch,
        mode: WriteMode,
        found: &mut Found,
    ) -> Result<()> {
        let (whole, rows) = (batch.clone(), batch.rows() - batch.deletes.len());
        let error = match self.attempt(pair, target, batch, mode).await {
            Err(error) if is_of_a_row(&error) && rows > 0 => error,
            applied => {
                found.missing.extend(applied?);
                return Ok(());
            }
        };
        let ChangeBatch { upserts, patches, deletes, .. } = whole;
        if deletes.is_empty() && patches.is_empty() {
            if let Some(rows) = upserts {
                self.halve(pair, target, rows, error, found).await?;
            }
            return Ok(());
        }
        // No id is in two of them, so they can go one after the other.
        if !deletes.is_empty() {
            let deletes = ChangeBatch { deletes, ..ChangeBatch::default() };
            self.attempt(pair, target, deletes, WriteMode::Upsert).await?;
        }
        if let Some(rows) = upserts {
            self.apply_rows(pair, target, rows, found).await?;
        }
        for patch in patches {
            let ids = patch.rows.ids().clone();
            let alone = ChangeBatch { patches: vec![patch], ..ChangeBatch::default() };
            match self.attempt(pair, target, alone, WriteMode::Upsert).await {
                Err(error) if is_of_a_row(&error) => {
                    // A part of a row cannot be kept for later: the rows are taken whole.
                    let ids: Vec<String> = ids.iter().flatten().map(str::to_owned).collect();
                    let rows = reread(pair, &ids).await.map_err(|error| self.at_source(pair, error))?;
                    if let Some(rows) = self.fit(pair, &rows, found)? {
                        self.apply_rows(pair, target, rows, found).await?;
                    }
                }
                applied => found.missing.extend(applied?),
            }
        }
        Ok(())
    }

    async fn apply_rows(&self, pair: &Pair, target: &dyn Collection, rows: RowBatch, found: &mut Found) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        match self.attempt(pair, target, ChangeBatch::upserts(rows.clone()), WriteMode::Upsert).await {
            Err(error) if is_of_a_row(&error) => self.halve(pair, target, rows, error, found).await,
            applied => applied.map(drop),
        }
    }

    /// Finds the rows a target refuses by halving the batch, and applies the others: rows may be there already from the
    /// attempt that failed, so nothing is appended. Stops early once more are found than may be set aside.
    async fn halve(
        &self,
        pair: &Pair,
        target: &dyn Collection,
        rows: RowBatch,
        error: Error,
        found: &mut Found,
    ) -> Result<()> {
        // Those that come first are looked at first, so that what is durable grows without gaps where it can.
        let mut suspected = vec![(rows, error)];
        while let Some((rows, error)) = suspected.pop() {
            if rows.len() == 1 {
                if let Some(row) = rows.rows().next() {
                    found.refusals.push(self.refusal(pair, row, error.of_row(row.id)));
                }
                if self.fresh(pair, &found.refusals) > self.room() {
                    found.stopped_early = true;
                    return Ok(());
                }
                continue;
            }
            let middle = rows.len() / 2;
            let (first, second) = (rows.slice(0, middle), rows.slice(middle, rows.len() - middle));
            let mut halves = Vec::new();
            for half in [first, second] {
                let attempt = ChangeBatch::upserts(half.clone());
                match self.attempt(pair, target, attempt, WriteMode::Upsert).await {
                    Err(error) if is_of_a_row(&error) => halves.push((half, error)),
                    applied => drop(applied?),
                }
            }
            suspected.extend(halves.into_iter().rev());
        }
        Ok(())
    }

    /// Applies a batch as it is; returns the rows it patches that are not there.
    async fn attempt(
        &self,
        pair: &Pair,
        target: &dyn Collection,
        batch: ChangeBatch,
        mode: WriteMode,
    ) -> Result<Vec<String>> {
        let applied = target.apply(batch, mode).await;
        self.desk.heartbeat.beat();
        let address = &self.desk.setup.target.address;
        applied
            .map(|applied| applied.missing)
            .map_err(|error| error.in_palace(address).in_collection(&pair.target_name))
    }

    fn refusal(&self, pair: &Pair, row: Row<'_>, error: Error) -> Refusal {
        let about = SetAside {
            collection: pair.name.clone(),
            id: row.id.to_owned(),
            reason: error.kind().name().to_owned(),
            detail: error.what(),
        };
        let error = error.in_palace(&self.desk.setup.target.address).in_collection(&pair.target_name);
        Refusal { letter: DeadLetter::of(row, about, now_ms()), error }
    }

    /// The refusals of rows of which only some fields were given, with the rows as the source has them now. One that is
    /// gone meanwhile is no longer refused.
    async fn whole(&self, pair: &Pair, refused: Vec<Refusal>) -> Result<Vec<Refusal>> {
        if refused.is_empty() {
            return Ok(refused);
        }
        let ids: Vec<String> = refused.iter().map(|refusal| refusal.letter.about.id.clone()).collect();
        let rows = reread(pair, &ids).await.map_err(|error| self.at_source(pair, error))?;
        let mut errors: BTreeMap<String, Error> =
            refused.into_iter().map(|refusal| (refusal.letter.about.id, refusal.error)).collect();
        let whole = rows.rows().filter_map(|row| Some(self.refusal(pair, row, errors.remove(row.id)?)));
        Ok(whole.collect())
    }

    /// Keeps refused rows in the journal, as far as that is allowed.
    async fn set_aside(&self, pair: &Pair, refusals: Vec<Refusal>) -> Result<()> {
        if refusals.is_empty() {
            return Ok(());
        }
        let (mut room, mut too_many, mut kept) = (self.room(), None, Vec::new());
        for Refusal { letter, error } in refusals {
            let is_known = self.is_known(pair, &letter.about.id);
            if !is_known && room == 0 {
                too_many = Some(error);
                break;
            }
            room -= u64::from(!is_known);
            kept.push(letter);
        }
        if !kept.is_empty() {
            let setup = &self.desk.setup;
            setup.journal.set_aside(&setup.id, self.epoch, &kept).await?;
            let about: Vec<SetAside> = kept.into_iter().map(|letter| letter.about).collect();
            let ids = about.iter().map(|about| about.id.clone());
            self.letters().entry(pair.name.clone()).or_default().extend(ids);
            self.desk.tell(News::SetAside(about));
        }
        too_many.map_or(Ok(()), Err)
    }

    async fn note_converted(&self, pair: &Pair, rows: &[(Conversion, String)]) -> Result<()> {
        if !rows.is_empty() {
            let setup = &self.desk.setup;
            setup.journal.note_converted(&setup.id, self.epoch, &pair.name, rows).await?;
            self.desk.tell(News::Converted(setup.journal.converted(&setup.id).await?));
        }
        Ok(())
    }

    /// Forgets dead letters whose rows have arrived or are gone.
    async fn release(&self, pair: &Pair, ids: &[String]) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let setup = &self.desk.setup;
        setup.journal.release(&setup.id, self.epoch, &pair.name, ids).await?;
        if let Some(known) = self.letters().get_mut(&pair.name) {
            known.retain(|id| !ids.contains(id));
        }
        self.desk.tell(News::Released { collection: pair.name.clone(), ids: ids.to_vec() });
        Ok(())
    }

    /// Forgets every dead letter of a collection: all its rows are gone.
    pub(super) async fn release_all(&self, pair: &Pair) -> Result<()> {
        let known = self.letters().get(&pair.name).cloned().unwrap_or_default();
        self.release(pair, &known.into_iter().collect::<Vec<_>>()).await
    }

    /// The dead letters whose rows a batch brings or removes.
    fn touched_letters(&self, pair: &Pair, batch: &ChangeBatch) -> Vec<String> {
        let mut touched = batch.upserts.as_ref().map_or_else(Vec::new, |rows| self.known_among(pair, rows));
        touched.extend(batch.deletes.iter().filter(|id| self.is_known(pair, id)).cloned());
        touched
    }

    fn known_among(&self, pair: &Pair, rows: &RowBatch) -> Vec<String> {
        let letters = self.letters();
        let Some(known) = letters.get(&pair.name).filter(|known| !known.is_empty()) else { return Vec::new() };
        rows.ids().iter().flatten().filter(|id| known.contains(*id)).map(str::to_owned).collect()
    }

    /// How many more rows may be set aside.
    fn room(&self) -> u64 {
        let kept: usize = self.letters().values().map(BTreeSet::len).sum();
        self.desk.setup.options.max_dead_letters.saturating_sub(kept as u64)
    }

    fn fresh(&self, pair: &Pair, refusals: &[Refusal]) -> u64 {
        refusals.iter().filter(|refusal| !self.is_known(pair, &refusal.letter.about.id)).count() as u64
    }

    fn is_known(&self, pair: &Pair, id: &str) -> bool {
        self.letters().get(&pair.name).is_some_and(|known| known.contains(id))
    }

    fn letters(&self) -> MutexGuard<'_, BTreeMap<String, BTreeSet<String>>> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at_source(&self, pair: &Pair, error: Error) -> Error {
        error.in_palace(&self.desk.setup.source.address).in_collection(&pair.name)
    }
}

/// Whether a batch failed for one of its rows.
fn is_of_a_row(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::RowRefused | ErrorKind::DimensionMismatch)
}

/// Gives dead letters the content the source's rows have.
fn unconvert(refusals: &mut [Refusal], rows: &RowBatch) {
    let source: BTreeMap<&str, Row<'_>> = rows.rows().map(|row| (row.id, row)).collect();
    for Refusal { letter, .. } in refusals {
        if let Some(row) = source.get(letter.about.id.as_str()) {
            *letter = DeadLetter::of(*row, letter.about.clone(), letter.at_ms);
        }
    }
}

/// The ids of which there is no row.
fn lacking(ids: &[String], there: &RowBatch) -> Vec<String> {
    let there: BTreeSet<&str> = there.ids().iter().flatten().collect();
    ids.iter().filter(|id| !there.contains(id.as_str())).cloned().collect()
}

/// The batch with whole rows in the place of patches, for a target that cannot be patched; rows that are gone by now are
/// left to the change that says so.
async fn whole(pair: &Pair, batch: ChangeBatch) -> Result<ChangeBatch> {
    if batch.patches.is_empty() {
        return Ok(batch);
    }
    let ids: Vec<String> =
        batch.patches.iter().flat_map(|patch| patch.rows.ids().iter().flatten().map(str::to_owned)).collect();
    let there = reread(pair, &ids).await?;
    let rows: Vec<RowBatch> = batch.upserts.into_iter().chain([there]).filter(|rows| !rows.is_empty()).collect();
    let upserts = if rows.is_empty() { None } else { Some(RowBatch::concat(&rows).map_err(broken)?) };
    Ok(ChangeBatch { upserts, patches: Vec::new(), ..batch })
}

/// Rows of the source by their ids, whole, as they are now.
async fn reread(pair: &Pair, ids: &[String]) -> Result<RowBatch> {
    let selection = Selection::ids(ids);
    let found = pair.source.get(&GetRequest { include: Include::ALL, ..GetRequest::of(selection) }).await?;
    let lists = RowLists {
        ids: found.ids,
        documents: Some(found.documents),
        metadatas: Some(found.metadatas),
        embeddings: found.embeddings,
    };
    lists.into_batch(pair.dimension)
}

fn broken(error: RowSchemaError) -> Error {
    Error::new(ErrorKind::Internal, "rows of the source").with_source(error)
}
