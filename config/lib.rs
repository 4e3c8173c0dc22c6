//! What a user gives Palanquin to work with: addresses of palaces, the state directory, limits.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod address;
mod byte_size;
mod chroma_address;
mod postgres_address;
mod state_directory;

pub use address::{Address, AddressError, Place};
pub use byte_size::{ByteSize, ByteSizeError};
pub use chroma_address::ChromaAddress;
pub use state_directory::{NoStateDirectory, state_directory};
