//! The commands: arguments in, an exit code out.
//!
//! Exit codes: 0 done, 1 it could not be done (the reason on stderr), 2 the arguments or the settings are wrong. *Never*: a stack trace.

pub mod replay;
pub mod setup;

use std::fmt;

/// Why a command ends with another code than 0.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// Exit code 1: it could not be done; what, where, and what to do.
    Failed(String),
    /// Exit code 2: the arguments or the settings are wrong.
    Misuse(String),
}

impl Failure {
    /// The process's exit code.
    pub fn code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Misuse(_) => 2,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(message) | Self::Misuse(message) => f.write_str(message),
        }
    }
}
