//! The Azure part of a type configuration: who signs in, to which subscription, in which cloud.

use std::{collections::BTreeMap, fmt};

use azure_core::http::Url;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value};

use crate::{Error, ErrorKind, Result};

/// The name of the profile that the members of the top level are.
const DEFAULT: &str = "default";

/// A type configuration: one profile at the top level, and more by name.
///
/// The members beside `Profiles` are the profile `default`. They may be left out where `Profiles` has all that is needed. A
/// profile is complete: it takes nothing from the top level, so that no secret goes to a tenant that it was not given for.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "PascalCase")]
pub struct Configuration {
    #[schemars(flatten)]
    default: Option<Profile>,
    /// More ways to sign in, for resources in other subscriptions, tenants or clouds, by the names that resources give in their property Profile. A resource that gives none is managed by the profile of the subscription that it is in, or else by the default one: the members beside this one, or the only profile.
    #[schemars(extend("x-cfn-keys" = "^[A-Za-z0-9_-]+$"))]
    profiles: Option<BTreeMap<String, Profile>>,
}

impl<'de> Deserialize<'de> for Configuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        // serde's own flattening lets unknown members pass.
        let mut members = Map::<String, Value>::deserialize(deserializer)?;
        let profiles = members.remove("Profiles").filter(|profiles| !profiles.is_null());
        let default = (!members.is_empty()).then_some(Value::Object(members));
        Ok(Self {
            default: default.map(Profile::deserialize).transpose().map_err(D::Error::custom)?,
            profiles: profiles.map(BTreeMap::deserialize).transpose().map_err(D::Error::custom)?,
        })
    }
}

impl Configuration {
    /// The profile of this name; the top level is `default`.
    ///
    /// # Errors
    /// `InvalidRequest` with the names that there are.
    pub fn named(&self, name: &str) -> Result<&Profile> {
        let profiles = self.checked()?;
        let profile = profiles.get(name).copied().ok_or_else(|| {
            let message =
                format!("the type configuration has no profile \"{name}\"; it has {}", names(profiles.keys()));
            Error::new(ErrorKind::InvalidRequest, message)
        })?;
        self.valid(name, profile)
    }

    /// The profile whose subscription is one of these, or else the default one: the top level, or the only profile.
    ///
    /// # Errors
    /// `InvalidRequest` where several profiles fit or there is no default one, `Configuration` where there is none at all.
    pub fn of_subscriptions(&self, subscriptions: &[String]) -> Result<&Profile> {
        let profiles = self.checked()?;
        let fits = |profile: &Profile| {
            subscriptions.iter().any(|subscription| subscription.eq_ignore_ascii_case(&profile.subscription_id))
        };
        let fitting: Vec<(&str, &Profile)> =
            profiles.iter().filter(|(_, profile)| fits(profile)).map(|(name, profile)| (*name, *profile)).collect();
        let only = || profiles.first_key_value().filter(|_| profiles.len() == 1);
        let default = profiles.get_key_value(DEFAULT).or_else(only).map(|(name, profile)| (*name, *profile));
        match (&fitting[..], &default) {
            ([(name, profile)], _) | ([], Some((name, profile))) => self.valid(name, profile),
            ([], None) if profiles.is_empty() => Err(Error::new(
                ErrorKind::Configuration,
                "the type configuration has no profile: set TenantId, ClientId and SubscriptionId, or Profiles, with `aws \
                 cloudformation set-type-configuration`",
            )),
            ([], None) => Err(Error::new(
                ErrorKind::InvalidRequest,
                format!(
                    "the type configuration has no default profile: name one of {} in the property Profile, or set \
                     TenantId, ClientId and SubscriptionId beside Profiles",
                    names(profiles.keys())
                ),
            )),
            (several, _) => Err(Error::new(
                ErrorKind::InvalidRequest,
                format!(
                    "the resource names others in the subscriptions of the profiles {}: name the one that manages it in \
                     the property Profile",
                    names(several.iter().map(|(name, _)| name))
                ),
            )),
        }
    }

    fn valid<'a>(&self, name: &str, profile: &'a Profile) -> Result<&'a Profile> {
        profile.validate().map(|()| profile).map_err(|mut error| {
            let is_top = name == DEFAULT && self.default.is_some();
            if let (false, Some(what)) = (is_top, error.message.strip_prefix(CONFIGURATION)) {
                error.message = format!("{CONFIGURATION}Profiles.{name}.{what}");
            }
            error
        })
    }

    /// Every profile by its name, if a resource's id tells them apart.
    fn checked(&self) -> Result<BTreeMap<&str, &Profile>> {
        let named = self.profiles.iter().flatten().map(|(name, profile)| (name.as_str(), profile));
        let mut profiles: BTreeMap<&str, &Profile> = named.collect();
        if let Some(default) = &self.default
            && profiles.insert(DEFAULT, default).is_some()
        {
            return Err(wrong("Profiles.default", "is there twice: it is what the members beside Profiles are"));
        }
        let mut known: BTreeMap<String, &str> = BTreeMap::new();
        for (name, profile) in &profiles {
            if let Some(other) = known.insert(profile.subscription_id.to_lowercase(), name) {
                let message = format!(
                    "the type configuration's profiles {other} and {name} have the same SubscriptionId, so that nobody \
                     could tell which one reads a resource in it: leave one of them"
                );
                return Err(Error::new(ErrorKind::Configuration, message));
            }
        }
        Ok(profiles)
    }
}

fn names<'a>(names: impl IntoIterator<Item = impl AsRef<str> + 'a>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| name.as_ref().to_owned()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

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
const CONFIGURATION: &str = "the type configuration's ";

fn wrong(name: &str, what: &str) -> Error {
    Error::new(ErrorKind::Configuration, format!("{CONFIGURATION}{name} {what}"))
}

fn is_guid(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
        && parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The ARN of a secret in AWS Secrets Manager.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct SecretArn(String);

impl SecretArn {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The region that keeps the secret; empty where this is not the ARN of a secret.
    pub(crate) fn region(&self) -> &str {
        match self.0.split(':').collect::<Vec<_>>()[..] {
            ["arn", _, "secretsmanager", region, _, "secret", name] if !name.is_empty() => region,
            _ => "",
        }
    }
}

/// A value that is never printed and cannot be serialised.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("REDACTED")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("REDACTED")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

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
        configuration.named(DEFAULT).and_then(Profile::validate).map_err(|error| {
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
    fn a_named_profile_s_member_is_named_with_it() {
        let profile = json!({"TenantId": "t", "ClientId": "c", "SubscriptionId": "no guid"});
        let configuration: Configuration = serde_json::from_value(json!({"Profiles": {"prod": profile}})).unwrap();
        let message = configuration.of_subscriptions(&[]).unwrap_err().message;
        assert!(
            message.starts_with("the type configuration's Profiles.prod.SubscriptionId must be a GUID"),
            "{message}"
        );
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

    #[test]
    fn the_secret_is_never_printed() {
        let configuration: Configuration = serde_json::from_value(json!({
            "TenantId": "t", "ClientId": "c", "ClientSecret": "hunter2", "SubscriptionId": "s",
        }))
        .unwrap();
        let secret = configuration.default.as_ref().and_then(|profile| profile.client_secret.as_ref());
        let printed = format!("{configuration:?} {secret:?}");
        assert!(printed.contains("REDACTED") && !printed.contains("hunter2"), "{printed}");
    }

    #[test]
    fn the_schema_describes_and_requires() {
        let schema = schemars::schema_for!(Configuration).to_value();
        assert_eq!(schema.get("required"), None, "the top level may be left out");
        let profile = &schema["properties"]["Profiles"]["additionalProperties"];
        assert_eq!(profile["required"], json!(["TenantId", "ClientId", "SubscriptionId"]));
        assert_eq!(profile["additionalProperties"], json!(false));
        assert!(schema["properties"]["ClientSecret"]["description"].as_str().unwrap().starts_with("A client secret"));
        assert_eq!(schema["properties"]["ClientSecret"].get("pattern"), None, "it would refuse dynamic references");
    }
}
