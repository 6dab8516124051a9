//! TLS at both ends: with ring, as in everything that ships.

use rustls::{
    CipherSuite, ClientConfig, RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use std::{path::Path, sync::Arc};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Accepts with the certificate and the key of two PEM files.
///
/// # Errors
/// The files cannot be used.
pub(crate) fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, String> {
    let chain = CertificateDer::from_pem_file(certificate).map_err(|error| unusable(certificate, error))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, error))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(vec![chain], key))
        .map_err(|error| format!("setting up TLS: {error}"))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Connects to whoever has a certificate of the authority in a PEM file.
///
/// # Errors
/// The file cannot be used.
pub(crate) fn connector(authority: &Path) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(authority).map_err(|error| unusable(authority, error))?;
    roots.add(certificate).map_err(|error| format!("{}: {error}", authority.display()))?;
    let mut provider = ring::default_provider();
    // AES-128 first, as our backup and Go have it.
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("setting up TLS: {error}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn unusable(path: &Path, error: impl std::fmt::Display) -> String {
    format!("reading {}: {error}", path.display())
}
