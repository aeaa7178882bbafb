//! One way to store steps, and what every way needs.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use reprieve_application::Caller;
use std::sync::Arc;

use reprieve_domain::Address;
use reprieve_domain::audit::AuditKey;
use reprieve_persistence::{Clocks, ConnectionOptions, Database, Store};
use reprieve_system::SystemClock;
use reprieve_tests::TestDatabase;

/// Initiates and cancels. Each way has a database of its own, so that all of them grow alike.
#[async_trait]
pub(crate) trait Way: Send + Sync {
    async fn initiate(&self, caller: &Caller);
    async fn cancel(&self, caller: &Caller);
}

/// A caller that nobody has been before.
pub(crate) fn new_caller() -> Caller {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    Caller {
        address: Address::for_public_key("localhost", &number.to_be_bytes()).unwrap(),
        device: "DVC0123456789abcdefg".parse().unwrap(),
    }
}

pub(crate) fn audit_key() -> AuditKey {
    AuditKey::new(b"0123456789abcdef0123456789abcdef").unwrap()
}

/// The store in this database, whose tables are made here.
pub(crate) async fn store(database: &TestDatabase, options: &ConnectionOptions) -> Store {
    let database = Database::connect(&database.url().parse().unwrap(), options).await.unwrap();
    database.migrate().await.unwrap();
    database
        .into_store(
            audit_key(),
            Clocks::compared(Arc::new(SystemClock), Clocks::TOLERANCE, Clocks::GREATEST_GAP),
        )
        .await
        .unwrap()
}
