//! What PostgreSQL can do at best: after the select, one data-modifying statement, by hand.

use async_trait::async_trait;
use reprieve_application::Caller;
use reprieve_domain::audit::AuditKey;
use sqlx::PgPool;
use sqlx::postgres::PgRow;

use crate::by_hand::{Open, Rows, SELECT, cancelled, initiated};
use crate::way::{Way, audit_key};

/// The audit entry and the event, from $1 to $13 and from $17 on, behind the write of the process.
macro_rules! statement {
    ($write_process:literal) => {
        concat!(
            "WITH process AS (",
            $write_process,
            " RETURNING id), audit AS (INSERT INTO audit_entries (process_id, sequence, created_at, old_status, \
             new_status, message_key, additional_data, identity_hash, device_hash, hash) \
             SELECT id, $2, $3, $4, $5, $6, $7, $8, $9, $10 FROM process), event AS (INSERT INTO outbox (process_id, \
             revision, address, event_type, occurred_at, data, event_id, process) \
             SELECT id, $2, $11, $12, $3, $13, $17, $18 FROM process) SELECT id FROM process"
        )
    };
}

const INITIATE: &str = statement!(
    "INSERT INTO deletion_processes (id, revision, address, status, created_at, created_by_device, \
     grace_period_ends_at, audit_head, audit_seal) VALUES ($1, $2, $11, $5, $3, $14, $15, $10, $16)"
);

const CANCEL: &str = statement!(
    "UPDATE deletion_processes SET revision = $2, status = $5, cancelled_at = $3, cancelled_by_device = $14, \
     audit_head = $10, audit_seal = $16 WHERE id = $1 AND revision = $15 AND grace_period_ends_at > $3"
);

pub(crate) struct OneStatementByHand {
    pool: PgPool,
    key: AuditKey,
}

impl OneStatementByHand {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { pool, key: audit_key() }
    }

    async fn open(&self, caller: &Caller) -> Option<Open> {
        sqlx::query_as(SELECT).bind(caller.address.as_str()).fetch_optional(&self.pool).await.unwrap()
    }

    /// `number` is the one parameter that the two statements do not share.
    async fn write(&self, sql: &'static str, rows: &Rows, caller: &Caller, number: i64) {
        let written: Option<PgRow> = sqlx::query(sql)
            .bind(&rows.entry.process_id)
            .bind(rows.head.length)
            .bind(rows.now)
            .bind(&rows.entry.old_status)
            .bind(rows.status)
            .bind(&rows.entry.message_key)
            .bind(&rows.entry.additional_data)
            .bind(&rows.entry.identity_hash)
            .bind(&rows.entry.device_hash)
            .bind(&rows.entry.hash)
            .bind(caller.address.as_str())
            .bind(rows.event_type)
            .bind(&rows.event)
            .bind(caller.device.as_str())
            .bind(number)
            .bind(&rows.seal.as_bytes()[..])
            .bind(&rows.event_id)
            .bind(&rows.process)
            .fetch_optional(&self.pool)
            .await
            .unwrap();
        assert!(written.is_some());
    }
}

#[async_trait]
impl Way for OneStatementByHand {
    async fn initiate(&self, caller: &Caller) {
        assert!(self.open(caller).await.is_none());
        let rows = initiated(&self.key, caller);
        self.write(INITIATE, &rows, caller, rows.ends_at).await;
    }

    async fn cancel(&self, caller: &Caller) {
        let open = self.open(caller).await.unwrap();
        let rows = cancelled(&self.key, caller, &open);
        self.write(CANCEL, &rows, caller, open.1).await;
    }
}
