//! The memory allocator of Palanquin's binaries: the C library's, told to give memory back.
//!
//! A copy allocates and frees blocks of many megabytes on many threads, a mirror of a busy palace some hundred buffers a
//! second. By its defaults glibc keeps most of what was freed. mimalloc, which was here before, gives large blocks back and
//! loses the gaps between small ones: a mirror of 2 000 changes a second went from 250 to 465 MiB within a minute, and stays
//! at 150 with this (`docs/benchmarks.md`).

/// Gives freed memory back to the system, from now on: to be called before there are threads. What the environment says of
/// it (`MALLOC_ARENA_MAX`, `MALLOC_MMAP_THRESHOLD_`, `MALLOC_TRIM_THRESHOLD_`) wins. Does nothing where the C library is not
/// glibc.
///
/// Huge pages are not used from now on: one is given back only when all of its two megabytes are free.
pub fn give_memory_back() {
    system::use_no_huge_pages();
    system::give_memory_back();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod system {
    use std::ffi::c_int;

    /// Blocks of so many bytes and more are mappings of their own, which are gone when they are freed. With half a megabyte a
    /// copy of 500 000 rows peaked 30 MiB higher, and was a tenth faster at most.
    const OWN_MAPPING: c_int = 256 << 10;
    /// So many free bytes at the end of a heap are given back.
    const TRIM: c_int = 256 << 10;
    /// Heaps that threads share: each has gaps of its own. Four were no faster on two cores, one was slower.
    const HEAPS: c_int = 2;

    pub(super) fn give_memory_back() {
        for (variable, option, value) in [
            ("MALLOC_ARENA_MAX", libc::M_ARENA_MAX, HEAPS),
            ("MALLOC_MMAP_THRESHOLD_", libc::M_MMAP_THRESHOLD, OWN_MAPPING),
            ("MALLOC_TRIM_THRESHOLD_", libc::M_TRIM_THRESHOLD, TRIM),
        ] {
            if std::env::var_os(variable).is_none() {
                set(option, value);
            }
        }
    }

    #[allow(unsafe_code, reason = "the options of the C library's allocator have no safe setter")]
    fn set(option: c_int, value: c_int) {
        // SAFETY: the call takes two numbers and changes how memory is got and given back, never what is in it.
        unsafe { libc::mallopt(option, value) };
    }

    #[allow(unsafe_code, reason = "the safe wrappers come with features that recompile half of the dependencies")]
    pub(super) fn use_no_huge_pages() {
        // SAFETY: the call takes numbers alone and sets a flag of this process. Without it memory is only used less well.
        unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1_u64, 0_u64, 0_u64, 0_u64) };
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
mod system {
    pub(super) fn give_memory_back() {}

    pub(super) fn use_no_huge_pages() {}
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::give_memory_back;

    const BLOCK: usize = 512 << 10;
    const BLOCKS: usize = 200;

    /// Memory of this process that is not file pages, in bytes.
    fn resident() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        line.and_then(|text| text.trim().trim_end_matches(" kB").parse::<usize>().ok()).map_or(0, |kib| kib << 10)
    }

    fn filled(bytes: usize) -> Vec<u8> {
        std::hint::black_box(vec![1; bytes])
    }

    #[test]
    fn what_is_freed_is_given_back_whatever_lies_behind_it() {
        give_memory_back();
        // By its defaults the allocator takes the size of the first large block it frees for one that is usual.
        drop(filled(16 << 20));
        let before = resident();
        assert!(before > 0, "the system does not tell");
        let mut blocks: Vec<Vec<u8>> = (0..BLOCKS).map(|_| filled(BLOCK)).collect();
        assert!(resident() >= before + BLOCKS * BLOCK / 10 * 9);
        let last = blocks.pop();
        drop(blocks);
        let kept = resident().saturating_sub(before);
        assert!(kept < 8 * BLOCK, "{kept} bytes are kept");
        drop(last);
    }
}
