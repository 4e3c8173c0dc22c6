use super::files::SegmentFolder;
use std::io;
use std::path::Path;
use uuid::Uuid;

const DAY: u64 = 86_400;

/// A vector index that MemPalace set aside, in a folder called `<segment>.drift-YYYYmmdd-HHMMSS` or
/// `<segment>.corrupt-…`: the segment goes on with a new one, and the vectors of this one are in nobody's way and use.
#[derive(Clone, Debug)]
pub(crate) struct Quarantine {
    /// Name of its folder.
    pub(crate) name: String,
    /// The segment it was the index of.
    pub(crate) segment: Uuid,
    /// When it was set aside, as its name says it.
    pub(crate) stamp: String,
    /// Its files.
    pub(crate) folder: SegmentFolder,
}

impl Quarantine {
    /// When it was set aside, in seconds since the epoch; off by the time zone of the machine it was set aside on.
    pub(crate) fn made_at(&self) -> Option<u64> {
        seconds_of(&self.stamp)
    }

    /// Bytes of its files.
    pub(crate) fn bytes(&self) -> u64 {
        let files = std::fs::read_dir(self.folder.path()).into_iter().flatten().flatten();
        files.filter_map(|file| Some(file.metadata().ok()?.len())).sum()
    }
}

/// Every quarantine in a palace, the newest first.
pub(crate) fn quarantines(palace: &Path) -> io::Result<Vec<Quarantine>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(palace)?.flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let Some((segment, stamp)) = segment_of(&name) else { continue };
        let folder = SegmentFolder::at(entry.path());
        found.push(Quarantine { stamp: stamp.to_owned(), segment, folder, name: name.clone() });
    }
    found.sort_by(|one, other| (&other.stamp, &other.name).cmp(&(&one.stamp, &one.name)));
    Ok(found)
}

/// The segment a folder of that name was the index of, and the stamp of when it was set aside; `None` if it is no
/// quarantine's.
pub(super) fn segment_of(name: &str) -> Option<(Uuid, &str)> {
    let (segment, rest) = name.split_once('.')?;
    let stamp = rest.strip_prefix("drift-").or(rest.strip_prefix("corrupt-"))?;
    Some((Uuid::parse_str(segment).ok()?, stamp))
}

/// Seconds since the epoch of a `YYYYmmdd-HHMMSS`, which is in a time zone that nobody knows.
fn seconds_of(stamp: &str) -> Option<u64> {
    let (date, time) = stamp.get(..15)?.split_once('-')?;
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    let (year, month, day) = (number(date.get(..4)?)?, number(date.get(4..6)?)?, number(date.get(6..8)?)?);
    let (hour, minute, second) = (number(time.get(..2)?)?, number(time.get(2..4)?)?, number(time.get(4..6)?)?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days since the epoch, with years that begin in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    Some(days.checked_sub(719_468)? * DAY + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_that_are_named_after_a_segment_are_quarantines_and_the_newest_comes_first() {
        let palace = tempfile::tempdir().unwrap();
        let segment = Uuid::from_u128(7);
        for name in [
            format!("{segment}"),
            format!("{segment}.drift-20250101-000000"),
            format!("{segment}.corrupt-20260101-000000"),
            format!("{segment}.old-20260101-000000"),
            "notes.drift-20270101-000000".to_owned(),
        ] {
            std::fs::create_dir(palace.path().join(name)).unwrap();
        }
        let found = quarantines(palace.path()).unwrap();
        let stamps: Vec<&str> = found.iter().map(|one| one.stamp.as_str()).collect();
        assert_eq!(stamps, ["20260101-000000", "20250101-000000"]);
        assert!(found.iter().all(|one| one.segment == segment && one.folder.path().ends_with(&one.name)));
    }

    #[test]
    fn the_time_in_a_quarantines_name_is_read() {
        assert_eq!(seconds_of("19700101-000001"), Some(1));
        assert_eq!(seconds_of("20260301-120000"), Some(1_772_366_400));
        assert_eq!(seconds_of("20240229-000000.2"), Some(1_709_164_800));
        for stamp in ["", "20260301", "2026-301-120000", "20261301-120000", "+2026030-120000", "日本語日本"] {
            assert_eq!(seconds_of(stamp), None, "{stamp}");
        }
    }
}
