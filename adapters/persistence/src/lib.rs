//! Keeps deletion processes, their audit trail and outgoing events in SQLite or PostgreSQL.
//!
//! A [`Database`] is a connection; [`Database::migrate`] brings its tables to this version, and
//! [`Database::into_store`] gives the [`Store`] that implements the application's ports. What is here and nowhere else:
//! how a step becomes one atomic write that only one of several contenders can make, and how a row becomes a domain
//! value or a report of what is wrong with the row.

mod answered_requests;
mod audit_trail;
mod backups;
mod clocks;
mod closing;
mod connection;
mod database;
mod deletion_processes;
mod due_processes;
mod entities;
mod erasure_tasks;
mod error;
mod event_audit;
mod event_deliveries;
mod holds;
mod housekeeping;
mod identities;
mod journal;
mod journaled_trail;
mod mapping;
mod migrations;
mod outbox;
mod own_identities;
mod pause;
mod pool;
#[cfg(feature = "postgres")]
mod postgres_url;
mod quarantine;
#[cfg(test)]
mod query_plans;
mod receipts;
mod store;
mod store_health;
mod url;
mod wake_ups;
mod write;

pub use backups::SqliteBackups;
pub use clocks::Clocks;
pub use connection::{ConnectionOptions, InvalidPooler, Pooler};
pub use database::{Database, DatabaseError};
pub use journal::JournalDatabase;
#[cfg(feature = "postgres")]
pub use postgres_url::InvalidPostgresUrl;
pub use store::Store;
pub use url::{DatabaseUrl, InvalidDatabaseUrl};
pub use wake_ups::Due;
