use super::{Scenario, identity};
use handlers::managed_identity::federated_identity_credential::FederatedIdentityCredential;
use sandbox::azure::Emulator;
use serde_json::json;

pub(super) async fn scenario(emulator: Emulator) -> Scenario {
    let identity = identity(&emulator).await;
    let role = |name: &str| json!(format!("arn:aws:iam::123456789012:role/{name}"));
    let scenario = Scenario::new::<FederatedIdentityCredential>(
        emulator,
        json!({
            "IdentityId": identity["Id"], "Issuer": "https://one.tokens.sts.global.api.aws", "Subject": role("Backup")
        }),
        json!({"CredentialName": "aws_backup-1", "Audiences": ["api://backup"]}),
        json!({
            "Issuer": "https://two.tokens.sts.global.api.aws", "Subject": role("Restore"),
            "Audiences": ["api://restore"]
        }),
    )
    .await;
    scenario.distinct_by("Subject", ["a", "b", "c", "d", "e"].map(role).to_vec())
}
