use super::{finding, size};
use crate::catalog::Entry;
use crate::palace::figures::{Figures, REACHABLE, WithoutVector};
use palanquin_engine::contract::{Finding, Severity};

/// Chroma's `link_lists.bin` outgrowing its vectors this often is the known runaway growth; MemPalace's own bound.
const LINK_LISTS_RATIO: u64 = 10;
/// Link lists of this size are none, whatever the vectors.
const LINK_LISTS_ABSURD: u64 = 100 << 30;

/// What the figures of a collection tell.
pub(super) fn findings(entry: &Entry, figures: &Figures) -> Vec<Finding> {
    let found = [
        id_map_missing(entry, figures),
        without_vector(entry, figures),
        capped(entry, figures),
        link_lists(entry, figures),
        stranded(entry, figures),
    ];
    found.into_iter().flatten().collect()
}

fn id_map_missing(entry: &Entry, figures: &Figures) -> Option<Finding> {
    if figures.has_id_map || figures.vector.is_none() || figures.rows == 0 {
        return None;
    }
    let lost = if figures.folder.path().is_dir() { "its id map is missing" } else { "its folder is missing" };
    let name = &entry.name;
    if figures.without_vector == WithoutVector::Exactly(0) {
        let summary = format!(
            "{name}: the vector index was written and {lost}; the log still has the vectors of all {} rows",
            figures.rows
        );
        return Some(finding(Severity::Warning, "index_missing", summary));
    }
    let summary = format!(
        "{name}: the vector index was written and {lost}; of {} rows the log has {} vectors at most",
        figures.rows, figures.queued_vectors
    );
    Some(finding(Severity::Error, "index_missing", summary))
}

fn without_vector(entry: &Entry, figures: &Figures) -> Option<Finding> {
    let (count, how) = match figures.without_vector {
        WithoutVector::Exactly(count) => (count, ""),
        WithoutVector::AtLeast(count) => (count, "at least "),
        WithoutVector::Unknown => return None,
    };
    let summary = format!(
        "{}: {how}{count} of {} rows have a vector neither in the index ({} elements) nor in the log ({} vectors): \
         searches do not find them, and they are copied without one",
        entry.name,
        figures.rows,
        figures.elements(),
        figures.queued_vectors
    );
    let found = finding(Severity::Error, "rows_without_vector", summary);
    (count > 0).then(|| Finding { rows: figures.lacking.clone(), ..found })
}

/// An index that is full and was not enlarged.
fn capped(entry: &Entry, figures: &Figures) -> Option<Finding> {
    let header = figures.header.filter(|_| figures.settled && figures.has_id_map)?;
    let missing = figures.rows.saturating_sub(u64::from(header.elements) + figures.queued_vectors);
    let full = u64::from(header.elements) >= header.max_elements && figures.rows > header.max_elements;
    let summary = format!(
        "{}: the vector index has room for {} elements, all taken, and there are {} rows",
        entry.name, header.max_elements, figures.rows
    );
    (full && missing > 0).then(|| finding(Severity::Error, "index_capped", summary))
}

fn link_lists(entry: &Entry, figures: &Figures) -> Option<Finding> {
    let name = &entry.name;
    if figures.link_lists.is_none() && figures.settled && figures.elements() > 0 {
        let summary = format!(
            "{name}: link_lists.bin is missing and the index has {} elements: Chroma cannot open it, and its vectors are \
             read here all the same",
            figures.elements()
        );
        return Some(finding(Severity::Error, "link_lists_missing", summary));
    }
    let ((links, space), data) = figures.link_lists.zip(figures.data)?;
    if links == 0 && figures.settled && figures.elements() > 0 {
        let summary = format!(
            "{name}: link_lists.bin is empty and the index has {} elements: Chroma crashes when it opens it, and its \
             vectors are read here all the same",
            figures.elements()
        );
        return Some(finding(Severity::Error, "link_lists_empty", summary));
    }
    let times = links / data.max(1);
    let summary = format!(
        "{name}: link_lists.bin is {} long ({} on the disk), {times} times as long as the vectors' {}: Chroma has lost \
         control of it and may crash or fill the disk",
        size(links),
        size(space),
        size(data)
    );
    let runaway = links > data.saturating_mul(LINK_LISTS_RATIO) || links > LINK_LISTS_ABSURD;
    runaway.then(|| finding(Severity::Warning, "link_lists_runaway", summary))
}

/// Whether what waits in the log will ever reach the index.
fn stranded(entry: &Entry, figures: &Figures) -> Option<Finding> {
    let (name, queued, threshold) = (&entry.name, figures.queued, entry.sync_threshold);
    if queued > threshold.saturating_mul(2).saturating_add(1000) {
        let summary = format!(
            "{name}: {queued} operations wait in the log though the index is written every {threshold}: it is no longer \
             kept up, and each start of MemPalace replays them"
        );
        return Some(finding(Severity::Warning, "queue_overdue", summary));
    }
    if queued == 0 || queued >= threshold || (figures.has_id_map && threshold <= REACHABLE) {
        return None;
    }
    let unreachable = threshold > REACHABLE;
    let summary = format!(
        "{name}: {queued} operations wait in the log until {threshold} have come: until then their vectors are in the \
         log alone{}",
        if unreachable { ", which may be for ever" } else { "" }
    );
    let severity = if unreachable { Severity::Warning } else { Severity::Info };
    Some(finding(severity, "queue_stranded", summary))
}
