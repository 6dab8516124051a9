//! The tags of a bucket.

use super::{Bucket, Place, built};
use crate::tags::{MARK, mark, merged, visible};
use aws_sdk_s3::types as s3;
use cfn_provider::{Error, Request, Result};
use std::collections::BTreeMap;

/// The most tags that S3 takes on a bucket.
const MOST: usize = 50;

/// All tags of a bucket, the mark and AWS's own too.
pub(super) async fn read(place: &Place) -> Result<BTreeMap<String, String>> {
    let answer = place.s3.get_bucket_tagging().bucket(&place.name).send().await;
    let found = place.setting("GetBucketTagging", "NoSuchTagSet", answer)?;
    let tags = found.map(|found| found.tag_set).unwrap_or_default();
    Ok(tags.into_iter().map(|tag| (tag.key, tag.value)).collect())
}

/// Whether the bucket was made by this request.
pub(super) async fn is_ours(place: &Place, request: &Request) -> Result<bool> {
    let (key, value) = mark(request);
    Ok(read(place).await?.get(&key) == Some(&value))
}

/// What a new bucket is tagged with.
pub(super) fn of_new(bucket: &Bucket, request: &Request) -> Result<Vec<s3::Tag>> {
    let mut tags = request.desired_tags(bucket.tags.as_deref());
    tags.extend([mark(request)]);
    to_aws(tags)
}

/// `previous` is `None` for a bucket that is being made.
pub(super) async fn apply(
    place: &Place,
    wanted: &Bucket,
    previous: Option<&Bucket>,
    current: &Bucket,
    request: &Request,
) -> Result<()> {
    let before: BTreeMap<_, _> =
        current.tags.iter().flatten().map(|tag| (tag.key.clone(), tag.value.clone())).collect();
    let previous_tags = previous.and_then(|previous| previous.tags.as_deref());
    let after = merged(request, wanted.tags.as_deref(), previous_tags, before.clone());
    if after == before {
        return Ok(());
    }
    // The call replaces all tags, and those that no model shows stay.
    let hidden = read(place).await?.into_iter().filter(|(key, _)| key == MARK || key.starts_with("aws:"));
    let mut all: BTreeMap<String, String> = hidden.collect();
    if previous.is_none() {
        all.extend([mark(request)]);
    }
    all.extend(after);
    if all.is_empty() {
        let call = place.s3.delete_bucket_tagging().bucket(&place.name);
        return call.send().await.map_err(place.failed("DeleteBucketTagging")).map(drop);
    }
    let tagging = s3::Tagging::builder().set_tag_set(Some(to_aws(all)?)).build();
    let call = place.s3.put_bucket_tagging().bucket(&place.name).tagging(built(tagging)?);
    call.send().await.map_err(place.failed("PutBucketTagging")).map(drop)
}

fn to_aws(tags: BTreeMap<String, String>) -> Result<Vec<s3::Tag>> {
    if tags.len() > MOST {
        let why = format!("with the stack's and one of ours these are {} tags, and a bucket takes {MOST}", tags.len());
        return Err(Error::invalid_request(format!("/Tags: {why}")));
    }
    tags.into_iter().map(|(key, value)| built(s3::Tag::builder().key(key).value(value).build())).collect()
}

pub(super) fn shown(tags: BTreeMap<String, String>) -> Option<Vec<cfn_provider::Tag>> {
    Some(visible(tags)).filter(|tags| !tags.is_empty())
}
