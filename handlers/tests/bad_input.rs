//! What a user can get wrong: each gives the right code and one clear sentence, and changes nothing.

#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[allow(dead_code, reason = "the other suites use the rest")]
mod scenarios;

use cfn_provider::{Action, HandlerErrorCode as Code, testing::Harness};
use handlers::{
    resources::resource_group::ResourceGroup,
    storage::{blob_container::BlobContainer, storage_account::StorageAccount},
};
use sandbox::azure::{Emulator, Fault, Match, Options, Shape};
use serde_json::{Value, json};

type Type = fn(Value) -> Harness;

const GROUP: Type = Harness::new::<ResourceGroup>;
const ACCOUNT: Type = Harness::new::<StorageAccount>;
const CONTAINER: Type = Harness::new::<BlobContainer>;

/// No sentence may hold this.
const SECRET: &str = "hunter2";

const UNRESOLVED: &str = "is a dynamic reference that nobody resolved";
const NO_ACCOUNT: &[&str] =
    &["/StorageAccountId: ", "/resourceGroups/{name}/providers/Microsoft.Storage/storageAccounts/{name}"];

/// One mistake.
struct Case {
    of: Type,
    action: Action,
    model: Value,
    /// Members of the type configuration in place of the right ones; null takes one away.
    configuration: Value,
    /// What Azure answers to the first fitting request.
    refusal: Option<(&'static str, u16, &'static str)>,
    /// Whether Azure has to see the request to refuse it.
    is_seen: bool,
    code: Code,
    says: &'static [&'static str],
}

impl Case {
    fn new(of: Type, model: Value, code: Code, says: &'static [&'static str]) -> Self {
        let configuration = json!({});
        Self { of, action: Action::Create, model, configuration, refusal: None, is_seen: false, code, says }
    }

    fn on(self, action: Action) -> Self {
        Self { action, ..self }
    }

    fn with(self, configuration: Value) -> Self {
        Self { configuration, ..self }
    }

    /// Azure refuses the first request of `method`.
    fn refused(self, method: &'static str, status: u16, code: &'static str) -> Self {
        Self { refusal: Some((method, status, code)), is_seen: method != "GET", ..self }
    }

    fn seen(self) -> Self {
        Self { is_seen: true, ..self }
    }
}

/// An emulator with a group, an account in it and a name that is taken.
async fn emulator() -> (Emulator, String, String) {
    let options = Options { client_secret: format!("right {SECRET}"), ..Options::default() };
    let emulator = Emulator::start(options).await.unwrap();
    let account = scenarios::account(&emulator).await;
    emulator.take_account_name("taken");
    let group = account.split("/providers/").next().unwrap().to_owned();
    (emulator, group, account)
}

async fn check(emulator: &Emulator, case: Case) {
    let mut configuration = emulator.type_configuration();
    match &case.configuration {
        Value::Object(changes) => configuration.as_object_mut().unwrap().extend(changes.clone()),
        other => configuration = other.clone(),
    }
    if let Value::Object(members) = &mut configuration {
        members.retain(|_, value| !value.is_null());
    }
    if let Some((method, status, code)) = case.refusal {
        let message = format!("Azure says why with {code}.");
        let fault = Fault::Status { status, code: code.into(), message, shape: Shape::Wrapped };
        emulator.faults().times(2, Match::new(method, "/subscriptions"), fault);
    }
    let harness = (case.of)(configuration);
    let (before, first) = (emulator.resources(), emulator.requests().len());
    let event = harness.event(case.action, &case.model);
    let about = format!("{:?} of {} with {}", case.action, case.model, case.configuration);
    // What may mend by itself is tried for a while: here the while is over at once.
    let aged = |mut event: Value| {
        if event["callbackContext"].is_object() {
            event["callbackContext"]["since"] = 1.into();
        }
        harness.invoke(event)
    };
    let Err(failure) = harness.drive_with(event, aged).await else { panic!("{about} succeeded") };
    emulator.faults().clear();
    println!("{:?}: {}", failure.code, failure.message);

    assert_eq!(failure.code, case.code, "{about}: {}", failure.message);
    for part in case.says {
        assert!(failure.message.contains(part), "{about}: {:?} is missing in: {}", part, failure.message);
    }
    assert!(!failure.message.contains(SECRET), "{about} shows the secret: {}", failure.message);
    assert!(!failure.message.contains(['\n', '\r']), "{about}: more than a line: {}", failure.message);
    assert!(!failure.message.ends_with(['.', ' ']), "{about}: {}", failure.message);
    assert_eq!(emulator.resources(), before, "{about} changed something");
    let is_write = |method: &str| matches!(method, "PUT" | "PATCH" | "POST" | "DELETE");
    let writes = emulator.requests().split_off(first).into_iter();
    let writes = writes.filter(|request| request.path.starts_with("/subscriptions") && is_write(&request.method));
    let statuses: Vec<u16> = writes.filter_map(|request| request.status).collect();
    assert!(statuses.iter().all(|status| *status >= 400), "{about}: {statuses:?}");
    assert_eq!(!statuses.is_empty(), case.is_seen, "{about}: writes that reached Azure: {statuses:?}");
}

async fn check_all(emulator: &Emulator, cases: Vec<Case>) {
    for case in cases {
        check(emulator, case).await;
    }
}

fn account(group: &str, name: &str) -> Value {
    json!({"ResourceGroupId": group, "AccountName": name, "Location": "australiaeast", "Sku": {"Name": "Standard_LRS"}})
}

fn with(mut model: Value, name: &str, value: Value) -> Value {
    model[name] = value;
    model
}

#[tokio::test]
async fn a_model_that_is_wrong() {
    let (emulator, group, parent) = emulator().await;
    let right = account(&group, "backups");
    let named = |name: &str| json!({"StorageAccountId": parent, "ContainerName": name});
    let invalid = |of, model, says| Case::new(of, model, Code::InvalidRequest, says);
    check_all(
        &emulator,
        vec![
            invalid(
                GROUP,
                json!({"Location": "westus", "Colour": "blue"}),
                &["creating Azure::Resources::ResourceGroup", "'Colour'"],
            ),
            invalid(
                ACCOUNT,
                with(right.clone(), "NetworkAcls", json!({"IpRulez": []})),
                &["/NetworkAcls: ", "'IpRulez'"],
            ),
            invalid(CONTAINER, with(named("backups"), "Retention", json!(7)), &["'Retention'"]),
            invalid(
                CONTAINER,
                with(named("backups"), "Metadata", json!({"Owner-Team": "x"})),
                &["/Metadata: ", "'Owner-Team'", "an identifier in lower case"],
            ),
            invalid(
                GROUP,
                json!({"Location": "westus", "DataResidency": "eu-central-1"}),
                &["/Location: westus is in United States, outside the DataResidency eu-central-1"],
            ),
            invalid(
                ACCOUNT,
                with(
                    with(
                        with(right.clone(), "Location", json!("southeastasia")),
                        "Sku",
                        json!({"Name": "Standard_RAGRS"}),
                    ),
                    "DataResidency",
                    json!("Singapore"),
                ),
                &["/Sku/Name: Standard_RAGRS keeps a second copy of southeastasia in eastasia", "choose Standard_ZRS"],
            ),
            invalid(
                ACCOUNT,
                with(right.clone(), "DataResidency", json!("Oceania")),
                &["/DataResidency: Oceania is neither", "Australia, Austria"],
            ),
            invalid(
                ACCOUNT,
                with(right.clone(), "IsSftpEnabled", json!(true)),
                &["/IsSftpEnabled: needs IsHnsEnabled true"],
            ),
            invalid(
                ACCOUNT,
                with(
                    right.clone(),
                    "Encryption",
                    json!({"KeyVaultProperties": {"KeyVaultUri": "https://v.vault.azure.net/", "KeyName": "k"}}),
                ),
                &["/Encryption/KeyVaultProperties: needs an Identity"],
            ),
            invalid(GROUP, json!({}), &["\"Location\" is a required property"]),
            invalid(CONTAINER, json!({"ContainerName": "backups"}), &["\"StorageAccountId\" is a required property"]),
            invalid(
                ACCOUNT,
                with(right.clone(), "AllowBlobPublicAccess", json!("yes")),
                &["/AllowBlobPublicAccess: ", "\"boolean\""],
            ),
            invalid(ACCOUNT, with(right.clone(), "Sku", json!("Standard_LRS")), &["/Sku: ", "\"object\""]),
            invalid(
                ACCOUNT,
                with(right.clone(), "Sku", json!({"Name": "Gold"})),
                &["/Sku/Name: ", "\"Gold\"", "\"Standard_LRS\"", "\"Premium_ZRS\""],
            ),
            invalid(
                ACCOUNT,
                with(right.clone(), "KeyPolicy", json!({"KeyExpirationPeriodInDays": "soon"})),
                &["/KeyPolicy/KeyExpirationPeriodInDays: ", "\"integer\""],
            ),
            invalid(GROUP, json!({"Location": "westus", "Tags": {"a": "b"}}), &["/Tags: ", "\"array\""]),
            invalid(
                ACCOUNT,
                account(&group, "My-Account"),
                &["/AccountName: \"My-Account\"", "3 to 24 lower-case letters and digits"],
            ),
            invalid(ACCOUNT, account(&group, "ab"), &["/AccountName: ", "3 to 24"]),
            invalid(
                CONTAINER,
                named("Backups"),
                &["/ContainerName: \"Backups\"", "lower-case letters, digits and single dashes"],
            ),
            invalid(CONTAINER, named("a--b"), &["/ContainerName: "]),
            invalid(CONTAINER, named("ab"), &["/ContainerName: "]),
            invalid(
                GROUP,
                json!({"Location": "westus", "ResourceGroupName": "ends."}),
                &["/ResourceGroupName: \"ends.\"", "may not end in a period"],
            ),
            invalid(GROUP, json!({"Location": "westus", "ResourceGroupName": "a/b"}), &["/ResourceGroupName: "]),
            invalid(
                ACCOUNT,
                with(right.clone(), "Location", json!("Australia East")),
                &["/Location: ", "`australiaeast`"],
            ),
            invalid(
                ACCOUNT,
                with(right.clone(), "Location", json!("atlantis")),
                &["'atlantis'", "australiaeast", "LocationNotAvailableForResourceType"],
            )
            .seen(),
            invalid(GROUP, json!({"Location": "atlantis"}), &["'atlantis'", "LocationNotAvailableForResourceGroup"])
                .seen(),
            invalid(
                ACCOUNT,
                with(right.clone(), "Tags", json!([{"Key": "a", "Value": "{{resolve:ssm:/tag}}"}])),
                &["/Tags/0/Value: ", "{{resolve:…}}", "a parameter"],
            ),
            invalid(
                CONTAINER,
                with(named("backups"), "Metadata", json!({"owner": "{{resolve:ssm:/owner}}"})),
                &["/Metadata/owner: "],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn an_id_that_is_wrong() {
    let (emulator, group, parent) = emulator().await;
    let other = format!("{group}/providers/Microsoft.KeyVault/vaults/v");
    let container = |account: &str| json!({"StorageAccountId": account, "ContainerName": "backups"});
    let invalid = |of, model, says| Case::new(of, model, Code::InvalidRequest, says);
    let mut cases = vec![
        invalid(CONTAINER, container("parentaccount"), NO_ACCOUNT),
        invalid(CONTAINER, container(&group), NO_ACCOUNT),
        invalid(CONTAINER, container(&other), NO_ACCOUNT),
        invalid(CONTAINER, container(&format!("{parent}/")), NO_ACCOUNT),
        invalid(CONTAINER, json!({"StorageAccountId": "nonsense"}), NO_ACCOUNT).on(Action::List),
        invalid(CONTAINER, json!({}), &["/StorageAccountId is required to list"]).on(Action::List),
        invalid(ACCOUNT, account("parent", "backups"), &["/ResourceGroupId: ", "\"parent\"", "/resourceGroups/{name}"]),
        invalid(ACCOUNT, account(&parent, "backups"), &["/ResourceGroupId: "]),
    ];
    for action in [Action::Read, Action::Update, Action::Delete] {
        for (of, model) in [
            (GROUP, json!({"Location": "australiaeast"})),
            (ACCOUNT, account(&group, "backups")),
            (CONTAINER, container(&parent)),
        ] {
            for id in ["nonsense", &other] {
                cases.push(invalid(of, with(model.clone(), "Id", json!(id)), &["/Id: "]).on(action));
            }
            cases.push(Case::new(of, model, Code::NotFound, &["/Id"]).on(action));
        }
    }
    check_all(&emulator, cases).await;
}

#[tokio::test]
async fn a_type_configuration_that_is_wrong() {
    let (emulator, _, _) = emulator().await;
    let model = json!({"Location": "australiaeast"});
    let case = |configuration, code, says| Case::new(GROUP, model.clone(), code, says).with(configuration);
    let wrong = |configuration, says| case(configuration, Code::InvalidTypeConfiguration, says);
    let reference = || json!(format!("{{{{resolve:ssm-secure:/azure/{SECRET}}}}}"));
    let endpoints = |name: &str, value: Value| json!({"Endpoints": with(emulator.type_configuration()["Endpoints"].clone(), name, value)});
    let cases = vec![
        wrong(json!(format!("{{ {SECRET}")), &["ResourceGroup: is not JSON", "set-type-configuration"]),
        wrong(json!([]), &["the type configuration of Azure::Resources::ResourceGroup"]),
        wrong(Value::Null, &["TenantId", "set-type-configuration"]),
        wrong(json!({"TenantId": null}), &["missing field `TenantId`"]),
        wrong(json!({"ClientId": null}), &["missing field `ClientId`"]),
        wrong(
            json!({"ClientSecretArn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:azure-AbCdEf"}),
            &["ClientSecretArn and ClientSecret exclude each other"],
        ),
        wrong(json!({"ClientSecret": null, "ClientSecretArn": "azure"}), &["ClientSecretArn must be the whole ARN"]),
        wrong(json!({"ClientSecret": null, "ClientSecretArn": reference()}), &["ClientSecretArn", UNRESOLVED]),
        wrong(json!({"SubscriptionId": null}), &["missing field `SubscriptionId`"]),
        wrong(json!({"Colour": "blue"}), &["'Colour'"]),
        wrong(json!({"ClientSecret": {"Value": SECRET}}), &["ClientSecret"]),
        wrong(json!({"ClientSecret": [SECRET]}), &["ClientSecret"]),
        wrong(json!({"Cloud": format!("Azure{SECRET}")}), &["Cloud", "AzureUSGovernment"]),
        wrong(json!({"Endpoints": "https://127.0.0.1"}), &["Endpoints"]),
        wrong(json!({"Endpoints": {"Blob": "https://127.0.0.1"}}), &["/Endpoints: ", "'Blob'"]),
        wrong(json!({"ClientSecret": ""}), &["ClientSecret is empty"]),
        wrong(json!({"SubscriptionId": "my subscription"}), &["SubscriptionId must be a GUID", "az account show"]),
        wrong(json!({"TenantId": reference()}), &["TenantId", UNRESOLVED]),
        wrong(json!({"ClientId": reference()}), &["ClientId", UNRESOLVED]),
        wrong(json!({"ClientSecret": reference()}), &["ClientSecret", UNRESOLVED]),
        wrong(json!({"SubscriptionId": reference()}), &["SubscriptionId", UNRESOLVED]),
        wrong(json!({"Cloud": reference()}), &["Cloud"]),
        wrong(endpoints("ResourceManager", reference()), &["Endpoints.ResourceManager", UNRESOLVED]),
        wrong(endpoints("Authority", reference()), &["Endpoints.Authority", UNRESOLVED]),
        wrong(endpoints("CertificateAuthority", reference()), &["Endpoints.CertificateAuthority", UNRESOLVED]),
        wrong(
            endpoints("ResourceManager", json!("http://127.0.0.1:1")),
            &["Endpoints.ResourceManager must begin with https://"],
        ),
        wrong(endpoints("CertificateAuthority", json!(SECRET)), &["Endpoints.CertificateAuthority is not usable"]),
        case(
            json!({"ClientSecret": SECRET}),
            Code::InvalidCredentials,
            &["AADSTS7000215", "ClientSecret is the secret's value"],
        ),
        case(
            json!({"ClientId": "44444444-4444-4444-4444-444444444444"}),
            Code::InvalidCredentials,
            &["AADSTS700016", "Check ClientId"],
        ),
        case(
            json!({"TenantId": "44444444-4444-4444-4444-444444444444"}),
            Code::InvalidCredentials,
            &["AADSTS90002", "Check TenantId"],
        ),
        case(
            json!({"SubscriptionId": "44444444-4444-4444-4444-444444444444"}),
            Code::AccessDenied,
            &["AuthorizationFailed", "SubscriptionId"],
        ),
        wrong(json!({}), &["SubscriptionNotFound", "SubscriptionId"]).refused("GET", 404, "SubscriptionNotFound"),
    ];
    check_all(&emulator, cases).await;
}

#[tokio::test]
async fn what_azure_does_not_allow() {
    let (emulator, group, parent) = emulator().await;
    let free = account(&group, "backups");
    let container = |account: &str| json!({"StorageAccountId": account, "ContainerName": "backups"});
    let missing = group.replace("parent", "missing");
    let existing = json!({"ResourceGroupName": "parent", "Location": "australiaeast"});
    let second = json!({"ResourceGroupName": "second", "Location": "australiaeast"});
    let second = GROUP(emulator.type_configuration()).create(&second).await.unwrap()["Id"].as_str().unwrap().to_owned();
    let role: &[&str] = &["AuthorizationFailed", "request id", "a role that allows it, such as Contributor"];
    let made = ACCOUNT(emulator.type_configuration()).create(&free).await.unwrap();
    let new = account(&group, "other");
    check_all(
        &emulator,
        vec![
            Case::new(GROUP, second_like("new"), Code::AccessDenied, role).refused("GET", 403, "AuthorizationFailed"),
            Case::new(ACCOUNT, new.clone(), Code::AccessDenied, role).refused("PUT", 403, "AuthorizationFailed"),
            Case::new(ACCOUNT, new.clone(), Code::AccessDenied, &["the policy"]).refused(
                "PUT",
                403,
                "RequestDisallowedByPolicy",
            ),
            Case::new(CONTAINER, container(&parent), Code::AccessDenied, role).refused(
                "PUT",
                403,
                "AuthorizationFailed",
            ),
            Case::new(ACCOUNT, made.clone(), Code::AccessDenied, role).on(Action::Delete).refused(
                "DELETE",
                403,
                "AuthorizationFailed",
            ),
            Case::new(
                ACCOUNT,
                new.clone(),
                Code::InvalidTypeConfiguration,
                &["MissingSubscriptionRegistration", "register"],
            )
            .refused("PUT", 409, "MissingSubscriptionRegistration"),
            Case::new(ACCOUNT, new.clone(), Code::ServiceLimitExceeded, &["a higher limit"]).refused(
                "PUT",
                409,
                "MaxStorageAccountsCountPerSubscriptionExceeded",
            ),
            Case::new(
                ACCOUNT,
                account(&missing, "backups"),
                Code::InvalidRequest,
                &["'missing' could not be found", "!Ref"],
            )
            .seen(),
            Case::new(
                CONTAINER,
                container(&format!("{group}/providers/Microsoft.Storage/storageAccounts/missing")),
                Code::InvalidRequest,
                &["storageAccounts/missing' could not be found", "!Ref"],
            )
            .seen(),
            Case::new(
                ACCOUNT,
                account(&group, "taken"),
                Code::AlreadyExists,
                &["taken is already taken", "another name", "leave the name out"],
            )
            .seen(),
            Case::new(
                ACCOUNT,
                account(&second, "backups"),
                Code::AlreadyExists,
                &["already in another resource group"],
            )
            .seen(),
            Case::new(
                ACCOUNT,
                account(&group, "parentaccount"),
                Code::AlreadyExists,
                &["it already exists", "import it", "another name"],
            ),
            Case::new(GROUP, existing, Code::AlreadyExists, &["it already exists"]),
        ],
    )
    .await;
}

fn second_like(name: &str) -> Value {
    json!({"ResourceGroupName": name, "Location": "australiaeast"})
}
