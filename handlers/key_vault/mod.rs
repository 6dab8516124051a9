//! Microsoft.KeyVault.

pub mod key;
pub mod vault;

use crate::provider::AzureProvider;
use azure_client::ApiVersion;
use cfn_provider::Context;

/// The version that recorded clients use, and the last one with access policies by default.
const API: ApiVersion = ApiVersion::new("2023-07-01");

type Cx = Context<AzureProvider>;
