//! Whose tokens of other issuers Entra takes: federated credentials.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::alg_id;
use serde_json::Value;

use super::entra::refuse;
use super::http::Answer;
use super::state::State;

/// How far a clock may be off, seconds; Entra's.
const SKEW: u64 = 300;

/// An issuer of tokens, and the key that it publishes.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The claim `iss` of its tokens: `https://….tokens.sts.global.api.aws`.
    pub url: String,
    /// Its RSA public key, in DER.
    pub public_key: Vec<u8>,
}

/// A principal, and the token of another issuer that makes a client it.
#[derive(Clone, Debug)]
pub(super) struct Federation {
    /// The application id: of the app registration, or of an identity.
    pub(super) client_id: String,
    /// The object id.
    pub(super) principal_id: String,
    pub(super) issuer: String,
    pub(super) subject: String,
    pub(super) audience: String,
}

/// The federated credentials of the identities that Resource Manager has.
pub(super) fn of_identities(state: &State) -> Vec<Federation> {
    const KIND: &str = "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials";
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let federation = |credential: &Value| {
        let id = super::arm::parse(credential["id"].as_str()?)?;
        let identity = &state.get(&id.parent()?)?["properties"];
        let properties = &credential["properties"];
        Some(Federation {
            client_id: text(&identity["clientId"]),
            principal_id: text(&identity["principalId"]),
            issuer: text(&properties["issuer"]),
            subject: text(&properties["subject"]),
            audience: text(&properties["audiences"][0]),
        })
    };
    state.of_type(KIND).filter_map(|resource| federation(&resource.document)).collect()
}

/// The principal that `assertion` makes `client_id`.
pub(super) fn check(
    assertion: &str,
    issuers: &[Issuer],
    federations: &[Federation],
    client_id: &str,
) -> Result<Federation, Answer> {
    let invalid = |code: u32, message: &str| refuse(401, "invalid_client", code, message);
    let malformed = || invalid(50_027, "JWT token is invalid or malformed.");
    let (signed, signature) = assertion.rsplit_once('.').ok_or_else(malformed)?;
    let (header, payload) = signed.split_once('.').ok_or_else(malformed)?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed());
    let json = |part: &str| serde_json::from_slice::<Value>(&decode(part)?).map_err(|_| malformed());
    let (header, claims, signature) = (json(header)?, json(payload)?, decode(signature)?);
    let claim = |name: &str| claims[name].as_str().unwrap_or_default();

    // Entra names the first of the three that fits nothing.
    let unknown = |code: u32, what: &str, value: &str| {
        let message = format!("No matching federated identity record found for presented assertion {what} '{value}'.");
        refuse(400, "invalid_client", code, &message)
    };
    let (issuer, subject, audience) = (claim("iss"), claim("sub"), claim("aud"));
    let of_client = federations.iter().filter(|one| one.client_id.eq_ignore_ascii_case(client_id));
    let of_issuer: Vec<&Federation> = of_client.filter(|one| one.issuer == issuer).collect();
    let of_subject: Vec<&&Federation> = of_issuer.iter().filter(|one| one.subject == subject).collect();
    let record = match (of_issuer.is_empty(), of_subject.first()) {
        (true, _) => return Err(unknown(700_211, "issuer", issuer)),
        (false, None) => return Err(unknown(700_213, "subject", subject)),
        (false, Some(record)) if record.audience != audience => return Err(unknown(700_212, "audience", audience)),
        (false, Some(record)) => (**record).clone(),
    };

    let key = issuers.iter().find(|known| known.url == issuer).map(|known| known.public_key.as_slice());
    let is_signed = key.is_some_and(|key| header["alg"] == "RS256" && verifies(key, signed.as_bytes(), &signature));
    if !is_signed {
        return Err(invalid(50_027, "JWT token is invalid or malformed: its signature is not the issuer's."));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let time = |name: &str| claims[name].as_u64();
    let is_now = time("exp").is_some_and(|end| end + SKEW > now) && time("iat").is_none_or(|from| from < now + SKEW);
    if !is_now {
        let message = "Client assertion is not within its valid time range.";
        return Err(invalid(700_024, message));
    }
    Ok(record)
}

fn verifies(key: &[u8], signed: &[u8], signature: &[u8]) -> bool {
    let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms.all;
    let of_rsa = algorithms.iter().filter(|one| {
        one.public_key_alg_id() == alg_id::RSA_ENCRYPTION && one.signature_alg_id() == alg_id::RSA_PKCS1_SHA256
    });
    of_rsa.into_iter().any(|one| one.verify_signature(key, signed, signature).is_ok())
}
