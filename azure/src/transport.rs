//! The one HTTP client: rustls with ring, roots compiled in, no redirects, no proxy.

use std::{sync::Arc, time::Duration};

use azure_core::http::Transport;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::{Error, ErrorKind, Result};

/// A host that does not take a connection within this time will not; the time limit of the call covers the rest.
const CONNECT: Duration = Duration::from_secs(5);

/// Builds a client that trusts the public authorities, and the given certificates (PEM) in addition.
///
/// Redirects are not followed: they would carry the token along. `HTTPS_PROXY` is ignored: the service that runs the handlers
/// sets none, and the one on a developer's machine would take the emulator's requests away.
pub(crate) fn transport(certificate_authority: Option<&str>) -> Result<Transport> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(pem) = certificate_authority {
        let unusable = |why: String| {
            let message = format!(
                "the type configuration's Endpoints.CertificateAuthority is not usable: {why}; give certificates of authorities as PEM"
            );
            Error::new(ErrorKind::Configuration, message)
        };
        let certificates = CertificateDer::pem_slice_iter(pem.as_bytes())
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(|error| unusable(error.to_string()))?;
        if certificates.is_empty() {
            return Err(unusable("it holds no certificate".to_owned()));
        }
        for certificate in certificates {
            roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
        }
    }
    let unavailable = |error: &dyn std::error::Error| {
        Error::new(ErrorKind::Other, format!("the HTTPS client cannot be built: {error}"))
    };
    let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| unavailable(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .https_only(true)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT)
        .build()
        .map_err(|error| unavailable(&error))?;
    Ok(Transport::new(Arc::new(client)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_certificates_are_explained() {
        for pem in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let error = transport(Some(pem)).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Configuration);
            assert!(error.message.contains("Endpoints.CertificateAuthority is not usable"), "{}", error.message);
        }
        assert!(transport(None).is_ok());
    }
}
