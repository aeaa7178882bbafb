//! Whom an address is told to.

use std::path::Path;
use std::sync::Mutex;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::service::{Reply, State, serve};
use super::*;

/// Serves with a certificate for this name; returns its port and the certificate of its authority.
async fn secure_service(name: &str) -> (u16, String, Arc<Mutex<State>>) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let configuration = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(configuration));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let state = Arc::new(Mutex::new(State::default()));
    let shared = state.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // A client that does not trust us goes away.
            if let Ok(stream) = acceptor.accept(stream).await {
                tokio::spawn(serve(stream, shared.clone()));
            }
        }
    });
    (port, authority.pem(), state)
}

async fn tell(host: &str, port: u16, authorities: Option<&Path>) -> Result<(), SendError> {
    let mut options = options(&format!("https://{host}:{port}"));
    options.allowed_hosts = hosts(&["localhost", "127.0.0.1"]);
    options.certificate_authorities = authorities.map(Into::into);
    sink_with(options).send(&deleted()).await
}

#[tokio::test]
async fn only_a_server_that_an_authority_vouches_for_is_told_anything() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authorities.pem");
    for name in ["localhost", "127.0.0.1"] {
        let (port, authority, state) = secure_service(name).await;
        std::fs::write(&file, &authority).unwrap();
        assert_eq!(tell(name, port, None).await, unreachable());
        assert_eq!(state.lock().unwrap().received.len(), 0);
        state.lock().unwrap().replies.push_back(Reply::new(204, ""));
        assert_eq!(tell(name, port, Some(&file)).await, Ok(()));
    }

    let (port, authority, state) = secure_service("elsewhere.example").await;
    std::fs::write(&file, &authority).unwrap();
    assert_eq!(tell("localhost", port, Some(&file)).await, unreachable());
    assert_eq!(state.lock().unwrap().received.len(), 0);
}

#[tokio::test]
async fn a_redirect_does_not_leave_encryption() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authorities.pem");
    let (port, authority, state) = secure_service("localhost").await;
    std::fs::write(&file, &authority).unwrap();
    let plain = Reply::new(307, "").with("location", format!("http://localhost:{port}/"));
    state.lock().unwrap().replies.push_back(plain);
    assert_eq!(tell("localhost", port, Some(&file)).await, refused(FailureCode::http_status(307)));
    assert_eq!(state.lock().unwrap().received.len(), 1);
}
