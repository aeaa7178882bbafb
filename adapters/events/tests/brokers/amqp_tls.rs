//! Encrypted connections.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reprieve_application::ports::EventSink as _;
use reprieve_events::{AmqpSink, AmqpSinkOptions};
use reprieve_tests::TestAmqp;
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::amqp::options;
use crate::support::{event, unreachable};

/// Takes encrypted connections to a server that takes plain ones. Returns its port and the certificate of its authority.
pub(crate) async fn encrypted(server: &str, name: &str) -> (u16, TempDir, PathBuf) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let configuration =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.into()], key)
            .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(configuration));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = server.to_owned();
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let (acceptor, server) = (acceptor.clone(), server.clone());
            tokio::spawn(async move {
                let Ok(mut client) = acceptor.accept(client).await else { return };
                let mut server = TcpStream::connect(server).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    (port, folder, file)
}

#[tokio::test]
#[ignore = "needs RabbitMQ: tests/run"]
async fn a_broker_shows_a_certificate_of_an_authority_that_is_trusted() {
    let amqp = TestAmqp::new().await;
    let queue = amqp.queue("events").await;
    let (port, _folder, authority) = encrypted(amqp.address(), "localhost").await;
    let sink = |url: String, authority: Option<PathBuf>| {
        let options = options(url, "", Some(&queue));
        AmqpSink::new(AmqpSinkOptions { certificate_authorities: authority, ..options }).unwrap()
    };
    let url = |host: &str| format!("amqps://guest:guest@{host}:{port}");
    let trusting = sink(url("localhost"), Some(authority.clone()));
    trusting.send(&event(1)).await.unwrap();
    assert_eq!(amqp.take_all(&queue).await.len(), 1);

    for (url, authority) in [
        // Nobody vouches for it, and it is another one's.
        (url("localhost"), None),
        (url("127.0.0.1"), Some(authority)),
    ] {
        assert_eq!(sink(url, authority).send(&event(2)).await, unreachable("unreachable"));
    }
    assert_eq!(amqp.take_all(&queue).await, []);
}
