//! The contract's side: [`backend`] opens a directory into an [`open`] palace, which hands out [`collection`]s; [`health`] and
//! [`maintenance`] tell its condition by its [`figures`]. Everything that touches a disk runs through [`blocking`].

mod backend;
mod blocking;
mod collection;
mod figures;
mod health;
mod maintenance;
mod open;

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod filters;
#[cfg(test)]
mod fuzz;

pub use backend::ChromaBackend;
