//! The client against the emulator: the life of a container, through connections that break.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use azure_client::{ApiVersion, Arm, Azure, Entry, EntryKind, ErrorKind, ResourceId, Session};
use sandbox::{
    azure::{Emulator, Fault, Match, Options},
    sts::{EXECUTION_ROLE, ISSUER, Sts},
};
use serde_json::{Value, json};

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

/// Reads until the resource is provisioned, as the engine does from one invocation to the next.
async fn provisioned(arm: &Arm, id: &ResourceId) -> Value {
    loop {
        match arm.get(&id.to_string(), ApiVersion::STORAGE).await {
            Ok(account) if account["properties"]["provisioningState"] == "Succeeded" => return account,
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind, ErrorKind::NotFound, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_life_of_a_container() {
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let azure = Azure::open(&serde_json::from_value(emulator.type_configuration()).unwrap(), None).unwrap();
    let arm = azure.arm(soon());
    let group = ResourceId::group(azure.subscription_id(), "example");
    let account = group.provider("Microsoft.Storage", "storageAccounts", "exampleaccount");
    let container = account.child("blobServices", "default").child("containers", "example");

    let missing = arm.get(&account.to_string(), ApiVersion::STORAGE).await.unwrap_err();
    assert_eq!((missing.kind, missing.code.as_deref()), (ErrorKind::NotFound, Some("ResourceGroupNotFound")));

    // Azure does the work, and the answer is lost: the same request again is the same resource.
    emulator.faults().next(Match::new("PUT", "/resourceGroups/example$"), Fault::DropAfter);
    let created = arm.put(&group.to_string(), ApiVersion::RESOURCES, &json!({"location": "westeurope"})).await.unwrap();
    assert_eq!(created.status, 200);
    let read: ResourceId = created.body["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(read, group);

    let body = json!({"location": "westeurope", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}});
    let created = arm.put(&account.to_string(), ApiVersion::STORAGE, &body).await.unwrap();
    assert_eq!((created.status, &created.body), (202, &Value::Null));
    assert_eq!(created.operation.unwrap().status_url, None, "storage signs its addresses");
    let endpoint =
        provisioned(&arm, &account).await["properties"]["primaryEndpoints"]["blob"].as_str().unwrap().to_owned();

    let made = arm.put(&container.to_string(), ApiVersion::STORAGE, &json!({"properties": {}})).await.unwrap();
    assert_eq!((made.status, made.operation), (201, None));
    let containers = container.parent().unwrap().to_string() + "/containers";
    let page = arm.list(&containers, ApiVersion::STORAGE, None).await.unwrap();
    assert_eq!((page.items.len(), page.next), (1, None));

    let blobs = azure.blobs(soon());
    assert_eq!(blobs.first_entry(&endpoint, "example").await.unwrap(), None);
    emulator.put_blob("exampleaccount", "example", "kept.txt", b"kept");
    let entry = Entry { name: "kept.txt".to_owned(), kind: EntryKind::Blob };
    assert_eq!(blobs.first_entry(&endpoint, "example").await.unwrap(), Some(entry));
    let missing = blobs.first_entry(&endpoint, "missing").await.unwrap_err();
    assert_eq!((missing.kind, missing.code.as_deref()), (ErrorKind::NotFound, Some("ContainerNotFound")));

    emulator.faults().next(Match::new("DELETE", "/containers/example$"), Fault::Busy);
    let busy = arm.delete(&container.to_string(), ApiVersion::STORAGE).await.unwrap_err();
    assert_eq!(busy.kind, ErrorKind::Busy);
    assert_eq!(arm.delete(&container.to_string(), ApiVersion::STORAGE).await.unwrap().status, 200);
    let again = arm.put(&container.to_string(), ApiVersion::STORAGE, &json!({"properties": {}})).await.unwrap_err();
    assert_eq!(again.kind, ErrorKind::Busy, "the name is still blocked: {again}");

    let deleted = arm.delete(&group.to_string(), ApiVersion::RESOURCES).await.unwrap();
    assert_eq!((deleted.status, deleted.operation.is_some()), (202, true));

    let tokens = emulator.requests().iter().filter(|request| request.path.ends_with("/token")).count();
    assert_eq!(tokens, 2, "one for Resource Manager, one for Blob Storage");
}

#[tokio::test]
async fn a_wrong_secret() {
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let mut configuration = emulator.type_configuration();
    configuration["ClientSecret"] = json!("not-the-secret");
    let azure = Azure::open(&serde_json::from_value(configuration).unwrap(), None).unwrap();
    let id = ResourceId::group(azure.subscription_id(), "example").to_string();
    let error = azure.arm(soon()).get(&id, ApiVersion::RESOURCES).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_deref()), (ErrorKind::Unauthenticated, Some("AADSTS7000215")), "{error}");
    assert!(!format!("{error:?}").contains("not-the-secret"));
}

#[tokio::test]
async fn a_role_that_entra_trusts_signs_in_without_a_secret() {
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let sts = Sts::start(0, None).await.unwrap();
    emulator.trust(sts.issuer());
    let profile = serde_json::from_value(emulator.federated_configuration()).unwrap();
    let session = Session::new("ASIA", "secret", Some("token".to_owned()), "us-east-1").at(sts.url());
    let azure = Azure::open(&profile, Some(&session)).unwrap();
    let groups = format!("/subscriptions/{}/resourcegroups", azure.subscription_id());

    let error = azure.arm(soon()).list(&groups, ApiVersion::RESOURCES, None).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_deref()), (ErrorKind::NotYetTrusted, Some("AADSTS700211")), "{error}");
    assert!(error.message.contains(&format!("issuer {ISSUER}, subject {EXECUTION_ROLE}")), "{error}");

    emulator.federate(ISSUER, EXECUTION_ROLE);
    assert!(azure.arm(soon()).list(&groups, ApiVersion::RESOURCES, None).await.unwrap().items.is_empty());
}
