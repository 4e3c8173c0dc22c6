//! The contract's side: [`backend`] opens a directory into an [`open`] palace, which hands out [`collection`]s; [`health`] and
//! [`maintenance`] tell its condition by its [`figures`], [`preflight`] whether it is fit to be read. Everything that touches a disk runs through [`blocking`].

mod backend;
mod blocking;
mod collection;
mod counts;
mod figures;
mod health;
mod maintenance;
mod open;
mod preflight;

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod cost;
#[cfg(test)]
mod filters;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod interrupted;
#[cfg(test)]
mod sick;

pub use backend::ChromaBackend;
