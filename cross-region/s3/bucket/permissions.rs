//! What each action needs of the execution role.

use cfn_provider::Action;

/// The permissions of an action.
pub(super) fn of(action: Action) -> &'static [&'static str] {
    match action {
        Action::Create => CREATE,
        Action::Read => READ,
        Action::Update => UPDATE,
        Action::Delete => DELETE,
        Action::List => &["s3:ListAllMyBuckets"],
    }
}

/// A setting is read before and after it is written, by the calls of READ.
macro_rules! with_read {
    ($($more:literal),*) => {
        &["s3:ListBucket", "s3:GetBucketPublicAccessBlock", "s3:GetBucketOwnershipControls", "s3:GetBucketVersioning",
          "s3:GetEncryptionConfiguration", "s3:GetBucketPolicy", "s3:GetBucketLogging", "s3:GetLifecycleConfiguration",
          "s3:GetBucketObjectLockConfiguration", "s3:GetReplicationConfiguration", "s3:GetBucketTagging" $(, $more)*]
    };
}

const READ: &[&str] = with_read!();
const UPDATE: &[&str] = with_read!(
    "s3:PutBucketPublicAccessBlock",
    "s3:PutBucketOwnershipControls",
    "s3:PutBucketVersioning",
    "s3:PutEncryptionConfiguration",
    "s3:PutBucketPolicy",
    "s3:DeleteBucketPolicy",
    "s3:PutBucketLogging",
    "s3:PutLifecycleConfiguration",
    "s3:PutBucketObjectLockConfiguration",
    "s3:PutReplicationConfiguration",
    "s3:PutBucketTagging",
    "iam:PassRole"
);
const CREATE: &[&str] = with_read!(
    "s3:CreateBucket",
    "s3:ListAllMyBuckets",
    "s3:TagResource",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutBucketOwnershipControls",
    "s3:PutBucketVersioning",
    "s3:PutEncryptionConfiguration",
    "s3:PutBucketPolicy",
    "s3:PutBucketLogging",
    "s3:PutLifecycleConfiguration",
    "s3:PutBucketObjectLockConfiguration",
    "s3:PutReplicationConfiguration",
    "s3:PutBucketTagging",
    "iam:PassRole"
);
const DELETE: &[&str] = with_read!(
    "s3:DeleteBucket",
    "s3:ListBucketVersions",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:GetObjectLegalHold",
    "s3:GetObjectRetention"
);
