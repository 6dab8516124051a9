//! HTTPS for the runtime's own requests: AWS's client over rustls with `ring`.
//!
//! aws-lc-rs, the default, seeds itself from CPU jitter at 40 ms of CPU when first used.

use aws_smithy_http_client::{
    Connector,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{http::HttpConnector, orchestrator::HttpRequest};
use aws_smithy_types::body::SdkBody;

pub(crate) const TLS: Provider = Provider::Rustls(CryptoMode::Ring);

/// PUTs a body to a pre-signed URL and gives the status.
///
/// # Errors
/// The kind of failure, without the URL: whoever has it may answer in our place.
pub(crate) async fn put(url: &str, body: String) -> Result<u16, String> {
    let request = http::Request::put(url)
        // The signature covers an empty content type.
        .header("content-type", "")
        .header("content-length", body.len())
        .body(SdkBody::from(body))
        .map_err(|_| "the ResponseURL is not a URL".to_owned())?;
    let request = HttpRequest::try_from(request).map_err(|_| "the ResponseURL is not a URL".to_owned())?;
    let connector = Connector::builder().tls_provider(TLS).build();
    let answer = connector.call(request).await.map_err(|error| {
        let kind =
            [(error.is_timeout(), "timeout"), (error.is_io(), "connection failed"), (error.is_user(), "bad request")];
        kind.into_iter().find(|(is, _)| *is).map_or("request failed", |(_, kind)| kind).to_owned()
    })?;
    Ok(answer.status().as_u16())
}
