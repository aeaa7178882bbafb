//! Whom to trust.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reprieve_application::{Coded, ErrorCode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Why nobody can be trusted with these certificates.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file with the certificates of authorities holds none.
    #[error("the certificates in {} cannot be used", .file.display())]
    CertificateAuthorities {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: Box<dyn Error + Send + Sync>,
    },
    /// There is no TLS on this machine.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
}

impl Coded for TlsError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::CertificateAuthorities { .. } => ErrorCode::ConfigurationInvalid,
            Self::Setup(_) => ErrorCode::SystemFailed,
        }
    }
}

/// Trusts servers that show a certificate of one of these authorities: those in the file (PEM), or the public ones.
///
/// The provider is named here and not installed for the whole process, so that nobody has to do so first.
///
/// # Errors
/// If the file cannot be read, holds no certificate, or one that is none.
pub fn tls_configuration(authorities: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let roots = match authorities {
        None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        Some(file) => {
            read(file).map_err(|source| TlsError::CertificateAuthorities { file: file.to_owned(), source })?
        }
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn read(file: &Path) -> Result<RootCertStore, Box<dyn Error + Send + Sync>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file)? {
        roots.add(certificate?)?;
    }
    if roots.is_empty() { Err("there is no certificate in it".into()) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_a_mistake_in_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("authorities.pem");
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for content in [None, Some(""), Some("hello"), Some(broken)] {
            if let Some(content) = content {
                std::fs::write(&file, content).unwrap();
            }
            let error = tls_configuration(Some(&file)).unwrap_err();
            assert_eq!(error.code(), ErrorCode::ConfigurationInvalid);
            assert!(error.to_string().contains("authorities.pem"), "{error}");
        }
    }

    #[test]
    fn the_public_authorities_or_those_of_a_file_are_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("authorities.pem");
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
        std::fs::write(&file, certificate.pem().repeat(2)).unwrap();
        assert!(tls_configuration(Some(&file)).is_ok());
        assert!(tls_configuration(None).is_ok());
    }
}
