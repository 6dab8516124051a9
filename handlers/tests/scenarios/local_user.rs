use super::{Scenario, account_with};
use handlers::storage::local_user::LocalUser;
use sandbox::azure::Emulator;
use serde_json::json;

pub(super) async fn scenario(emulator: Emulator) -> Scenario {
    let account = account_with(&emulator, json!({"IsHnsEnabled": true, "IsLocalUserEnabled": true})).await;
    let scenario = Scenario::new::<LocalUser>(
        emulator,
        json!({"StorageAccountId": account}),
        json!({
            "UserName": "partner1",
            "PermissionScopes": [
                {"Service": "blob", "ResourceName": "incoming", "Permissions": ["Write", "List", "Create"]},
                {"Service": "blob", "ResourceName": "reports", "Permissions": ["List", "Read"]}
            ],
            "HomeDirectory": "incoming/partner",
            "SshAuthorizedKeys": [{"Key": "ssh-rsa AAAAB3NzaC1yc2E=", "Description": "laptop"}],
            "HasSshPassword": false, "HasSharedKey": true, "GroupId": 2000, "AllowAclAuthorization": true,
            "IsNFSv3Enabled": true, "ExtendedGroups": [2001, 2002]
        }),
        json!({
            "PermissionScopes": [{"Service": "blob", "ResourceName": "incoming", "Permissions": ["ModifyOwnership", "Delete"]}],
            "HomeDirectory": "incoming",
            "SshAuthorizedKeys": [{"Key": "ssh-rsa AAAAB3NzaC1yc2EAAAA="}, {"Key": "ecdsa-sha2-nistp256 AAAAE2VjZHNh"}],
            "HasSharedKey": false, "GroupId": 3000, "AllowAclAuthorization": false, "ExtendedGroups": [2001, 2003]
        }),
    )
    .await;
    Scenario { needs: &[("ExtendedGroups", &["IsNFSv3Enabled"])], ..scenario }
}
