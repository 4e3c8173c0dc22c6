//! The program as a user runs it, on palaces the real MemPalace made. One binary, so that the stores are linked once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

mod bad_input;
mod chroma_feed;
mod chroma_filters;
mod chroma_freeze;
mod demo;
mod faults;
mod inspect;
mod kill;
mod live_writer;
mod mirror;
mod output;
mod plan;
mod postgres;
mod postgres_feed;
mod real_palace;
mod reference;
mod terminal;
