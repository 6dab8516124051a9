//! Stacks of S3 and Azure through the CloudFormation API, with the real handlers.
#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

mod drift;

use std::sync::OnceLock;
use std::time::Duration;

use aws_sdk_cloudformation::types::{ChangeSetType, ResourceToImport, StackDriftStatus};
use reqwest::Method;
use sandbox::azure::{Fault, Match, Shape};
use sandbox::deploy::{Change, Deployment, Error, Stacks, s3};
use sandbox::proof::{Azure, prove};
use sandbox::serve::Sandbox;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// One sandbox for the whole file. Every test has a stack of its own, after which it names everything.
struct Cloud {
    runtime: Runtime,
    sandbox: Sandbox,
    stacks: Stacks,
}

fn cloud() -> &'static Cloud {
    static CLOUD: OnceLock<Cloud> = OnceLock::new();
    CLOUD.get_or_init(|| {
        let runtime = Runtime::new().unwrap();
        let sandbox = runtime.block_on(Sandbox::start(0)).unwrap();
        let stacks = Stacks::new(sandbox.endpoints());
        Cloud { runtime, sandbox, stacks }
    })
}

/// A stack with a bucket, a group, an account and a container, all named after it.
struct Stack {
    name: &'static str,
    tier: &'static str,
    container: &'static str,
    tags: Vec<(String, String)>,
}

impl Stack {
    fn named(name: &'static str) -> Self {
        Stack { name, tier: "Hot", container: "first", tags: Vec::new() }
    }

    fn deployment(&self) -> Deployment {
        let body = json!({
            "Resources": {
                "Group": {
                    "Type": "Azure::Resources::ResourceGroup",
                    "Properties": { "ResourceGroupName": self.name, "Location": "australiaeast" },
                },
                "Account": {
                    "Type": "Azure::Storage::StorageAccount",
                    "Properties": {
                        "ResourceGroupId": { "Ref": "Group" },
                        "AccountName": self.name.replace('-', ""),
                        "Location": "australiaeast",
                        "Sku": { "Name": "Standard_LRS" },
                        "Kind": "StorageV2",
                        "AccessTier": self.tier,
                        "MinimumTlsVersion": "TLS1_2",
                        "AllowBlobPublicAccess": false,
                    },
                },
                "Container": {
                    "Type": "Azure::Storage::BlobContainer",
                    "Properties": { "StorageAccountId": { "Ref": "Account" }, "ContainerName": self.container },
                },
                "Bucket": { "Type": "AWS::S3::Bucket", "DependsOn": "Container", "Properties": { "BucketName": self.name } },
            },
            "Outputs": {
                "Url": { "Value": { "Fn::Sub": format!("${{Account.PrimaryEndpoints.Blob}}{}", self.container) } },
            },
        });
        Deployment {
            stack: self.name.to_owned(),
            body: body.to_string(),
            tags: self.tags.clone(),
            ..Deployment::default()
        }
    }

    fn deploy(&self) -> Result<Change, Error> {
        cloud().runtime.block_on(cloud().stacks.deploy(&self.deployment(), &mut ()))
    }

    fn delete(&self) -> Result<(), Error> {
        cloud().runtime.block_on(cloud().stacks.delete(self.name, &mut ()))
    }

    fn status(&self) -> String {
        let found = cloud().runtime.block_on(cloud().stacks.find(self.name)).unwrap();
        found.map_or("none".to_owned(), |stack| stack.stack_status().unwrap().to_string())
    }

    /// The id of one of its resources.
    fn id(&self, logical: &str) -> String {
        let resources = cloud().runtime.block_on(cloud().stacks.resources(self.name)).unwrap();
        let found = resources.iter().find(|resource| resource.logical_resource_id() == Some(logical)).unwrap();
        found.physical_resource_id().unwrap().to_owned()
    }

    /// What there is of it in Azure, shortened to what comes after the group's id.
    fn in_azure(&self) -> Vec<String> {
        let group = format!("/resourceGroups/{}", self.name);
        let ids = cloud().sandbox.azure().resources().into_iter();
        let mut found: Vec<_> = ids
            .filter_map(|id| {
                let (_, rest) = id.split_once(&group)?;
                Some(rest.rsplit('/').next().unwrap_or_default().to_owned())
            })
            .filter(|name| name != "default")
            .collect();
        found.sort();
        found
    }

    fn has_bucket(&self) -> bool {
        let s3 = s3(cloud().sandbox.endpoints());
        cloud().runtime.block_on(async { s3.head_bucket().bucket(self.name).send().await }).is_ok()
    }

    fn account(&self) -> Value {
        let id = self.id("Account");
        cloud().sandbox.azure().get(&id).unwrap()
    }

    #[track_caller]
    fn assert_nothing_left(&self) {
        assert_eq!(self.in_azure(), [""; 0]);
        assert!(!self.has_bucket());
    }
}

/// What the account does at its next write.
fn fail_next(method: &str, path: &str, status: u16, code: &str) {
    let fault = Fault::Status { status, code: code.into(), message: "not today".into(), shape: Shape::Wrapped };
    cloud().sandbox.azure().faults().next(Match::new(method, path), fault);
}

#[track_caller]
fn assert_failed(result: Result<Change, Error>, expected: &str, reason: &str) {
    match result {
        Err(Error::Failed { status, failures, .. }) => {
            assert_eq!(status, expected, "{failures:?}");
            assert!(failures.iter().any(|failure| failure.contains(reason)), "no {reason:?} in {failures:?}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn creates_proves_updates_in_place_and_deletes() {
    let mut stack = Stack::named("dep-update");
    stack.tags = vec![("team".into(), "storage".into())];
    assert_eq!(stack.deploy().unwrap(), Change::Created);
    assert_eq!(stack.in_azure(), ["", "depupdate", "first"]);
    assert_eq!(stack.account()["tags"]["team"], "storage", "stack tags reach Azure");

    let resources = cloud().runtime.block_on(cloud().stacks.resources(stack.name)).unwrap();
    let proven = cloud().runtime.block_on(prove(cloud().sandbox.endpoints(), &resources)).unwrap();
    assert_eq!(proven.len(), 2, "{proven:?}");

    assert_eq!(stack.deploy().unwrap(), Change::None);

    let before = stack.id("Account");
    stack.tier = "Cool";
    assert_eq!(stack.deploy().unwrap(), Change::Updated);
    assert_eq!(stack.id("Account"), before);
    assert_eq!(stack.account()["properties"]["accessTier"], "Cool");

    stack.delete().unwrap();
    stack.assert_nothing_left();
}

#[test]
fn replaces_what_cannot_be_changed() {
    let mut stack = Stack::named("dep-replace");
    stack.deploy().unwrap();
    let before = stack.id("Container");
    stack.container = "second";
    assert_eq!(stack.deploy().unwrap(), Change::Updated);
    assert_ne!(stack.id("Container"), before);
    assert_eq!(stack.in_azure(), ["", "depreplace", "second"]);
    stack.delete().unwrap();
    stack.assert_nothing_left();
}

#[test]
fn a_failing_update_rolls_back() {
    let mut stack = Stack::named("dep-undo");
    stack.deploy().unwrap();
    // The account changes first, then the new container is refused.
    stack.tier = "Cool";
    stack.container = "second";
    fail_next("PUT", "depundo/blobServices/default/containers/second", 403, "AuthorizationFailed");
    assert_failed(stack.deploy(), "UPDATE_ROLLBACK_COMPLETE", "AuthorizationFailed");
    assert_eq!(stack.account()["properties"]["accessTier"], "Hot");
    assert_eq!(stack.in_azure(), ["", "depundo", "first"]);

    assert_eq!(stack.deploy().unwrap(), Change::Updated, "the cause is gone");
    assert_eq!(stack.in_azure(), ["", "depundo", "second"]);
    stack.delete().unwrap();
    stack.assert_nothing_left();
}

#[test]
fn a_failing_create_rolls_back() {
    let stack = Stack::named("dep-taken");
    cloud().sandbox.azure().take_account_name("deptaken");
    assert_failed(stack.deploy(), "ROLLBACK_COMPLETE", "deptaken");
    stack.assert_nothing_left();
    match stack.deploy() {
        Err(Error::OnlyDelete { status, .. }) => assert_eq!(status, "ROLLBACK_COMPLETE"),
        other => panic!("{other:?}"),
    }
    stack.delete().unwrap();
    assert_eq!(stack.status(), "none");
}

#[test]
fn a_create_that_fails_at_the_end_rolls_everything_back() {
    let stack = Stack::named("dep-late");
    let mut deployment = stack.deployment();
    let mut template: Value = serde_json::from_str(&deployment.body).unwrap();
    template["Resources"]["Last"] = template["Resources"]["Container"].clone();
    template["Resources"]["Last"]["Properties"]["ContainerName"] = json!("last");
    template["Resources"]["Last"]["DependsOn"] = json!("Bucket");
    deployment.body = template.to_string();
    fail_next("PUT", "deplate/blobServices/default/containers/last", 403, "AuthorizationFailed");
    let result = cloud().runtime.block_on(cloud().stacks.deploy(&deployment, &mut ()));
    assert_failed(result, "ROLLBACK_COMPLETE", "AuthorizationFailed");
    let requests = cloud().sandbox.azure().requests();
    let created = |id: &str| requests.iter().any(|r| r.method == "PUT" && r.path.ends_with(id) && r.status < Some(300));
    assert!(created("deplate/blobServices/default/containers/first"), "there was something to roll back");
    stack.assert_nothing_left();
    stack.delete().unwrap();
}

#[test]
fn what_would_be_lost_is_not_deleted() {
    let stack = Stack::named("dep-keep");
    stack.deploy().unwrap();
    let account = stack.id("Account");
    let other = format!("{account}/blobServices/default/containers/precious");
    let mut document = cloud().sandbox.azure().get(&stack.id("Container")).unwrap();
    document["id"] = json!(other);
    document["name"] = json!("precious");
    cloud().sandbox.azure().set(&other, document);
    match stack.delete() {
        Err(Error::Failed { status, failures, .. }) => {
            assert_eq!(status, "DELETE_FAILED");
            assert!(failures.iter().any(|f| f.contains("precious") && f.contains("EmptyOnDelete")), "{failures:?}");
        }
        other => panic!("{other:?}"),
    }
    assert!(cloud().sandbox.azure().get(&other).is_some());
    assert!(cloud().sandbox.azure().remove(&other));
    stack.delete().unwrap();
    stack.assert_nothing_left();
}

#[test]
fn drift_is_what_somebody_else_changed_and_nothing_more() {
    let mut stack = Stack::named("dep-drift");
    stack.tags = vec![("team".into(), "storage".into())];
    stack.deploy().unwrap();
    assert_eq!(drift(&stack), (StackDriftStatus::InSync, vec![]));

    let edited = cloud().sandbox.azure().edit(&stack.id("Account"), |account| {
        account["properties"]["accessTier"] = json!("Cool");
    });
    assert!(edited);
    let changed = vec!["Account /AccessTier Hot -> Cool".to_owned()];
    assert_eq!(drift(&stack), (StackDriftStatus::Drifted, changed));

    assert!(cloud().sandbox.azure().remove(&stack.id("Container")));
    let (status, found) = drift(&stack);
    assert_eq!(status, StackDriftStatus::Drifted);
    assert!(found.contains(&"Container is gone".to_owned()), "{found:?}");

    stack.delete().unwrap();
    stack.assert_nothing_left();
}

fn drift(stack: &Stack) -> (StackDriftStatus, Vec<String>) {
    cloud().runtime.block_on(drift::detect(cloud().stacks.client(), stack.name))
}

#[test]
fn imports_by_id_what_a_stack_left_behind() {
    let stack = Stack::named("dep-import");
    let mut deployment = stack.deployment();
    let mut template: Value = serde_json::from_str(&deployment.body).unwrap();
    template["Resources"].as_object_mut().unwrap().retain(|logical, _| logical != "Bucket");
    // CloudFormation refuses outputs in an import.
    template.as_object_mut().unwrap().remove("Outputs");
    for (_, resource) in template["Resources"].as_object_mut().unwrap() {
        resource["DeletionPolicy"] = json!("Retain");
    }
    deployment.body = template.to_string();
    cloud().runtime.block_on(cloud().stacks.deploy(&deployment, &mut ())).unwrap();
    let ids = ["Group", "Account", "Container"].map(|logical| (logical, stack.id(logical)));
    stack.delete().unwrap();
    assert_eq!(stack.in_azure(), ["", "depimport", "first"], "retained");

    let client = cloud().stacks.client();
    cloud().runtime.block_on(async {
        let mut request = client
            .create_change_set()
            .stack_name(stack.name)
            .change_set_name("import")
            .change_set_type(ChangeSetType::Import)
            .template_body(&deployment.body);
        for (logical, id) in &ids {
            let import = ResourceToImport::builder()
                .logical_resource_id(*logical)
                .resource_type(template["Resources"][*logical]["Type"].as_str().unwrap())
                .resource_identifier("Id", id)
                .build();
            request = request.resources_to_import(import);
        }
        let set = request.send().await.unwrap();
        let set = set.id().unwrap();
        wait(|| async {
            let set = client.describe_change_set().change_set_name(set).send().await.unwrap();
            let status = set.status().unwrap().as_str().to_owned();
            assert_ne!(status, "FAILED", "{:?}", set.status_reason());
            status == "CREATE_COMPLETE"
        })
        .await;
        client.execute_change_set().change_set_name(set).send().await.unwrap();
        wait(|| async {
            let found = cloud().stacks.find(stack.name).await.unwrap().unwrap();
            let status = found.stack_status().unwrap().as_str().to_owned();
            assert!(!status.contains("ROLLBACK"), "{:?}", found.stack_status_reason());
            status == "IMPORT_COMPLETE"
        })
        .await;
    });
    for (logical, id) in &ids {
        assert_eq!(stack.id(logical), *id);
    }
    assert_eq!(drift(&stack), (StackDriftStatus::InSync, vec![]));

    let mut template = template;
    for (_, resource) in template["Resources"].as_object_mut().unwrap() {
        resource["DeletionPolicy"] = json!("Delete");
    }
    deployment.body = template.to_string();
    cloud().runtime.block_on(cloud().stacks.deploy(&deployment, &mut ())).unwrap();
    stack.delete().unwrap();
    stack.assert_nothing_left();
}

async fn wait<F: Future<Output = bool>>(done: impl Fn() -> F) {
    for _ in 0..600 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not done after 30 s");
}

#[test]
fn what_arrives_is_compared_with_its_crc64_as_azure_does() {
    let stack = Stack::named("checksums");
    stack.deploy().unwrap();
    let account = stack.account()["properties"]["primaryEndpoints"]["blob"].as_str().unwrap().to_owned();
    cloud().runtime.block_on(async {
        let azure = Azure::new(cloud().sandbox.endpoints()).await.unwrap();
        let address = format!("{account}{}/greeting", stack.container);
        let send = async |query: &str, kind: &str, crc64: &str| {
            let request = azure.blob(Method::PUT, &format!("{address}{query}")).await.unwrap();
            let request = request.header("x-ms-blob-type", kind).header("x-ms-content-crc64", crc64);
            let answer = request.body("Hello World").send().await.unwrap();
            let header = |name| answer.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
            (answer.status().as_u16(), header("x-ms-content-crc64"), header("x-ms-error-code"))
        };
        let right = "YeJLfssylmU=";
        let (taken, refused) = ((201, right.into(), String::new()), (400, String::new(), "Crc64Mismatch".into()));
        let block = "?comp=block&blockid=YQ%3D%3D";
        assert_eq!(send("", "BlockBlob", "AAAAAAAAAAA=").await, refused);
        assert_eq!(send(block, "BlockBlob", "AAAAAAAAAAA=").await, refused);
        assert_eq!(azure.blob(Method::GET, &address).await.unwrap().send().await.unwrap().status(), 404);
        assert_eq!(send("", "BlockBlob", right).await, taken);
        assert_eq!(send(block, "BlockBlob", right).await, taken);
        assert_eq!(send("", "AppendBlob", right).await.2, "FeatureNotSupported", "Azurite compares nothing there");
        assert_eq!(azure.blob(Method::DELETE, &address).await.unwrap().send().await.unwrap().status(), 202);
    });
    stack.delete().unwrap();
    stack.assert_nothing_left();
}
