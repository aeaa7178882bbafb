//! Whether a cancellation could be stored.

use std::sync::Arc;

use crate::ports::StoreHealth;
use crate::{Area, Finding};

/// Checks that the database is reached, migrated to this version, and can be written to.
pub struct CheckDatabase {
    store: Arc<dyn StoreHealth>,
}

impl CheckDatabase {
    /// With its port.
    #[must_use]
    pub fn new(store: Arc<dyn StoreHealth>) -> Self {
        Self { store }
    }

    /// What was found.
    pub async fn execute(&self) -> Finding {
        match self.store.check().await {
            Ok(()) => Finding::ok(Area::Database, "it is reached, migrated and can be written to"),
            Err(error) => Finding::failed(Area::Database, error.into()),
        }
    }
}
