//! Whether a server is there.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

/// Connects to the host of a URL and lets it show its certificate if the URL says `https`, then hangs up: nothing is asked.
///
/// # Errors
/// If no server listens there, or its certificate is not trusted.
pub async fn reach(url: &Url, tls: &Arc<ClientConfig>) -> io::Result<()> {
    let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    // Where a name is looked up, an address of IPv6 has no brackets.
    let name = match host {
        Host::Domain(name) => name.to_owned(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    };
    let addresses: Vec<_> = tokio::net::lookup_host((name.as_str(), port)).await?.collect();
    reach_at(url, &addresses, tls).await
}

/// The same, at one of these addresses.
///
/// # Errors
/// If no server listens there, or its certificate is not trusted.
pub async fn reach_at(url: &Url, addresses: &[SocketAddr], tls: &Arc<ClientConfig>) -> io::Result<()> {
    let stream = TcpStream::connect(addresses).await?;
    if url.scheme() != "https" {
        return Ok(());
    }
    let name = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(name).map_err(io::Error::other)?;
    TlsConnector::from(Arc::clone(tls)).connect(name, stream).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls_configuration;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_listener_is_reached_and_asked_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tls = Arc::new(tls_configuration(None).unwrap());
        let asked = tokio::spawn(async move {
            let mut asked = Vec::new();
            listener.accept().await.unwrap().0.read_to_end(&mut asked).await.unwrap();
            asked
        });
        let url = format!("http://{address}/erase").parse().unwrap();
        reach(&url, &tls).await.unwrap();
        assert_eq!(asked.await.unwrap(), b"");
        // The listener is gone with its task.
        reach(&url, &tls).await.unwrap_err();
    }

    #[tokio::test]
    async fn a_server_without_tls_is_not_trusted() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/erase", listener.local_addr().unwrap()).parse().unwrap();
        let accepting = tokio::spawn(async move { drop(listener.accept().await.unwrap()) });
        reach(&url, &Arc::new(tls_configuration(None).unwrap())).await.unwrap_err();
        accepting.await.unwrap();
    }
}
