//! The tables, as sea-orm sees them. Instants are whole microseconds of Unix time, which compare exactly everywhere.

pub(crate) mod answered_request;
pub(crate) mod audit_entry;
pub(crate) mod deletion_process;
pub(crate) mod deployment;
pub(crate) mod own_identity;
