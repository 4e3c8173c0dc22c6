//! Chroma's HTTP API: [`options`] says where and as whom, [`http`] carries one request and decides what is tried again,
//! [`api`] has a method for each endpoint that is used, [`answers`] what they send and answer, [`failure`] what a refusal
//! means.

mod answers;
mod api;
mod failure;
mod http;
mod options;
mod tls;

pub(crate) use answers::{Described, Record, Wanted};
pub(crate) use api::{Client, Database, MOST_IDS, Place, Write};
pub use options::{Credentials, ServerOptions};
