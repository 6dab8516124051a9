//! The handlers' process dies at every point of a create: whenever Azure has done what a request asked for and nobody
//! has heard of it yet. CloudFormation repeats the invocation, or gives up and deletes. Either way nothing is left that
//! no stack knows, and a repeated create never takes its own work for somebody else's.
#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

use std::pin::pin;
use std::time::Duration;

use sandbox::azure::{Fault, Match};
use sandbox::deploy::{Change, Deployment, Error, Stacks};
use sandbox::serve::{FUNCTION, Sandbox};
use serde_json::json;

/// A stack with one resource of every type.
fn deployment(name: &str) -> Deployment {
    let body = json!({
        "Resources": {
            "Group": {
                "Type": "Azure::Resources::ResourceGroup",
                "Properties": { "ResourceGroupName": name, "Location": "australiaeast" },
            },
            "Account": {
                "Type": "Azure::Storage::StorageAccount",
                "Properties": {
                    "ResourceGroupId": { "Ref": "Group" },
                    "AccountName": name.replace('-', ""),
                    "Location": "australiaeast",
                    "Sku": { "Name": "Standard_LRS" },
                },
            },
            "Container": {
                "Type": "Azure::Storage::BlobContainer",
                "Properties": { "StorageAccountId": { "Ref": "Account" }, "ContainerName": "data" },
            },
        },
    });
    Deployment { stack: name.to_owned(), body: body.to_string(), ..Deployment::default() }
}

struct Scene {
    sandbox: Sandbox,
    stacks: Stacks,
}

impl Scene {
    /// Deploys a stack whose process dies at one of its requests; with `for_good`, so does whoever takes over until
    /// CloudFormation rolls back. None if the stack makes no more than `point` requests.
    async fn deploy(&self, name: &str, point: usize, for_good: bool) -> Option<Result<Change, Error>> {
        let (azure, lambda) = (self.sandbox.azure(), self.sandbox.lambda());
        let of_this_stack = Match::new("*", &format!("/resourceGroups/{name}"));
        azure.faults().next(of_this_stack.after(point), Fault::DropAfter);
        let deployment = deployment(name);
        let mut nobody = ();
        let mut deploy = pin!(self.stacks.deploy(&deployment, &mut nobody));
        let dropped = async {
            while azure.faults().pending() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            // The fault is taken when the request comes; its work is done when the request is noted.
            let lost = || azure.requests().iter().filter(|r| r.status.is_none() && r.path.contains(name)).count();
            while lost() == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            result = &mut deploy => {
                result.unwrap();
                azure.faults().clear();
                return None;
            }
            () = dropped => assert_eq!(lambda.kill_busy(FUNCTION), 1),
        }
        let kill_on = async {
            while for_good && !self.status(name).await.contains("ROLLBACK") {
                lambda.kill_busy(FUNCTION);
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            result = &mut deploy => Some(result),
            () = kill_on => None,
        }
    }

    async fn status(&self, name: &str) -> String {
        let found = self.stacks.find(name).await.unwrap();
        found.map_or(String::new(), |stack| stack.stack_status().unwrap().to_string())
    }

    /// Deletes the stack; what Azure has of it afterwards.
    async fn left_after_delete(&self, name: &str) -> Vec<String> {
        self.stacks.delete(name, &mut ()).await.unwrap();
        self.in_azure(name)
    }

    fn in_azure(&self, name: &str) -> Vec<String> {
        let end = format!("/resourceGroups/{name}");
        self.sandbox
            .azure()
            .resources()
            .into_iter()
            .filter(|id| id.ends_with(&end) || id.contains(&format!("{end}/")))
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dying_at_any_request_of_a_create_leaves_no_orphan() {
    let sandbox = Sandbox::start(0).await.unwrap();
    let scene = Scene { stacks: Stacks::new(sandbox.endpoints()), sandbox };
    let mut points = 0;
    loop {
        let name = format!("kill-once-{points}");
        let Some(result) = scene.deploy(&name, points, false).await else { break };
        let change = result.unwrap_or_else(|error| panic!("killed at request {points}: {error}"));
        assert_eq!(change, Change::Created, "killed at request {points}");
        assert_eq!(scene.left_after_delete(&name).await, [""; 0], "killed at request {points}");
        points += 1;
    }
    println!("{points} points");
    // Each of the three is at least looked for, written and read back.
    assert!(points >= 9, "only {points} points");

    for point in 0..points {
        let name = format!("kill-good-{point}");
        match scene.deploy(&name, point, true).await {
            Some(Err(Error::Failed { status, failures, .. })) => {
                assert_eq!(status, "ROLLBACK_COMPLETE", "killed for good at request {point}: {failures:?}");
            }
            other => panic!("killed for good at request {point}: {other:?}"),
        }
        assert_eq!(scene.in_azure(&name), [""; 0], "killed for good at request {point}");
    }
}
