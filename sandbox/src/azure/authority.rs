//! The certificate authority of the laptop cloud.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use time::{Duration, OffsetDateTime};

use super::Error;

/// A fresh certificate authority and one certificate of it for `localhost` and `127.0.0.1`.
///
/// Separate from the emulator because Azurite must be started with the same certificate before the emulator can be told
/// where Azurite is. Keys live in memory only.
#[derive(Clone)]
pub struct Authority {
    root: String,
    certificate: String,
    key: String,
}

impl Authority {
    /// Makes a new authority, good for 30 days.
    pub fn new() -> Result<Authority, Error> {
        let now = OffsetDateTime::now_utc();
        let validity = |params: &mut CertificateParams| {
            params.not_before = now - Duration::days(1);
            params.not_after = now + Duration::days(30);
        };

        let mut root = CertificateParams::new(Vec::new())?;
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        root.distinguished_name.push(DnType::CommonName, "sandbox certificate authority");
        validity(&mut root);
        let root_key = KeyPair::generate()?;
        let root_pem = root.self_signed(&root_key)?.pem();
        let issuer = Issuer::new(root, root_key);

        let mut leaf = CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()])?;
        leaf.distinguished_name.push(DnType::CommonName, "localhost");
        leaf.use_authority_key_identifier_extension = true;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        validity(&mut leaf);
        let leaf_key = KeyPair::generate()?;
        let leaf_pem = leaf.signed_by(&leaf_key, &issuer)?.pem();

        Ok(Authority { root: root_pem, certificate: leaf_pem, key: leaf_key.serialize_pem() })
    }

    /// The authority's own certificate, PEM: what clients are told to trust.
    pub fn certificate_authority(&self) -> &str {
        &self.root
    }

    /// The server's certificate and its private key, both PEM.
    pub fn certificate(&self) -> (&str, &str) {
        (&self.certificate, &self.key)
    }

    pub(super) fn server_config(&self) -> Result<Arc<rustls::ServerConfig>, Error> {
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes())?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes())?;
        let config = rustls::ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        Ok(Arc::new(config))
    }

    /// A client that trusts this authority and nothing else.
    pub fn client(&self) -> Result<reqwest::Client, Error> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.root.as_bytes())?)?;
        let config = rustls::ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(reqwest::Client::builder().tls_backend_preconfigured(config).no_proxy().build()?)
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
