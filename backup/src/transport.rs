//! The HTTP client for Azure: rustls with `ring`, roots compiled in, no redirects, no proxy.

use std::{sync::Arc, time::Duration};

use azure_core::http::Transport;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::{Error, Reason, Result, source::root_cause};

/// A host that does not take a connection within this time will not.
const CONNECT: Duration = Duration::from_secs(5);

/// A client that trusts the public authorities, and the given certificates (PEM) in addition. `patience`: how long an answer,
/// or the next bytes of one, may take.
///
/// # Errors
/// `Configuration`: the certificates are not usable.
pub fn transport(certificate_authority: Option<&str>, patience: Duration) -> Result<Transport> {
    let unusable = |error: &dyn std::error::Error| {
        let why = root_cause(error);
        Error::new(
            Reason::Configuration,
            format!("the HTTPS client cannot be built, or its certificates are not PEM: {why}"),
        )
    };
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(pem) = certificate_authority {
        let given: Result<Vec<_>> = CertificateDer::pem_slice_iter(pem.as_bytes())
            .map(|found| found.map_err(|error| unusable(&error)))
            .collect();
        // A system's bundle may have some that rustls does not understand.
        if roots.add_parsable_certificates(given?).0 == 0 {
            return Err(Error::new(
                Reason::Configuration,
                "the certificate authority has no certificate that can be used",
            ));
        }
    }
    let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT)
        .read_timeout(patience)
        .build()
        .map_err(|error| unusable(&error))?;
    Ok(Transport::new(Arc::new(client)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_certificates_are_explained() {
        for pem in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let error = transport(Some(pem), CONNECT).unwrap_err();
            assert_eq!(error.reason, Reason::Configuration, "{error}");
        }
        transport(None, CONNECT).unwrap();
    }
}
