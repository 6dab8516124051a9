//! The contract tests of every type, by the real CLI against the real `bootstrap` and the emulated Azure.

use std::sync::Arc;

use contract_tests::contract::Cloud;
use contract_tests::guard_rail::{self, Exemption};
use contract_tests::stage;
use tokio::task::JoinSet;

/// Rules that cannot hold, and why.
const EXEMPTIONS: &[Exemption] = &[
    Exemption { type_name: None, rule: "TAG012", reason: NO_AWS_TAGS },
    Exemption {
        type_name: Some("Azure::Storage::BlobContainer"),
        rule: "TAG015",
        reason: "Azure has no tags on containers",
    },
    Exemption {
        type_name: Some("Azure::Storage::BlobService"),
        rule: "TAG015",
        reason: "Azure has no tags on blob services",
    },
    Exemption {
        type_name: Some("Azure::Storage::ImmutabilityPolicy"),
        rule: "TAG015",
        reason: "Azure has no tags on immutability policies",
    },
    Exemption {
        type_name: Some("Azure::Storage::ObjectReplicationPolicy"),
        rule: "TAG015",
        reason: "Azure has no tags on replication policies",
    },
    Exemption { type_name: Some("Azure::Storage::Queue"), rule: "TAG015", reason: "Azure has no tags on queues" },
    Exemption { type_name: Some("Azure::Storage::Table"), rule: "TAG015", reason: "Azure has no tags on tables" },
    Exemption {
        type_name: Some("Azure::Storage::FileShare"),
        rule: "TAG015",
        reason: "Azure has no tags on file shares",
    },
    Exemption {
        type_name: Some("Azure::Storage::EncryptionScope"),
        rule: "TAG015",
        reason: "Azure has no tags on encryption scopes",
    },
    Exemption {
        type_name: Some("Azure::Storage::BlobInventoryPolicy"),
        rule: "TAG015",
        reason: "Azure has no tags on inventories",
    },
    Exemption {
        type_name: Some("Azure::Storage::LocalUser"),
        rule: "TAG015",
        reason: "Azure has no tags on local users",
    },
    Exemption {
        type_name: Some("Azure::Storage::ManagementPolicy"),
        rule: "TAG015",
        reason: "Azure has no tags on lifecycles",
    },
    Exemption {
        type_name: Some("Azure::Storage::BlobContainer"),
        rule: "TAG016",
        reason: "the tags of a legal hold are names of holds, no tags of the resource",
    },
    Exemption {
        type_name: Some("Azure::Storage::ObjectReplicationPolicy"),
        rule: "TAG016",
        reason: "TagsReplication copies the tags of blobs, and says none of the policy",
    },
    Exemption {
        type_name: Some("Azure::ManagedIdentity::FederatedIdentityCredential"),
        rule: "TAG015",
        reason: "Azure has no tags on credentials",
    },
    Exemption {
        type_name: Some("Azure::Authorization::RoleAssignment"),
        rule: "TAG015",
        reason: "Azure has no tags on role assignments",
    },
    Exemption {
        type_name: Some("Azure::Authorization::ManagementLock"),
        rule: "TAG015",
        reason: "Azure has no tags on locks",
    },
    Exemption {
        type_name: Some("Azure::Insights::DiagnosticSetting"),
        rule: "TAG015",
        reason: "Azure has no tags on diagnostic settings",
    },
];

const NO_AWS_TAGS: &str =
    "handlers tag in Azure and call no tagging API of AWS, so the execution role needs no permission for it";

#[tokio::test(flavor = "multi_thread")]
async fn every_type_passes_the_contract_tests() {
    let types = stage::types().unwrap();
    assert!(!types.is_empty(), "schema/ is empty");
    let cloud = Arc::new(Cloud::start().await.unwrap());
    let mut checks = JoinSet::new();
    for type_name in types {
        let cloud = cloud.clone();
        checks.spawn(async move { (cloud.check(&type_name).await, type_name) });
    }
    let mut failures = Vec::new();
    while let Some(checked) = checks.join_next().await {
        match checked.unwrap() {
            (Ok(lines), type_name) => lines.iter().for_each(|line| println!("{type_name}: {line}")),
            (Err(error), type_name) => failures.push(format!("{type_name}: {error}")),
        }
    }
    let type_name = "Azure::Resources::ResourceGroup";
    cloud.federate().unwrap();
    match cloud.check(type_name).await {
        Ok(lines) => lines.iter().for_each(|line| println!("{type_name} without a secret: {line}")),
        Err(error) => failures.push(format!("{type_name} without a secret: {error}")),
    }
    if !failures.is_empty() {
        println!("the handlers said:\n{}", cloud.log_lines().join("\n"));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert_eq!(cloud.leftovers().await.unwrap(), Vec::<String>::new(), "the contract tests left resources behind");
}

#[test]
fn guard_rail_has_no_objection() {
    let objections = guard_rail::objections(&guard_rail::findings().unwrap(), EXEMPTIONS);
    assert!(objections.is_empty(), "{}", objections.join("\n"));
}
