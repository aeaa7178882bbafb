//! What is wrong with a deployment, as far as the database and the journal tell: each of these changes nothing but the row
//! that shows whether something can be stored.

mod clocks;
mod database;
mod deletions;
mod events;
mod journal;

pub use clocks::CheckClocks;
pub use database::CheckDatabase;
pub use deletions::{CheckDeletions, CheckDeletionsPorts};
pub use events::CheckEvents;
pub use journal::CheckJournal;

/// The first few of many, for one line.
fn some_of<T: std::fmt::Display>(all: &[T]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<String> = all.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = if all.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}
