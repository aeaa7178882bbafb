//! A store that tells of which trace each step is a part.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use reprieve_application::ports::{Alongside, Clock, Decided, Identities, Loaded, Version};
use reprieve_application::use_cases::{CancelIdentityDeletionProcess, InitiateIdentityDeletionProcess};
use reprieve_application::{GracePeriodSettings, StoreError, TraceContext};
use reprieve_domain::audit::DoubtedProcess;
use reprieve_domain::{Address, Identity, Step};
use reprieve_persistence::Store;
use reprieve_system::SystemIds;

use super::{Deployment, Server};

/// Notes it and does what the store does.
pub(crate) struct Noting {
    store: Store,
    noted: Mutex<Vec<Option<TraceContext>>>,
}

#[async_trait]
impl Identities for Noting {
    async fn load(&self, address: &Address) -> Result<Loaded<Identity>, StoreError> {
        self.store.load(address).await
    }

    async fn load_doubted(&self, address: &Address) -> Result<Option<DoubtedProcess>, StoreError> {
        self.store.load_doubted(address).await
    }

    async fn save<'a>(
        &self,
        step: &Step,
        version: Version,
        alongside: Alongside<'a>,
    ) -> Result<(), StoreError> {
        self.noted.lock().unwrap().push(TraceContext::current());
        self.store.save(step, version, alongside).await
    }

    async fn save_all(&self, steps: &[Decided]) -> Result<Vec<Result<bool, StoreError>>, StoreError> {
        self.store.save_all(steps).await
    }
}

impl Noting {
    pub(crate) async fn behind_a_service(deployment: &Deployment) -> (Arc<Self>, Server) {
        let noting = Arc::new(Self { store: deployment.store.clone(), noted: Mutex::default() });
        let clock: Arc<dyn Clock> = deployment.clock.clone();
        let grace_period = GracePeriodSettings::from_days(14.0, 1.0, 365.0).unwrap();
        let server = deployment.start_changed(|use_cases| {
            let (store, ids) = (noting.clone(), Arc::new(SystemIds));
            use_cases.initiate =
                InitiateIdentityDeletionProcess::new(store, clock.clone(), ids, grace_period);
            use_cases.cancelling.cancel = CancelIdentityDeletionProcess::new(noting.clone(), clock.clone());
        });
        let server = server.await;
        (noting, server)
    }

    /// The traces of all steps since this was last asked.
    pub(crate) fn all_noted(&self) -> Vec<Option<TraceContext>> {
        std::mem::take(&mut *self.noted.lock().unwrap())
    }

    /// The trace of the one step since this was last asked.
    pub(crate) fn noted(&self) -> Option<TraceContext> {
        let mut noted = self.all_noted();
        assert_eq!(noted.len(), 1, "{noted:?}");
        noted.remove(0)
    }
}
