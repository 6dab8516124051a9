//! What each action needs of the execution role.

use cfn_provider::Action;

/// A setting is read before and after it is written, by the calls of READ.
macro_rules! with_read {
    ($($more:literal),*) => {
        &["s3:ListBucket", "s3:GetBucketPublicAccessBlock", "s3:GetBucketOwnershipControls", "s3:GetBucketVersioning",
          "s3:GetEncryptionConfiguration", "s3:GetBucketPolicy", "s3:GetBucketLogging", "s3:GetLifecycleConfiguration",
          "s3:GetBucketObjectLockConfiguration", "s3:GetReplicationConfiguration", "s3:GetBucketTagging" $(, $more)*]
    };
}

/// The same, and all that changes a setting.
macro_rules! with_write {
    ($($more:literal),*) => {
        with_read!(
            "s3:PutBucketPublicAccessBlock", "s3:PutBucketOwnershipControls", "s3:PutBucketVersioning",
            "s3:PutEncryptionConfiguration", "s3:PutBucketPolicy", "s3:PutBucketLogging", "s3:PutLifecycleConfiguration",
            "s3:PutBucketObjectLockConfiguration", "s3:PutReplicationConfiguration", "s3:PutBucketTagging", "iam:PassRole"
            $(, $more)*
        )
    };
}

/// The permissions of an action.
pub(super) fn of(action: Action) -> &'static [&'static str] {
    match action {
        Action::Create => with_write!("s3:CreateBucket", "s3:ListAllMyBuckets", "s3:TagResource"),
        Action::Read => with_read!(),
        Action::Update => with_write!("s3:DeleteBucketPolicy"),
        Action::Delete => with_read!(
            "s3:DeleteBucket",
            "s3:ListBucketVersions",
            "s3:DeleteObject",
            "s3:DeleteObjectVersion",
            "s3:GetObjectLegalHold",
            "s3:GetObjectRetention"
        ),
        Action::List => &["s3:ListAllMyBuckets"],
    }
}
