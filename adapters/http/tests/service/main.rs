//! The service as its clients meet it: real requests over real sockets, on both databases where the database matters.
//! Every answer in every test is held against the OpenAPI document.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise, in helpers as well as in test functions"
)]

mod support;

mod admin;
mod admin_pages;
mod connections;
mod connector;
mod consumer;
mod consumer_cancel;
mod consumer_initiate;
mod cors;
mod deadline;
mod envelope;
mod headers;
mod http2;
mod idempotency;
mod idempotency_races;
mod isolation;
mod limits;
mod open;
mod openapi;
mod operations;
mod peers;
mod routes;
mod shutdown;
mod trace;
