//! Microsoft.ManagedIdentity.

pub mod federated_identity_credential;
pub mod user_assigned_identity;
