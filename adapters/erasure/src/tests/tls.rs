//! Whom an address is told to.

use std::path::Path;
use std::sync::Mutex;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reprieve_application::ports::{EraseAnswer, Eraser as _};
use reprieve_application::{Coded as _, ErrorCode};
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

async fn ask(port: u16, authorities: Option<&Path>) -> EraseAnswer {
    let mut options = options(&format!("https://localhost:{port}"));
    options.certificate_authorities = authorities.map(Into::into);
    HttpEraser::new(options, Arc::new(RealClock)).unwrap().erase(&request(None)).await
}

#[tokio::test]
async fn only_a_server_that_an_authority_vouches_for_is_told_anything() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authorities.pem");

    let (port, authority, state) = secure_service("localhost").await;
    std::fs::write(&file, &authority).unwrap();
    assert_eq!(ask(port, None).await, failed(FailureCode::unreachable()));
    assert_eq!(state.lock().unwrap().received.len(), 0);
    state.lock().unwrap().replies.push_back(Reply::new(204, ""));
    assert_eq!(ask(port, Some(&file)).await, EraseAnswer::Erased { count: 0 });

    let (port, authority, state) = secure_service("elsewhere.example").await;
    std::fs::write(&file, &authority).unwrap();
    assert_eq!(ask(port, Some(&file)).await, failed(FailureCode::unreachable()));
    assert_eq!(state.lock().unwrap().received.len(), 0);
}

#[test]
fn a_file_without_certificates_is_a_mistake_in_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authorities.pem");
    for content in [None, Some(""), Some("hello")] {
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let mut options = options("https://localhost");
        options.certificate_authorities = Some(file.clone());
        let error = HttpEraser::new(options, Arc::new(RealClock)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::ConfigurationInvalid);
        assert!(error.to_string().contains("authorities.pem"), "{error}");
    }
}
