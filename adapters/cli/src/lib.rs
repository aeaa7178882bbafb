//! The command line: arguments in, text or JSON out.
//!
//! [`Arguments`] is what can be typed, [`run`] does it. A command asks the application and shows what it answers; where
//! the answers come from is the [`Host`]'s part. Words and output lines that enmeshed's Connector has are exactly the
//! Connector's, so that scripts work with either.

mod arguments;
mod commands;
mod data;
mod duration;
mod exit_code;
mod host;
mod input;
mod output;
pub mod printable;

pub use arguments::{Arguments, Command, GlobalOptions, OutputFormat, WorkerKind};
pub use commands::run;
pub use exit_code::exit_code;
pub use host::{ConfigurationInForce, EventLines, Host, Listening, Server, UntilToldToStop};
pub use output::Output;
pub use reprieve_application::{Failure, PassSummary, SinkPass};
