//! The one table from Azure's answers to what a caller can do about them.

/// Why a call failed, by what the caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The credentials are wrong, or Azure does not accept their token.
    Unauthenticated,
    /// Entra does not know yet that it is to trust the caller, or the caller's session is at its end: a later attempt may succeed.
    NotYetTrusted,
    /// The identity lacks a permission, or a policy denies the request.
    Forbidden,
    /// The type configuration is wrong: an unusable value, an unknown subscription, a provider that it has not registered.
    Configuration,
    /// The resource, or one that it lives in, does not exist.
    NotFound,
    /// The name is taken, here or by somebody else.
    AlreadyExists,
    /// Another operation is under way on the resource: the same request succeeds later.
    Busy,
    /// The resource's state forbids the request until somebody changes it: a lock, contents, an immutability policy.
    Conflict,
    /// A quota of the subscription is used up.
    QuotaExceeded,
    /// The property cannot be changed after creation.
    NotUpdatable,
    /// Azure refuses the request as it stands.
    InvalidRequest,
    /// The request may be right but names an identity that has not reached every replica yet: retry, then give up as invalid.
    RetryableInvalid,
    /// The resource has changed since it was read.
    PreconditionFailed,
    /// Too many requests.
    Throttled,
    /// Azure failed.
    Server,
    /// Azure could not be reached, or the connection was lost.
    Network,
    /// The time limit passed before Azure answered.
    Timeout,
    /// Azure reported success with an answer that cannot be understood or used.
    Undecodable,
    /// Any other refusal.
    Other,
}

impl ErrorKind {
    /// Classifies an answer. `status` is None for the error of a failed operation, which has a code only.
    pub(crate) fn of(status: Option<u16>, code: &str, message: &str) -> Self {
        if status.is_some_and(|status| status >= 500) {
            return Self::Server;
        }
        let message = message.to_lowercase();
        TABLE
            .iter()
            .find(|(statuses, codes, part, _)| {
                (statuses.is_empty() || status.is_some_and(|status| statuses.contains(&status)))
                    && (codes.is_empty() || codes.iter().any(|pattern| matches(pattern, code)))
                    && message.contains(part)
            })
            .map_or(Self::Other, |row| row.3)
    }
}

/// From recorded answers and the documented codes of Resource Manager and Microsoft.Storage. First match wins: statuses (none = any), codes (none = any, `*` stands for the rest), a part of the message, the kind.
type Row = (&'static [u16], &'static [&'static str], &'static str, ErrorKind);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    (&[401], &[], "", ErrorKind::Unauthenticated),
    (&[429], &[], "", ErrorKind::Throttled),
    (&[], &["SubscriptionNotFound", "InvalidSubscriptionId", "MissingSubscriptionRegistration"], "", ErrorKind::Configuration),
    (&[], &["AuthorizationFailed", "LinkedAuthorizationFailed", "RequestDisallowedByPolicy", "SubscriptionDisabled"], "", ErrorKind::Forbidden),
    (&[403], &[], "", ErrorKind::Forbidden),
    (&[404], &[], "", ErrorKind::NotFound),
    (&[], &["*AlreadyExists", "*AlreadyTaken", "*InAnotherResourceGroup", "InvalidResourceLocation", "RoleAssignmentExists"], "", ErrorKind::AlreadyExists),
    (&[409], &["ConflictError"], "in deleted state", ErrorKind::AlreadyExists),
    (&[409], &[], "deleted but recoverable state", ErrorKind::AlreadyExists),
    (&[], &["*OperationInProgress", "*IsNotProvisioned", "*InCreating", "ContainerBeingDeleted", "QueueBeingDeleted", "ShareBeingDeleted", "TableBeingDeleted", "Concurrent*"], "", ErrorKind::Busy),
    (&[], &["ScopeLocked", "CannotDeleteResource", "*AccountCannotBeDeleted", "*ProtectedFromDeletion", "ContainerImmutabilityPolicyFailure", "ResourceGroupBeingDeleted"], "", ErrorKind::Conflict),
    (&[], &["MaxStorageAccountsCount*", "*QuotaExceeded"], "", ErrorKind::QuotaExceeded),
    (&[], &["FeatureNotSupportedForAccount"], "", ErrorKind::InvalidRequest),
    (&[], &["AccountPropertyCannotBeUpdated", "*ConversionNotAllowed", "RoleAssignmentUpdateNotPermitted"], "", ErrorKind::NotUpdatable),
    (&[], &["FailedIdentityOperation", "PrincipalNotFound"], "", ErrorKind::RetryableInvalid),
    (&[409], &[], "being deleted", ErrorKind::Busy),
    (&[409], &[], "another operation is in progress", ErrorKind::Busy),
    (&[409], &[], "is busy", ErrorKind::Busy),
    (&[409], &[], "", ErrorKind::Conflict),
    (&[412], &[], "", ErrorKind::PreconditionFailed),
    (&[400], &[], "", ErrorKind::InvalidRequest),
    (&[408], &[], "", ErrorKind::Server),
];

fn matches(pattern: &str, code: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(end), _) => code.ends_with(end),
        (_, Some(start)) => code.starts_with(start),
        _ => code == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        use ErrorKind::*;
        let cases: &[(u16, &str, &str, ErrorKind)] = &[
            (401, "AuthenticationFailed", "", Unauthenticated),
            (403, "AuthorizationFailed", "", Forbidden),
            (403, "AuthorizationPermissionMismatch", "", Forbidden),
            (404, "SubscriptionNotFound", "", Configuration),
            (409, "MissingSubscriptionRegistration", "", Configuration),
            (404, "ParentResourceNotFound", "", NotFound),
            (409, "StorageAccountAlreadyExists", "", AlreadyExists),
            (409, "StorageAccountAlreadyTaken", "", AlreadyExists),
            (409, "StorageAccountInAnotherResourceGroup", "", AlreadyExists),
            (409, "InvalidResourceLocation", "", AlreadyExists),
            (409, "ConflictError", "A vault with the same name already exists in deleted state.", AlreadyExists),
            (409, "ConflictError", "", Conflict),
            (409, "Conflict", "Key k is currently in a deleted but recoverable state, and", AlreadyExists),
            (409, "StorageAccountOperationInProgress", "", Busy),
            (409, "StorageAccountIsNotProvisioned", "", Busy),
            (409, "AnotherOperationInProgress", "", Busy),
            (409, "ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity", "", Busy),
            (409, "ContainerOperationFailure", "The specified container is being deleted. Try later.", Busy),
            (409, "ContainerOperationFailure", "something else", Conflict),
            (409, "ScopeLocked", "", Conflict),
            (409, "ResourceGroupBeingDeleted", "The group is being deleted", Conflict),
            (409, "CannotDeleteResource", "", Conflict),
            (409, "ContainerImmutabilityPolicyFailure", "", Conflict),
            (409, "MaxStorageAccountsCountPerSubscriptionExceeded", "", QuotaExceeded),
            (409, "CoreQuotaExceeded", "", QuotaExceeded),
            (409, "FeatureNotSupportedForAccount", "", InvalidRequest),
            (400, "AccountPropertyCannotBeUpdated", "", NotUpdatable),
            (400, "SkuConversionNotAllowed", "", NotUpdatable),
            (400, "RoleAssignmentUpdateNotPermitted", "", NotUpdatable),
            (400, "FailedIdentityOperation", "", RetryableInvalid),
            (400, "PrincipalNotFound", "", RetryableInvalid),
            (400, "AccountNameInvalid", "", InvalidRequest),
            (412, "ConditionNotMet", "", PreconditionFailed),
            (429, "FailedIdentityOperation", "", Throttled),
            (429, "OperationNotAllowed", "", Throttled),
            (408, "", "", Server),
            (500, "InternalServerError", "", Server),
            (503, "AuthorizationFailed", "", Server),
            (405, "MethodNotAllowed", "", Other),
        ];
        for (status, code, message, kind) in cases {
            assert_eq!(ErrorKind::of(Some(*status), code, message), *kind, "{status} {code} {message}");
        }
        assert_eq!(
            ErrorKind::of(None, "StorageAccountAlreadyTaken", ""),
            AlreadyExists,
            "a failed operation has no status"
        );
    }
}
