//! The encryption that S3 gives to an object that asks for none.

use super::{Place, built};
use aws_sdk_s3::types as s3;
use cfn_provider::{Error, Result, schema::unordered};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a template calls the key that AWS manages in each account and region, which S3 takes where no key is named.
pub(super) const MANAGED_KEY: &str = "alias/aws/s3";

/// The default encryption of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct BucketEncryption {
    /// The one rule.
    #[schemars(required, length(min = 1, max = 1))]
    pub server_side_encryption_configuration: Option<Vec<ServerSideEncryptionRule>>,
}

/// The rule of the default encryption.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ServerSideEncryptionRule {
    /// Whether S3 keeps a key of the bucket, which saves most calls to KMS. The default is true with `aws:kms`; the other
    /// algorithms have no such key.
    pub bucket_key_enabled: Option<bool>,
    /// The algorithm and the key.
    #[schemars(required)]
    pub server_side_encryption_by_default: Option<ServerSideEncryptionByDefault>,
    /// Encryptions that S3 refuses of anybody. If you do not give them, S3 decides.
    pub blocked_encryption_types: Option<BlockedEncryptionTypes>,
}

/// The algorithm and the key of the default encryption.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ServerSideEncryptionByDefault {
    /// The algorithm.
    #[serde(rename = "SSEAlgorithm")]
    #[schemars(required, extend("enum" = ["AES256", "aws:kms", "aws:kms:dsse"]))]
    pub sse_algorithm: Option<String>,
    /// The ARN of a KMS key in the bucket's region, or `alias/aws/s3` for the key that AWS manages. Needed with `aws:kms` and
    /// `aws:kms:dsse`. Another alias or a bare key id is not taken: S3 would look it up in the account of whoever uploads.
    #[serde(rename = "KMSMasterKeyID")]
    #[schemars(regex(pattern = "^(alias/aws/s3|arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+)$"))]
    pub kms_master_key_id: Option<String>,
}

/// Encryptions that S3 refuses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct BlockedEncryptionTypes {
    /// `SSE-C` for keys that whoever uploads brings along, or `NONE` to refuse nothing.
    #[schemars(required, transform = unordered, length(min = 1, max = 1), inner(regex(pattern = "^(NONE|SSE-C)$")))]
    pub encryption_type: Option<Vec<String>>,
}

/// The algorithm and key by which a bucket encrypts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cipher<'a> {
    pub(super) algorithm: &'a str,
    /// `None` for the key that AWS manages, and where the algorithm takes none.
    pub(super) key: Option<&'a str>,
}

impl Cipher<'_> {
    pub(super) fn is_kms(self) -> bool {
        self.algorithm.starts_with("aws:kms")
    }
}

impl Default for Cipher<'_> {
    fn default() -> Self {
        Self { algorithm: "aws:kms", key: None }
    }
}

impl BucketEncryption {
    fn rule(&self) -> Option<&ServerSideEncryptionRule> {
        self.server_side_encryption_configuration.as_ref()?.first()
    }

    pub(super) fn cipher(&self) -> Cipher<'_> {
        let chosen = self.rule().and_then(|rule| rule.server_side_encryption_by_default.as_ref());
        let key = chosen.and_then(|chosen| chosen.kms_master_key_id.as_deref());
        Cipher {
            algorithm: chosen.and_then(|chosen| chosen.sse_algorithm.as_deref()).unwrap_or("AES256"),
            key: key.filter(|key| *key != MANAGED_KEY),
        }
    }

    /// With our defaults in place of what the template leaves out.
    pub(super) fn effective(wanted: Option<&Self>) -> Self {
        let mut rule = wanted.and_then(Self::rule).cloned().unwrap_or_else(|| ServerSideEncryptionRule {
            server_side_encryption_by_default: Some(ServerSideEncryptionByDefault {
                sse_algorithm: Some("aws:kms".into()),
                kms_master_key_id: Some(MANAGED_KEY.into()),
            }),
            ..ServerSideEncryptionRule::default()
        });
        let algorithm =
            rule.server_side_encryption_by_default.as_ref().and_then(|chosen| chosen.sse_algorithm.as_deref());
        rule.bucket_key_enabled = rule.bucket_key_enabled.or(Some(algorithm == Some("aws:kms")));
        Self { server_side_encryption_configuration: Some(vec![rule]) }
    }

    /// Whether `current` is what `self`, an effective one, asks for: what S3 blocks by itself does not count.
    fn is(&self, current: Option<&Self>) -> bool {
        let (Some(wanted), Some(current)) = (self.rule(), current.and_then(Self::rule)) else { return false };
        let blocked = wanted.blocked_encryption_types.clone().or_else(|| current.blocked_encryption_types.clone());
        *current == ServerSideEncryptionRule { blocked_encryption_types: blocked, ..wanted.clone() }
    }

    /// # Errors
    /// `InvalidRequest` with the pointer and the rule.
    pub(super) fn check(&self, region: Option<&str>) -> Result<()> {
        const AT: &str = "/BucketEncryption/ServerSideEncryptionConfiguration/0";
        let Some(rule) = self.rule() else { return Ok(()) };
        let chosen = rule.server_side_encryption_by_default.as_ref();
        let key = chosen.and_then(|chosen| chosen.kms_master_key_id.as_deref());
        let key_at = format!("{AT}/ServerSideEncryptionByDefault/KMSMasterKeyID");
        let refused = |at: &str, why: String| Err(Error::invalid_request(format!("{at}: {why}")));
        match (self.cipher().is_kms(), key) {
            (true, None) => {
                let why = format!("SSE-KMS needs a key: its ARN, or {MANAGED_KEY} for the one that AWS manages");
                return refused(&key_at, why);
            }
            (false, Some(_)) => return refused(&key_at, "AES256 takes no key; choose aws:kms".into()),
            _ => {}
        }
        let of = key.and_then(|key| key.split(':').nth(3));
        if let (Some(of), Some(region)) = (of, region)
            && of != region
        {
            return refused(
                &key_at,
                format!("the key is in {of}, and the bucket in {region} needs one of its own region"),
            );
        }
        if rule.bucket_key_enabled == Some(true) && self.cipher().algorithm != "aws:kms" {
            return refused(&format!("{AT}/BucketKeyEnabled"), "only aws:kms has bucket keys".into());
        }
        Ok(())
    }
}

pub(super) async fn read(place: &Place) -> Result<Option<BucketEncryption>> {
    let answer = place.s3.get_bucket_encryption().bucket(&place.name).send().await;
    let unset = "ServerSideEncryptionConfigurationNotFoundError";
    let found = place.setting("GetBucketEncryption", unset, answer)?;
    let rules = found.and_then(|found| found.server_side_encryption_configuration).map(|found| found.rules);
    Ok(rules.filter(|rules| !rules.is_empty()).map(|rules| BucketEncryption {
        server_side_encryption_configuration: Some(rules.into_iter().map(from_aws).collect()),
    }))
}

pub(super) async fn apply(
    place: &Place,
    wanted: Option<&BucketEncryption>,
    current: Option<&BucketEncryption>,
) -> Result<()> {
    let wanted = BucketEncryption::effective(wanted);
    if wanted.is(current) {
        return Ok(());
    }
    let rules = wanted.server_side_encryption_configuration.iter().flatten().map(to_aws).collect::<Result<_>>()?;
    let configuration = built(s3::ServerSideEncryptionConfiguration::builder().set_rules(Some(rules)).build())?;
    let call = place.s3.put_bucket_encryption().bucket(&place.name);
    let answer = call.server_side_encryption_configuration(configuration).send().await;
    answer.map_err(place.failed("PutBucketEncryption")).map(drop)
}

fn to_aws(rule: &ServerSideEncryptionRule) -> Result<s3::ServerSideEncryptionRule> {
    let chosen = rule.server_side_encryption_by_default.clone().unwrap_or_default();
    let algorithm = chosen.sse_algorithm.as_deref().unwrap_or("AES256");
    let chosen = s3::ServerSideEncryptionByDefault::builder()
        .sse_algorithm(algorithm.into())
        // S3 takes the managed key where none is named.
        .set_kms_master_key_id(chosen.kms_master_key_id.filter(|key| key != MANAGED_KEY))
        .build();
    let blocked = rule.blocked_encryption_types.as_ref().map(|blocked| {
        let types = blocked.encryption_type.iter().flatten().map(|kind| kind.as_str().into()).collect();
        s3::BlockedEncryptionTypes::builder().set_encryption_type(Some(types)).build()
    });
    Ok(s3::ServerSideEncryptionRule::builder()
        .apply_server_side_encryption_by_default(built(chosen)?)
        .set_bucket_key_enabled(rule.bucket_key_enabled)
        .set_blocked_encryption_types(blocked)
        .build())
}

fn from_aws(rule: s3::ServerSideEncryptionRule) -> ServerSideEncryptionRule {
    let chosen = rule.apply_server_side_encryption_by_default.map(|chosen| {
        let algorithm = chosen.sse_algorithm.as_str().to_owned();
        let is_managed = |key: &String| key.ends_with(MANAGED_KEY);
        let key = match algorithm.starts_with("aws:kms") {
            true => chosen.kms_master_key_id.filter(|key| !is_managed(key)).or_else(|| Some(MANAGED_KEY.into())),
            false => None,
        };
        ServerSideEncryptionByDefault { sse_algorithm: Some(algorithm), kms_master_key_id: key }
    });
    let blocked = rule.blocked_encryption_types.and_then(|blocked| blocked.encryption_type);
    ServerSideEncryptionRule {
        bucket_key_enabled: Some(rule.bucket_key_enabled.unwrap_or_default()),
        server_side_encryption_by_default: chosen,
        blocked_encryption_types: blocked.map(|kinds| BlockedEncryptionTypes {
            encryption_type: Some(kinds.iter().map(|kind| kind.as_str().to_owned()).collect()),
        }),
    }
}
