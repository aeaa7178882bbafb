//! The same statements written by hand: one transaction of select, guarded write, audit entry and event.
//!
//! What is written is the same to the byte, hashed by the domain's audit key like the use cases' rows; there is no state
//! machine, no port and no ORM.

use async_trait::async_trait;
use reprieve_application::Caller;
use reprieve_application::ports::{Clock, Ids};
use reprieve_domain::audit::{AuditEntry, AuditKey, AuditedAction, ChainHead, KeyedHash, SealedEntry};
use reprieve_domain::{DeletionProcessId, Event, EventKind, Status, Timestamp};
use reprieve_system::{SystemClock, SystemIds};
use sqlx::{PgPool, SqlitePool};

use crate::way::{Way, audit_key};

pub(crate) const SELECT: &str = "SELECT id, revision, audit_head, grace_period_ends_at FROM deletion_processes \
    WHERE address = $1 AND status NOT IN ('Cancelled', 'Deleted')";

const INSERT_PROCESS: &str = "INSERT INTO deletion_processes (id, address, status, created_at, created_by_device, \
    grace_period_ends_at, revision, audit_head, audit_seal) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

const UPDATE_PROCESS: &str = "UPDATE deletion_processes SET status = $1, cancelled_at = $2, \
    cancelled_by_device = $3, revision = $4, audit_head = $5, audit_seal = $6 \
    WHERE id = $7 AND revision = $8 AND grace_period_ends_at > $2";

const INSERT_ENTRY: &str = "INSERT INTO audit_entries (process_id, sequence, created_at, old_status, new_status, \
    message_key, additional_data, identity_hash, device_hash, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

const INSERT_EVENT: &str = "INSERT INTO outbox (process_id, revision, address, event_type, occurred_at, data, \
    event_id, process) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

/// What is read of the open process: id, revision, head of the audit chain, end of the grace period.
pub(crate) type Open = (String, i64, Vec<u8>, i64);

/// What a step writes.
pub(crate) struct Rows {
    pub(crate) status: &'static str,
    pub(crate) now: i64,
    pub(crate) ends_at: i64,
    pub(crate) entry: SealedEntry,
    pub(crate) head: ChainHead,
    pub(crate) seal: KeyedHash,
    pub(crate) event_type: &'static str,
    pub(crate) event: String,
    pub(crate) event_id: String,
    pub(crate) process: String,
}

/// The rows of a new process.
pub(crate) fn initiated(key: &AuditKey, caller: &Caller) -> Rows {
    let now = SystemClock.now();
    let ends_at = now.checked_add_micros(14 * 86_400_000_000).unwrap();
    let action = AuditedAction::StartedByOwner { grace_period_ends_at: ends_at, suspension: None };
    let kind = EventKind::IdentityToBeDeleted { grace_period_ends_at: ends_at };
    let id = SystemIds.deletion_process_id().unwrap();
    let step = Step { id, old_status: None, new_status: Status::Active, action, kind };
    step.rows(key, caller, now, ends_at, ChainHead::EMPTY)
}

/// The rows of a process that is cancelled.
pub(crate) fn cancelled(key: &AuditKey, caller: &Caller, open: &Open) -> Rows {
    let now = SystemClock.now();
    let (id, revision, hash, ends_at) = open;
    let ends_at = Timestamp::from_unix_micros(*ends_at).unwrap();
    assert!(now < ends_at);
    let hash: [u8; 32] = hash.as_slice().try_into().unwrap();
    let step = Step {
        id: id.parse().unwrap(),
        old_status: Some(Status::Active),
        new_status: Status::Cancelled,
        action: AuditedAction::CancelledByOwner { fault: None },
        kind: EventKind::IdentityDeletionCancelled,
    };
    step.rows(key, caller, now, ends_at, ChainHead { length: *revision, hash: hash.into() })
}

struct Step {
    id: DeletionProcessId,
    old_status: Option<Status>,
    new_status: Status,
    action: AuditedAction,
    kind: EventKind,
}

impl Step {
    fn rows(
        self,
        key: &AuditKey,
        caller: &Caller,
        now: Timestamp,
        ends_at: Timestamp,
        head: ChainHead,
    ) -> Rows {
        let Self { id, old_status, new_status, action, kind } = self;
        let entry = AuditEntry {
            process_id: id.clone(),
            address: caller.address.clone(),
            device: Some(caller.device.clone()),
            created_at: now,
            old_status,
            new_status,
            action,
        };
        let (entry, head) = key.seal(&entry, head);
        let event_id = entry.hash.iter().take(16).fold(String::new(), |id, byte| id + &format!("{byte:02x}"));
        // Of a cancelled one other members are written, which are as long.
        let process = format!(
            r#"{{"status":"{new_status}","createdAt":"{now}","createdByDevice":"{}","gracePeriodEndsAt":"{ends_at}"}}"#,
            caller.device,
        );
        let event = Event { process_id: id.clone(), address: caller.address.clone(), occurred_at: now, kind };
        Rows {
            status: new_status.as_str(),
            now: now.unix_micros(),
            ends_at: ends_at.unix_micros(),
            seal: key.seal_head(&id, head),
            entry,
            head,
            event_type: event.kind.name(),
            event: serde_json::to_string(&event).unwrap(),
            event_id,
            process,
        }
    }
}

/// sqlx is written the same for every database, but its types are not.
macro_rules! transactions {
    ($(#[$doc:meta])* $way:ident, $pool:ty, $begin:literal) => {
        $(#[$doc])*
        pub(crate) struct $way {
            pool: $pool,
            key: AuditKey,
        }

        impl $way {
            pub(crate) fn new(pool: $pool) -> Self {
                Self { pool, key: audit_key() }
            }
        }

        #[async_trait]
        impl Way for $way {
            async fn initiate(&self, caller: &Caller) {
                let mut transaction = self.pool.begin_with($begin).await.unwrap();
                let open: Option<Open> = sqlx::query_as(SELECT)
                    .bind(caller.address.as_str())
                    .fetch_optional(&mut *transaction)
                    .await
                    .unwrap();
                assert!(open.is_none());
                let rows = initiated(&self.key, caller);
                sqlx::query(INSERT_PROCESS)
                    .bind(&rows.entry.process_id)
                    .bind(caller.address.as_str())
                    .bind(rows.status)
                    .bind(rows.now)
                    .bind(caller.device.as_str())
                    .bind(rows.ends_at)
                    .bind(rows.head.length)
                    .bind(&rows.head.hash.as_bytes()[..])
                    .bind(&rows.seal.as_bytes()[..])
                    .execute(&mut *transaction)
                    .await
                    .unwrap();
                transactions!(@entry_and_event rows, caller, transaction);
                transaction.commit().await.unwrap();
            }

            async fn cancel(&self, caller: &Caller) {
                let mut transaction = self.pool.begin_with($begin).await.unwrap();
                let open: Open = sqlx::query_as(SELECT)
                    .bind(caller.address.as_str())
                    .fetch_one(&mut *transaction)
                    .await
                    .unwrap();
                let rows = cancelled(&self.key, caller, &open);
                let updated = sqlx::query(UPDATE_PROCESS)
                    .bind(rows.status)
                    .bind(rows.now)
                    .bind(caller.device.as_str())
                    .bind(rows.head.length)
                    .bind(&rows.head.hash.as_bytes()[..])
                    .bind(&rows.seal.as_bytes()[..])
                    .bind(&rows.entry.process_id)
                    .bind(open.1)
                    .execute(&mut *transaction)
                    .await
                    .unwrap();
                assert_eq!(updated.rows_affected(), 1);
                transactions!(@entry_and_event rows, caller, transaction);
                transaction.commit().await.unwrap();
            }
        }
    };
    (@entry_and_event $rows:ident, $caller:ident, $transaction:ident) => {
        sqlx::query(INSERT_ENTRY)
            .bind(&$rows.entry.process_id)
            .bind($rows.entry.sequence)
            .bind($rows.entry.created_at)
            .bind(&$rows.entry.old_status)
            .bind(&$rows.entry.new_status)
            .bind(&$rows.entry.message_key)
            .bind(&$rows.entry.additional_data)
            .bind(&$rows.entry.identity_hash)
            .bind(&$rows.entry.device_hash)
            .bind(&$rows.entry.hash)
            .execute(&mut *$transaction)
            .await
            .unwrap();
        sqlx::query(INSERT_EVENT)
            .bind(&$rows.entry.process_id)
            .bind($rows.head.length)
            .bind($caller.address.as_str())
            .bind($rows.event_type)
            .bind($rows.now)
            .bind(&$rows.event)
            .bind(&$rows.event_id)
            .bind(&$rows.process)
            .execute(&mut *$transaction)
            .await
            .unwrap();
    };
}

transactions!(PostgresByHand, PgPool, "BEGIN");
transactions!(SqliteByHand, SqlitePool, "BEGIN IMMEDIATE");
