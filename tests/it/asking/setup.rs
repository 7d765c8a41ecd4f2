//! `tagline setup` and `tagline rollup`, on a real InfluxDB: what they make, what they find changed, and what they leave alone.

mod errors;
mod first;
mod hand;
mod organisation;
mod past;
mod settings;

use organisation::Organisation;
