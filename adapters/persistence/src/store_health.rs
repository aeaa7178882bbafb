//! The port `StoreHealth`.

use async_trait::async_trait;
use reprieve_application::StoreError;
use reprieve_application::ports::{Connections, StoreHealth};
use sea_orm::DatabaseConnection;

use crate::database::pending;
use crate::{DatabaseError, Store};

#[async_trait]
impl StoreHealth for Store {
    async fn check(&self) -> Result<(), StoreError> {
        match pending(&self.reader).await {
            Ok(pending) if pending.is_empty() => Ok(()),
            Ok(_) => Err(StoreError::NotMigrated),
            Err(DatabaseError::Newer { .. }) => Err(StoreError::Newer),
            Err(DatabaseError::Store(error)) => Err(error),
            Err(other) => Err(StoreError::Unavailable(other.into())),
        }
    }

    fn connections(&self) -> Connections {
        let (writer, reader) = (of(&self.writer), of(&self.reader));
        if self.shares_one_pool {
            return writer;
        }
        Connections { open: writer.open + reader.open, idle: writer.idle + reader.idle }
    }
}

fn of(connection: &DatabaseConnection) -> Connections {
    let (open, idle) = match connection.get_database_backend() {
        #[cfg(feature = "postgres")]
        sea_orm::DbBackend::Postgres => {
            let pool = connection.get_postgres_connection_pool();
            (pool.size(), pool.num_idle())
        }
        _ => {
            let pool = connection.get_sqlite_connection_pool();
            (pool.size(), pool.num_idle())
        }
    };
    Connections { open, idle: u32::try_from(idle).unwrap_or(u32::MAX) }
}
