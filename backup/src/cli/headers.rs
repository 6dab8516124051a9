//! What describes an object that is written back to S3: headers, metadata, tags, class, encryption and Object Lock.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_s3::{
    primitives::DateTime,
    types::{ObjectLockLegalHoldStatus, ObjectLockMode, ServerSideEncryption, StorageClass},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use time::{OffsetDateTime, format_description::well_known::Rfc2822, format_description::well_known::Rfc3339};

use super::upload::{Put, Upload};
use crate::{Error, Reason, Result, record::Record, tags};

/// A request with the headers: a PUT and the begin of an upload take the same, and are of different types.
macro_rules! described {
    ($request:expr, $headers:expr) => {
        $request
            .set_cache_control($headers.get("cache-control"))
            .set_content_disposition($headers.get("content-disposition"))
            .set_content_encoding($headers.get("content-encoding"))
            .set_content_language($headers.get("content-language"))
            .set_content_type($headers.get("content-type"))
            .set_expires($headers.expires)
            .set_website_redirect_location($headers.get("x-amz-website-redirect-location"))
            .set_metadata($headers.metadata())
            .set_tagging($headers.tagging.clone())
            .set_storage_class($headers.class.clone())
            .set_server_side_encryption($headers.encryption.clone())
            .set_ssekms_key_id($headers.kms_key.clone())
            .set_object_lock_mode($headers.lock_mode.clone())
            .set_object_lock_retain_until_date($headers.lock_until)
            .set_object_lock_legal_hold_status($headers.legal_hold.clone())
    };
}
pub(crate) use described;

/// What describes an object, as S3 is told.
pub(crate) struct Headers {
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) user: BTreeMap<String, String>,
    pub(crate) expires: Option<DateTime>,
    pub(crate) tagging: Option<String>,
    pub(crate) class: Option<StorageClass>,
    pub(crate) encryption: Option<ServerSideEncryption>,
    pub(crate) kms_key: Option<String>,
    pub(crate) lock_mode: Option<ObjectLockMode>,
    pub(crate) lock_until: Option<DateTime>,
    pub(crate) legal_hold: Option<ObjectLockLegalHoldStatus>,
}

impl Headers {
    pub(crate) fn of(upload: &Upload<'_>, put: &Put<'_>) -> Result<Self> {
        let Record { headers, user, tags, .. } = put.record;
        let get = |name: &str, wanted: bool| headers.get(name).filter(|_| wanted);
        let expires = match headers.get("expires") {
            None => None,
            Some(text) => Some(OffsetDateTime::parse(text, &Rfc2822).map_err(|_| {
                let message =
                    format!("its Expires header {text:?} is no date, and S3 is only told dates: restore it by hand");
                Error::new(Reason::SourceRefused, message)
            })?),
        };
        let until = get("x-amz-object-lock-retain-until-date", upload.object_lock)
            .and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok())
            .filter(|until| *until > OffsetDateTime::now_utc());
        let class = Some(put.content.class.as_str()).filter(|class| !matches!(*class, "" | "STANDARD"));
        Ok(Self {
            headers: headers.clone(),
            user: user.clone(),
            expires: expires.map(|expires| DateTime::from_secs(expires.unix_timestamp())),
            tagging: (!tags.is_empty()).then(|| tags::format(tags)),
            class: class.map(StorageClass::from),
            encryption: get("x-amz-server-side-encryption", upload.encryption)
                .map(|kind| ServerSideEncryption::from(kind.as_str())),
            kms_key: get("x-amz-server-side-encryption-aws-kms-key-id", upload.encryption).cloned(),
            lock_mode: until
                .and_then(|_| headers.get("x-amz-object-lock-mode"))
                .map(|mode| ObjectLockMode::from(mode.as_str())),
            lock_until: until.map(|until| DateTime::from_secs(until.unix_timestamp())),
            legal_hold: get("x-amz-object-lock-legal-hold", upload.object_lock)
                .map(|status| ObjectLockLegalHoldStatus::from(status.as_str())),
        })
    }

    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.headers.get(name).cloned()
    }

    /// S3 keeps metadata that is not ASCII, and gives and takes it as RFC 2047 writes it.
    pub(crate) fn metadata(&self) -> Option<HashMap<String, String>> {
        let encoded = |value: &String| match value.is_ascii() {
            true => value.clone(),
            false => format!("=?UTF-8?B?{}?=", STANDARD.encode(value)),
        };
        Some(self.user.iter().map(|(name, value)| (name.clone(), encoded(value))).collect())
    }
}
