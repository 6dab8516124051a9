//! Microsoft.ManagedIdentity.

pub mod user_assigned_identity;
