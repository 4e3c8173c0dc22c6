//! The engine's comparison of palaces, on palaces in memory that are damaged and changed in every way there is.
//!
//! Random ones come from seeds, which are printed; `PALANQUIN_SEED=n` repeats one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

mod changing;
mod damage;
mod found;
mod world;
