//! What would be erased, without erasing it.

use reprieve_domain::{Address, EraserName};

use crate::Erasers;
use crate::ports::ErasePlan;

/// Asks every eraser in force what it would erase.
pub struct PlanErasure {
    erasers: Erasers,
}

impl PlanErasure {
    /// For these erasers.
    #[must_use]
    pub fn new(erasers: Erasers) -> Self {
        Self { erasers }
    }

    /// What each eraser says, by name. Nothing is changed anywhere.
    pub async fn execute(&self, address: &Address) -> Vec<(EraserName, ErasePlan)> {
        let asked =
            self.erasers.iter().map(|(name, eraser)| async { (name.clone(), eraser.plan(address).await) });
        futures_util::future::join_all(asked).await
    }
}
