//! What needs no broker.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise, in helpers as well as in test functions"
)]

mod documentation;
mod messages;
mod stdout;
