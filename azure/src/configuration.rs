//! The Azure part of a type configuration: who signs in, to which subscription, in which cloud.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

/// How the handlers sign in to Azure and which subscription they manage.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Configuration {
    /// The Entra tenant (directory) that the application belongs to: its GUID or one of its domain names.
    pub tenant_id: String,
    /// The application (client) id of the app registration that signs in.
    pub client_id: String,
    /// A client secret of the app registration, normally a dynamic reference such as
    /// `{{resolve:secretsmanager:azure:SecretString:ClientSecret}}`.
    pub client_secret: Secret,
    /// The GUID of the Azure subscription that the resources belong to.
    pub subscription_id: String,
    /// The Azure cloud; AzureCloud, the public one, by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<Cloud>,
    /// Other addresses than the cloud's own: a private cloud or an emulator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct Endpoints {
    /// The https address of Azure Resource Manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_manager: Option<String>,
    /// The https address of the Entra authority that issues tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// Certificates (PEM) that are trusted in addition to the public authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_authority: Option<String>,
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
