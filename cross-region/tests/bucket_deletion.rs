//! Nothing is lost on delete: a bucket that holds anything stays, unless the template says otherwise.

#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[allow(dead_code, reason = "the other suites use the rest")]
mod buckets;
#[allow(dead_code, reason = "the other suites use the rest")]
mod support;

use aws_sdk_s3::{Client, primitives::DateTime, types as s3};
use buckets::{REGION, minimal};
use cfn_provider::{Action, HandlerErrorCode as Code, protocol::OperationStatus};
use cross_region::s3::bucket::Bucket;
use sandbox::aws::Fault;
use serde_json::{Value, json};
use std::time::Duration;
use support::{EMULATORS, Emulator, Type, changed};

/// A versioned bucket, and S3 to put things into it.
struct Scene {
    kind: Type,
    s3: Client,
    model: Value,
    name: String,
}

impl Scene {
    async fn new(emulator: Emulator, name: &str, more: Value) -> Self {
        let kind = Type::new::<Bucket>(emulator).await;
        let mut model = minimal();
        model["VersioningConfiguration"] = json!({"Status": "Enabled"});
        model["BucketName"] = name.into();
        // moto reads a policy without its conditions, so that nobody could write.
        (model["EnforceTls"], model["EnforceEncryption"]) = (false.into(), false.into());
        model.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let created = kind.create(&model).await.unwrap();
        let s3 = emulator.s3(REGION, "AKIAHARNESS").await;
        Self { kind, s3, model: changed(&model, "Arn", &created["Arn"]), name: name.to_owned() }
    }

    async fn put(&self, key: &str) {
        self.s3.put_object().bucket(&self.name).key(key).body(b"bytes".to_vec().into()).send().await.unwrap();
    }

    async fn held(&self) -> usize {
        let page = self.s3.list_object_versions().bucket(&self.name).send().await.unwrap();
        page.versions().len() + page.delete_markers().len()
    }

    fn emptying(&self) -> Value {
        changed(&self.model, "EmptyOnDelete", &true.into())
    }
}

#[tokio::test]
async fn a_bucket_that_holds_anything_stays() {
    for emulator in EMULATORS {
        let scene = Scene::new(emulator, "holds-anything", json!({})).await;
        for key in ["a", "a", "b", "gone"] {
            scene.put(key).await;
        }
        scene.s3.delete_object().bucket(&scene.name).key("gone").send().await.unwrap();
        for model in [&scene.model, &changed(&scene.model, "EmptyOnDelete", &false.into())] {
            let failure = scene.kind.delete(model).await.unwrap_err();
            assert_eq!(failure.code, Code::InvalidRequest, "{}", failure.message);
            let says = "holds-anything in eu-central-1 still holds 2 objects, 2 earlier versions, 1 delete marker";
            assert!(
                failure.message.contains(says) && failure.message.contains("EmptyOnDelete"),
                "{emulator:?}: {}",
                failure.message
            );
        }
        let calls = scene.kind.proxy.calls();
        assert!(!calls.iter().any(|call| call.starts_with("DELETE") || call.contains("?delete")), "{calls:?}");
        assert_eq!(scene.held().await, 5, "{emulator:?}");
        scene.kind.delete(&scene.emptying()).await.unwrap();
        assert_eq!(scene.kind.read(&scene.model).await.unwrap_err().code, Code::NotFound);
    }
}

#[tokio::test]
async fn a_purge_of_many_goes_on_over_invocations() {
    for emulator in EMULATORS {
        let scene = Scene::new(emulator, "many-versions", json!({})).await;
        for index in 0..1_003 {
            scene.put(&format!("{index}")).await;
        }
        let failure = scene.kind.delete(&scene.model).await.unwrap_err();
        assert!(failure.message.contains("still holds at least 1000 objects"), "{emulator:?}: {}", failure.message);

        // Each deletion of a page takes longer than an invocation has left after it.
        let slow = || Fault::Delay(Duration::from_secs(2));
        scene.kind.proxy.fail("?delete", 0, std::iter::repeat_with(slow).take(9));
        let mut event = scene.kind.harness.event(Action::Delete, &scene.emptying());
        let (mut invocations, mut left) = (0, vec![scene.held().await]);
        loop {
            let answer = scene.kind.invoke_within(event.clone(), Duration::from_secs(23)).await;
            invocations += 1;
            if answer.status == OperationStatus::Success {
                break;
            }
            assert_eq!(answer.status, OperationStatus::InProgress, "{answer:?}");
            event["callbackContext"] = answer.callback_context.unwrap();
            left.push(scene.held().await);
        }
        println!("{emulator:?}: {invocations} invocations, left between them (of the first page): {left:?}");
        assert!(invocations >= 3, "{emulator:?}: {invocations}");
        assert_eq!(left[1], 3, "{emulator:?}: the first page went in the first invocation");
        assert_eq!(scene.kind.read(&scene.model).await.unwrap_err().code, Code::NotFound);
    }
}

#[tokio::test]
async fn what_object_lock_keeps_stays_and_is_named() {
    for emulator in EMULATORS {
        let scene = Scene::new(emulator, "locked-versions", json!({"ObjectLockEnabled": true})).await;
        let until = DateTime::from_secs(1_900_000_000);
        // What compliance keeps stays until its day, so it comes last.
        for (key, mode) in
            [("by-governance", Some("GOVERNANCE")), ("by-hold", None), ("by-compliance", Some("COMPLIANCE"))]
        {
            let put = scene.s3.put_object().bucket(&scene.name).key(key).body(b"bytes".to_vec().into());
            let put = match mode {
                Some(mode) => put.object_lock_mode(mode.into()).object_lock_retain_until_date(until),
                None => put.object_lock_legal_hold_status(s3::ObjectLockLegalHoldStatus::On),
            };
            let version = put.send().await.unwrap().version_id.unwrap();
            let failure = scene.kind.delete(&scene.emptying()).await.unwrap_err();
            assert_eq!(failure.code, Code::ResourceConflict, "{emulator:?} {key}: {}", failure.message);
            let says = match mode {
                // moto has no GetObjectRetention.
                Some(_) if emulator == Emulator::Moto => "is locked: by Object Lock".to_owned(),
                Some(mode) => format!("is locked: {mode} until 2030-03-17T17:46:40Z"),
                None => "is locked: a legal hold".to_owned(),
            };
            // moto does not say which version it kept.
            let version_said = if emulator == Emulator::Moto { "" } else { &version };
            for part in [key, version_said, &says, "locked-versions in eu-central-1"] {
                assert!(
                    failure.message.contains(part),
                    "{emulator:?} {key}: {part} is missing in: {}",
                    failure.message
                );
            }
            assert_eq!(scene.held().await, 1, "{emulator:?} {key}");
            if mode.is_none() {
                let off = s3::ObjectLockLegalHold::builder().status(s3::ObjectLockLegalHoldStatus::Off).build();
                scene.s3.put_object_legal_hold().bucket(&scene.name).key(key).legal_hold(off).send().await.unwrap();
            }
            let delete = scene.s3.delete_object().bucket(&scene.name).key(key).version_id(&version);
            let deleted = delete.bypass_governance_retention(true).send().await;
            assert_eq!(deleted.is_ok(), mode != Some("COMPLIANCE"), "{emulator:?} {key}: {deleted:?}");
        }
    }
}

#[tokio::test]
async fn who_may_not_delete_is_told_so() {
    let scene = Scene::new(Emulator::MiniStack, "may-not-delete", json!({})).await;
    scene.put("a").await;
    let refused = Fault::Refuse { status: 403, code: "AccessDenied", message: "User is not authorized to perform" };
    scene.kind.proxy.fail("?delete", 0, [refused]);
    let failure = scene.kind.delete(&scene.emptying()).await.unwrap_err();
    assert_eq!(failure.code, Code::AccessDenied, "{}", failure.message);
    for part in ["s3:DeleteObjects may-not-delete in eu-central-1", "AccessDenied", "allow it"] {
        assert!(failure.message.contains(part), "{part} is missing in: {}", failure.message);
    }
    assert_eq!(scene.held().await, 1);
    scene.kind.delete(&scene.emptying()).await.unwrap();
}

#[tokio::test]
async fn what_is_written_during_a_purge_goes_too() {
    for emulator in EMULATORS {
        let scene = Scene::new(emulator, "written-meanwhile", json!({})).await;
        scene.put("a").await;
        let full = Fault::Refuse {
            status: 409,
            code: "BucketNotEmpty",
            message: "The bucket you tried to delete is not empty",
        };
        scene.kind.proxy.fail("DELETE /written-meanwhile", 0, [full]);
        scene.kind.delete(&scene.emptying()).await.unwrap();
        assert_eq!(scene.kind.read(&scene.model).await.unwrap_err().code, Code::NotFound);
    }
}
