//! How many series a tenant makes.

use crate::config::Limits;

/// One tenant's budget of series on this replica.
#[derive(Debug)]
pub struct SeriesBudget {}

impl SeriesBudget {
    /// A budget of these limits, nothing of it used.
    pub fn new(_limits: &Limits) -> Self {
        Self {}
    }
}
