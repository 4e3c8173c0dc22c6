//! The memory allocator of Palanquin's binaries: mimalloc, told to give memory back.
//!
//! A copy allocates and frees blocks of many megabytes on many threads. The C library's allocator keeps most of what was
//! freed, mimalloc by its defaults keeps it for seconds; both then peak at a multiple of what is in use.

use libmimalloc_sys::{mi_option_get, mi_option_set, mi_option_t};
use mimalloc::MiMalloc;
use std::ffi::c_long;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// `mi_option_purge_delay` of mimalloc 3: milliseconds until freed pages are given back. The bindings leave it out; its
/// neighbours 14 and 16 are in them.
const PURGE_DELAY: mi_option_t = 15;

/// Gives freed pages back to the system at once, from now on. Costs a copy some percent of its speed and takes about a
/// third off its peak. `MIMALLOC_PURGE_DELAY` in the environment wins.
///
/// Huge pages are not used from now on (`MIMALLOC_ALLOW_THP=1` leaves them): mimalloc asks for them, and one is given back
/// only when all of its two megabytes are free. A mirror of 2 000 changes a second, with some ten megabytes in use, had
/// 2 134 MiB after a minute with them.
pub fn give_memory_back_at_once() {
    if std::env::var_os("MIMALLOC_ALLOW_THP").is_none() {
        use_no_huge_pages();
    }
    if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
        set_purge_delay(0);
    }
}

#[allow(unsafe_code, reason = "the bindings are plain C; the option is a number, and any number is a delay")]
fn set_purge_delay(millis: c_long) {
    // SAFETY: the call writes one integer of mimalloc's own option table, whose bounds it checks.
    unsafe { mi_option_set(PURGE_DELAY, millis) }
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "the safe wrappers come with features that recompile half of the dependencies")]
fn use_no_huge_pages() {
    // SAFETY: the call takes numbers alone and sets a flag of this process. Without it memory is only used less well.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1_u64, 0_u64, 0_u64, 0_u64) };
}

#[cfg(not(target_os = "linux"))]
fn use_no_huge_pages() {}

/// The delay in force, in milliseconds.
#[allow(unsafe_code, reason = "as above")]
pub fn purge_delay() -> c_long {
    // SAFETY: the call reads one integer of mimalloc's own option table, whose bounds it checks.
    unsafe { mi_option_get(PURGE_DELAY) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_the_one_it_is_taken_for() {
        // No other option has this default: another number here means that the table has moved.
        assert_eq!(purge_delay(), 1000);
        give_memory_back_at_once();
        assert_eq!(purge_delay(), 0);
    }
}
