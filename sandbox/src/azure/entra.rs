//! Entra: issues tokens and knows those it issued.
//!
//! The tokens have the form of Entra's (Azurite reads issuer, audience and times) and no signature: whoever shows a token
//! that this emulator issued is its client.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Options;
use super::federation::{self, Federation, Issuer};
use super::http::{Answer, Outcome, Request, pairs};

const MANAGEMENT: [&str; 5] = [
    "https://management.azure.com",
    "https://management.core.windows.net",
    "https://management.usgovcloudapi.net",
    "https://management.chinacloudapi.cn",
    "https://management.core.chinacloudapi.cn",
];
const STORAGE: &str = "https://storage.azure.com";
const VAULT: &str = "https://vault.azure.net";

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// Azure Resource Manager.
    Management,
    /// The data plane of storage.
    Storage,
    /// The data plane of Key Vault.
    Vault,
}

struct Issued {
    audience: String,
    expires: SystemTime,
}

/// The tenant's token service.
pub(super) struct Entra {
    url: String,
    tenant: String,
    client: String,
    secret: String,
    lifetime: Duration,
    issued: HashMap<String, Issued>,
    /// Whose keys are known.
    issuers: Vec<Issuer>,
    /// The federated credentials of the application.
    federations: Vec<Federation>,
}

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// What a token for Entra is for.
const AUDIENCE: &str = "api://AzureADTokenExchange";

impl Entra {
    pub(super) fn new(options: &Options, url: &str) -> Entra {
        Entra {
            url: url.into(),
            tenant: options.tenant_id.clone(),
            client: options.client_id.clone(),
            secret: options.client_secret.clone(),
            lifetime: options.token_lifetime,
            issued: HashMap::new(),
            issuers: Vec::new(),
            federations: Vec::new(),
        }
    }

    /// Makes an issuer's key known.
    pub(super) fn trust(&mut self, issuer: Issuer) {
        self.issuers.push(issuer);
    }

    /// Gives the application a federated credential.
    pub(super) fn federate(&mut self, issuer: &str, subject: &str) {
        self.federations.push(Federation {
            client_id: self.client.clone(),
            principal_id: self.client.clone(),
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
            audience: AUDIENCE.to_owned(),
        });
    }

    /// Answers the paths of Entra, of which some know the federated credentials of `identities`; none for any other.
    pub(super) fn serve(&mut self, request: &Request, identities: &[Federation]) -> Option<Answer> {
        let segments: Vec<&str> = request.path.trim_matches('/').split('/').collect();
        match (request.method.as_str(), segments.as_slice()) {
            ("POST", [tenant, "oauth2", "v2.0", "token"]) => {
                Some(self.grant(tenant, request, identities).unwrap_or_else(|no| no))
            }
            ("GET", [tenant, "v2.0", ".well-known", "openid-configuration"]) => {
                Some(self.discovery(tenant).unwrap_or_else(|no| no))
            }
            ("GET", ["common", "discovery", "instance"]) => Some(self.instance()),
            _ => None,
        }
    }

    fn grant(&mut self, tenant: &str, request: &Request, identities: &[Federation]) -> Outcome {
        self.know(tenant)?;
        let form = String::from_utf8_lossy(&request.body).into_owned();
        let form: BTreeMap<String, String> = pairs(&form).collect();
        let field = |name: &str| form.get(name).map_or("", String::as_str);
        if field("grant_type") != "client_credentials" {
            let message = format!("The app requested an unsupported grant type '{}'.", field("grant_type"));
            return Err(refuse(400, "unsupported_grant_type", 70003, &message));
        }
        let client = field("client_id");
        let is_application = client.eq_ignore_ascii_case(&self.client);
        if !is_application && !identities.iter().any(|one| one.client_id.eq_ignore_ascii_case(client)) {
            let message = format!(
                "Application with identifier '{}' was not found in the directory '{tenant}'.",
                field("client_id")
            );
            return Err(refuse(400, "unauthorized_client", 700_016, &message));
        }
        let mut principal = (self.client.clone(), self.client.clone());
        match (form.get("client_secret"), form.get("client_assertion")) {
            (_, Some(assertion)) if field("client_assertion_type") == ASSERTION => {
                let federations = [&self.federations, identities].concat();
                let record = federation::check(assertion, &self.issuers, &federations, client)?;
                principal = (record.client_id, record.principal_id);
            }
            (None, _) => {
                let message = "The request body must contain the following parameter: \
                               'client_assertion' or 'client_secret'.";
                return Err(refuse(401, "invalid_client", 7_000_218, message));
            }
            (Some(secret), _) if *secret != self.secret || !is_application => {
                let message = format!("Invalid client secret provided for app '{}'.", self.client);
                return Err(refuse(401, "invalid_client", 7_000_215, &message));
            }
            (Some(_), _) => {}
        }
        let token = self.issue_to(&principal.0, &principal.1, field("scope")).ok_or_else(|| {
            let message = format!("The resource principal named {} was not found.", field("scope"));
            refuse(400, "invalid_resource", 500_011, &message)
        })?;
        let seconds = self.lifetime.as_secs();
        let body = json!({
            "token_type": "Bearer",
            "expires_in": seconds,
            "ext_expires_in": seconds,
            "access_token": token,
        });
        Ok(Answer::json(200, &body).with("cache-control", "no-store, no-cache"))
    }

    fn know(&self, tenant: &str) -> Result<(), Answer> {
        if tenant.eq_ignore_ascii_case(&self.tenant) {
            return Ok(());
        }
        let message = format!("Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID.");
        Err(refuse(400, "invalid_request", 90002, &message))
    }

    /// A token for `scope`, which must end in `/.default`; none for a resource that nobody knows.
    pub(super) fn issue(&mut self, scope: &str) -> Option<String> {
        let application = self.client.clone();
        self.issue_to(&application, &application, scope)
    }

    fn issue_to(&mut self, client: &str, principal: &str, scope: &str) -> Option<String> {
        // Two slashes are asked for by clients that take the resource with its own.
        let audience = scope.strip_suffix("/.default")?.trim_end_matches('/');
        self.audience(audience)?;
        let now = SystemTime::now();
        let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let claims = json!({
            "aud": audience,
            "iss": format!("https://sts.windows.net/{}/", self.tenant),
            "iat": seconds,
            "nbf": seconds.saturating_sub(300),
            "exp": seconds + self.lifetime.as_secs(),
            "appid": client,
            "oid": principal,
            "sub": principal,
            "tid": self.tenant,
            "uti": Uuid::new_v4(),
            "ver": "1.0",
        });
        let encode = |part: &serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let header = json!({"typ": "JWT", "alg": "none"});
        let token = format!("{}.{}.", encode(&header), encode(&claims));
        let issued = Issued { audience: audience.into(), expires: now + self.lifetime };
        self.issued.insert(token.clone(), issued);
        Some(token)
    }

    fn audience(&self, audience: &str) -> Option<Audience> {
        let is_account =
            audience.starts_with("https://") && [".blob.", ".table."].iter().any(|zone| audience.contains(zone));
        if audience == self.url || MANAGEMENT.contains(&audience) {
            Some(Audience::Management)
        } else if audience == STORAGE || is_account {
            Some(Audience::Storage)
        } else if audience == VAULT {
            Some(Audience::Vault)
        } else {
            None
        }
    }

    /// Lets a request pass that carries a valid token for `wanted`; otherwise the 401 that ARM answers.
    pub(super) fn check(&self, request: &Request, wanted: Audience) -> Result<(), Answer> {
        let challenge = |code: &str, message: &str| {
            let header = format!(
                "Bearer authorization_uri=\"{}/{}\", error=\"invalid_token\", error_description=\"{message}\"",
                self.url, self.tenant
            );
            Answer::gateway(401, code, message).with("www-authenticate", header)
        };
        let Some(token) = request.bearer() else {
            return Err(challenge(
                "AuthenticationFailed",
                "Authentication failed. The 'Authorization' header is missing.",
            ));
        };
        let Some(issued) = self.issued.get(token) else {
            return Err(challenge("InvalidAuthenticationToken", "The access token is invalid."));
        };
        if self.audience(&issued.audience) != Some(wanted) {
            let message =
                format!("The access token has been obtained for wrong audience or resource '{}'.", issued.audience);
            return Err(challenge("InvalidAuthenticationTokenAudience", &message));
        }
        if issued.expires <= SystemTime::now() {
            let expired = OffsetDateTime::from(issued.expires);
            let message = format!("The access token expiry UTC time '{expired}' is earlier than current UTC time.");
            return Err(challenge("ExpiredAuthenticationToken", &message));
        }
        Ok(())
    }

    fn discovery(&self, tenant: &str) -> Outcome {
        self.know(tenant)?;
        let base = format!("{}/{tenant}", self.url);
        Ok(Answer::json(
            200,
            &json!({
                "token_endpoint": format!("{base}/oauth2/v2.0/token"),
                "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
                "jwks_uri": format!("{base}/discovery/v2.0/keys"),
                "issuer": format!("{base}/v2.0"),
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
                "response_types_supported": ["code"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }),
        ))
    }

    fn instance(&self) -> Answer {
        let host = self.url.trim_start_matches("https://");
        Answer::json(
            200,
            &json!({
                "tenant_discovery_endpoint":
                    format!("{}/{}/v2.0/.well-known/openid-configuration", self.url, self.tenant),
                "api-version": "1.1",
                "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
            }),
        )
    }
}

pub(super) fn refuse(status: u16, error: &str, code: u32, message: &str) -> Answer {
    let trace = Uuid::new_v4();
    let correlation = Uuid::new_v4();
    let now = OffsetDateTime::now_utc();
    let stamp = format!("{} {:02}:{:02}:{:02}Z", now.date(), now.hour(), now.minute(), now.second());
    let description =
        format!("AADSTS{code}: {message} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}");
    Answer::json(
        status,
        &json!({
            "error": error,
            "error_description": description,
            "error_codes": [code],
            "timestamp": stamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
        }),
    )
}
