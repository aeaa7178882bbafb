//! Whether requests can be answered.

use std::sync::Arc;

use crate::StoreError;
use crate::ports::{Connections, DeletionsSwitch, Pause, StoreHealth};

/// Asks the store how it is.
pub struct CheckHealth {
    store: Arc<dyn StoreHealth>,
    switch: Arc<dyn DeletionsSwitch>,
}

/// How the store is.
#[derive(Debug)]
pub struct Health {
    /// What is wrong with it, if anything.
    pub store: Result<(), StoreError>,
    /// Its connections.
    pub connections: Connections,
    /// The pause of deletions that is in force; none also if that cannot be found out. Requests are answered all the same.
    pub pause: Option<Pause>,
}

impl CheckHealth {
    /// With its ports.
    #[must_use]
    pub fn new(store: Arc<dyn StoreHealth>, switch: Arc<dyn DeletionsSwitch>) -> Self {
        Self { store, switch }
    }

    /// How the store is; that it is not well is an answer, not an error.
    pub async fn execute(&self) -> Health {
        let store = self.store.check().await;
        let pause = if store.is_ok() { self.pause().await.unwrap_or_default() } else { None };
        Health { store, connections: self.store.connections(), pause }
    }

    /// The pause of deletions that is in force.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn pause(&self) -> Result<Option<Pause>, StoreError> {
        self.switch.pause_in_force().await.inspect_err(|error| {
            tracing::warn!(
                error = error as &dyn std::error::Error,
                "it is not known whether deletions are paused"
            );
        })
    }

    /// The connections of the store, without asking it anything.
    #[must_use]
    pub fn connections(&self) -> Connections {
        self.store.connections()
    }
}
