//! What each action needs of the execution role.

use cfn_provider::Action;

/// A key is looked at before and after it is changed, by the calls of READ.
macro_rules! with_read {
    ($($more:literal),*) => {
        &["kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListAliases", "kms:ListResourceTags"
          $(, $more)*]
    };
}

/// The same, and all that changes a key.
macro_rules! with_write {
    ($($more:literal),*) => {
        with_read!(
            "kms:CreateAlias", "kms:DeleteAlias", "kms:DisableKey", "kms:DisableKeyRotation", "kms:EnableKey",
            "kms:EnableKeyRotation", "kms:PutKeyPolicy", "kms:TagResource", "kms:UntagResource", "kms:UpdateKeyDescription"
            $(, $more)*
        )
    };
}

/// The permissions of an action.
pub(super) fn of(action: Action) -> &'static [&'static str] {
    match action {
        // The service-linked role keeps keys of several regions alike.
        Action::Create => {
            with_write!("iam:CreateServiceLinkedRole", "kms:CancelKeyDeletion", "kms:CreateKey", "kms:ListKeys")
        }
        Action::Read => with_read!(),
        Action::Update => with_write!(),
        Action::Delete => with_read!("kms:DeleteAlias", "kms:ScheduleKeyDeletion", "kms:TagResource"),
        Action::List => &["kms:DescribeKey", "kms:ListKeys"],
    }
}
