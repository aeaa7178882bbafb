//! Small models of the whole system, explored to the last state: every interleaving, crash and lost answer there is.
//!
//! The transitions call the state machine of the domain and keep its processes; the store, the actors and the order in
//! which things happen are the model's. [`race`] is about the deadline, [`erasure`] about what comes after it. Each test
//! of a mistake takes one safeguard away and sees that a rule breaks: what no model can miss need not be believed.
//!
//! Instants are a few microseconds around the deadline.

#![cfg(test)]

mod erasure;
mod erasure_rules;
mod erasure_state;
mod erasure_tests;
mod erasure_worker;
mod race;
mod race_actors;
mod race_rules;
mod race_tests;
mod store;
