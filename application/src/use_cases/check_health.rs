//! Whether requests can be answered.

use std::sync::Arc;

use crate::StoreError;
use crate::ports::{Connections, StoreHealth};

/// Asks the store how it is.
pub struct CheckHealth {
    store: Arc<dyn StoreHealth>,
}

/// How the store is.
#[derive(Debug)]
pub struct Health {
    /// What is wrong with it, if anything.
    pub store: Result<(), StoreError>,
    /// Its connections.
    pub connections: Connections,
}

impl CheckHealth {
    /// With its port.
    #[must_use]
    pub fn new(store: Arc<dyn StoreHealth>) -> Self {
        Self { store }
    }

    /// How the store is; that it is not well is an answer, not an error.
    pub async fn execute(&self) -> Health {
        Health { store: self.store.check().await, connections: self.store.connections() }
    }

    /// The connections of the store, without asking it anything.
    #[must_use]
    pub fn connections(&self) -> Connections {
        self.store.connections()
    }
}
