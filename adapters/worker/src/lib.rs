//! Work that recurs: [`Work`] says what a pass does, [`Driver`] runs the passes.
//!
//! The driver alone knows about pauses, wake-ups, panics, the shutdown and the metrics of passes. A new kind of work is one
//! implementation of the trait, such as that of [`SendReminders`](reprieve_application::use_cases::SendReminders).

mod deletions;
mod driver;
mod erasures;
mod housekeeping;
mod journal;
mod reminders;
mod sink;
mod work;

pub use driver::{Driver, Schedule};
pub use sink::{PacePerSecond, Sink};
pub use work::{Mode, Next, Work};
