//! HTTPS for the runtime's own requests: AWS's client over rustls with `ring`.
//!
//! aws-lc-rs, the default, seeds itself from CPU jitter at 40 ms of CPU when first used.

use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

pub(crate) const TLS: Provider = Provider::Rustls(CryptoMode::Ring);
