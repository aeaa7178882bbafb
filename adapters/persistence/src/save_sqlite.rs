//! A step on SQLite: one transaction of a few statements, which takes the write lock at its start.

use reprieve_application::StoreError;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DatabaseConnection, DatabaseTransaction, EntityTrait, IntoActiveModel,
    NotSet, QueryFilter, Set,
};

use crate::database::begin_to_write;
use crate::entities::deletion_process::{ActiveModel, Column, Entity};
use crate::entities::{audit_entry, outbox};
use crate::error::store_error;
use crate::identities::Write;

pub(crate) async fn save(connection: &DatabaseConnection, write: Write) -> Result<(), StoreError> {
    let transaction = begin_to_write(connection).await?;
    match write_all(&transaction, write).await {
        Ok(()) => transaction.commit().await.map_err(store_error),
        Err(error) => {
            // If this fails as well, the connection is closed and the transaction with it.
            let _ = transaction.rollback().await;
            Err(error)
        }
    }
}

async fn write_all(transaction: &DatabaseTransaction, write: Write) -> Result<(), StoreError> {
    let Write { process, audit_entry, event, answered, expected_revision, deadline: (after, not_after) } =
        write;
    let (id, revision) = (process.id.clone(), process.revision);
    match expected_revision {
        None => {
            Entity::insert(process.into_active_model())
                .exec_without_returning(transaction)
                .await
                .map_err(store_error)?;
        }
        Some(expected) => {
            // What is fixed when a process is created is left alone, so that a change made outside shows.
            let changes = ActiveModel {
                id: NotSet,
                address: NotSet,
                created_at: NotSet,
                created_by_device: NotSet,
                grace_period_ends_at: NotSet,
                ..process.into_active_model().reset_all()
            };
            let updated = Entity::update_many()
                .set(changes)
                .filter(Column::Id.eq(id.as_str()))
                .filter(Column::Revision.eq(expected))
                .filter(Column::GracePeriodEndsAt.gt(after))
                .filter(Column::GracePeriodEndsAt.lte(not_after))
                .exec(transaction)
                .await
                .map_err(store_error)?;
            if updated.rows_affected != 1 {
                return Err(StoreError::Conflict);
            }
        }
    }
    audit_entry::Entity::insert(audit_entry.into_active_model())
        .exec_without_returning(transaction)
        .await
        .map_err(store_error)?;
    if let Some(event) = event {
        let row = outbox::ActiveModel {
            position: NotSet,
            process_id: Set(id),
            revision: Set(revision),
            address: Set(event.address),
            event_type: Set(event.event_type.to_owned()),
            occurred_at: Set(event.occurred_at),
            data: Set(event.data),
        };
        outbox::Entity::insert(row).exec_without_returning(transaction).await.map_err(store_error)?;
    }
    if let Some(answered) = answered {
        crate::answered_requests::insert(transaction, answered).await?;
    }
    Ok(())
}
