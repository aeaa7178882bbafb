//! What the adapters share that call somebody over the network.
//!
//! It implements no port and sends nothing: it says whom to trust ([`tls_configuration`]), proves who asks
//! ([`SigningSecret`]), says whom nobody should be made to call ([`AllowedHosts`]), and finds out whether a server is there
//! ([`reach`]). Why adapters may see this crate, and no other adapter, is written in `docs/adr/0016`.

mod addresses;
mod allowed_hosts;
mod reach;
mod signature;
mod tls;

pub use addresses::is_public;
pub use allowed_hosts::{AllowedHost, AllowedHosts, InvalidHost};
pub use reach::{reach, reach_at};
pub use signature::{InvalidSigningSecret, SigningSecret};
pub use tls::{TlsError, tls_configuration};
