//! A database with everything that instances of the service share.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reprieve_application::ports::{Alongside, DeletionProcesses as _, Identities as _};
use reprieve_application::use_cases::{ProvideOwnIdentity, RipeProcess, StartIdentityDeletion};
use reprieve_domain::audit::AuditKey;
use reprieve_domain::{DeletionProcess, Identity, Step, Timestamp};
use reprieve_http::authentication::{
    ApiKey, ApiKeyDigest, AuthenticationSettings, Scope, SelfSignedSettings,
};
use reprieve_http::{Metrics, Settings, UseCases};
use reprieve_persistence::{Clocks, ConnectionOptions, Database, Store};
use reprieve_system::SystemIds;
use reprieve_tests::TestDatabase;

use super::clock::{DAY, TestClock, after};
use super::{AUDIENCE, Person, Server};

pub(crate) const CORE_KEY: &str = "a key for the own identity";
pub(crate) const ADMIN_KEY: &str = "a key for all identities, for reading";
/// Expires 400 days after the start.
pub(crate) const EXPIRED_KEY: &str = "a key that was good once";

pub(crate) struct Deployment {
    database: TestDatabase,
    pub(crate) clock: Arc<TestClock>,
    /// The identity that the Connector's routes act for.
    pub(crate) own: Person,
    /// A way to the database that does not lead through the service.
    pub(crate) store: Store,
}

impl Deployment {
    pub(crate) async fn sqlite() -> Self {
        Self::on(TestDatabase::sqlite()).await
    }

    pub(crate) async fn postgres() -> Self {
        Self::on(TestDatabase::postgres().await).await
    }

    async fn on(database: TestDatabase) -> Self {
        let connection = connect(&database).await;
        connection.migrate().await.unwrap();
        let store = connection.into_store(audit_key(), clocks()).await.unwrap();
        let domain = "localhost".to_owned();
        let identity = ProvideOwnIdentity::new(Arc::new(store.clone()), Arc::new(SystemIds), domain);
        let own = Person::own(&identity.execute().await.unwrap());
        Self { database, clock: Arc::new(TestClock::new()), own, store }
    }

    /// An instance of the service.
    pub(crate) async fn start(&self) -> Server {
        self.start_with(settings()).await
    }

    pub(crate) async fn start_with(&self, settings: Settings) -> Server {
        self.start_at(|_| settings).await
    }

    /// With settings that depend on the address.
    pub(crate) async fn start_at(&self, settings: impl FnOnce(SocketAddr) -> Settings) -> Server {
        let store = connect(&self.database).await.into_store(audit_key(), clocks()).await.unwrap();
        Server::start(self, store, authentication(), settings, |_| {}).await
    }

    /// With some use cases of the test's own.
    pub(crate) async fn start_changed(&self, change: impl FnOnce(&mut UseCases)) -> Server {
        let store = connect(&self.database).await.into_store(audit_key(), clocks()).await.unwrap();
        Server::start(self, store, authentication(), |_| self::settings(), change).await
    }

    /// Keeps everybody else from writing until it is dropped.
    pub(crate) async fn lock(&self) -> super::sql::Lock {
        super::sql::Lock::take(self.database.url()).await
    }

    /// Changes the tables behind the service's back.
    pub(crate) async fn run_sql(&self, sql: &str) {
        super::sql::run(self.database.url(), sql).await;
    }

    /// How many rows there are in a table.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        super::sql::count(self.database.url(), table).await
    }

    /// Takes the database away, connections and all.
    pub(crate) async fn drop_database(&self) {
        super::sql::drop_database(self.database.url()).await;
    }

    /// Every process of this identity as it is stored, oldest first.
    pub(crate) async fn stored(&self, person: &Person) -> Vec<DeletionProcess> {
        self.store.list(&person.address).await.unwrap()
    }

    /// Takes a step of the identity's open process without asking the service.
    pub(crate) async fn step(
        &self,
        person: &Person,
        decide: impl FnOnce(&Identity, &DeletionProcess) -> Step,
    ) {
        let loaded = self.store.load(&person.address).await.unwrap();
        let step = decide(&loaded.value, loaded.value.open_process().unwrap());
        self.store.save(&step, loaded.version, Alongside::Nothing).await.unwrap();
    }

    /// What happens once the grace period is over: Active → Deleting.
    pub(crate) async fn start_deletion(&self, person: &Person) {
        let process = self.stored(person).await.pop().unwrap();
        let ripe = RipeProcess { address: person.address.clone(), process_id: process.id().clone() };
        let store = Arc::new(self.store.clone());
        let use_case = StartIdentityDeletion::new(store.clone(), store, self.clock.clone());
        use_case.execute(&ripe, &BTreeSet::from(["files".parse().unwrap()])).await.unwrap();
    }
}

/// Limits that no test meets by accident.
pub(crate) fn settings() -> Settings {
    Settings {
        requests_per_second: NonZeroU32::MAX,
        burst: NonZeroU32::MAX,
        initiations_per_minute: NonZeroU32::MAX,
        initiations_at_once: NonZeroU32::MAX,
        request_timeout: Duration::from_mins(2),
        header_timeout: Duration::from_mins(2),
        ..Settings::default()
    }
}

/// Measuring begins once a process.
pub(crate) fn metrics() -> Metrics {
    static METRICS: OnceLock<Metrics> = OnceLock::new();
    METRICS.get_or_init(|| Metrics::install().unwrap()).clone()
}

fn authentication() -> AuthenticationSettings {
    let key = |name: &str, key, scopes: &[Scope], expires_at| ApiKey {
        name: name.to_owned(),
        digest: ApiKeyDigest::of(key),
        scopes: scopes.iter().copied().collect(),
        expires_at,
    };
    AuthenticationSettings {
        self_signed: Some(SelfSignedSettings { audiences: vec![AUDIENCE.to_owned()] }),
        api_keys: vec![
            key("core", CORE_KEY, &[Scope::Core], None),
            key("admin", ADMIN_KEY, &[Scope::Admin], None),
            key("expired", EXPIRED_KEY, &[Scope::Core, Scope::Admin], Some(after(-DAY))),
        ],
        ..AuthenticationSettings::default()
    }
}

/// Few connections, because many tests share one server; and more patience than the slowest machine needs.
async fn connect(database: &TestDatabase) -> Database {
    let options = ConnectionOptions {
        max_connections: 4,
        acquire_timeout: Duration::from_mins(1),
        ..ConnectionOptions::default()
    };
    Database::connect(&database.url().parse().unwrap(), &options).await.unwrap()
}

/// Each step says when it is taken.
fn clocks() -> Clocks {
    Clocks::believed(Arc::new(Timestamp::from_unix_micros(0).unwrap()))
}

fn audit_key() -> AuditKey {
    AuditKey::new(&(0..32).collect::<Vec<u8>>()).unwrap()
}
