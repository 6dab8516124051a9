//! What the environment says: where to copy to, as whom, and how.

use std::sync::Arc;

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use azure_core::{credentials::TokenCredential, http::Url};

use crate::{
    Backup, Deletes, Error, Policy, Reason, Result, block::MIB, credential::SignIn, source::Source, tags::Keep,
    target::Target, tier::Tiers, transport::Http,
};

/// All settings. The variables are in `docs/backup.md`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The container's address.
    pub container: Url,
    /// Who writes to it; None if the address carries a SAS.
    pub sign_in: Option<SignIn>,
    /// The region of buckets whose events name none.
    pub region: String,
    /// Where S3 is, if not at AWS's own address.
    pub s3_endpoint: Option<String>,
    /// Certificates (PEM) that are trusted in addition to the public authorities'.
    pub certificate_authority: Option<String>,
    /// How many objects are copied at once.
    pub concurrency: usize,
    /// What is done how.
    pub policy: Policy,
}

impl Settings {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// `Configuration`, naming the variable and what it takes.
    pub fn from_env() -> Result<Self> {
        Self::read(|name| std::env::var(name).ok())
    }

    /// Reads settings from wherever they are.
    ///
    /// # Errors
    /// `Configuration`, naming the variable and what it takes.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let get = |name: &str| variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let required = |name: &str, what: &str| get(name).ok_or_else(|| wrong(name, &format!("is not set: {what}")));
        let address = required("BACKUP_CONTAINER_URL", "https://ACCOUNT.blob.core.windows.net/CONTAINER")?;
        let container = Url::parse(&address)
            .ok()
            .filter(|url| (url.scheme() == "https" || is_loopback(url)) && !url.path().trim_matches('/').is_empty())
            .ok_or_else(|| wrong("BACKUP_CONTAINER_URL", "must be https://ACCOUNT.blob.core.windows.net/CONTAINER"))?;
        // The second is what OpenSSL and the tools built on it read.
        let certificate_authority = match get("BACKUP_CERTIFICATE_AUTHORITY").or_else(|| get("SSL_CERT_FILE")) {
            Some(path) if !path.starts_with("-----BEGIN") => Some(std::fs::read_to_string(&path).map_err(|error| {
                wrong("BACKUP_CERTIFICATE_AUTHORITY", &format!("is neither PEM nor a readable file: {error}"))
            })?),
            pem => pem,
        };
        let sign_in = match container.query_pairs().any(|(name, _)| name == "sig") {
            true => None,
            false => Some(SignIn {
                tenant_id: required("AZURE_TENANT_ID", "the GUID of the Entra tenant")?,
                client_id: required("AZURE_CLIENT_ID", "the client id of the application or managed identity")?,
                secret_arn: get("AZURE_CLIENT_SECRET_ARN"),
                cloud: get("AZURE_CLOUD"),
                authority: get("AZURE_AUTHORITY_HOST"),
                certificate_authority: certificate_authority.clone(),
            }),
        };
        let defaults = Policy::default();
        let number = |name: &str, default: u64| match get(name) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .ok()
                .filter(|number| (1..=65_536).contains(number))
                .ok_or_else(|| wrong(name, &format!("must be a number from 1 to 65536, not {text:?}"))),
        };
        let mut policy = Policy {
            deletes: choice(
                &get,
                "BACKUP_DELETES",
                [("retain", Deletes::Retain), ("tombstone", Deletes::Tombstone), ("propagate", Deletes::Propagate)],
            )?,
            pull: choice(&get, "BACKUP_COPY", [("stream", false), ("pull", true)])?,
            block: number("BACKUP_BLOCK_MIB", defaults.block / MIB)? * MIB,
            memory: number("BACKUP_MEMORY_MIB", defaults.memory / MIB)? * MIB,
            ..defaults
        };
        policy.small = policy.small.min(policy.block);
        policy.describing.prefix = get("BACKUP_PREFIX").unwrap_or_default();
        policy.describing.keep = choice(&get, "BACKUP_TAGS", [("index", Keep::Index), ("metadata", Keep::Metadata)])?;
        policy.describing.tiers = choice(&get, "BACKUP_TIERS", [("map", Tiers::Map), ("account", Tiers::Account)])?;
        Ok(Self {
            container,
            sign_in,
            region: get("AWS_REGION").or_else(|| get("AWS_DEFAULT_REGION")).unwrap_or_else(|| "us-east-1".to_owned()),
            s3_endpoint: get("AWS_ENDPOINT_URL_S3").or_else(|| get("AWS_ENDPOINT_URL")),
            certificate_authority,
            concurrency: usize::try_from(number("BACKUP_CONCURRENCY", 64)?).unwrap_or(64),
            policy,
        })
    }

    /// A backup with these settings, which reads with these credentials. Sends nothing.
    ///
    /// # Errors
    /// `Configuration`: a value that cannot be used.
    pub fn open(&self, credentials: SharedCredentialsProvider) -> Result<Backup> {
        let sign_in = self.sign_in.as_ref();
        let sign_in = sign_in.map(|sign_in| sign_in.credential(credentials.clone(), &self.region)).transpose()?;
        self.open_as(sign_in, credentials)
    }

    /// The same as somebody else.
    ///
    /// # Errors
    /// `Configuration`: a value that cannot be used.
    pub fn open_as(&self, azure: Option<Arc<dyn TokenCredential>>, aws: SharedCredentialsProvider) -> Result<Backup> {
        let http = Http::new(self.certificate_authority.as_deref(), self.policy.retries.patience)?;
        let source = Source::new(aws, &self.region, self.s3_endpoint.clone(), http.clone());
        Ok(Backup::new(source, Target::new(self.container.clone(), azure, http)?, self.policy.clone()))
    }
}

/// The credentials that Lambda gives a function: they are valid for as long as it keeps the process.
///
/// # Errors
/// `Configuration`: there are none.
pub fn credentials_from_env() -> Result<SharedCredentialsProvider> {
    let get = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let missing = |name: &str| wrong(name, "is not set, as it is in a Lambda function");
    let key = get("AWS_ACCESS_KEY_ID").ok_or_else(|| missing("AWS_ACCESS_KEY_ID"))?;
    let secret = get("AWS_SECRET_ACCESS_KEY").ok_or_else(|| missing("AWS_SECRET_ACCESS_KEY"))?;
    Ok(SharedCredentialsProvider::new(Credentials::new(key, secret, get("AWS_SESSION_TOKEN"), None, "environment")))
}

fn choice<T: Copy + Default, const N: usize>(
    get: &impl Fn(&str) -> Option<String>,
    name: &str,
    choices: [(&str, T); N],
) -> Result<T> {
    let Some(text) = get(name) else { return Ok(T::default()) };
    let found = choices.iter().find(|(choice, _)| *choice == text).map(|(_, value)| *value);
    found.ok_or_else(|| {
        wrong(name, &format!("must be one of {}, not {text:?}", choices.map(|(choice, _)| choice).join(", ")))
    })
}

/// An emulator on this machine may do without TLS.
fn is_loopback(url: &Url) -> bool {
    url.scheme() == "http" && matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"))
}

fn wrong(name: &str, what: &str) -> Error {
    Error::new(Reason::Configuration, format!("{name} {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings> {
        let mut all = vec![
            ("BACKUP_CONTAINER_URL", "https://account.blob.core.windows.net/container"),
            ("AZURE_TENANT_ID", "t"),
            ("AZURE_CLIENT_ID", "c"),
        ];
        all.extend(pairs);
        Settings::read(|name| all.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn defaults_keep_everything() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.policy.deletes, Deletes::Retain);
        assert_eq!((settings.policy.describing.keep, settings.policy.describing.tiers), (Keep::Index, Tiers::Map));
        assert_eq!((settings.concurrency, settings.policy.memory / MIB), (64, 24));
        assert_eq!(settings.sign_in.unwrap().secret_arn, None, "federated");
    }

    #[test]
    fn values_are_read() {
        let settings = read(&[
            ("BACKUP_DELETES", "propagate"),
            ("BACKUP_COPY", "pull"),
            ("BACKUP_TAGS", "metadata"),
            ("BACKUP_TIERS", "account"),
            ("BACKUP_PREFIX", "bucket/"),
            ("BACKUP_MEMORY_MIB", "64"),
            ("BACKUP_BLOCK_MIB", "1"),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ])
        .unwrap();
        assert_eq!((settings.policy.deletes, settings.policy.pull), (Deletes::Propagate, true));
        assert_eq!((settings.policy.memory, settings.policy.small), (64 * MIB, MIB));
        assert_eq!((settings.region.as_str(), settings.policy.describing.prefix.as_str()), ("eu-west-1", "bucket/"));
        assert_eq!(settings.s3_endpoint.as_deref(), Some("http://127.0.0.1:1"));
        let sas =
            read(&[("BACKUP_CONTAINER_URL", "https://a.blob.core.windows.net/c?sv=1&sig=x"), ("AZURE_TENANT_ID", "")]);
        assert!(sas.unwrap().sign_in.is_none());
    }

    #[test]
    fn wrong_values_are_explained() {
        for (name, value, expected) in [
            ("BACKUP_CONTAINER_URL", "", "BACKUP_CONTAINER_URL is not set"),
            ("BACKUP_CONTAINER_URL", "http://account.blob.core.windows.net/c", "must be https://"),
            ("BACKUP_CONTAINER_URL", "https://account.blob.core.windows.net/", "must be https://"),
            ("AZURE_TENANT_ID", " ", "AZURE_TENANT_ID is not set"),
            ("BACKUP_DELETES", "all", "one of retain, tombstone, propagate"),
            ("BACKUP_CONCURRENCY", "0", "from 1 to 65536"),
            ("BACKUP_MEMORY_MIB", "much", "from 1 to 65536"),
            ("BACKUP_CERTIFICATE_AUTHORITY", "/nowhere", "neither PEM nor a readable file"),
        ] {
            let error = read(&[(name, value)]).unwrap_err();
            assert_eq!(error.reason, Reason::Configuration);
            assert!(error.message.contains(expected), "{name}={value}: {error}");
        }
    }
}
