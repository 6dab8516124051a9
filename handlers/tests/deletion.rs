//! Nothing is lost on delete: what still holds something stays, unless the template says otherwise.

#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[allow(dead_code, reason = "the other suites use the rest")]
mod scenarios;

use cfn_provider::{
    HandlerErrorCode as Code,
    testing::{Failure, Harness},
};
use handlers::{
    resources::resource_group::ResourceGroup,
    storage::{blob_container::BlobContainer, storage_account::StorageAccount},
};
use sandbox::azure::{Emulator, Fault, Match, Options, Shape};
use serde_json::{Value, json};

const ACCOUNT_NAME: &str = "parentaccount";
const CONTAINER_NAME: &str = "backups";
const BLOB: &str = "folder/blob";

/// A group with an account with an empty container.
struct Azure {
    emulator: Emulator,
    group: Value,
    account: Value,
    container: Value,
}

impl Azure {
    async fn new() -> Self {
        // One item to a page, so that everything takes more than one.
        let emulator = Emulator::start(Options { page_size: 1, ..Options::default() }).await.unwrap();
        let id = scenarios::account(&emulator).await;
        let model = json!({"StorageAccountId": id, "ContainerName": CONTAINER_NAME});
        let container = Harness::new::<BlobContainer>(emulator.type_configuration()).create(&model).await.unwrap();
        let group = json!({"Id": id.split("/providers/").next().unwrap()});
        Self { emulator, group, account: json!({"Id": id}), container }
    }

    fn harness<R: cfn_provider::Resource>(&self) -> Harness {
        Harness::new::<R>(self.emulator.type_configuration())
    }

    fn id(&self) -> &str {
        self.account["Id"].as_str().unwrap()
    }

    /// What of the blob service's settings keeps blobs that were deleted.
    fn keep_blobs(&self, properties: Value) {
        let id = format!("{}/blobServices/default", self.id());
        let kind = "Microsoft.Storage/storageAccounts/blobServices";
        self.emulator.set(&id, json!({"id": id, "type": kind, "properties": properties}));
    }

    fn put_blob(&self) {
        self.emulator.put_blob(ACCOUNT_NAME, CONTAINER_NAME, BLOB, b"bytes");
    }

    /// Calls the blob endpoint.
    async fn blob(&self, method: &str, query: &str) {
        let url = format!("{}/_blob/{ACCOUNT_NAME}/{CONTAINER_NAME}/{BLOB}{query}", self.emulator.url());
        let token = self.emulator.token("https://storage.azure.com/.default").unwrap();
        let request = self.emulator.client().request(method.parse().unwrap(), url).bearer_auth(token);
        assert!(request.send().await.unwrap().status().is_success(), "{method} {query}");
    }

    /// Puts something into the account that is not in the stack.
    fn add(&self, collection: &str, name: &str) {
        let id = format!("{}/{collection}/{name}", self.id());
        let kind = collection.replace("/default", "");
        let kind = format!("Microsoft.Storage/storageAccounts/{kind}");
        self.emulator.set(&id, json!({"id": id, "name": name, "type": kind, "properties": {}}));
    }

    /// Deletes, fails, and has changed nothing; no DELETE has even been tried.
    async fn refused<R: cfn_provider::Resource>(&self, model: &Value) -> Failure {
        let (before, first) = (self.emulator.resources(), self.emulator.requests().len());
        let failure = self.harness::<R>().delete(model).await.unwrap_err();
        println!("{:?}: {}", failure.code, failure.message);
        assert_eq!(self.emulator.resources(), before);
        let tried = self.emulator.requests().split_off(first).into_iter().any(|request| request.method == "DELETE");
        assert!(!tried, "{}", failure.message);
        failure
    }

    /// The same for what is not empty: says what is in the way and which property lets it go.
    async fn not_empty<R: cfn_provider::Resource>(&self, model: &Value, says: &str) {
        let failure = self.refused::<R>(model).await;
        assert_eq!(failure.code, Code::InvalidRequest, "{}", failure.message);
        for part in ["still holds", says, "EmptyOnDelete"] {
            assert!(failure.message.contains(part), "{part} is missing in: {}", failure.message);
        }
    }

    /// Deletes with the property, and it is gone.
    async fn emptied<R: cfn_provider::Resource>(&self, model: &Value) {
        let mut model = model.clone();
        model["EmptyOnDelete"] = true.into();
        let harness = self.harness::<R>();
        harness.delete(&model).await.unwrap();
        assert_eq!(harness.read(&model).await.unwrap_err().code, Code::NotFound);
    }
}

#[tokio::test]
async fn a_container_is_kept_with_whatever_it_holds() {
    let versions = json!({"isVersioningEnabled": true});
    let retention = json!({"deleteRetentionPolicy": {"enabled": true, "days": 7}});
    for (holds, settings, calls) in [
        ("the blob \"folder/blob\"", json!({}), vec![]),
        // A snapshot cannot be without its blob.
        ("a snapshot of the blob \"folder/blob\"", json!({}), vec![("PUT", "?comp=snapshot")]),
        ("a version of the blob \"folder/blob\"", versions, vec![("DELETE", "")]),
        ("the soft-deleted blob \"folder/blob\"", retention, vec![("DELETE", "")]),
    ] {
        let azure = Azure::new().await;
        azure.keep_blobs(settings);
        azure.put_blob();
        for (method, query) in calls {
            azure.blob(method, query).await;
        }
        azure.not_empty::<BlobContainer>(&azure.container, holds).await;
        azure.emptied::<BlobContainer>(&azure.container).await;
    }
}

#[tokio::test]
async fn an_empty_container_goes() {
    let azure = Azure::new().await;
    azure.put_blob();
    azure.blob("DELETE", "").await;
    azure.harness::<BlobContainer>().delete(&azure.container).await.unwrap();
}

#[tokio::test]
async fn an_account_is_kept_with_whatever_it_holds() {
    let azure = Azure::new().await;
    azure.not_empty::<StorageAccount>(&azure.account, "the container backups").await;
    for (collection, name, says) in [
        ("blobServices/default/containers", "other", "the container other"),
        ("fileServices/default/shares", "share1", "the file share share1"),
        ("queueServices/default/queues", "queue1", "the queue queue1"),
        ("tableServices/default/tables", "Table1", "the table Table1"),
    ] {
        let azure = Azure::new().await;
        azure.harness::<BlobContainer>().delete(&azure.container).await.unwrap();
        // Azure's own come first in the list, each on a page of its own.
        azure.add("blobServices/default/containers", "$blobchangefeed");
        azure.add("blobServices/default/containers", "$logs");
        azure.add(collection, name);
        azure.not_empty::<StorageAccount>(&azure.account, says).await;
        azure.emptied::<StorageAccount>(&azure.account).await;
    }
}

#[tokio::test]
async fn what_azure_keeps_for_itself_does_not_count() {
    let azure = Azure::new().await;
    azure.harness::<BlobContainer>().delete(&azure.container).await.unwrap();
    azure.add("blobServices/default/containers", "$blobchangefeed");
    azure.add("blobServices/default/containers", "$logs");
    azure.harness::<StorageAccount>().delete(&azure.account).await.unwrap();
}

#[tokio::test]
async fn a_group_is_kept_with_whatever_it_holds() {
    let azure = Azure::new().await;
    azure.not_empty::<ResourceGroup>(&azure.group, "Microsoft.Storage/storageAccounts parentaccount").await;
    let foreign = format!("{}/providers/Microsoft.KeyVault/vaults/keys", azure.group["Id"].as_str().unwrap());
    azure.emulator.set(&foreign, json!({"id": foreign, "name": "keys", "type": "Microsoft.KeyVault/vaults"}));
    azure.not_empty::<ResourceGroup>(&azure.group, "Microsoft.KeyVault/vaults keys and more").await;
    azure.emptied::<ResourceGroup>(&azure.group).await;
    assert_eq!(azure.emulator.resources(), Vec::<String>::new());
}

#[tokio::test]
async fn who_may_not_look_may_not_delete() {
    for (code, says) in [
        ("AuthorizationPermissionMismatch", "assign the role Storage Blob Data Reader"),
        ("AuthorizationFailure", "the account's network rules"),
    ] {
        let azure = Azure::new().await;
        azure.put_blob();
        let message = "This request is not authorized to perform this operation.".into();
        let refusal = Fault::Status { status: 403, code: code.into(), message, shape: Shape::Capitalised };
        azure.emulator.faults().next(Match::new("GET", "/_blob/"), refusal);
        let failure = azure.refused::<BlobContainer>(&azure.container).await;
        assert_eq!(failure.code, Code::AccessDenied, "{}", failure.message);
        for part in ["whether the container is empty", code, says, "EmptyOnDelete"] {
            assert!(failure.message.contains(part), "{part} is missing in: {}", failure.message);
        }
        // Whoever says so need not look.
        azure.emptied::<BlobContainer>(&azure.container).await;
    }
    let azure = Azure::new().await;
    let message = "The client does not have authorization to perform the action.".into();
    let refusal = Fault::Status { status: 403, code: "AuthorizationFailed".into(), message, shape: Shape::Wrapped };
    azure.emulator.faults().next(Match::new("GET", "/queues"), refusal);
    let failure = azure.refused::<StorageAccount>(&azure.account).await;
    assert_eq!(failure.code, Code::AccessDenied, "{}", failure.message);
    for part in ["whether the account is empty", "GET …/default/queues", "EmptyOnDelete"] {
        assert!(failure.message.contains(part), "{part} is missing in: {}", failure.message);
    }
}

#[tokio::test]
async fn a_legal_hold_is_stronger_than_the_template() {
    let azure = Azure::new().await;
    let container = azure.harness::<BlobContainer>();
    let mut held = azure.container.clone();
    held["LegalHold"] = json!({"Tags": ["case42"]});
    container.update(&azure.container, &held).await.unwrap();
    for empty in [false, true] {
        held["EmptyOnDelete"] = empty.into();
        let failure = container.delete(&held).await.unwrap_err();
        println!("{:?}: {}", failure.code, failure.message);
        assert_eq!(failure.code, Code::ResourceConflict, "{}", failure.message);
        assert!(failure.message.contains("legal hold"), "{}", failure.message);
        container.read(&held).await.unwrap();
    }
    let account = json!({"Id": azure.id(), "EmptyOnDelete": true});
    let failure = azure.harness::<StorageAccount>().delete(&account).await.unwrap_err();
    println!("{:?}: {}", failure.code, failure.message);
    assert_eq!(failure.code, Code::ResourceConflict, "{}", failure.message);
    container.read(&held).await.unwrap();
}

#[tokio::test]
async fn what_went_with_its_parent_is_gone() {
    let azure = Azure::new().await;
    azure.put_blob();
    azure.emulator.remove(azure.id());
    for failure in
        [azure.refused::<BlobContainer>(&azure.container).await, azure.refused::<StorageAccount>(&azure.account).await]
    {
        assert_eq!(failure.code, Code::NotFound, "{}", failure.message);
    }
    azure.emulator.remove(azure.group["Id"].as_str().unwrap());
    for failure in [
        azure.refused::<BlobContainer>(&azure.container).await,
        azure.refused::<StorageAccount>(&azure.account).await,
        azure.refused::<ResourceGroup>(&azure.group).await,
    ] {
        assert_eq!(failure.code, Code::NotFound, "{}", failure.message);
    }
}
