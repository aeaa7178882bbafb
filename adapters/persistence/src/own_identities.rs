//! The port `OwnIdentities`.

use async_trait::async_trait;
use reprieve_application::ports::{DeletedOwnIdentity, OwnIdentities, Receipts};
use reprieve_application::{KeyPair, OwnIdentity, SecretKey, StoreError};
use reprieve_domain::{Address, DeletionProcessId};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ConnectionTrait, EntityTrait, QueryTrait, Set};

use crate::Store;
use crate::entities::own_identity::{ActiveModel, Column, Entity};
use crate::erasure_tasks::execute;
use crate::error::store_error;
use crate::mapping::Row;

/// In which process the own identity was deleted, in the table `deployment`.
pub(crate) const DELETED_IN: &str = "own_identity_deleted_in";

#[async_trait]
impl OwnIdentities for Store {
    async fn load(&self) -> Result<Option<OwnIdentity>, StoreError> {
        let row = self.reader.query_one(&Entity::find().into_query()).await.map_err(store_error)?;
        let Some(row) = row else { return Ok(None) };
        let row = Row::named(&row, "own_identity", "1");
        let keys =
            KeyPair { secret: SecretKey::new(row.bytes("secret_key")?), public: row.bytes("public_key")? };
        let address: Address = row.parse("address")?;
        if !address.belongs_to(&keys.public) {
            return Err(row.corrupt("address", "does not belong to the public key"));
        }
        Ok(Some(OwnIdentity { address, device: row.parse("device")?, keys }))
    }

    async fn keep(&self, identity: &OwnIdentity) -> Result<OwnIdentity, StoreError> {
        let row = ActiveModel {
            id: Set(1),
            address: Set(identity.address.to_string()),
            device: Set(identity.device.to_string()),
            secret_key: Set(identity.keys.secret.expose().to_vec()),
            public_key: Set(identity.keys.public.to_vec()),
        };
        Entity::insert(row)
            .on_conflict(OnConflict::column(Column::Id).do_nothing().to_owned())
            .exec_without_returning(&self.writer)
            .await
            .map_err(store_error)?;
        let kept = self.load().await?;
        kept.ok_or_else(|| StoreError::Unavailable("the own identity was removed as it was stored".into()))
    }

    async fn deleted(&self) -> Result<Option<DeletedOwnIdentity>, StoreError> {
        let Some(process) = self.remembered(DELETED_IN).await? else { return Ok(None) };
        let process_id: DeletionProcessId = process.parse().map_err(|error| StoreError::Corrupt {
            table: "deployment",
            key: DELETED_IN.to_owned(),
            column: "value".to_owned(),
            problem: format!("{error}"),
        })?;
        let receipt = Receipts::find(self, &process_id).await?;
        Ok(Some(DeletedOwnIdentity { process_id, receipt }))
    }

    async fn deletion_was_shown(&self, process: &DeletionProcessId) -> Result<(), StoreError> {
        let forget = "DELETE FROM deployment WHERE name = $1 AND value = $2";
        execute(&self.writer, forget, vec![DELETED_IN.into(), process.as_str().into()]).await?;
        Ok(())
    }
}
