//! The port `Eraser`: asking another service, or a function of this program, to erase the data of an identity.
//!
//! [`HttpEraser`] calls a service; what it asks and which answers it understands is written in `docs/erasers.md`.
//! [`InProcessEraser`] calls a function, for programs that use this one as a library.

mod error;
mod http;
mod in_process;
mod url;

#[cfg(test)]
mod tests;

pub use error::HttpEraserError;
pub use http::{HttpEraser, HttpEraserOptions};
pub use in_process::InProcessEraser;
pub use reprieve_outbound::{InvalidSigningSecret, SigningSecret};
pub use url::{EraserUrl, InvalidEraserUrl};
