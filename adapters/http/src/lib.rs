//! Reversible identity deletion over HTTP.

pub mod authentication;
