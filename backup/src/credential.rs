//! Who signs in to Azure: the function's own role, or a secret that it may read.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use azure_client::{Azure, Profile, Session};
use azure_core::{
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::ErrorKind,
};
use serde_json::json;

use crate::{Error, Reason, Result, source::root_cause};

/// A profile belongs to a subscription; blobs are reached without one.
const NO_SUBSCRIPTION: &str = "00000000-0000-0000-0000-000000000000";

/// Who signs in, and where.
#[derive(Clone, Debug, Default)]
pub struct SignIn {
    /// The Entra tenant.
    pub tenant_id: String,
    /// The application or managed identity.
    pub client_id: String,
    /// The secret in Secrets Manager that is a client secret; None: federated, with no secret anywhere.
    pub secret_arn: Option<String>,
    /// The Azure cloud, if not the public one.
    pub cloud: Option<String>,
    /// Entra's address, if not the cloud's own.
    pub authority: Option<String>,
    /// Certificates (PEM) that are trusted in addition to the public authorities'.
    pub certificate_authority: Option<String>,
}

impl SignIn {
    /// A credential that asks AWS and Entra when a token is first needed.
    ///
    /// # Errors
    /// `Configuration`: a value that cannot be used.
    pub fn credential(&self, aws: SharedCredentialsProvider, region: &str) -> Result<Arc<dyn TokenCredential>> {
        self.credential_with(None, aws, region)
    }

    /// The same with a client secret that is at hand.
    ///
    /// # Errors
    /// `Configuration`: a value that cannot be used, or two secrets.
    pub fn credential_with(
        &self,
        secret: Option<&str>,
        aws: SharedCredentialsProvider,
        region: &str,
    ) -> Result<Arc<dyn TokenCredential>> {
        let profile = json!({
            "TenantId": self.tenant_id,
            "ClientId": self.client_id,
            "ClientSecret": secret,
            "ClientSecretArn": self.secret_arn,
            "SubscriptionId": NO_SUBSCRIPTION,
            "Cloud": self.cloud,
            "Endpoints": {"Authority": self.authority, "CertificateAuthority": self.certificate_authority},
        });
        let unusable =
            |why: String| Error::new(Reason::Configuration, format!("signing in to Azure is not set up: {why}"));
        let profile: Profile = serde_json::from_value(profile).map_err(|error| unusable(error.to_string()))?;
        profile.validate().map_err(|error| unusable(error.to_string()))?;
        Ok(Arc::new(Role { profile, aws, region: region.to_owned() }))
    }
}

/// A role of AWS, whatever its credentials are at the time.
struct Role {
    profile: Profile,
    aws: SharedCredentialsProvider,
    region: String,
}

impl fmt::Debug for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Role").finish_non_exhaustive()
    }
}

#[async_trait]
impl TokenCredential for Role {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let aws = self.aws.provide_credentials().await.map_err(|error| {
            let message = format!("there are no AWS credentials: {}", root_cause(&error));
            azure_core::Error::with_message(ErrorKind::Credential, message)
        })?;
        let token = aws.session_token().map(str::to_owned);
        let session = Session::new(aws.access_key_id(), aws.secret_access_key(), token, self.region.clone());
        // Azure clients are kept by session, and so are their tokens.
        let azure = Azure::open(&self.profile, Some(&session))
            .map_err(|error| azure_core::Error::new(ErrorKind::Credential, error))?;
        azure.credential().get_token(scopes, options).await
    }
}
