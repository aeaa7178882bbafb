//! Opening what is there, and making nothing.

use std::sync::Arc;

use reprieve_application::use_cases::CheckDatabase;
use reprieve_application::{Area, ErrorCode, Finding};
use reprieve_cli::Failure;
use reprieve_domain::audit::AuditKey;
use reprieve_persistence::{Database, Store};
use reprieve_system::AuditKeyFile;

use super::{SLACK, too_slow};
use crate::configuration::{AuditKeySource, Configuration};
use crate::wiring::known_audit_key;

/// A question is asked after the other of one area, and areas side by side.
const CONNECTIONS: u32 = 4;

/// What could be opened.
#[derive(Default)]
pub(crate) struct Opened {
    /// What there is to say of the database and the audit key, which is all that a cancellation needs.
    pub(crate) findings: Vec<Finding>,
    /// The database, if it was reached.
    pub(crate) database: Option<Database>,
    /// What is stored, if the audit key is the right one.
    pub(crate) store: Option<Arc<Store>>,
    /// Nothing is stored yet.
    pub(crate) is_new: bool,
}

/// Opens what is there.
pub(crate) async fn open(configuration: &Configuration) -> Opened {
    let mut opened = Opened::default();
    match is_there(configuration) {
        Ok(true) => {}
        Ok(false) => {
            let message = format!("there is no database yet: {}", configuration.database);
            let remedy =
                "the first command creates it; if there was one, put it back or correct database.url";
            opened.findings.push(Finding::wrong(Area::Database, None, message, remedy).as_warning());
            opened.is_new = true;
        }
        Err(error) => {
            let message = format!("cannot use {}: {error}", configuration.database);
            let failure = Failure::new(ErrorCode::DatabaseUnavailable, message);
            opened.findings.push(Finding::failed(Area::Database, failure));
        }
    }
    if !opened.findings.is_empty() {
        opened.findings.extend(unused_key(configuration));
        return opened;
    }
    let options = configuration.connection_options(CONNECTIONS);
    let connected = in_time(configuration, Area::Database, async {
        Ok(Database::connect(&configuration.database, &options).await?)
    });
    let database = match connected.await {
        Ok(database) => database,
        Err(finding) => {
            opened.findings.push(finding);
            opened.findings.extend(unused_key(configuration));
            return opened;
        }
    };
    opened.database = Some(database.clone());
    let check = CheckDatabase::new(Arc::new(database.clone()));
    let checked = in_time(configuration, Area::Database, async { Ok(check.execute().await) }).await;
    let checked = checked.unwrap_or_else(|finding| finding);
    if checked.code == Some(ErrorCode::DatabaseNotMigrated) && configuration.database.file().is_some() {
        let message = "the database is not migrated to this version";
        let next = Finding::wrong(Area::Database, checked.code, message, "the next command migrates it");
        opened.findings.push(next.as_warning());
    } else {
        opened.findings.push(checked);
    }
    opened.look(configuration, database).await;
    opened
}

impl Opened {
    /// Looks into a database that is migrated; of any other it is known already what is wrong.
    async fn look(&mut self, configuration: &Configuration, database: Database) {
        let unreadable = self.findings.iter().any(|finding| {
            matches!(
                finding.code,
                Some(
                    ErrorCode::DatabaseNotMigrated
                        | ErrorCode::DatabaseNewer
                        | ErrorCode::DatabaseUnavailable
                )
            )
        });
        if unreadable {
            self.findings.extend(unused_key(configuration));
            return;
        }
        let looked = in_time(configuration, Area::AuditKey, async {
            let Some(key) = known(configuration, &database).await? else { return Ok(None) };
            Ok(Some(database.look(key, configuration.clocks.clone()).await?))
        });
        self.findings.push(match looked.await {
            Ok(Some(store)) => {
                self.store = Some(Arc::new(store));
                Finding::ok(Area::AuditKey, "it is the one that the database was written with")
            }
            Ok(None) => {
                self.is_new = true;
                Finding::ok(Area::AuditKey, "it is made by the first command")
            }
            Err(finding) => finding,
        });
    }
}

fn is_there(configuration: &Configuration) -> std::io::Result<bool> {
    let is_there = configuration.database.is_there()?;
    // Opening an empty file would make a database of it.
    let is_empty =
        |file: &std::path::Path| file.metadata().is_ok_and(|found| found.is_file() && found.len() == 0);
    Ok(is_there && !configuration.database.file().is_some_and(is_empty))
}

/// The key; none if the database has seen none and there is none yet.
async fn known(configuration: &Configuration, database: &Database) -> Result<Option<AuditKey>, Failure> {
    match &configuration.audit_key {
        AuditKeySource::Configured(key) => Ok(Some(key.clone())),
        AuditKeySource::File(file) => known_audit_key(database, &AuditKeyFile::new(file)).await,
    }
}

/// What can be said of the key without a database.
fn unused_key(configuration: &Configuration) -> Option<Finding> {
    match &configuration.audit_key {
        AuditKeySource::Configured(_) => None,
        AuditKeySource::File(file) => {
            AuditKeyFile::new(file).read().err().map(|error| Finding::failed(Area::AuditKey, error.into()))
        }
    }
}

async fn in_time<T>(
    configuration: &Configuration,
    area: Area,
    opening: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Finding> {
    let limit = configuration.timeout + SLACK;
    match tokio::time::timeout(limit, opening).await {
        Ok(Ok(opened)) => Ok(opened),
        Ok(Err(failure)) => Err(Finding::failed(area_of(area, &failure), failure)),
        Err(_) => Err(too_slow(area, limit)),
    }
}

/// A database that fails while the key is compared is no fault of the key.
fn area_of(area: Area, failure: &Failure) -> Area {
    match failure.code {
        ErrorCode::AuditKeyMismatch | ErrorCode::AuditKeyUnusable => Area::AuditKey,
        _ if area == Area::AuditKey => Area::Database,
        _ => area,
    }
}
