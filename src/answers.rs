//! What the stored data answers: the Flux of `flux/`, bound to inputs.
//!
//! In: the name of a [`Script`] and values for its inputs. Out: Flux that can be run as it stands. The same files are what a person
//! pastes into InfluxDB, what `tagline query` runs, what `tagline setup` installs as tasks, and what the dashboards are made of.
//!
//! *Never*: text from outside in a query in any other way than as a [`Literal`], which cannot end itself.

pub mod dashboards;
pub mod library;
mod literal;
mod script;
#[cfg(test)]
mod tests;

pub use literal::{Kind, Literal};
pub use script::{BindError, Input, Script};
