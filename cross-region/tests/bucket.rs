//! `CrossRegion::S3::Bucket` on both emulators, as CloudFormation drives it.

#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

mod buckets;
#[allow(dead_code, reason = "the other suites use the rest")]
mod support;

use buckets::{REGION, full, is_kept, minimal, updates};
use cfn_provider::HandlerErrorCode as Code;
use cross_region::s3::bucket::Bucket;
use sandbox::aws::Fault;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
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

#[tokio::test]
async fn any_choice_of_properties_shows_no_drift() {
    let mut seed = 20_261_122_u64;
    let mut below = |end: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % end
    };
    for emulator in EMULATORS {
        let kind = bucket(emulator).await;
        let (full, updates) = (full(emulator), updates(emulator));
        for round in 0..12 {
            let mut model = minimal();
            for (name, value) in full.as_object().unwrap().iter().filter(|(name, _)| *name != "Region") {
                match below(3) {
                    0 => model[name] = value.clone(),
                    1 => model[name] = updates.get(name).unwrap_or(value).clone(),
                    _ => {}
                }
            }
            // What S3 takes only together with something else.
            if model.get("ObjectLockConfiguration").is_some() {
                model["ObjectLockEnabled"] = true.into();
            }
            if ["ObjectLockEnabled", "ReplicationConfiguration"].iter().any(|name| model.get(name).is_some()) {
                model["VersioningConfiguration"] = json!({"Status": "Enabled"});
            }
            let created = kind.create_as(&format!("round {round}"), &model).await;
            let created = created.unwrap_or_else(|error| panic!("{emulator:?} round {round}: {model}: {error:?}"));
            let read = kind.read(&created).await.unwrap();
            assert_contains(&visible(&model), &read, &format!("{emulator:?} round {round}"));
            let next = changed(&model, "Arn", &created["Arn"]);
            let before = kind.proxy.calls().len();
            kind.update(&next, &next).await.unwrap();
            let writes = kind.proxy.calls().split_off(before).into_iter().filter(|call| call.starts_with("PUT"));
            assert_eq!(writes.collect::<Vec<_>>(), Vec::<String>::new(), "{emulator:?} round {round}: {model}");
            kind.delete(&next).await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_is_changed_by_hand_is_seen_and_put_right() {
    for emulator in EMULATORS {
        let kind = bucket(emulator).await;
        let created = kind.create_as("by hand", &minimal()).await.unwrap();
        let name = created["BucketName"].as_str().unwrap();
        let s3 = emulator.s3(REGION, "AKIAHARNESS").await;
        let policy = s3.get_bucket_policy().bucket(name).send().await.unwrap().policy.unwrap();
        let loose = policy.replacen("Deny", "Allow", 1);
        s3.delete_public_access_block().bucket(name).send().await.unwrap();
        s3.put_bucket_policy().bucket(name).policy(loose).send().await.unwrap();
        let read = kind.read(&created).await.unwrap();
        assert_eq!(read["PublicAccessBlockConfiguration"]["BlockPublicAcls"], false, "{emulator:?}");
        assert_eq!((&read["EnforceTls"], &read["EnforceEncryption"]), (&Value::Null, &true.into()), "{emulator:?}");

        assert_eq!(kind.update(&created, &created).await.unwrap(), created, "{emulator:?}");
        assert_eq!(kind.read(&created).await.unwrap(), created, "{emulator:?}");
        s3.delete_bucket_policy().bucket(name).send().await.unwrap();
        let read = kind.read(&created).await.unwrap();
        assert_eq!((&read["EnforceTls"], &read["EnforceEncryption"]), (&false.into(), &false.into()), "{emulator:?}");
        kind.delete(&created).await.unwrap();
    }
}

#[tokio::test]
async fn what_others_set_and_no_template_said_stays() {
    let kind = bucket(Emulator::MiniStack).await;
    let created = kind.create_as("others", &minimal()).await.unwrap();
    let name = created["BucketName"].as_str().unwrap();
    let plain = changed(&minimal(), "Arn", &created["Arn"]);
    let full = full(Emulator::MiniStack);
    let names = [
        "VersioningConfiguration",
        "LifecycleConfiguration",
        "LoggingConfiguration",
        "PolicyDocument",
        "ReplicationConfiguration",
        "ObjectLockEnabled",
        "ObjectLockConfiguration",
    ];
    let others = names.iter().fold(plain.clone(), |model, name| changed(&model, name, &full[*name]));
    // As somebody would by hand: by a template that this stack does not have.
    let by_hand = kind.update(&plain, &others).await.unwrap();
    let tagged = changed(&plain, "Tags", &json!([{"Key": "k", "Value": "v"}]));
    let after = kind.update(&plain, &tagged).await.unwrap();
    for name in names {
        assert_eq!(after[name], by_hand[name], "{name}");
    }
    assert_eq!(after["BucketName"], name);
    kind.delete(&tagged).await.unwrap();
}

#[tokio::test]
async fn a_role_that_s3_does_not_know_yet_is_waited_for() {
    let kind = bucket(Emulator::MiniStack).await;
    let full = full(Emulator::MiniStack);
    let mut model = minimal();
    for name in ["VersioningConfiguration", "ReplicationConfiguration"] {
        model[name] = full[name].clone();
    }
    let unknown = || Fault::Refuse { status: 403, code: "AccessDenied", message: "Access Denied" };
    kind.proxy.fail("/?replication", 1, std::iter::repeat_with(unknown).take(1));
    let created = kind.create_as("a new role", &model).await.unwrap();
    assert_contains(&model, &created, "created");
    kind.delete(&created).await.unwrap();
}

#[tokio::test]
async fn a_read_is_two_round_trips() {
    let kind = bucket(Emulator::MiniStack).await;
    let created = kind.create_as("round trips", &minimal()).await.unwrap();
    let before = kind.proxy.calls().len();
    let far = Duration::from_millis(500);
    kind.proxy.fail("", 0, std::iter::repeat_n(Fault::Delay(far), 99));
    let start = Instant::now();
    kind.read(&created).await.unwrap();
    let (calls, took) = (kind.proxy.calls().len() - before, start.elapsed());
    println!("{calls} calls, each half a second away, in {took:?}");
    assert!(calls == 11 && took < far * 4, "{calls} calls in {took:?}");
    kind.proxy.heal();
    kind.delete(&created).await.unwrap();
}
