//! The command line: arguments in, text or JSON out.
//!
//! [`Arguments`] is what can be typed, [`run`] does it. A command calls a use case of the application and shows what it
//! returns; where the use cases come from is the [`Host`]'s part. Words and output lines that enmeshed's Connector has
//! are exactly the Connector's, so that scripts work with either.

mod arguments;
mod commands;
mod data;
mod duration;
mod failure;
mod host;
mod output;

pub use arguments::{Arguments, Command, GlobalOptions, OutputFormat};
pub use commands::run;
pub use failure::Failure;
pub use host::{ConfigurationInForce, Host, Listening, Server, Session};
pub use output::Output;
