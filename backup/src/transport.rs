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
    for certificate in CertificateDer::pem_slice_iter(certificate_authority.unwrap_or_default().as_bytes()) {
        roots.add(certificate.map_err(|error| unusable(&error))?).map_err(|error| unusable(&error))?;
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
