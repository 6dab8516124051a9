//! Both ends, from the options and the environment. The options stand for the variables of the Lambda function; secrets have none.

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use clap::Args;

use crate::{Backup, Error, Policy, Reason, Result, settings::Settings, source::Source, transport::Http};

/// How much of all objects may be in memory, if nothing else is said: a program may have more than a function.
const MEMORY_MIB: &str = "256";
/// Stands for the container where Azure is not asked.
const NO_CONTAINER: &str = "https://account.invalid/container?sig=";

/// Where S3 and Azure are, and as whom.
#[derive(Clone, Debug, Args)]
pub(crate) struct Connection {
    /// The container, https://ACCOUNT.blob.core.windows.net/CONTAINER [BACKUP_CONTAINER_URL, which may also carry a SAS]
    #[arg(long, global = true, value_name = "URL", help_heading = "Connection")]
    container_url: Option<String>,
    /// What stands before every key in a blob's name [BACKUP_PREFIX]
    #[arg(long, global = true, value_name = "PREFIX", help_heading = "Connection")]
    blob_prefix: Option<String>,
    /// AWS profile [AWS_PROFILE]
    #[arg(long, global = true, value_name = "NAME", help_heading = "Connection")]
    profile: Option<String>,
    /// AWS region [AWS_REGION, or that of the profile]
    #[arg(long, global = true, help_heading = "Connection")]
    region: Option<String>,
    /// Address of S3, if not AWS's own [AWS_ENDPOINT_URL_S3]
    #[arg(long, global = true, value_name = "URL", help_heading = "Connection")]
    endpoint_url: Option<String>,
    /// Entra tenant [AZURE_TENANT_ID]
    #[arg(long, global = true, value_name = "GUID", help_heading = "Connection")]
    tenant_id: Option<String>,
    /// Application or managed identity that signs in: with the AWS identity, or with a secret from AZURE_CLIENT_SECRET or
    /// --client-secret-arn [AZURE_CLIENT_ID]
    #[arg(long, global = true, value_name = "GUID", help_heading = "Connection")]
    client_id: Option<String>,
    /// Secret of Secrets Manager that has the client secret [AZURE_CLIENT_SECRET_ARN]
    #[arg(long, global = true, value_name = "ARN", help_heading = "Connection")]
    client_secret_arn: Option<String>,
    /// The most objects at once; how many there are follows from what makes it faster
    #[arg(long, global = true, value_name = "NUMBER", default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..), help_heading = "Connection")]
    concurrency: u16,
    /// How much of all objects may be in memory at once, in MiB [BACKUP_MEMORY_MIB, or 256]
    #[arg(long, global = true, value_name = "MIB", help_heading = "Connection")]
    memory_mib: Option<u32>,
}

/// S3 and the container, ready to be asked.
pub(crate) struct Ends {
    /// The copy from the one to the other.
    pub(crate) backup: Backup,
    /// S3 for what the copy does not need: listing, writing.
    pub(crate) s3: aws_sdk_s3::Client,
    /// AWS's settings, for other services.
    pub(crate) aws: SdkConfig,
    /// The most objects at once.
    pub(crate) concurrency: usize,
}

impl Connection {
    /// Reads the settings and builds both ends. Sends nothing, unless AWS credentials have to be fetched.
    ///
    /// # Errors
    /// `Configuration`, naming the option or variable and what it takes.
    pub(crate) async fn open(&self) -> Result<Ends> {
        if self.container_url.as_deref().is_some_and(|url| url.contains("sig=")) {
            let message = "--container-url has a SAS, which is a secret, and every user of this machine can see it there: put it \
                           into BACKUP_CONTAINER_URL";
            return Err(Error::new(Reason::Configuration, message));
        }
        let (aws, settings, credentials) = self.aws(true).await?;
        let s3 = s3(&aws, &settings);
        Ok(Ends { backup: open(&settings, credentials)?, s3, aws, concurrency: self.concurrency.into() })
    }

    /// S3 alone, and how objects would be copied.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub(crate) async fn source(&self) -> Result<(Source, aws_sdk_s3::Client, Policy)> {
        let (aws, settings, credentials) = self.aws(false).await?;
        let s3 = s3(&aws, &settings);
        let http = Http::new(settings.certificate_authority.as_deref(), settings.policy.retries.patience)?;
        Ok((Source::new(credentials, &settings.region, settings.s3_endpoint, http), s3, settings.policy))
    }

    async fn aws(&self, with_azure: bool) -> Result<(SdkConfig, Settings, SharedCredentialsProvider)> {
        let certificate_authority = self.settings(None, with_azure)?.certificate_authority;
        let http = http_client(certificate_authority.as_deref())?;
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        let aws = loader.load().await;
        let settings = self.settings(aws.region().map(|region| region.as_ref()), with_azure)?;
        let credentials = aws.credentials_provider().ok_or_else(|| {
            let message = "there are no AWS credentials: set AWS_PROFILE, or sign in with `aws sso login`";
            Error::new(Reason::Configuration, message)
        })?;
        Ok((aws, settings, credentials))
    }

    /// The variables of the Lambda function, where an option does not say otherwise.
    fn settings(&self, region: Option<&str>, with_azure: bool) -> Result<Settings> {
        let settings = Settings::read(|name| {
            let environment = || std::env::var(name).ok().filter(|value| !value.trim().is_empty());
            let said = match name {
                "BACKUP_CONTAINER_URL" if !with_azure => return Some(NO_CONTAINER.to_owned()),
                "BACKUP_CONTAINER_URL" => self.container_url.clone(),
                "BACKUP_PREFIX" => self.blob_prefix.clone(),
                "AZURE_TENANT_ID" => self.tenant_id.clone(),
                "AZURE_CLIENT_ID" => self.client_id.clone(),
                "AZURE_CLIENT_SECRET_ARN" => self.client_secret_arn.clone(),
                "AWS_ENDPOINT_URL_S3" => self.endpoint_url.clone(),
                "AWS_REGION" => self.region.clone().or_else(|| region.map(str::to_owned)),
                "BACKUP_MEMORY_MIB" => {
                    let said = self.memory_mib.map(|mib| mib.to_string());
                    return said.or_else(environment).or_else(|| Some(MEMORY_MIB.to_owned()));
                }
                _ => None,
            };
            said.or_else(environment)
        });
        settings.map_err(|error| {
            let message = format!("{}; options stand for variables: `backup --help` names both", error.message);
            Error::new(error.reason, message)
        })
    }
}

/// As [`Settings::open`], with a client secret of the environment, if it has one.
fn open(settings: &Settings, credentials: SharedCredentialsProvider) -> Result<Backup> {
    let secret = std::env::var("AZURE_CLIENT_SECRET").ok().filter(|secret| !secret.is_empty());
    let (Some(sign_in), Some(secret)) = (&settings.sign_in, secret) else { return settings.open(credentials) };
    if sign_in.secret_arn.is_some() {
        let message =
            "there are two client secrets: unset AZURE_CLIENT_SECRET, or leave out the one in Secrets Manager";
        return Err(Error::new(Reason::Configuration, message));
    }
    let credential = sign_in.credential_with(Some(&secret), credentials.clone(), &settings.region)?;
    settings.open_as(Some(credential), credentials)
}

fn s3(aws: &SdkConfig, settings: &Settings) -> aws_sdk_s3::Client {
    let patience = settings.policy.retries.patience;
    let mut config = aws_sdk_s3::config::Builder::from(aws)
        .region(Region::new(settings.region.clone()))
        // We repeat calls ourselves, and give the checksums that were recorded, not ones of what happens to be sent.
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().connect_timeout(patience).read_timeout(patience).build())
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .force_path_style(settings.s3_endpoint.is_some());
    config.set_endpoint_url(settings.s3_endpoint.clone());
    aws_sdk_s3::Client::from_conf(config.build())
}

fn http_client(certificate_authority: Option<&str>) -> Result<SharedHttpClient> {
    let builder = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    let Some(pem) = certificate_authority else { return Ok(builder.build_https()) };
    let context =
        TlsContext::builder().with_trust_store(TrustStore::default().with_pem_certificate(pem)).build().map_err(
            |error| Error::new(Reason::Configuration, format!("the certificate authority is not usable: {error}")),
        )?;
    Ok(builder.tls_context(context).build_https())
}
