//! The store: a migrated database together with the deployment's audit key.

use reprieve_domain::audit::AuditKey;
use sea_orm::sea_query::OnConflict;
use sea_orm::{DatabaseConnection, EntityTrait, Set};

use crate::entities::deployment;
use crate::error::store_error;
use crate::{Database, DatabaseError};

/// Implements the application's ports on a migrated database. Cheap to clone: the clones share their connections.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) writer: DatabaseConnection,
    pub(crate) reader: DatabaseConnection,
    pub(crate) audit_key: AuditKey,
    /// Whether the two above are the same, as they are on PostgreSQL.
    pub(crate) shares_one_pool: bool,
}

/// The row of the table `deployment` that tells which audit key the database was written with.
const FINGERPRINT: &str = "audit_key_fingerprint";

impl Store {
    pub(crate) async fn open(database: Database, audit_key: AuditKey) -> Result<Self, DatabaseError> {
        let Database { writer, reader, shares_one_pool } = database;
        let fingerprint = audit_key.fingerprint().to_string();
        let stored = match stored_fingerprint(&writer).await? {
            Some(stored) => stored,
            None => keep_fingerprint(&writer, &fingerprint).await?,
        };
        if stored != fingerprint {
            return Err(DatabaseError::AuditKeyMismatch);
        }
        Ok(Self { writer, reader, audit_key, shares_one_pool })
    }

    /// Closes the connections; SQLite then folds its write-ahead log into the file.
    pub async fn close(self) {
        let Self { writer, reader, shares_one_pool, .. } = self;
        Database { writer, reader, shares_one_pool }.close().await;
    }
}

pub(crate) async fn stored_fingerprint(
    connection: &DatabaseConnection,
) -> Result<Option<String>, DatabaseError> {
    let row = deployment::Entity::find_by_id(FINGERPRINT).one(connection).await.map_err(store_error)?;
    Ok(row.map(|row| row.value))
}

/// Of several processes that open a new database at the same time, one decides the key and all others read it.
async fn keep_fingerprint(
    connection: &DatabaseConnection,
    fingerprint: &str,
) -> Result<String, DatabaseError> {
    let row =
        deployment::ActiveModel { name: Set(FINGERPRINT.to_owned()), value: Set(fingerprint.to_owned()) };
    deployment::Entity::insert(row)
        .on_conflict(OnConflict::column(deployment::Column::Name).do_nothing().to_owned())
        .exec_without_returning(connection)
        .await
        .map_err(store_error)?;
    stored_fingerprint(connection).await?.ok_or(DatabaseError::NotMigrated)
}
