//! Whom a token is sent to.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reprieve_application::facade::IdentityDeletionFacade as _;
use reprieve_application::{Coded as _, ErrorCode};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::service::{State, serve};
use super::{Recorder, UNAVAILABLE, facade};
use crate::connection::Connection;
use crate::{RemoteError, RemoteOptions};

/// Serves with a certificate for this name; returns its port and the certificate of its authority.
async fn secure_service(name: &str) -> (u16, String) {
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
    let state = Arc::new(Mutex::new(State::new()));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // A client that does not trust us goes away.
            if let Ok(stream) = acceptor.accept(stream).await {
                tokio::spawn(serve(stream, state.clone()));
            }
        }
    });
    (port, authority.pem())
}

fn options(port: u16, certificate_authorities: Option<&Path>) -> RemoteOptions {
    RemoteOptions {
        server: format!("https://localhost:{port}").parse().unwrap(),
        timeout: Duration::from_mins(1),
        certificate_authorities: certificate_authorities.map(Into::into),
    }
}

#[tokio::test]
async fn only_a_server_that_an_authority_vouches_for_is_told_anything() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authorities.pem");

    let (port, authority) = secure_service("localhost").await;
    std::fs::write(&file, &authority).unwrap();
    let trusting = facade(options(port, Some(&file)), Recorder(Arc::default()));
    assert_eq!(trusting.processes().await.unwrap(), []);

    let distrusting = facade(options(port, None), Recorder(Arc::default()));
    let failure = distrusting.processes().await.unwrap_err();
    assert_eq!(failure.code.as_str(), UNAVAILABLE);
    assert!(failure.message.contains("UnknownIssuer"), "{failure:?}");

    let (port, authority) = secure_service("elsewhere.example").await;
    std::fs::write(&file, &authority).unwrap();
    let mistaken = facade(options(port, Some(&file)), Recorder(Arc::default()));
    let failure = mistaken.processes().await.unwrap_err();
    assert_eq!(failure.code.as_str(), UNAVAILABLE);
    assert!(failure.message.contains("not valid for name"), "{failure:?}");
}

#[test]
fn a_file_without_certificates_is_a_mistake_in_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authorities.pem");
    for content in [
        None,
        Some(""),
        Some("hello"),
        Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    ] {
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let server = "https://localhost".parse().unwrap();
        let error = Connection::new(server, Duration::from_secs(1), Some(&file)).unwrap_err();
        assert!(matches!(error, RemoteError::Tls(_)));
        assert_eq!(error.code(), ErrorCode::ConfigurationInvalid);
        assert!(error.to_string().contains("authorities.pem"), "{error}");
    }
}
