//! `CrossRegion::S3::Bucket` on both emulators, as CloudFormation drives it.

#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

mod buckets;
#[allow(dead_code, reason = "the other suites use the rest")]
mod support;

use buckets::{REGION, full, is_kept, minimal, updates};
use cfn_provider::HandlerErrorCode as Code;
use cross_region::s3::bucket::Bucket;
use serde_json::{Value, json};
use support::{EMULATORS, Emulator, Type, assert_contains, changed};

async fn bucket(emulator: Emulator) -> Type {
    Type::new::<Bucket>(emulator).await
}

/// What a READ can answer of a model.
fn visible(model: &Value) -> Value {
    changed(model, "EmptyOnDelete", &Value::Null)
}

#[tokio::test]
async fn a_bucket_lives() {
    for emulator in EMULATORS {
        let kind = bucket(emulator).await;
        let full = &changed(&full(emulator), "BucketName", &"a-bucket-lives".into());
        let created = kind.create(full).await.unwrap();
        assert_eq!(created["Arn"], "arn:aws:s3:::a-bucket-lives");
        assert_eq!(created["RegionalDomainName"], "a-bucket-lives.s3.eu-central-1.amazonaws.com");
        assert_contains(&visible(full), &created, "created");
        assert_contains(&visible(full), &kind.read(&created).await.unwrap(), "read");
        let listed = kind.list(&json!({"Region": REGION})).await.unwrap();
        assert!(listed.iter().any(|model| model["Arn"] == created["Arn"]), "{emulator:?}: {listed:?}");
        let again = kind.create_as("another", full).await.unwrap_err();
        assert_eq!(again.code, Code::AlreadyExists, "{}", again.message);

        let full = &changed(full, "Arn", &created["Arn"]);
        let before = kind.proxy.calls().len();
        assert_eq!(kind.update(full, full).await.unwrap(), created);
        let calls = kind.proxy.calls().split_off(before);
        assert!(
            calls.iter().all(|call| call.starts_with("GET") || call.starts_with("HEAD")),
            "{emulator:?}: {calls:?}"
        );

        let mut current = full.clone();
        for (property, value) in updates(emulator).as_object().unwrap() {
            let wanted = changed(&current, property, value);
            let updated = kind.update(&current, &wanted).await;
            let updated = updated.unwrap_or_else(|error| panic!("{emulator:?} {property}: {error:?}"));
            assert_contains(&visible(&wanted), &updated, property);
            assert_contains(&visible(&wanted), &kind.read(&created).await.unwrap(), property);
            current = wanted;
        }
        kind.delete(&current).await.unwrap();
        for failure in [
            kind.read(&created).await.unwrap_err(),
            kind.update(full, full).await.unwrap_err(),
            kind.delete(&created).await.unwrap_err(),
        ] {
            assert_eq!(failure.code, Code::NotFound, "{emulator:?}: {}", failure.message);
        }
        let listed = kind.list(&json!({"Region": REGION})).await.unwrap();
        assert!(listed.iter().all(|model| model["Arn"] != created["Arn"]), "{emulator:?}: {listed:?}");
    }
}

#[tokio::test]
async fn a_bucket_of_few_words_is_a_safe_one() {
    for emulator in EMULATORS {
        let kind = bucket(emulator).await;
        let created = kind.create_as("few words", &minimal()).await.unwrap();
        let all = json!({"BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true,
                         "RestrictPublicBuckets": true});
        assert_eq!(created["PublicAccessBlockConfiguration"], all, "{emulator:?}");
        assert_eq!(created["OwnershipControls"], json!({"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}));
        let rule = &created["BucketEncryption"]["ServerSideEncryptionConfiguration"][0];
        let chosen = json!({"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/aws/s3"});
        assert_eq!(*rule, json!({"BucketKeyEnabled": true, "ServerSideEncryptionByDefault": chosen}), "{emulator:?}");
        assert_eq!((&created["EnforceTls"], &created["EnforceEncryption"]), (&json!(true), &json!(true)));
        assert!(created["BucketName"].as_str().unwrap().starts_with("harness-resource-"), "{created}");
        assert_eq!(
            kind.read(&created).await.unwrap(),
            created,
            "{emulator:?}: what CREATE answers is what READ answers"
        );
        // What READ answers can be the next template, as after an import.
        assert_eq!(kind.update(&created, &created).await.unwrap(), created, "{emulator:?}");
        kind.delete(&created).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_taken_out_of_the_template_goes_back_to_its_default() {
    for emulator in EMULATORS {
        let kind = bucket(emulator).await;
        let plain = kind.create_as("defaults", &minimal()).await.unwrap();
        let without = &changed(&minimal(), "Arn", &plain["Arn"]);
        for (name, value) in full(emulator).as_object().unwrap() {
            if minimal().get(name).is_some() || is_kept(name) || name == "EmptyOnDelete" {
                continue;
            }
            let mut with = changed(without, name, value);
            if name == "ReplicationConfiguration" {
                with["VersioningConfiguration"] = json!({"Status": "Enabled"});
            }
            let set =
                kind.update(without, &with).await.unwrap_or_else(|e| panic!("{emulator:?} setting {name}: {e:?}"));
            assert_ne!(set[name], plain[name], "{emulator:?} {name}");
            let after =
                kind.update(&with, without).await.unwrap_or_else(|e| panic!("{emulator:?} removing {name}: {e:?}"));
            // A bucket that was versioned can only be suspended.
            let default = |model: &Value| match name.as_str() {
                "VersioningConfiguration" => (model[name]["Status"] != "Enabled").into(),
                _ => model[name].clone(),
            };
            assert_eq!(default(&after), default(&plain), "{emulator:?}: {name} after it was removed");
        }
        kind.delete(without).await.unwrap();
    }
}

#[tokio::test]
async fn tags_of_the_stack_and_of_others_stand_beside_its_own() {
    for emulator in EMULATORS {
        let kind = bucket(emulator).await.stack_tags(json!({"stack": "one", "both": "stack"}));
        let own = json!([{"Key": "both", "Value": "own"}, {"Key": "own", "Value": "1"}]);
        let model = changed(&minimal(), "Tags", &own);
        let created = kind.create_as("tags", &model).await.unwrap();
        let tags = |model: &Value| -> Vec<String> {
            let tags = model["Tags"].as_array().unwrap().iter();
            tags.map(|tag| format!("{}={}", tag["Key"].as_str().unwrap(), tag["Value"].as_str().unwrap())).collect()
        };
        assert_eq!(tags(&created), ["both=own", "own=1", "stack=one"], "{emulator:?}");
        // Somebody else's, and the mark, which no model shows.
        let s3 = emulator.s3(REGION, "AKIAHARNESS").await;
        let name = created["BucketName"].as_str().unwrap();
        let all = s3.get_bucket_tagging().bucket(name).send().await.unwrap().tag_set;
        assert!(all.iter().any(|tag| tag.key() == "CrossRegion:Request"), "{emulator:?}: {all:?}");
        let foreign = aws_sdk_s3::types::Tag::builder().key("foreign").value("x").build().unwrap();
        let tagging = aws_sdk_s3::types::Tagging::builder().set_tag_set(Some(all)).tag_set(foreign).build().unwrap();
        s3.put_bucket_tagging().bucket(name).tagging(tagging).send().await.unwrap();

        let model = changed(&model, "Arn", &created["Arn"]);
        let after = changed(&model, "Tags", &json!([{"Key": "own", "Value": "2"}]));
        let updated = kind.update(&model, &after).await.unwrap();
        assert_eq!(tags(&updated), ["both=stack", "foreign=x", "own=2", "stack=one"], "{emulator:?}");
        let all = s3.get_bucket_tagging().bucket(name).send().await.unwrap().tag_set;
        assert!(all.iter().any(|tag| tag.key() == "CrossRegion:Request"), "{emulator:?}: {all:?}");
        kind.delete(&model).await.unwrap();
    }
}
