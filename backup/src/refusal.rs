//! What Azure's refusals mean: the one table from (status, code) to a reason and to what to do.

use std::time::Duration;

use azure_core::error::ErrorKind;
use serde::Deserialize;

use crate::{Error, Reason, source::root_cause};

const CODE: &str = "x-ms-error-code";

/// Whether Azure says that there is no such blob.
pub(crate) fn is_no_blob(error: &azure_core::Error) -> bool {
    let ErrorKind::HttpResponse { status, error_code, .. } = error.kind() else { return false };
    u16::from(*status) == 404 && !error_code.as_deref().is_some_and(|code| code.starts_with("Container"))
}

/// Reads a failure of the SDK.
pub(crate) fn read(error: &azure_core::Error) -> Error {
    match error.kind() {
        ErrorKind::HttpResponse { status, error_code, raw_response } => {
            let header =
                |name: &str| match raw_response.as_ref()?.headers().iter().find(|(known, _)| known.as_str() == name) {
                    Some((_, value)) => Some(value.as_str()),
                    None => error_code.as_deref().filter(|_| name == CODE),
                };
            refused(u16::from(*status), header, raw_response.as_ref().map_or(b"", |raw| raw.body()))
        }
        ErrorKind::Io | ErrorKind::Connection => {
            Error::new(Reason::Network, format!("the connection to Azure was cut: {}", root_cause(error)))
        }
        ErrorKind::Credential => credential(error),
        _ => Error::new(Reason::TargetRefused, format!("Azure's answer cannot be used: {}", root_cause(error))),
    }
}

/// Reads an answer that is no success.
pub(crate) fn refused<'a>(status: u16, header: impl Fn(&str) -> Option<&'a str>, body: &[u8]) -> Error {
    let code = header(CODE).unwrap_or("no code");
    let said: Said = azure_core::xml::from_xml(body).unwrap_or_default();
    // The request id and the time follow on lines of their own.
    let said = said.message.lines().next().unwrap_or_default().trim();
    let (reason, advice) = classify(status, code);
    let request_id = header("x-ms-request-id").unwrap_or_default();
    let retry_after = header("x-ms-retry-after-ms").and_then(|ms| ms.parse().ok()).map(Duration::from_millis);
    let retry_after =
        retry_after.or_else(|| header("retry-after").and_then(|after| after.parse().ok()).map(Duration::from_secs));
    let message = format!("Azure: {advice}: {said} (HTTP {status}, {code}, request id {request_id})");
    Error { retry_after, ..Error::new(reason, message) }
}

/// No token: AWS or Entra refused it, or could not be reached.
fn credential(error: &azure_core::Error) -> Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(own) = current.downcast_ref::<azure_client::Error>() {
            use azure_client::ErrorKind::{Configuration, Network, Server, Throttled, Timeout};
            let reason = match own.kind {
                Throttled | Server | Network | Timeout => Reason::Unavailable,
                Configuration => Reason::Configuration,
                _ => Reason::Unauthenticated,
            };
            return Error { retry_after: own.retry_after, ..Error::new(reason, own.to_string()) };
        }
        cause = current.source();
    }
    Error::new(Reason::Unauthenticated, format!("there is no token for Azure: {}", root_cause(error)))
}

#[derive(Default, Deserialize)]
struct Said {
    #[serde(rename = "Message", default)]
    message: String,
}

#[rustfmt::skip]
fn classify(status: u16, code: &str) -> (Reason, &'static str) {
    match (status, code) {
        (_, "BlobAlreadyExists" | "ConditionNotMet" | "TargetConditionNotMet" | "UnauthorizedBlobOverwrite") => (Reason::Conflict, "the blob was changed by somebody else"),
        (_, "LeaseIdMissing" | "LeaseIdMismatchWithBlobOperation" | "LeaseLost" | "LeaseIdMismatchWithContainerOperation") => (Reason::Leased, "somebody holds a lease on the blob: break it, or wait for its end"),
        (_, "BlobImmutableDueToPolicy" | "BlobImmutableDueToLegalHold" | "ContainerImmutableDueToPolicy") => (Reason::Immutable, "an immutability policy or legal hold protects the blob: the newer state waits until it ends, unless versions are enabled on the container"),
        (_, "BlobArchived" | "BlobBeingRehydrated" | "OperationNotAllowedOnArchivedBlob") => (Reason::Immutable, "the blob is in the archive tier, where its metadata cannot be changed"),
        (_, "ContainerNotFound" | "ContainerBeingDeleted" | "ContainerDisabled" | "AccountBeingCreated" | "ResourceNotFound") => (Reason::ContainerMissing, "the container does not exist: create it, or correct BACKUP_CONTAINER_URL"),
        (_, "BlockCountExceedsLimit" | "AccountCapacityExceeded" | "InsufficientStorage" | "StorageQuotaExceeded") | (507, _) => (Reason::Full, "no more is taken"),
        (_, "InvalidBlockList") => (Reason::BlocksLost, "a staged block is no longer there"),
        (_, "Md5Mismatch" | "Crc64Mismatch" | "ContentChecksumMismatch") => (Reason::Checksum, "the bytes that arrived are not those that were sent"),
        (_, "CannotVerifyCopySource" | "InvalidHeaderValue" | "CopySourceNotVerified" | "PendingCopyOperation") => (Reason::CannotPull, "Azure cannot read the source by itself"),
        (_, "AuthorizationPermissionMismatch" | "InsufficientAccountPermissions") => (Reason::TargetForbidden, "the identity lacks a role on the container: Storage Blob Data Contributor, and for index tags Storage Blob Data Owner"),
        (_, "AuthorizationFailure") => (Reason::TargetForbidden, "the identity may not, or the account's network rules keep us out"),
        (_, "AccountIsDisabled") => (Reason::TargetForbidden, "the account is disabled"),
        (401, _) => (Reason::Unauthenticated, "the token is not accepted"),
        (403, _) => (Reason::TargetForbidden, "the request is forbidden"),
        (412, _) => (Reason::Conflict, "the blob was changed by somebody else"),
        (429, _) | (503, _) => (Reason::Throttled, "asks to slow down"),
        (408 | 500 | 502 | 504, _) => (Reason::Unavailable, "failed"),
        (501 | 505, _) => (Reason::CannotPull, "does not know the request"),
        _ => (Reason::TargetRefused, "refused the request"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table() {
        for (status, code, reason) in [
            (409, "BlobAlreadyExists", Reason::Conflict),
            (412, "ConditionNotMet", Reason::Conflict),
            (412, "LeaseIdMissing", Reason::Leased),
            (409, "BlobImmutableDueToPolicy", Reason::Immutable),
            (404, "ContainerNotFound", Reason::ContainerMissing),
            (409, "BlockCountExceedsLimit", Reason::Full),
            (400, "InvalidBlockList", Reason::BlocksLost),
            (400, "Crc64Mismatch", Reason::Checksum),
            (404, "CannotVerifyCopySource", Reason::CannotPull),
            (403, "AuthorizationPermissionMismatch", Reason::TargetForbidden),
            (403, "AnythingElse", Reason::TargetForbidden),
            (503, "ServerBusy", Reason::Throttled),
            (500, "InternalError", Reason::Unavailable),
            (400, "InvalidInput", Reason::TargetRefused),
        ] {
            assert_eq!(classify(status, code).0, reason, "{status} {code}");
        }
    }
}
