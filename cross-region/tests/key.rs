//! `CrossRegion::KMS::Key` on both emulators. moto has no RotationPeriodInDays, so that MiniStack alone shows it.

#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[allow(dead_code, reason = "the other suites use the rest")]
mod support;

use aws_sdk_kms::{primitives::Blob, types::KeyState};
use cfn_provider::{Action, HandlerErrorCode as Code, testing::Failure};
use cross_region::kms::key::Key;
use serde_json::{Value, json};
use support::{EMULATORS, Emulator, Type};

const REGION: &str = "eu-central-1";

/// A type and a KMS that others use, on one emulator.
struct Place {
    keys: Type,
    kms: aws_sdk_kms::Client,
    account: &'static str,
}

async fn place(emulator: Emulator) -> Place {
    let account = match emulator {
        Emulator::MiniStack => "000000000000",
        Emulator::Moto => "123456789012",
    };
    Place { keys: Type::new::<Key>(emulator).await, kms: emulator.kms(REGION).await, account }
}

impl Place {
    fn role(&self, name: &str) -> String {
        format!("arn:aws:iam::{}:role/{name}", self.account)
    }

    /// The key of a model as KMS describes it.
    async fn described(&self, model: &Value) -> aws_sdk_kms::types::KeyMetadata {
        let answer = self.kms.describe_key().key_id(model["Arn"].as_str().unwrap()).send().await;
        answer.unwrap().key_metadata.unwrap()
    }

    /// A create with a token of its own: another resource than any before it.
    async fn create(&self, model: &Value, token: &str) -> Result<Value, Failure> {
        let answer = self.keys.drive(self.keys.creating(model, token)).await?;
        Ok(answer.resource_model.unwrap())
    }
}

fn minimal(alias: &str) -> Value {
    json!({"Region": REGION, "AliasName": alias})
}

fn full(place: &Place, alias: &str) -> Value {
    let period = if place.keys.emulator == Emulator::Moto { Value::Null } else { json!(180) };
    let model = json!({
        "Region": REGION, "AliasName": alias, "Description": "of the backup", "Enabled": true, "EnableKeyRotation": true,
        "KeySpec": "SYMMETRIC_DEFAULT", "KeyUsage": "ENCRYPT_DECRYPT", "MultiRegion": false,
        "PendingWindowInDays": 7, "KeyAdministrators": [place.role("admin")], "KeyUsers": [place.role("b"), place.role("a")],
        "BypassPolicyLockoutSafetyCheck": false, "Tags": [{"Key": "team", "Value": "backup"}]
    });
    with(&model, "RotationPeriodInDays", period)
}

/// The model without what READ does not answer.
fn visible(model: &Value) -> Value {
    let mut model = model.clone();
    for hidden in ["PendingWindowInDays", "BypassPolicyLockoutSafetyCheck"] {
        model.as_object_mut().unwrap().remove(hidden);
    }
    model
}

fn with(model: &Value, name: &str, value: Value) -> Value {
    let mut model = model.clone();
    match value {
        Value::Null => drop(model.as_object_mut().unwrap().remove(name)),
        value => model[name] = value,
    }
    model
}

/// Fails unless `actual` has all of `expected`; lists as sets.
fn assert_contains(expected: &Value, actual: &Value, about: &str) {
    for (name, value) in expected.as_object().unwrap() {
        match (value, &actual[name]) {
            (Value::Array(wanted), Value::Array(found)) => {
                let equal = wanted.len() == found.len() && wanted.iter().all(|item| found.contains(item));
                assert!(equal, "{about}: {name} is {found:?} and not {wanted:?}");
            }
            (wanted, found) => assert_eq!(wanted, found, "{about}: {name} of {actual}"),
        }
    }
}

#[tokio::test]
async fn a_key_lives() {
    for emulator in EMULATORS {
        let place = place(emulator).await;
        let keys = &place.keys;
        let full = full(&place, "alias/lives");
        let created = keys.create(&full).await.unwrap();
        assert_contains(&visible(&full), &created, &format!("{emulator:?}"));
        let arn = created["Arn"].as_str().unwrap();
        assert!(arn.starts_with("arn:aws:kms:eu-central-1:"), "{arn}");
        assert_eq!(created["KeyId"], arn.rsplit('/').next().unwrap());
        assert_eq!(created["AliasArn"], arn.split(":key/").next().unwrap().to_owned() + ":alias/lives");
        assert_eq!(keys.read(&created).await.unwrap(), created, "what CREATE answers is what READ answers");
        let listed = keys.list(&json!({"Region": REGION})).await.unwrap();
        assert!(listed.iter().any(|model| model["Arn"] == arn), "{listed:?}");

        let full = with(&full, "Arn", arn.into());
        let before = keys.proxy.calls().len();
        assert_eq!(keys.update(&full, &full).await.unwrap(), created);
        let writes: Vec<String> = keys.proxy.calls().split_off(before);
        let read = ["DescribeKey", "GetKeyPolicy", "GetKeyRotationStatus", "ListAliases", "ListResourceTags"];
        assert!(writes.iter().all(|call| read.iter().any(|read| call.ends_with(read))), "{writes:?}");

        let mut current = full;
        for (name, value) in [
            ("AliasName", json!("alias/lives-on")),
            ("Description", json!("of another backup")),
            ("EnableKeyRotation", json!(true)),
            ("RotationPeriodInDays", json!(90)),
            ("KeyAdministrators", json!([place.role("admin"), place.role("deputy")])),
            ("KeyUsers", json!([place.role("c")])),
            ("PendingWindowInDays", json!(8)),
            ("BypassPolicyLockoutSafetyCheck", json!(true)),
            ("Tags", json!([{"Key": "team", "Value": "archive"}, {"Key": "cost", "Value": "1"}])),
            ("Enabled", json!(false)),
        ] {
            if emulator == Emulator::Moto && name == "RotationPeriodInDays" {
                continue;
            }
            let wanted = with(&current, name, value);
            let updated = keys.update(&current, &wanted).await.unwrap_or_else(|e| panic!("{emulator:?} {name}: {e:?}"));
            assert_contains(&visible(&wanted), &updated, &format!("{emulator:?} {name}"));
            current = wanted;
        }
        let aliases = place.kms.list_aliases().key_id(arn).send().await.unwrap().aliases.unwrap();
        let names: Vec<&str> = aliases.iter().filter_map(|alias| alias.alias_name()).collect();
        assert_eq!(names, ["alias/lives-on"], "{emulator:?}");

        keys.delete(&current).await.unwrap();
        let metadata = place.described(&created).await;
        assert_eq!(metadata.key_state, Some(KeyState::PendingDeletion), "{emulator:?}");
        let days = (metadata.deletion_date.unwrap().secs() - metadata.creation_date.unwrap().secs()) / 86_400;
        assert_eq!(days, 8, "{emulator:?}: PendingWindowInDays");
        assert!(place.kms.list_aliases().key_id(arn).send().await.unwrap().aliases.unwrap().is_empty());
        for failure in [
            keys.read(&created).await.unwrap_err(),
            keys.update(&current, &current).await.unwrap_err(),
            keys.delete(&current).await.unwrap_err(),
        ] {
            assert_eq!(failure.code, Code::NotFound, "{emulator:?}: {}", failure.message);
        }
        let listed = keys.list(&json!({"Region": REGION})).await.unwrap();
        assert!(listed.iter().all(|model| model["Arn"] != arn), "{listed:?}");
    }
}

#[tokio::test]
async fn removed_properties_go_back_to_their_default() {
    for emulator in EMULATORS {
        let place = place(emulator).await;
        let keys = &place.keys;
        let full = full(&place, "alias/removed");
        let plain = keys.create(&json!({"Region": REGION})).await.unwrap();
        let minimal = json!({"Region": REGION, "Arn": plain["Arn"]});
        let own = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{}:root", place.account)}, "Action": "kms:*",
            "Resource": "*"
        }]});
        for (name, value) in [
            ("AliasName", full["AliasName"].clone()),
            ("Description", full["Description"].clone()),
            ("Enabled", false.into()),
            ("EnableKeyRotation", true.into()),
            ("KeyAdministrators", full["KeyAdministrators"].clone()),
            ("KeyUsers", full["KeyUsers"].clone()),
            ("KeyPolicy", own),
            ("Tags", full["Tags"].clone()),
        ] {
            let with = with(&minimal, name, value.clone());
            let set = keys.update(&minimal, &with).await.unwrap_or_else(|e| panic!("{emulator:?} {name}: {e:?}"));
            assert_contains(&json!({name: value}), &set, &format!("{emulator:?}"));
            let after = keys.update(&with, &minimal).await.unwrap_or_else(|e| panic!("{emulator:?} {name}: {e:?}"));
            assert_eq!(after, plain, "{emulator:?}: {name} after it was removed");
        }
        if emulator == Emulator::Moto {
            continue;
        }
        let yearly = with(&minimal, "EnableKeyRotation", true.into());
        let often = with(&yearly, "RotationPeriodInDays", 100.into());
        keys.update(&minimal, &often).await.unwrap();
        let after = keys.update(&often, &yearly).await.unwrap();
        assert_eq!(after["RotationPeriodInDays"], 365, "{emulator:?}");
    }
}

#[tokio::test]
async fn a_deleted_key_comes_back_under_its_alias_with_what_it_encrypted() {
    for emulator in EMULATORS {
        let place = place(emulator).await;
        let first = place.create(&full(&place, "alias/back"), "first").await.unwrap();
        let encrypt = place.kms.encrypt().key_id("alias/back").plaintext(Blob::new("hana"));
        let secret = encrypt.send().await.unwrap().ciphertext_blob.unwrap();
        place.keys.delete(&first).await.unwrap();

        let model = with(&minimal("alias/back"), "Description", "again".into());
        let second = place.create(&model, "second").await.unwrap();
        assert_eq!(second["Arn"], first["Arn"], "{emulator:?}");
        assert_contains(&model, &second, &format!("{emulator:?}"));
        let defaults = json!({"Enabled": true, "EnableKeyRotation": false, "Tags": []});
        assert_contains(&defaults, &second, "what the template does not say is KMS's default");
        assert_eq!((&second["KeyUsers"], &second["KeyPolicy"]), (&Value::Null, &Value::Null));
        let plain = place.kms.decrypt().ciphertext_blob(secret).send().await.unwrap().plaintext.unwrap();
        assert_eq!(plain.as_ref(), b"hana", "{emulator:?}");
        assert_eq!(place.described(&second).await.key_state, Some(KeyState::Enabled), "{emulator:?}");
    }
}

#[tokio::test]
async fn a_pending_key_of_another_kind_or_of_somebody_else_is_not_recovered() {
    for emulator in EMULATORS {
        let place = place(emulator).await;
        let first = place.create(&minimal("alias/kind"), "first").await.unwrap();
        place.keys.delete(&first).await.unwrap();
        let rsa =
            json!({"Region": REGION, "AliasName": "alias/kind", "KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"});
        let second = place.create(&rsa, "second").await.unwrap();
        assert_ne!(second["Arn"], first["Arn"], "{emulator:?}");
        assert_eq!(place.described(&first).await.key_state, Some(KeyState::PendingDeletion));

        let foreign = place.kms.create_key().send().await.unwrap().key_metadata.unwrap();
        place.kms.schedule_key_deletion().key_id(foreign.key_id()).send().await.unwrap();
        let third = place.create(&minimal("alias/foreign"), "third").await.unwrap();
        assert_ne!(third["KeyId"], foreign.key_id(), "{emulator:?}");
    }
}

#[tokio::test]
async fn an_alias_of_somebody_else_is_refused_and_stays() {
    for emulator in EMULATORS {
        let place = place(emulator).await;
        let foreign = place.kms.create_key().send().await.unwrap().key_metadata.unwrap();
        place.kms.create_alias().alias_name("alias/theirs").target_key_id(foreign.key_id()).send().await.unwrap();
        let failure = place.create(&minimal("alias/theirs"), "t").await.unwrap_err();
        assert_eq!(failure.code, Code::AlreadyExists, "{}", failure.message);
        assert!(failure.message.contains(foreign.key_id()) && failure.message.contains(REGION), "{}", failure.message);
        let calls = place.keys.proxy.calls();
        assert!(!calls.iter().any(|call| call.ends_with("CreateKey")), "{calls:?}");

        let mine = place.create(&minimal("alias/mine"), "t").await.unwrap();
        let model = with(&minimal("alias/mine"), "Arn", mine["Arn"].clone());
        let wanted = with(&with(&model, "AliasName", "alias/theirs".into()), "Description", "new".into());
        let failure = place.keys.update(&model, &wanted).await.unwrap_err();
        assert_eq!(failure.code, Code::AlreadyExists, "{}", failure.message);
        assert_eq!(place.keys.read(&mine).await.unwrap(), mine, "{emulator:?}: nothing was changed");
        place.keys.delete(&model).await.unwrap();
        let theirs = place.kms.describe_key().key_id("alias/theirs").send().await.unwrap().key_metadata.unwrap();
        assert_eq!(theirs.key_id(), foreign.key_id(), "{emulator:?}");
    }
}

#[tokio::test]
async fn bad_input_is_refused_before_any_call() {
    let place = place(Emulator::MiniStack).await;
    let policy = json!({"Version": "2012-10-17", "Statement": []});
    for (changes, expected) in [
        (json!({"Region": "ap-southeast-2"}), "/Region: ap-southeast-2 is the region of the stack"),
        (json!({"Region": "Frankfurt"}), "/Region: \"Frankfurt\" does not match"),
        (json!({"Region": "cn-north-1"}), "/Region: cn-north-1 is in the partition aws-cn"),
        (json!({"AliasName": "backup"}), "/AliasName: \"backup\" does not match"),
        (json!({"AliasName": "alias/"}), "/AliasName: \"alias/\" does not match"),
        (json!({"AliasName": "alias/aws/s3"}), "/AliasName: names that begin with alias/aws/"),
        (json!({"PendingWindowInDays": 6}), "/PendingWindowInDays: 6 is less than the minimum of 7"),
        (json!({"PendingWindowInDays": 31}), "/PendingWindowInDays: 31 is greater than the maximum of 30"),
        (json!({"KeyPolicy": policy, "KeyUsers": [place.role("a")]}), "/KeyPolicy: the policy is either given or made"),
        (json!({"KeyPolicy": {"Id": "cross-region-kms-key"}}), "/KeyPolicy/Id: "),
        (json!({"KeyUsers": ["a"]}), "/KeyUsers/0: \"a\" does not match"),
        (json!({"KeyUsers": []}), "/KeyUsers: [] has less than 1 item"),
        (json!({"RotationPeriodInDays": 365}), "/RotationPeriodInDays: needs EnableKeyRotation true"),
        (json!({"EnableKeyRotation": true, "RotationPeriodInDays": 89}), "/RotationPeriodInDays: 89 is less than"),
        (
            json!({"EnableKeyRotation": true, "KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"}),
            "/EnableKeyRotation: KMS rotates symmetric keys",
        ),
        (json!({"KeySpec": "HMAC_256"}), "/KeyUsage: a key of the KeySpec HMAC_256 is for GENERATE_VERIFY_MAC"),
        (
            json!({"KeyUsage": "SIGN_VERIFY"}),
            "/KeyUsage: a key of the KeySpec SYMMETRIC_DEFAULT is for ENCRYPT_DECRYPT",
        ),
        (json!({"Tags": [{"Key": "CrossRegion:Alias", "Value": "alias/a"}]}), "/Tags/0/Key: keys that begin with aws:"),
    ] {
        let mut model = minimal("alias/bad");
        model.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let answer = place.keys.invoke(place.keys.harness.event(Action::Create, &model)).await;
        let message = answer.message.unwrap();
        assert_eq!(answer.error_code, Some(Code::InvalidRequest), "{message}");
        assert!(message.contains(expected), "{message}");
    }
    assert_eq!(place.keys.proxy.calls(), Vec::<String>::new());
}
