//! What the stored data answers: the Flux of `flux/`, bound to inputs.
//!
//! In: the name of a [`Script`] and values for its inputs. Out: Flux that can be run as it stands. The same files are what a person
//! pastes into InfluxDB, what `tagline query` runs, what `tagline setup` installs as tasks, and what the dashboards are made of. A [`Reader`]
//! runs one, and reads the answer into a [`Table`].
//!
//! *Never*: text from outside in a query in any other way than as a [`Literal`], which cannot end itself.

pub mod dashboards;
pub(crate) mod install;
pub mod library;
mod literal;
mod run;
mod script;
pub mod table;
#[cfg(test)]
mod tests;

pub use literal::{Kind, Literal};
pub use run::{AskError, Reader};
pub use script::{BindError, Input, Script};
pub use table::{Row, Table, Value};
