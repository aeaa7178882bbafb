//! The way of this program: through the use cases.

use std::sync::Arc;

use async_trait::async_trait;
use reprieve_application::use_cases::{CancelIdentityDeletionProcess, InitiateIdentityDeletionProcess};
use reprieve_application::{Caller, GracePeriodSettings};
use reprieve_persistence::Store;
use reprieve_system::SystemIds;

use crate::way::Way;

pub(crate) struct UseCases {
    initiate: InitiateIdentityDeletionProcess,
    cancel: CancelIdentityDeletionProcess,
}

impl UseCases {
    pub(crate) fn new(store: Store) -> Self {
        let (clock, store) = (store.clock(), Arc::new(store));
        let settings = GracePeriodSettings::from_days(14.0, 1.0, 365.0).unwrap();
        Self {
            initiate: InitiateIdentityDeletionProcess::new(
                store.clone(),
                clock.clone(),
                Arc::new(SystemIds),
                settings,
            ),
            cancel: CancelIdentityDeletionProcess::new(store, clock),
        }
    }
}

#[async_trait]
impl Way for UseCases {
    async fn initiate(&self, caller: &Caller) {
        self.initiate.execute(caller, None).await.unwrap();
    }

    async fn cancel(&self, caller: &Caller) {
        self.cancel.execute(caller).await.unwrap();
    }
}
