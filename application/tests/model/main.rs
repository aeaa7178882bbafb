//! Small models of the whole system, explored to the last state: every interleaving, crash and lost answer there is.
//!
//! What runs is the production code. A use case is a future that nothing but its ports can delay, so what it has asked and
//! been answered until now says all about it: [`trace`] keeps the answers, [`desk`] runs a use case from its start to where
//! it waits, and does so once for each sequence of answers, however many states it is part of. A crash forgets the answers.
//! Only what lies behind the ports is the model's: [`store`] does what their documentation promises, each call at once;
//! audit entries are sealed and verified by the domain, with a key.
//!
//! The database can be put back to what it was: [`memory`] is what lies outside of it.
//!
//! [`world`] says who takes part and what can happen, [`rules`] what must hold. Time is counted in ticks, as few as reach
//! over a grace period; what a lease or a wait between two attempts has to do with time is left out: each may be over
//! whenever its time could have come. A pass that finds nothing to do begins again only when something has changed.
//!
//! Each test of a mistake takes one safeguard of the store away and sees that a rule breaks: what no model can miss need
//! not be believed. Which rule breaks when a use case is changed is a matter of changing it.

#![cfg(test)]

mod calls;
mod clocks;
mod desk;
mod erasure_tests;
mod hand_tests;
mod jobs;
mod memory;
mod memory_tests;
mod moves;
mod ports;
mod ports_of_memory;
mod race_tests;
mod row;
mod rules;
mod rules_of_erasure;
mod rules_of_memory;
mod store;
mod tasks;
mod trace;
mod world;
