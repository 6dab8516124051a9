//! AWS Signature Version 4 of the requests that read from S3, which have no body.
//!
//! `aws-sigv4` signs any request, and takes 8 µs for it, a sixth of a small object's copy: it looks up what to encode, to sort
//! and to leave out, and derives the day's key anew. Here the request is known and the key is kept; the arithmetic is still
//! that of `aws-sigv4`, and a test holds the signatures against its own.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use aws_credential_types::Credentials;
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use http::{HeaderValue, Uri, header};
use sha2::{Digest as _, Sha256};
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

const TIME: &[BorrowedFormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");
/// The SHA-256 of no bytes.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Longer than most canonical forms, but for a session's token.
const ROOM: usize = 1024;

/// Signs, and keeps the last key that it derived: of one day, region and identity.
#[derive(Default)]
pub(crate) struct Signer(Mutex<Option<Kept>>);

struct Kept {
    scope: String,
    secret: String,
    key: Vec<u8>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").finish_non_exhaustive()
    }
}

impl Signer {
    /// Signs a request without a body. Its query must be in order.
    ///
    /// # Errors
    /// Credentials that no header can hold.
    pub(crate) fn sign<B>(
        &self,
        request: &mut http::Request<B>,
        credentials: &Credentials,
        region: &str,
        now: SystemTime,
    ) -> Result<(), header::InvalidHeaderValue> {
        let time = OffsetDateTime::from(now).format(TIME).expect("its parts are those of any time");
        let scope = format!("{}/{region}/s3/aws4_request", &time[..8]);
        let host = HeaderValue::try_from(host(request.uri()))?;
        let headers = request.headers_mut();
        headers.insert(header::HOST, host);
        headers.insert("x-amz-content-sha256", HeaderValue::from_static(EMPTY));
        headers.insert("x-amz-date", HeaderValue::try_from(&time)?);
        if let Some(token) = credentials.session_token() {
            let mut token = HeaderValue::try_from(token)?;
            token.set_sensitive(true);
            headers.insert("x-amz-security-token", token);
        }
        let (canonical, signed) = canonical(request);
        let mut to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n");
        to_sign.push_str(&hex::encode(Sha256::digest(&canonical)));
        let signature = self.signature(&to_sign, scope.clone(), credentials, region, now);
        let id = credentials.access_key_id();
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={signed}, Signature={signature}");
        request.headers_mut().insert(header::AUTHORIZATION, HeaderValue::try_from(authorization)?);
        Ok(())
    }

    fn signature(
        &self,
        to_sign: &str,
        scope: String,
        credentials: &Credentials,
        region: &str,
        now: SystemTime,
    ) -> String {
        let secret = credentials.secret_access_key();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = kept.as_ref().is_some_and(|kept| kept.scope == scope && kept.secret == secret);
        let kept = match kept.take().filter(|_| fits) {
            Some(same) => kept.insert(same),
            None => {
                let key = generate_signing_key(secret, now, region, "s3").as_ref().to_vec();
                kept.insert(Kept { scope, secret: secret.to_owned(), key })
            }
        };
        calculate_signature(&kept.key, to_sign.as_bytes())
    }
}

/// The canonical form of a request, and the names of its headers.
fn canonical<B>(request: &http::Request<B>) -> (String, String) {
    let mut headers: Vec<(&str, &HeaderValue)> =
        request.headers().iter().map(|(name, value)| (name.as_str(), value)).collect();
    headers.sort_unstable_by_key(|(name, _)| *name);
    let uri = request.uri();
    let mut canonical = String::with_capacity(ROOM);
    let mut signed = String::with_capacity(ROOM);
    canonical.extend([request.method().as_str(), "\n", uri.path(), "\n"]);
    let query = uri.query().unwrap_or_default();
    for (at, part) in query.split('&').filter(|part| !part.is_empty()).enumerate() {
        let equals = if part.contains('=') { "" } else { "=" };
        canonical.extend([if at == 0 { "" } else { "&" }, part, equals]);
    }
    canonical.push('\n');
    for (at, (name, value)) in headers.into_iter().enumerate() {
        canonical.extend([name, ":", value.to_str().unwrap_or_default(), "\n"]);
        signed.extend([if at == 0 { "" } else { ";" }, name]);
    }
    canonical.extend(["\n", &signed, "\n", EMPTY]);
    (canonical, signed)
}

/// As HTTP's header has it: without the scheme's own port.
fn host(uri: &Uri) -> &str {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let usual = if uri.scheme_str() == Some("https") { ":443" } else { ":80" };
    authority.strip_suffix(usual).unwrap_or(authority)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use aws_sigv4::{
        http_request::{
            PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
            UriPathNormalizationMode, sign,
        },
        sign::v4,
    };
    use aws_smithy_runtime_api::client::identity::Identity;

    use super::*;

    /// What `aws-sigv4` makes of it.
    fn official(mut request: http::Request<()>, credentials: &Credentials, region: &str, now: SystemTime) -> String {
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let identity: Identity = credentials.clone().into();
        let params = v4::SigningParams::builder().identity(&identity).region(region).name("s3").time(now);
        let params = params.settings(settings).build().unwrap().into();
        let headers: Vec<_> =
            request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        let uri = request.uri().to_string();
        let signable = SignableRequest::new("GET", uri, headers.into_iter(), SignableBody::Bytes(&[])).unwrap();
        sign(signable, &params).unwrap().into_parts().0.apply_to_request_http1x(&mut request);
        request.headers()["authorization"].to_str().unwrap().to_owned()
    }

    #[test]
    fn signatures_are_those_of_the_official_signer() {
        let signer = Signer::default();
        let later = Duration::from_secs(86_400);
        for (at, (uri, region, token)) in [
            ("https://b.s3.eu-west-1.amazonaws.com/a/b.txt", "eu-west-1", None),
            ("https://b.s3.eu-west-1.amazonaws.com/a%20%2B%25/..//x?versionId=a%2F%3D", "eu-west-1", Some("token")),
            ("https://b.s3.eu-west-1.amazonaws.com:443/?tagging&versionId=1", "eu-west-1", Some("token")),
            ("http://127.0.0.1:4566/b/%E6%97%A5?tagging", "us-east-1", None),
        ]
        .into_iter()
        .enumerate()
        {
            for (secret, days) in [("secret", 0), ("another", 0), ("another", 1)] {
                let credentials = Credentials::new("id", secret, token.map(str::to_owned), None, "test");
                let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000) + later * days;
                let mut request = http::Request::get(uri).header("x-amz-checksum-mode", "ENABLED").body(()).unwrap();
                if at % 2 == 0 {
                    request.headers_mut().insert("range", HeaderValue::from_static("bytes=0-9"));
                    request.headers_mut().insert("if-match", HeaderValue::from_static("\"e\""));
                }
                let expected = official(request.clone(), &credentials, region, now);
                signer.sign(&mut request, &credentials, region, now).unwrap();
                assert_eq!(request.headers()["authorization"], expected, "{uri} {secret} {days}");
            }
        }
    }
}
