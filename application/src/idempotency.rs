//! Requests that may come again because their answer was lost.

use std::fmt;

use reprieve_domain::{Address, DeletionProcess, Timestamp};

/// Names one request of one caller: a SHA-256 hash over the caller and the key that the caller chose.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(pub [u8; 32]);

/// What was asked for: a SHA-256 hash over the request. The same key with another fingerprint is another request.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

/// A request that carries an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotentRequest {
    /// The key.
    pub key: IdempotencyKey,
    /// What is asked for.
    pub fingerprint: Fingerprint,
    /// The identity it acts for, so that its answer goes when the identity's data goes.
    pub address: Address,
    /// When it arrived.
    pub received_at: Timestamp,
}

/// What a caller was told: an adapter's words, kept as they were sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status of the answer in the adapter's protocol.
    pub status: u16,
    /// The content of the answer.
    pub body: String,
}

/// A request with its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnsweredRequest {
    /// The request.
    pub request: IdempotentRequest,
    /// Its answer.
    pub answer: Answer,
}

/// How to answer a request if its step is stored. The answer is stored with the step, so that there is never one without
/// the other.
pub struct Recording<'a> {
    /// The request.
    pub request: &'a IdempotentRequest,
    /// The answer for the process that the step leads to.
    pub answer: &'a (dyn Fn(&DeletionProcess) -> Answer + Send + Sync),
}

impl Recording<'_> {
    pub(crate) fn answered(&self, process: &DeletionProcess) -> AnsweredRequest {
        AnsweredRequest { request: self.request.clone(), answer: (self.answer)(process) }
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("IdempotencyKey")
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Fingerprint")
    }
}
