//! One profile of a type configuration: who signs in, to which subscription, in which cloud.

use azure_core::http::Url;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    Error, ErrorKind, Result,
    secret::{Secret, SecretArn},
};

/// How the handlers sign in to Azure and which subscription they manage.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct Profile {
    /// The Entra tenant (directory) that the application belongs to: its GUID or one of its domain names.
    pub tenant_id: String,
    /// The application (client) id of the app registration that signs in.
    pub client_id: String,
    /// The ARN of a secret in AWS Secrets Manager that holds a client secret of the app registration: as its whole text, or as the member ClientSecret of a JSON object. The handlers read it with the execution role. If you give neither this nor ClientSecret, they sign in without a secret: with a web identity token of the execution role, which the app registration must trust.
    pub client_secret_arn: Option<SecretArn>,
    /// A client secret of the app registration, normally a dynamic reference such as {{resolve:secretsmanager:azure:SecretString:ClientSecret}}. ClientSecretArn in its place keeps the secret out of this configuration.
    pub client_secret: Option<Secret>,
    /// The GUID of the Azure subscription that the resources belong to.
    pub subscription_id: String,
    /// The Azure cloud. AzureCloud, the public one, by default.
    pub cloud: Option<Cloud>,
    /// Other addresses than the cloud's own: a private cloud or an emulator.
    pub endpoints: Option<Endpoints>,
}

/// An Azure cloud, by the name that Azure's own tools use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Cloud {
    /// The public cloud.
    #[default]
    AzureCloud,
    /// Azure Government, in the United States.
    AzureUSGovernment,
    /// Azure in China, operated by 21Vianet.
    AzureChinaCloud,
}

/// Addresses that replace those of the cloud.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct Endpoints {
    /// The https address of Azure Resource Manager.
    pub resource_manager: Option<String>,
    /// The https address of the Entra authority that issues tokens.
    pub authority: Option<String>,
    /// Certificates (PEM) of authorities that are trusted in addition to the public ones.
    pub certificate_authority: Option<String>,
}

impl Profile {
    /// Checks every value without calling Azure; the error names the property and what to do.
    pub fn validate(&self) -> Result<()> {
        let endpoints = self.endpoints.clone().unwrap_or_default();
        let addresses = [
            ("Endpoints.ResourceManager", &endpoints.resource_manager),
            ("Endpoints.Authority", &endpoints.authority),
            ("Endpoints.CertificateAuthority", &endpoints.certificate_authority),
        ];
        for (name, value) in addresses {
            resolved(name, value.as_deref().unwrap_or_default())?;
        }
        self.addresses()?;
        let secret = self.client_secret.as_ref().map(Secret::reveal);
        let arn = self.client_secret_arn.as_ref().map(SecretArn::as_str);
        let values = [
            ("TenantId", Some(self.tenant_id.as_str()), "the GUID of the Entra tenant"),
            ("ClientId", Some(self.client_id.as_str()), "the application id of the app registration"),
            ("ClientSecretArn", arn, "the ARN of a secret in AWS Secrets Manager, or leave it out"),
            ("ClientSecret", secret, "the value of a client secret of the app registration, or leave it out"),
            ("SubscriptionId", Some(self.subscription_id.as_str()), "the GUID of the Azure subscription"),
        ];
        for (name, value, meaning) in values {
            let Some(value) = value else { continue };
            if value.trim().is_empty() {
                return Err(wrong(name, &format!("is empty: set it to {meaning}")));
            }
            resolved(name, value)?;
        }
        if secret.is_some() && arn.is_some() {
            return Err(wrong("ClientSecretArn", "and ClientSecret exclude each other: leave one of them, or both"));
        }
        if self.client_secret_arn.as_ref().is_some_and(|arn| arn.region().is_empty()) {
            let what = "must be the whole ARN of a secret, such as arn:aws:secretsmanager:eu-central-1:123456789012:secret:azure-AbCdEf";
            return Err(wrong("ClientSecretArn", what));
        }
        if !self.tenant_id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.')) {
            return Err(wrong("TenantId", "must be the GUID or a domain name of the Entra tenant"));
        }
        if !is_guid(&self.subscription_id) {
            return Err(wrong(
                "SubscriptionId",
                &format!(
                    "must be a GUID such as 01234567-89ab-cdef-0123-456789abcdef, not \"{}\": `az account show --query id` prints it",
                    self.subscription_id
                ),
            ));
        }
        Ok(())
    }

    /// Whether signing in calls AWS: everything but a `ClientSecret` does.
    pub fn needs_session(&self) -> bool {
        self.client_secret.is_none()
    }

    /// What Entra wants a web identity token to be for. Source: Microsoft's page on workload identity federation.
    pub(crate) fn audience(&self) -> &'static str {
        match self.cloud.unwrap_or_default() {
            Cloud::AzureCloud => "api://AzureADTokenExchange",
            Cloud::AzureUSGovernment => "api://AzureADTokenExchangeUSGov",
            Cloud::AzureChinaCloud => "api://AzureADTokenExchangeChina",
        }
    }

    /// Where to go: the endpoints if given, otherwise the cloud's.
    pub(crate) fn addresses(&self) -> Result<Addresses> {
        let (resource_manager, authority) = match self.cloud.unwrap_or_default() {
            Cloud::AzureCloud => ("https://management.azure.com", "https://login.microsoftonline.com"),
            Cloud::AzureUSGovernment => ("https://management.usgovcloudapi.net", "https://login.microsoftonline.us"),
            Cloud::AzureChinaCloud => ("https://management.chinacloudapi.cn", "https://login.chinacloudapi.cn"),
        };
        let given = self.endpoints.clone().unwrap_or_default();
        Ok(Addresses {
            resource_manager: address(
                "Endpoints.ResourceManager",
                given.resource_manager.as_deref().unwrap_or(resource_manager),
            )?,
            authority: address("Endpoints.Authority", given.authority.as_deref().unwrap_or(authority))?,
        })
    }
}

pub(crate) struct Addresses {
    pub(crate) resource_manager: Url,
    pub(crate) authority: Url,
}

fn address(name: &str, value: &str) -> Result<Url> {
    let url = Url::parse(value)
        .map_err(|error| wrong(name, &format!("must be an https address, not \"{value}\" ({error})")))?;
    if url.scheme() != "https" {
        return Err(wrong(name, &format!("must begin with https://, not \"{value}\": tokens are never sent in clear")));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
        return Err(wrong(name, "must be a host and perhaps a port, with nothing before or after them"));
    }
    Ok(url)
}

fn resolved(name: &str, value: &str) -> Result<()> {
    if value.contains("{{resolve:") {
        return Err(wrong(
            name,
            "is a dynamic reference that nobody resolved: CloudFormation resolves it for stacks, `cfn test` does not, so give the value itself there",
        ));
    }
    Ok(())
}

/// What every sentence about a member begins with.
pub(crate) const CONFIGURATION: &str = "the type configuration's ";

pub(crate) fn wrong(name: &str, what: &str) -> Error {
    Error::new(ErrorKind::Configuration, format!("{CONFIGURATION}{name} {what}"))
}

fn is_guid(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
        && parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::Configuration;

    const ARN: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:azure-AbCdEf";

    fn with(changes: &[(&str, Value)]) -> std::result::Result<(), String> {
        let mut value = json!({
            "TenantId": "contoso.onmicrosoft.com",
            "ClientId": "11111111-2222-3333-4444-555555555555",
            "ClientSecret": "hunter2",
            "SubscriptionId": "01234567-89ab-cdef-0123-456789abcdef",
        });
        for (name, change) in changes {
            value[*name] = change.clone();
        }
        let configuration: Configuration = serde_json::from_value(value).map_err(|error| error.to_string())?;
        configuration.named("default").and_then(Profile::validate).map_err(|error| {
            assert_eq!(error.kind, ErrorKind::Configuration);
            error.to_string()
        })
    }

    #[test]
    fn valid_values_pass() {
        assert_eq!(with(&[]), Ok(()));
        assert_eq!(with(&[("Cloud", json!("AzureChinaCloud"))]), Ok(()));
        let endpoints = json!({"ResourceManager": "https://127.0.0.1:4443", "Authority": "https://127.0.0.1:4443/"});
        assert_eq!(with(&[("Endpoints", endpoints)]), Ok(()));
        assert_eq!(with(&[("ClientSecret", Value::Null)]), Ok(()), "federated");
        assert_eq!(with(&[("ClientSecret", Value::Null), ("ClientSecretArn", json!(ARN))]), Ok(()));
    }

    #[test]
    fn a_token_is_for_the_cloud_s_entra() {
        for (cloud, expected) in [
            (None, "api://AzureADTokenExchange"),
            (Some(Cloud::AzureUSGovernment), "api://AzureADTokenExchangeUSGov"),
            (Some(Cloud::AzureChinaCloud), "api://AzureADTokenExchangeChina"),
        ] {
            let mut profile: Profile =
                serde_json::from_value(json!({"TenantId": "t", "ClientId": "c", "SubscriptionId": "s"})).unwrap();
            profile.cloud = cloud;
            assert_eq!(profile.audience(), expected);
        }
    }

    #[test]
    fn wrong_values_are_explained() {
        let cases: &[(&str, Value, &str)] = &[
            ("TenantId", json!(""), "TenantId is empty: set it to the GUID of the Entra tenant"),
            ("ClientId", json!("  "), "ClientId is empty"),
            ("ClientSecret", json!(""), "ClientSecret is empty"),
            (
                "ClientSecret",
                json!("{{resolve:secretsmanager:azure}}"),
                "ClientSecret is a dynamic reference that nobody resolved",
            ),
            ("ClientSecretArn", json!(ARN), "ClientSecretArn and ClientSecret exclude each other"),
            ("TenantId", json!("a/b"), "TenantId must be the GUID or a domain name"),
            ("SubscriptionId", json!("my subscription"), "SubscriptionId must be a GUID such as"),
            ("SubscriptionId", json!("{{resolve:ssm:s}}"), "SubscriptionId is a dynamic reference"),
            (
                "Endpoints",
                json!({"ResourceManager": "http://127.0.0.1:1"}),
                "Endpoints.ResourceManager must begin with https://",
            ),
            ("Endpoints", json!({"Authority": "127.0.0.1"}), "Endpoints.Authority must be an https address"),
            ("Endpoints", json!({"Authority": "https://login.example/tenant"}), "Endpoints.Authority must be a host"),
            ("Endpoints", json!({"Blob": "https://x"}), "unknown field `Blob`"),
            ("Cloud", json!("AzureGermanCloud"), "unknown variant `AzureGermanCloud`"),
            ("Colour", json!("blue"), "unknown field `Colour`"),
        ];
        for (name, value, expected) in cases {
            let message = with(&[(name, value.clone())]).unwrap_err();
            assert!(message.contains(expected), "{name}={value}: {message}");
        }
        for (arn, expected) in [
            ("", "ClientSecretArn is empty"),
            ("azure", "ClientSecretArn must be the whole ARN"),
            ("arn:aws:secretsmanager:eu-central-1:123456789012:secret:", "ClientSecretArn must be the whole ARN"),
            ("arn:aws:ssm:eu-central-1:123456789012:parameter/azure", "ClientSecretArn must be the whole ARN"),
            ("{{resolve:ssm:arn}}", "ClientSecretArn is a dynamic reference"),
        ] {
            let message = with(&[("ClientSecret", Value::Null), ("ClientSecretArn", json!(arn))]).unwrap_err();
            assert!(message.contains(expected), "{arn}: {message}");
        }
    }
}
