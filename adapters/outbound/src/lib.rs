//! What the adapters share that call somebody over the network.
//!
//! It implements no port and sends nothing: it says whom to trust ([`tls_configuration`]) and proves who asks
//! ([`SigningSecret`]). Why adapters may see this crate, and no other adapter, is written in `docs/adr/0016`.

mod signature;
mod tls;

pub use signature::{InvalidSigningSecret, SigningSecret};
pub use tls::{TlsError, tls_configuration};
