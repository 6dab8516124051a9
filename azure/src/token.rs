//! Who signs in: a credential whose tokens are kept until five minutes before they expire, and can be thrown away earlier.
//!
//! AWS and Entra are asked when a token is missing and never before.

use std::{
    collections::HashMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use azure_core::{
    cloud::{CloudConfiguration, CustomConfiguration},
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::ErrorKind as CoreKind,
    http::{
        ClientMethodOptions, ClientOptions, Context, Request, RetryOptions, Transport, Url,
        policies::{Policy, PolicyResult},
    },
    time::OffsetDateTime,
};
use azure_identity::{
    ClientAssertion, ClientAssertionCredential, ClientAssertionCredentialOptions, ClientSecretCredential,
    ClientSecretCredentialOptions,
};
use futures::lock::Mutex;
use serde_json::Value;

use crate::{Error, ErrorKind, Profile, Result, Secret, SecretArn, aws::Session, telemetry::Telemetry};

/// A token that expires within this time is replaced.
const EARLY: Duration = Duration::from_secs(300);
/// How long a secret of Secrets Manager is used before it is read again for the next token.
const KEPT: Duration = Duration::from_secs(300);

/// What is shown to Entra for a token.
enum Source {
    /// A client secret of the app registration.
    ClientSecret(Secret),
    /// A client secret that Secrets Manager keeps, and the value last read.
    StoredSecret { arn: SecretArn, session: Session, last: Mutex<Option<(Instant, Secret)>> },
    /// A web identity token of the caller for this audience.
    Federated { session: Session, audience: &'static str },
}

/// The credential of one profile and, where AWS has a part in it, of one caller; shared by Resource Manager and the data
/// planes.
pub(crate) struct Credential {
    tenant_id: String,
    client_id: String,
    source: Source,
    /// Where Entra is, for the error messages.
    authority: String,
    options: ClientOptions,
    tokens: Mutex<HashMap<String, AccessToken>>,
}

impl Credential {
    /// # Errors
    /// `Unauthenticated` where the profile needs a session and there is none.
    pub(crate) fn new(
        profile: &Profile,
        session: Option<&Session>,
        authority: Url,
        transport: Transport,
    ) -> Result<Self> {
        let caller = || {
            let message = "signing in without a ClientSecret takes the caller's AWS credentials, and there are none";
            session.cloned().ok_or_else(|| Error::signing_in(ErrorKind::Unauthenticated, message))
        };
        let source = match (&profile.client_secret, &profile.client_secret_arn) {
            (Some(secret), _) => Source::ClientSecret(secret.clone()),
            (None, Some(arn)) => Source::StoredSecret { arn: arn.clone(), session: caller()?, last: Mutex::default() },
            (None, None) => Source::Federated { session: caller()?, audience: profile.audience() },
        };
        let mut cloud = CustomConfiguration::default();
        cloud.authority_host = authority.to_string();
        let options = ClientOptions {
            transport: Some(transport),
            cloud: Some(Arc::new(CloudConfiguration::from(cloud))),
            // The request that needs the token is repeated as a whole.
            retry: RetryOptions::none(),
            per_try_policies: vec![Arc::new(Refusals), Arc::new(Telemetry)],
            ..ClientOptions::default()
        };
        Ok(Self {
            tenant_id: profile.tenant_id.clone(),
            client_id: profile.client_id.clone(),
            source,
            authority: authority.host_str().unwrap_or_default().to_owned(),
            options,
            tokens: Mutex::default(),
        })
    }

    /// Forgets every token: the next request fetches a new one.
    pub(crate) async fn renew(&self) {
        self.tokens.lock().await.clear();
    }

    async fn sign_in(&self, scopes: &[&str]) -> Result<AccessToken> {
        match &self.source {
            Source::ClientSecret(secret) => self.with_secret(secret, scopes).await,
            Source::StoredSecret { arn, session, last } => {
                let mut last = last.lock().await;
                if let Some((read, secret)) = &*last
                    && read.elapsed() < KEPT
                {
                    match self.with_secret(secret, scopes).await {
                        // It may have been replaced since.
                        Err(error) if is_about_the_secret(&error) => {}
                        done => return done,
                    }
                }
                let secret = session.secret(arn).await?;
                *last = Some((Instant::now(), secret.clone()));
                self.with_secret(&secret, scopes).await
            }
            Source::Federated { session, audience } => {
                let token = session.web_identity_token(audience).await?;
                let claims = claims(&token);
                let options = Some(ClientAssertionCredentialOptions { client_options: self.options.clone() });
                let credential =
                    ClientAssertionCredential::new(self.tenant_id.clone(), self.client_id.clone(), token, options)
                        .map_err(|error| self.failed(&error))?;
                let signed_in = credential.get_token(scopes, None).await;
                signed_in.map_err(|error| self.failed(&error).expecting(&self.client_id, &claims))
            }
        }
    }

    async fn with_secret(&self, secret: &Secret, scopes: &[&str]) -> Result<AccessToken> {
        let options = Some(ClientSecretCredentialOptions { client_options: self.options.clone() });
        let value = secret.reveal().to_owned().into();
        let credential = ClientSecretCredential::new(&self.tenant_id, self.client_id.clone(), value, options)
            .map_err(|error| self.failed(&error))?;
        credential.get_token(scopes, None).await.map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &azure_core::Error) -> Error {
        let error = Error { signing_in: true, ..Error::from_core(error) };
        match error.status {
            Some(_) => error,
            None => error.about(&format!("signing in at {}", self.authority)),
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

#[async_trait]
impl TokenCredential for Credential {
    async fn get_token(&self, scopes: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        // azure_identity has no way to drop its cache, so it is given nothing to keep. The lock is held while a token is
        // on its way: whoever else needs one waits for it.
        let mut tokens = self.tokens.lock().await;
        let scope = scopes.join(" ");
        if let Some(token) = tokens.get(&scope)
            && token.expires_on > OffsetDateTime::now_utc() + EARLY
        {
            return Ok(token.clone());
        }
        let token = self.sign_in(scopes).await.map_err(|error| azure_core::Error::new(CoreKind::Credential, error))?;
        tokens.insert(scope, token.clone());
        Ok(token)
    }
}

#[async_trait]
impl ClientAssertion for Secret {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        Ok(self.reveal().to_owned())
    }
}

/// Whether Entra says that the secret is wrong, or that it has expired.
fn is_about_the_secret(error: &Error) -> bool {
    matches!(error.code.as_deref(), Some("AADSTS7000215" | "AADSTS7000222"))
}

/// What a JWT claims, for the error message; null where it is none.
fn claims(token: &Secret) -> Value {
    let payload = token.reveal().split('.').nth(1).unwrap_or_default();
    let bytes = azure_core::base64::decode_url_safe(payload).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// Turns Entra's refusals into our error: azure_identity loses the status of those that are not JSON.
#[derive(Debug)]
struct Refusals;

#[async_trait]
impl Policy for Refusals {
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        let answer = next[0].send(context, request, &next[1..]).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let answer = answer.try_into_raw_response().await?;
        let error = Error::from_entra(u16::from(answer.status()), answer.headers(), answer.body());
        Err(azure_core::Error::new(CoreKind::Credential, error))
    }
}
