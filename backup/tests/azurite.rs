//! Against Azurite, which is not ours: names, blocks, properties, metadata, tags, tiers and conditions.

#![allow(clippy::unwrap_used)]

mod support;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use azure_core::{
    credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions},
    http::Url,
    time::OffsetDateTime,
};
use backup::{
    Backup, Deletes, Outcome, Policy, Reason,
    checksum::{Algorithm, Checked},
    event::{Change, Kind},
    name,
    record::Record,
    source::Source,
    target::Target,
    transport::Http,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sandbox::{azure::Authority, azurite, component};
use serde_json::json;
use support::{
    created, noise,
    s3::{S3, Version},
    small_policy,
};
use tokio::time::Instant;

const BUCKET: &str = "source";
const PATIENCE: Duration = Duration::from_secs(30);

/// Azurite reads the form of a token and checks no signature.
#[derive(Debug)]
struct Unsigned;

#[async_trait]
impl TokenCredential for Unsigned {
    async fn get_token(&self, _: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let claims = json!({
            "aud": "https://storage.azure.com", "iss": "https://sts.windows.net/01234567-89ab-cdef-0123-456789abcdef/",
            "iat": now, "nbf": now - 60, "exp": now + 3600,
        });
        let token = format!("{}.{}.unsigned", part(json!({"typ": "JWT", "alg": "RS256"})), part(claims));
        Ok(AccessToken::new(Secret::new(token), OffsetDateTime::now_utc() + Duration::from_secs(3600)))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_arrive_in_azurite() {
    let node = tokio::task::spawn_blocking(azurite::install).await.unwrap().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new().unwrap();
    let port = component::free_port().unwrap();
    let mut running = azurite::spawn(&node, port, &authority, folder.path()).unwrap();
    running.ready().await.unwrap();

    let container = Url::parse(&format!("https://127.0.0.1:{port}/account/container")).unwrap();
    let pem = Some(authority.certificate_authority());
    let target =
        || Target::new(container.clone(), Some(Arc::new(Unsigned)), Http::new(pem, PATIENCE).unwrap()).unwrap();
    target().container().create(None).await.unwrap();

    let s3 = S3::start().await;
    let mut policy = Policy { deletes: Deletes::Tombstone, ..small_policy() };
    policy.retries.patience = PATIENCE;
    let credentials = SharedCredentialsProvider::new(Credentials::new("id", "secret", None, None, "test"));
    let source = Source::new(credentials, "eu-west-1", Some(s3.url()), Http::new(None, PATIENCE).unwrap());
    let backup = Backup::new(source, target(), policy);
    let apply = async |change: &Change| backup.apply(change, Instant::now() + Duration::from_secs(60)).await;

    let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    for (key, size) in [
        ("plain/key.txt", 5),
        ("empty", 0),
        ("a b+c%20d?e#f&g=h", 4096),
        ("päth//日本/../x.", 4097),
        ("folder/", 20_000),
        ("back\\slash!", 1),
        (&"/".repeat(600), 10),
    ] {
        let bytes = noise(1, 0, size);
        let mut version = Version::new(bytes.clone())
            .with("content-type", "text/plain")
            .with("content-encoding", "gzip")
            .with("cache-control", "no-store")
            .with("expires", "never")
            .with("x-amz-meta-content-owner", "Größe")
            .with("x-amz-storage-class", "STANDARD_IA");
        version.tags = BTreeMap::from([tag("team", "sap hana"), tag("mail", "a@b")]);
        s3.put(BUCKET, key, version.clone());
        let change = Change { sequencer: Some("02".to_owned()), ..created(BUCKET, key) };
        let copied = Outcome::Copied { bytes: size as u64, checked: Checked::Against(Algorithm::Crc64Nvme) };
        assert_eq!(apply(&change).await.unwrap(), copied, "{key}");
        assert_eq!(apply(&change).await.unwrap(), Outcome::Unchanged, "{key}");
        let older = Change { sequencer: Some("01".to_owned()), ..change.clone() };
        s3.put(BUCKET, key, Version::new("older"));
        assert_eq!(apply(&older).await.unwrap(), Outcome::Superseded, "{key}");

        let blob_name = name::encode("", key);
        let mut blob = backup.target.properties(&blob_name).await.unwrap().unwrap();
        blob.description.tags = backup.target.tags(&blob_name).await.unwrap();
        assert_eq!(blob.description.tags, BTreeMap::from([tag("team", "sap hana")]));
        assert_eq!(blob.description.tier, Some(backup::tier::Tier::Cool));
        let record = Record::read(&backup.policy.describing, &blob_name, &blob.description).unwrap();
        assert_eq!((record.key.as_str(), &record.tags), (key, &version.tags));
        assert_eq!(record.user, BTreeMap::from([tag("content-owner", "Größe")]));
        assert_eq!(record.headers["content-encoding"], "gzip");
        assert_eq!(record.headers["expires"], "never");
        assert_eq!(record.content.unwrap().crc64, crc_fast::crc64_nvme(&bytes));
        let downloaded = backup.target.container().blob_client(&blob_name).download(None).await.unwrap();
        assert_eq!(downloaded.body.collect().await.unwrap(), bytes, "{key}");
    }

    // A deletion, and the copy that stays.
    let deleted = Change { kind: Kind::Deleted, sequencer: Some("03".to_owned()), ..created(BUCKET, "plain/key.txt") };
    assert_eq!(apply(&deleted).await.unwrap(), Outcome::Tombstoned);
    let blob = backup.target.properties("plain/key.txt").await.unwrap().unwrap();
    assert!(Record::read(&backup.policy.describing, "plain/key.txt", &blob.description).unwrap().tombstone.is_some());
    // A write that knows only an earlier state is refused.
    let outdated = backup.target.set_metadata("plain/key.txt", &blob.description, "\"0x1\"").await.unwrap_err();
    assert_eq!(outdated.reason, Reason::Conflict);
    backup.target.delete("plain/key.txt", &blob.etag).await.unwrap();
    assert!(backup.target.properties("plain/key.txt").await.unwrap().is_none());
}
