//! What a user gives Palanquin to work with: the configuration file, addresses of palaces, the state directory, limits.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod address;
mod byte_size;
mod chroma_address;
mod configuration;
mod interval;
mod postgres_address;
mod state_directory;

pub use address::{Address, AddressError, Place};
pub use byte_size::{ByteSize, ByteSizeError};
pub use chroma_address::ChromaAddress;
pub use configuration::{Configuration, ConfigurationError, Embedder, Found, Given, PalaceEntry};
pub use interval::{Interval, IntervalError};
pub use state_directory::{NoStateDirectory, state_directory};
