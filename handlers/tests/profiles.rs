//! Several profiles in one type configuration: every type says which one manages it, or is found without.

#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

use cfn_provider::{HandlerErrorCode as Code, testing::Harness};
use handlers::{
    REGISTRY,
    resources::resource_group::ResourceGroup,
    storage::{blob_container::BlobContainer, storage_account::StorageAccount},
};
use sandbox::azure::{Emulator, Options};
use serde_json::{Value, json};

#[test]
fn every_type_names_its_profile() {
    for entry in REGISTRY {
        let schema = &(entry.schema)().json;
        let profile = &schema["properties"]["Profile"];
        let how = "add `profile: Option<ProfileName>,` as the last field of its model";
        assert_eq!(profile["type"], "string", "{}: {how}", entry.type_name);
        assert!(profile["description"].as_str().unwrap().contains("profile"), "{}: {how}", entry.type_name);
        assert!(profile["pattern"].is_string() && profile["maxLength"].is_number(), "{}: {how}", entry.type_name);
        let listed = |list: &str| {
            let pointers = schema[list].as_array().into_iter().flatten();
            pointers.into_iter().any(|pointer| pointer == "/properties/Profile")
        };
        assert!(listed("writeOnlyProperties"), "{}: {how}", entry.type_name);
        for list in ["createOnlyProperties", "conditionalCreateOnlyProperties", "primaryIdentifier"] {
            assert!(!listed(list), "{}: a change of the profile replaces nothing", entry.type_name);
        }
    }
}

/// Two subscriptions, each with an Azure of its own, and one type configuration for both.
struct Two {
    main: Emulator,
    other: Emulator,
    configuration: Value,
}

const OTHER: &str = "44444444-4444-4444-4444-444444444444";

impl Two {
    async fn new() -> Self {
        let main = Emulator::start(Options::default()).await.unwrap();
        let options = Options { subscription_id: OTHER.into(), client_secret: "another".into(), ..Options::default() };
        let other = Emulator::start(options).await.unwrap();
        let mut configuration = main.type_configuration();
        configuration["Profiles"] = json!({"other": other.type_configuration()});
        Self { main, other, configuration }
    }
}

#[tokio::test]
async fn a_resource_is_made_where_its_profile_leads_and_found_without_it() {
    let two = Two::new().await;
    let groups = Harness::new::<ResourceGroup>(two.configuration.clone());
    let model = json!({"Location": "australiaeast", "ResourceGroupName": "here"});
    let here = groups.create(&model).await.unwrap();
    let mut there = model.clone();
    (there["ResourceGroupName"], there["Profile"]) = ("there".into(), "other".into());
    let made = groups.create(&there).await.unwrap();
    assert_eq!(made.get("Profile"), None, "it is not answered");
    let (here, there_id) = (here["Id"].as_str().unwrap(), made["Id"].as_str().unwrap());
    assert!(two.main.get(here).is_some() && two.other.get(there_id).is_some());
    assert!(there_id.starts_with(&format!("/subscriptions/{OTHER}/")), "{there_id}");

    // READ knows the id alone; LIST knows nothing, and asks the default profile.
    assert_eq!(groups.read(&made).await.unwrap(), made);
    assert_eq!(groups.list(&json!({})).await.unwrap().len(), 1);

    // Children follow the id of their parent.
    let account = json!({
        "ResourceGroupId": there_id, "AccountName": "thereaccount", "Location": "australiaeast",
        "Sku": {"Name": "Standard_LRS"}
    });
    let account = Harness::new::<StorageAccount>(two.configuration.clone()).create(&account).await.unwrap();
    let containers = Harness::new::<BlobContainer>(two.configuration.clone());
    let container = containers.create(&json!({"StorageAccountId": account["Id"]})).await.unwrap();
    assert!(two.other.get(container["Id"].as_str().unwrap()).is_some());
    assert_eq!(containers.list(&json!({"StorageAccountId": account["Id"]})).await.unwrap().len(), 1);

    // To name the profile afterwards is an update that writes nothing.
    let mut named = json!({"StorageAccountId": account["Id"], "Id": container["Id"]});
    let before = named.clone();
    named["Profile"] = "other".into();
    let requests = two.other.requests().len();
    assert_eq!(containers.update(&before, &named).await.unwrap(), container);
    assert!(two.other.requests()[requests..].iter().all(|request| request.method == "GET"));
    containers.delete(&named).await.unwrap();
    assert!(two.main.get(here).is_some());
}

#[tokio::test]
async fn a_profile_that_is_not_there_is_named() {
    let two = Two::new().await;
    let groups = Harness::new::<ResourceGroup>(two.configuration.clone());
    let model = json!({"Location": "australiaeast", "Profile": "production"});
    let failure = groups.create(&model).await.unwrap_err();
    assert_eq!(failure.code, Code::InvalidRequest);
    let says = "/Profile: the type configuration has no profile \"production\"; it has default, other";
    assert!(failure.message.contains(says), "{}", failure.message);
    let failure = groups.create(&json!({"Location": "australiaeast", "Profile": "no name"})).await.unwrap_err();
    assert!(failure.message.contains("/Profile: \"no name\" does not match"), "{}", failure.message);
    assert!(two.main.requests().is_empty() && two.other.requests().is_empty());
}
