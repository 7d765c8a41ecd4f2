//! Fuzz targets: what must hold for whatever bytes a stranger sends.
//!
//! *Comes in*: any bytes. *Goes out*: whether they were taken (inflated, read, proven); a panic when a promise is broken. *Never*: a socket, a file, or
//! a promise that amounts to "it does not crash": each target holds what came out against a second, naive reading of what went in.
//!
//! Compiled for tests, which replay the corpus in `fuzz/corpus/`, and for `fuzz/`, which looks for more (`make fuzz`). A target that needs what a
//! room keeps to itself stands in that room.

mod decode;
mod gateway;
mod ingest;
mod naive;
#[cfg(test)]
mod tests;
mod token;

pub use crate::auth::fuzz::jwks;
pub use crate::deliver::fuzz::refusal;
pub use crate::http::fuzz::{headers, inflate};
pub use crate::spool::fuzz::log;
pub use decode::decode;
pub(crate) use gateway::{COOKIE, GLOBEX, Gateway, KEYS, NOW, PROXY_SECRET};
pub use ingest::ingest;
pub(crate) use naive::{has_duplicates, is_tenant_id, origin};
pub use token::token;

/// Whether the input got past what the target is about.
pub type Target = fn(&[u8]) -> bool;

/// All targets, by the names of their corpora and of their binaries in `fuzz/`.
pub const TARGETS: [(&str, Target); 8] = [
    ("decode", decode),
    ("headers", headers),
    ("inflate", inflate),
    ("ingest", ingest),
    ("jwks", jwks),
    ("log", log),
    ("refusal", refusal),
    ("token", token),
];
