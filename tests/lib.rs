//! What the end-to-end tests and benchmarks share: the program, real palaces and their dumps, rows read back.
//!
//! `tests/run` prepares all of it and says where it is in `PALANQUIN_TEST_*` variables.

mod dump;
mod program;
mod read_back;
mod scratch;

pub use dump::{DumpedRow, dump_of};
pub use program::{Finished, Program};
pub use read_back::{ReadRow, read_lance};
pub use scratch::{Scratch, copy_folder, files_below, fixture, old_chromadb, old_palaces, python};
