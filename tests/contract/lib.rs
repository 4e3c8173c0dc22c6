//! The contract suite: whether a storage backend keeps the contract (`palanquin_engine::contract`, RFC 001).
//!
//! # Running it on an adapter
//! Implement [`Store`] for a fresh piece of storage, and hand an expression that makes one to [`suite!`], in an
//! integration test of the adapter:
//!
//! ```no_run
//! use palanquin_contract::Store;
//! use palanquin_engine::contract::{Backend, PalaceRef};
//! use std::sync::Arc;
//!
//! # struct Directory; impl Directory { fn new() -> Self { Self } fn path(&self) -> &std::path::Path { todo!() } }
//! # fn adapter() -> Arc<dyn Backend> { todo!() }
//! struct Scratch(Directory);
//!
//! impl Store for Scratch {
//!     fn backend(&self) -> Arc<dyn Backend> {
//!         adapter()
//!     }
//!
//!     fn palace(&self, name: &str) -> PalaceRef {
//!         let directory: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
//!         PalaceRef { id: name.to_owned(), ..PalaceRef::local(self.0.path().join(directory)) }
//!     }
//! }
//!
//! palanquin_contract::suite!(Scratch(Directory::new()));
//! ```
//!
//! The expression is evaluated once per test, inside a multi-threaded Tokio runtime, so that it may `.await`; no two
//! tests share storage unless it says so. Each test becomes a `#[test]` of its own, named as a sentence below the name of
//! its area, and can be run alone: `cargo test filters::a_generated_filter_answers_like_the_reference`.
//!
//! # What is tested
//! [`TESTS`] lists every test with the § it is of. The backend is used as core uses it, through
//! [`enforce`](palanquin_engine::contract::enforce): a [`Store`] gives the bare adapter. What a backend does not
//! advertise is tested too, for being refused by name; nothing is skipped because a token is missing. What a store cannot
//! hold at all is said in [`Limits`]. Hooks of [`Store`] that have defaults let a test look at the storage by other means
//! than the adapter; without one the test that needs it says so on standard output and checks what it can.
//!
//! Random histories and filters come from seeds, which are printed; `PALANQUIN_SEED=n` repeats one.
//!
//! [`interpose`] puts something between the suite and a backend, which is how the suite is shown to be able to fail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on says so by a panic, and prints its seed"
)]

mod areas;
pub mod interpose;
mod rows;
mod store;
mod table;
mod world;

pub use store::{Limits, NulInText, Store};
pub use table::{TESTS, Test, run};
