//! All settings of a bucket: read together, and brought to what a model asks for, one after the other.

use super::{Bucket, Place, access, access_policy, encryption, lifecycle, object_lock, replication, tagging};
use crate::region::dns_suffix;
use cfn_provider::{Request, Result};
use futures::{FutureExt, try_join};
use serde_json::{Map, Value};

/// Reads every setting at once. `asked` is the policy document of the template that is being deployed, if any.
pub(super) async fn read(place: &Place, asked: Option<&Map<String, Value>>) -> Result<Bucket> {
    // Each future is large, and together they would be most of a stack.
    let (block, ownership, versioning, encryption, policy, logging, lifecycle, lock, replication, tags) = try_join!(
        access::read_block(place).boxed(),
        access::read_ownership(place).boxed(),
        access::read_versioning(place).boxed(),
        encryption::read(place).boxed(),
        access_policy::read(place).boxed(),
        access::read_logging(place).boxed(),
        lifecycle::read(place).boxed(),
        object_lock::read(place).boxed(),
        replication::read(place).boxed(),
        tagging::read(place).boxed(),
    )?;
    let (arn, region) = (place.arn(), &place.region);
    let policy = access_policy::split(policy, &arn, encryption.as_ref(), asked);
    Ok(Bucket {
        arn: Some(arn),
        domain_name: Some(format!("{}.s3.{}", place.name, dns_suffix(region))),
        regional_domain_name: Some(format!("{}.s3.{region}.{}", place.name, dns_suffix(region))),
        region: Some(region.clone()),
        bucket_name: Some(place.name.clone()),
        versioning_configuration: versioning,
        bucket_encryption: encryption,
        public_access_block_configuration: block,
        ownership_controls: ownership,
        logging_configuration: logging,
        lifecycle_configuration: lifecycle,
        object_lock_enabled: Some(lock.0),
        object_lock_configuration: lock.1,
        replication_configuration: replication,
        enforce_tls: policy.enforce_tls,
        enforce_encryption: policy.enforce_encryption,
        policy_document: policy.document,
        empty_on_delete: None,
        tags: tagging::shown(tags),
    })
}

/// Writes what differs, in the order that S3 demands: what is open is closed first, versions before what needs them, the
/// rule that copies objects away last; and versions are suspended after the rule that needs them is gone.
pub(super) async fn apply(
    place: &Place,
    wanted: &Bucket,
    previous: Option<&Bucket>,
    current: &Bucket,
    request: &Request,
) -> Result<()> {
    if wanted.replication_configuration.is_none() && current.replication_configuration.is_some() {
        replication::remove(place).await?;
    }
    let (after, before) = (&wanted.public_access_block_configuration, &current.public_access_block_configuration);
    access::apply_block(place, after.as_ref(), before.as_ref()).await?;
    access::apply_ownership(place, wanted.ownership_controls.as_ref(), current.ownership_controls.as_ref()).await?;
    let (after, before) = (&wanted.versioning_configuration, &current.versioning_configuration);
    // What is locked stays versioned: only a rollback can ask for less, and it shall not fail over it.
    if current.object_lock_enabled != Some(true) || access::VersioningConfiguration::is_enabled(after.as_ref()) {
        access::apply_versioning(place, after.as_ref(), before.as_ref()).await?;
    }
    encryption::apply(place, wanted.bucket_encryption.as_ref(), current.bucket_encryption.as_ref()).await?;
    access_policy::apply(place, wanted, current).await?;
    access::apply_logging(place, wanted.logging_configuration.as_ref(), current.logging_configuration.as_ref()).await?;
    let (after, before) = (&wanted.lifecycle_configuration, &current.lifecycle_configuration);
    lifecycle::apply(place, after.as_ref(), before.as_ref()).await?;
    object_lock::apply(place, wanted.object_lock(), current.object_lock()).await?;
    let (after, before) = (&wanted.replication_configuration, &current.replication_configuration);
    replication::apply(place, after.as_ref(), before.as_ref()).await?;
    tagging::apply(place, wanted, previous, current, request).await
}
