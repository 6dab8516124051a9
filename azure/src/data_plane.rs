//! What the data planes of storage have in common.

use crate::Error;

/// Tokens for the data of every account, in every cloud.
pub(crate) const SCOPE: &str = "https://storage.azure.com/.default";

/// Contributor on the account does not include its data, and the account may be closed to the network: a refusal should
/// name what opens it.
pub(crate) fn explain(mut error: Error, role: &str) -> Error {
    let advice = match error.code.as_deref() {
        Some("AuthorizationPermissionMismatch") => {
            &format!(" To look inside, assign the role {role} on the account to the application that signs in.")
        }
        Some("AuthorizationFailure") => {
            " Perhaps the account's network rules or PublicNetworkAccess keep out the network that this comes from."
        }
        _ => return error,
    };
    error.message.push_str(advice);
    error
}
