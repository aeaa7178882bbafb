//! Holds in the journal.

use std::collections::HashMap;

use reprieve_application::StoreError;
use reprieve_application::ports::{JournalError, RememberedHolds};
use reprieve_domain::Hold;
use reprieve_domain::audit::{KeyedHash, RememberedHold};

use super::{AT_ONCE, JournalDatabase};
use crate::deletion_processes::placeholders;
use crate::erasure_tasks::execute;
use crate::error::store_error;
use crate::mapping::Row;
use crate::pool::{Transaction, end};

const COLUMNS: &str = "identity_hash, code, revision, placed_at, ends_at, is_silent, seal";

/// Holds that ended before `$1`.
pub(super) const FORGET: &str = "DELETE FROM journal_holds WHERE ends_at < $1";

impl JournalDatabase {
    pub(super) async fn append_all_holds(&self, holds: &[RememberedHold]) -> Result<(), JournalError> {
        let pool = self.connect().await?;
        let transaction = pool.begin().await.map_err(|error| self.unavailable(store_error(error)))?;
        let appended = self.append_holds_in(&transaction, holds).await;
        end(transaction, appended).await.map_err(self.failed())
    }

    pub(super) async fn holds_of(
        &self,
        identities: &[KeyedHash],
    ) -> Result<HashMap<KeyedHash, RememberedHolds>, JournalError> {
        let mut remembered: HashMap<KeyedHash, RememberedHolds> = HashMap::new();
        for some in identities.chunks(AT_ONCE) {
            // Later revisions last.
            let sql = format!(
                "SELECT {COLUMNS} FROM journal_holds WHERE identity_hash IN ({}) ORDER BY revision",
                placeholders(some.len())
            );
            let values = some.iter().map(|hash| hash.as_bytes().to_vec().into()).collect();
            for result in &self.rows(sql, values).await? {
                let row = Row::named(result, "journal_holds", "unknown");
                let identity: [u8; 32] = row.bytes("identity_hash").map_err(self.failed())?;
                let known = remembered.entry(identity.into()).or_default();
                match self.hold(&row) {
                    Some(hold) => {
                        known.holds.retain(|other| other.hold.code != hold.hold.code);
                        known.holds.push(hold);
                    }
                    None => known.is_damaged = true,
                }
            }
        }
        Ok(remembered)
    }

    async fn append_holds_in(
        &self,
        transaction: &Transaction,
        holds: &[RememberedHold],
    ) -> Result<(), StoreError> {
        let add = format!(
            "INSERT INTO journal_holds ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7) \
             ON CONFLICT (seal) DO NOTHING"
        );
        for remembered in holds {
            let RememberedHold { identity_hash, revision, hold } = remembered;
            let values = vec![
                identity_hash.as_bytes().to_vec().into(),
                hold.code.as_str().into(),
                (*revision).into(),
                hold.placed_at.unix_micros().into(),
                hold.ends_at.unix_micros().into(),
                i64::from(hold.is_silent).into(),
                self.audit_key.hold_seal(remembered).as_bytes().to_vec().into(),
            ];
            execute(transaction, &add, values).await?;
        }
        Ok(())
    }

    /// A sound hold; none if it cannot be read or is not sealed.
    fn hold(&self, row: &Row<'_>) -> Option<RememberedHold> {
        let read = || -> Result<_, StoreError> {
            let hold = Hold {
                code: row.parse("code")?,
                placed_at: row.instant("placed_at")?,
                ends_at: row.instant("ends_at")?,
                is_silent: row.get::<i64>("is_silent")? != 0,
            };
            let (identity_hash, revision) = (row.bytes::<32>("identity_hash")?.into(), row.get("revision")?);
            let seal = KeyedHash::from(row.bytes::<32>("seal")?);
            Ok((RememberedHold { identity_hash, revision, hold }, seal))
        };
        let (hold, seal) = read().ok()?;
        (self.audit_key.hold_seal(&hold) == seal).then_some(hold)
    }
}
