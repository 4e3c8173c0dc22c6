//! The program as a user runs it, on palaces the real MemPalace made. One binary, so that the stores are linked once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

mod bad_input;
mod chroma_feed;
mod chroma_filters;
mod chroma_flush;
mod chroma_freeze;
mod chroma_restarts;
mod chroma_server;
mod chroma_settings;
mod chroma_tls;
mod configuration;
mod dead_letters;
mod demo;
mod faults;
mod gate;
mod inspect;
mod kill;
mod live_writer;
mod mirror;
mod output;
mod overwrite;
mod pairs;
mod plan;
mod postgres;
mod postgres_feed;
mod postgres_targets;
mod real_palace;
mod receipt;
mod reference;
mod replaced;
mod scan;
mod sick;
mod terminal;
mod verify;
