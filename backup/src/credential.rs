//! Who signs in to Azure: the function's own role, or a secret that it may read.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use azure_core::{
    cloud::{CloudConfiguration, CustomConfiguration},
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::ErrorKind,
    http::{ClientMethodOptions, ClientOptions, RetryOptions, Transport},
};
use azure_identity::{
    ClientAssertion, ClientAssertionCredential, ClientAssertionCredentialOptions, ClientSecretCredential,
    ClientSecretCredentialOptions,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio::sync::OnceCell;

use crate::{Error, Reason, Result};

/// What Entra wants a token to be for.
const AUDIENCE: &str = "api://AzureADTokenExchange";
/// A host that does not take a connection within this time will not.
const CONNECT: Duration = Duration::from_secs(5);

/// Who signs in, and where.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// The Entra tenant.
    pub tenant_id: String,
    /// The application or managed identity.
    pub client_id: String,
    /// Entra's address.
    pub authority: String,
    /// The secret in Secrets Manager that is a client secret; None: federated, with no secret anywhere.
    pub secret_arn: Option<String>,
}

impl SignIn {
    /// A credential that fetches what it needs when it is first used.
    ///
    /// # Errors
    /// `Configuration`: a value that cannot be used.
    pub fn credential(
        &self,
        aws: SharedCredentialsProvider,
        region: &str,
        transport: Transport,
    ) -> Result<Arc<dyn TokenCredential>> {
        let options = self.options(transport);
        let aws = Aws { credentials: aws, region: region.to_owned() };
        if let Some(arn) = &self.secret_arn {
            let credential = Secret { sign_in: self.clone(), arn: arn.clone(), aws, options, built: OnceCell::new() };
            return Ok(Arc::new(credential));
        }
        let options = ClientAssertionCredentialOptions { client_options: options };
        let built = ClientAssertionCredential::new(self.tenant_id.clone(), self.client_id.clone(), aws, Some(options));
        built.map(|credential| credential as Arc<dyn TokenCredential>).map_err(|error| unusable(&error))
    }

    fn options(&self, transport: Transport) -> ClientOptions {
        let mut cloud = CustomConfiguration::default();
        cloud.authority_host.clone_from(&self.authority);
        ClientOptions {
            transport: Some(transport),
            cloud: Some(Arc::new(CloudConfiguration::from(cloud))),
            // The request that needs the token is repeated as a whole.
            retry: RetryOptions::none(),
            ..ClientOptions::default()
        }
    }
}

/// The function's role.
#[derive(Debug)]
struct Aws {
    credentials: SharedCredentialsProvider,
    region: String,
}

#[async_trait]
impl ClientAssertion for Aws {
    /// A token that says which role this is, signed by AWS.
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let http =
            aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        let mut config = aws_sdk_sts::Config::builder()
            .behavior_version(aws_sdk_sts::config::BehaviorVersion::latest())
            .region(aws_sdk_sts::config::Region::new(self.region.clone()))
            .credentials_provider(self.credentials.clone())
            .http_client(http);
        config.set_endpoint_url(endpoint("AWS_ENDPOINT_URL_STS"));
        let answer = aws_sdk_sts::Client::from_conf(config.build())
            .get_web_identity_token()
            .audience(AUDIENCE)
            .signing_algorithm("RS256")
            .send()
            .await
            .map_err(|error| {
                let code =
                    error.as_service_error().and_then(|error| error.meta().code()).unwrap_or_default().to_owned();
                let advice = match code.as_str() {
                    "OutboundWebIdentityFederationDisabledException" | "OutboundWebIdentityFederationDisabled" => {
                        "run `aws iam enable-outbound-web-identity-federation` once in this account"
                    }
                    _ => "the function's role needs sts:GetWebIdentityToken",
                };
                let cause = crate::source::root_cause(&error);
                azure_core::Error::with_message(
                    ErrorKind::Credential,
                    format!("STS issued no token: {advice}: {code} {cause}"),
                )
            })?;
        answer
            .web_identity_token
            .ok_or_else(|| azure_core::Error::with_message(ErrorKind::Credential, "STS answered without a token"))
    }
}

/// A client secret that is read from Secrets Manager when first needed.
#[derive(Debug)]
struct Secret {
    sign_in: SignIn,
    arn: String,
    aws: Aws,
    options: ClientOptions,
    built: OnceCell<Arc<ClientSecretCredential>>,
}

#[async_trait]
impl TokenCredential for Secret {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let built = self
            .built
            .get_or_try_init(|| async {
                let secret = self.read().await?;
                let options = ClientSecretCredentialOptions { client_options: self.options.clone() };
                ClientSecretCredential::new(
                    &self.sign_in.tenant_id,
                    self.sign_in.client_id.clone(),
                    secret.into(),
                    Some(options),
                )
            })
            .await?;
        built.get_token(scopes, options).await
    }
}

impl Secret {
    async fn read(&self) -> azure_core::Result<String> {
        let http =
            aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        let mut config = aws_sdk_secretsmanager::Config::builder()
            .behavior_version(aws_sdk_secretsmanager::config::BehaviorVersion::latest())
            .region(aws_sdk_secretsmanager::config::Region::new(self.aws.region.clone()))
            .credentials_provider(self.aws.credentials.clone())
            .http_client(http);
        config.set_endpoint_url(endpoint("AWS_ENDPOINT_URL_SECRETS_MANAGER"));
        let answer = aws_sdk_secretsmanager::Client::from_conf(config.build())
            .get_secret_value()
            .secret_id(&self.arn)
            .send()
            .await
            .map_err(|error| {
                let cause = crate::source::root_cause(&error);
                let message = format!("the secret {} cannot be read: the function's role needs secretsmanager:GetSecretValue on it: {cause}", self.arn);
                azure_core::Error::with_message(ErrorKind::Credential, message)
            })?;
        let text = answer.secret_string.unwrap_or_default();
        let secret = serde_json::from_str::<serde_json::Value>(&text)
            .ok()
            .and_then(|json| Some(json.get("ClientSecret")?.as_str()?.to_owned()))
            .unwrap_or(text);
        match secret.is_empty() {
            false => Ok(secret),
            true => {
                Err(azure_core::Error::with_message(ErrorKind::Credential, format!("the secret {} is empty", self.arn)))
            }
        }
    }
}

/// Where a service is, if not at AWS's own address: the variables that every AWS SDK reads.
pub(crate) fn endpoint(of_service: &str) -> Option<String> {
    [of_service, "AWS_ENDPOINT_URL"].iter().find_map(|name| std::env::var(name).ok().filter(|url| !url.is_empty()))
}

/// The HTTP client for Azure: rustls with `ring`, roots compiled in, and the given certificates (PEM) in addition.
///
/// # Errors
/// `Configuration`: the certificates are not usable.
pub fn transport(certificate_authority: Option<&str>, patience: Duration) -> Result<Transport> {
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

fn unusable(error: &dyn std::error::Error) -> Error {
    Error::new(
        Reason::Configuration,
        format!("signing in to Azure is not set up: {}", crate::source::root_cause(error)),
    )
}
