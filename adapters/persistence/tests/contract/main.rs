//! What the application may rely on, whichever database is behind its ports: one suite a port, and each case runs on
//! both databases.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise, in helpers as well as in test functions"
)]

mod support;

mod any_rows;
mod audit_trail;
mod clocks;
mod closing;
mod corrupt_rows;
mod deletion_processes;
mod due_processes;
mod erasure_tasks;
mod event_deliveries;
mod files;
mod holds;
mod housekeeping;
mod identities;
mod journal;
mod migrations;
mod order_of_events;
mod outages;
mod own_identities;
mod pause;
mod quarantine;
mod races;
mod wake_ups;
