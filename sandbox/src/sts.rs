//! AWS STS with outbound identity federation: `GetWebIdentityToken` with a token that is really signed.
//!
//! The local AWS signs such tokens with a key that everybody knows, so this stands in front of its STS: it answers that one
//! call, and hands every other on. Whose token it is, it asks the STS behind it. Entra's emulator gets the key that a real
//! issuer publishes at `/.well-known/jwks.json` by [`crate::azure::Emulator::trust`].

use std::io;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{KeyPair, PublicKeyData, SigningKey};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::net::TcpListener;
use tokio::sync::watch;
use uuid::Uuid;

use crate::azure::Issuer;
use crate::process;

/// The issuer of the account: AWS makes up the first part for each.
pub const ISSUER: &str = "https://00000000-0000-0000-0000-000000000000.tokens.sts.global.api.aws";
/// Who calls with credentials that are no role's session: the handlers, whose session CloudFormation makes up here.
pub const EXECUTION_ROLE: &str = "arn:aws:iam::000000000000:role/execution";
/// Node is there for Azurite. Nothing in Rust that is here anyway makes RSA keys, and Entra takes no others.
const MAKE_KEY: &str = "const {privateKey} = require('crypto').generateKeyPairSync('rsa', {modulusLength: 2048}); \
                        process.stdout.write(privateKey.export({type: 'pkcs8', format: 'pem'}))";
/// AWS's default, seconds.
const LIFETIME: u64 = 300;

/// A running STS; dropping it stops it.
pub struct Sts {
    address: std::net::SocketAddr,
    signer: Arc<Signer>,
    _running: watch::Sender<()>,
}

struct Signer {
    key: KeyPair,
    /// The local AWS, if there is one.
    behind: Option<(String, reqwest::Client)>,
}

impl Sts {
    /// Serves on 127.0.0.1, in front of the local AWS at `behind`; port 0 takes any that is free.
    pub async fn start(port: u16, behind: Option<String>) -> io::Result<Sts> {
        let pem = tokio::task::spawn_blocking(make_key).await.map_err(io::Error::other)??;
        let key = KeyPair::from_pkcs8_pem_and_sign_algo(&pem, &rcgen::PKCS_RSA_SHA256).map_err(io::Error::other)?;
        let behind = match behind {
            Some(url) => Some((url, client()?)),
            None => None,
        };
        let signer = Arc::new(Signer { key, behind });
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let router = axum::Router::new().fallback(serve).with_state(signer.clone());
        let (running, mut stopped) = watch::channel(());
        tokio::spawn(async move {
            tokio::select! {
                _ = axum::serve(listener, router) => {}
                _ = stopped.changed() => {}
            }
        });
        Ok(Sts { address, signer, _running: running })
    }

    /// `http://127.0.0.1:PORT`, for `AWS_ENDPOINT_URL_STS`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The account's issuer, with the key that Entra would fetch from it.
    pub fn issuer(&self) -> Issuer {
        Issuer { url: ISSUER.to_owned(), public_key: self.signer.key.der_bytes().to_vec() }
    }

    /// A token that is good for `lifetime` seconds, or was until so many seconds ago.
    pub fn token(&self, subject: &str, audience: &str, lifetime: i64) -> String {
        self.signer.token(subject, audience, lifetime)
    }
}

impl Signer {
    fn token(&self, subject: &str, audience: &str, lifetime: i64) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let account = subject.split(':').nth(4).unwrap_or_default();
        let claims = json!({
            "iss": ISSUER,
            "sub": subject,
            "aud": audience,
            "iat": now,
            "exp": now.saturating_add_signed(lifetime),
            "jti": Uuid::new_v4(),
            "https://sts.amazonaws.com/": {"aws_account": account, "principal_id": subject},
        });
        let encode = |part: Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(json!({"alg": "RS256", "typ": "JWT", "kid": "sandbox"})), encode(claims));
        let signature = self.key.sign(signed.as_bytes()).expect("a key of 2048 bits signs any text");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The role that the caller's session is of.
    async fn caller(&self, headers: &HeaderMap) -> String {
        let answer = self.hand_on(headers, Bytes::from_static(b"Action=GetCallerIdentity&Version=2011-06-15")).await;
        let text = answer.map(|(_, body)| String::from_utf8_lossy(&body).into_owned()).unwrap_or_default();
        role(&text).unwrap_or_else(|| EXECUTION_ROLE.to_owned())
    }

    async fn hand_on(&self, headers: &HeaderMap, body: Bytes) -> Option<(StatusCode, Bytes)> {
        let (url, client) = self.behind.as_ref()?;
        let mut request = client.post(url).body(body);
        request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        // The local AWS knows a caller by the access key, and checks no signature.
        for name in ["authorization", "x-amz-security-token", "x-amz-date"] {
            if let Some(value) = headers.get(name) {
                request = request.header(name, value);
            }
        }
        let answer = request.send().await.ok()?;
        Some((answer.status(), answer.bytes().await.ok()?))
    }
}

async fn serve(State(signer): State<Arc<Signer>>, headers: HeaderMap, body: Bytes) -> Response {
    let form: Vec<(String, String)> = crate::azure::pairs(&String::from_utf8_lossy(&body)).collect();
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    if field("Action") != "GetWebIdentityToken" {
        return match signer.hand_on(&headers, body).await {
            Some((status, body)) => (status, [(header::CONTENT_TYPE, "text/xml")], body).into_response(),
            None => refuse("InvalidAction", &format!("The action {} is not valid here.", field("Action"))),
        };
    }
    let audience = field("Audience.member.1");
    if audience.is_empty() || !field("Audience.member.2").is_empty() {
        return refuse("ValidationError", "Give one Audience: Entra takes no token with more.");
    }
    if field("SigningAlgorithm") != "RS256" {
        return refuse("ValidationError", "SigningAlgorithm must be RS256 here, which is what Entra takes.");
    }
    let lifetime = match field("DurationSeconds") {
        "" => LIFETIME,
        text => match text.parse() {
            Ok(seconds @ 60..=3600) => seconds,
            _ => return refuse("ValidationError", "DurationSeconds must be from 60 to 3600."),
        },
    };
    let token = signer.token(&signer.caller(&headers).await, audience, lifetime.cast_signed());
    let expires = OffsetDateTime::now_utc() + time::Duration::seconds(lifetime.cast_signed());
    let expires = expires.format(&Rfc3339).expect("a time of this century is RFC 3339's");
    let body = format!(
        "<GetWebIdentityTokenResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetWebIdentityTokenResult>\
         <WebIdentityToken>{token}</WebIdentityToken><Expiration>{expires}</Expiration></GetWebIdentityTokenResult>\
         <ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></GetWebIdentityTokenResponse>",
        Uuid::new_v4()
    );
    ([(header::CONTENT_TYPE, "text/xml")], body).into_response()
}

fn refuse(code: &str, message: &str) -> Response {
    let body = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>{message}</Message></Error><RequestId>{}</RequestId></ErrorResponse>",
        Uuid::new_v4()
    );
    (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, "text/xml")], body).into_response()
}

/// The role of an assumed role in an answer of GetCallerIdentity: the subject is the role and not its session.
fn role(answer: &str) -> Option<String> {
    let arn = answer.split_once("<Arn>")?.1.split_once("</Arn>")?.0;
    let (account, session) = arn.split_once(":assumed-role/")?;
    let role = session.split('/').next()?;
    Some(format!("{}:role/{role}", account.replacen(":sts:", ":iam:", 1)))
}

fn make_key() -> io::Result<String> {
    let made = process::output(process::guarded("node").args(["-e", MAKE_KEY]))?;
    match made.status.success() {
        true => Ok(String::from_utf8_lossy(&made.stdout).into_owned()),
        false => Err(io::Error::other(format!("node made no key: {}", String::from_utf8_lossy(&made.stderr)))),
    }
}

fn client() -> io::Result<reqwest::Client> {
    // Some other part may have chosen the same provider for the process already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subject_is_the_role() {
        let answer = |arn: &str| format!("<R><GetCallerIdentityResult><Arn>{arn}</Arn></GetCallerIdentityResult></R>");
        let session = answer("arn:aws:sts::123456789012:assumed-role/writer/session");
        assert_eq!(role(&session).as_deref(), Some("arn:aws:iam::123456789012:role/writer"));
        assert_eq!(role(&answer("arn:aws:iam::123456789012:root")), None);
        assert_eq!(role(""), None);
    }
}
