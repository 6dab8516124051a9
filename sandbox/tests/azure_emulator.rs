//! What tests of other crates rely on: the emulator's timing, refusals, faults, tokens and blobs.
#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

use std::path::Path;
use std::time::Duration;

use sandbox::azure::{Authority, Emulator, Fault, Match, Options, Shape};
use sandbox::tools;
use serde_json::{Value, json};

const MANAGEMENT: &str = "https://management.azure.com/.default";
/// A pace at which a busy machine still gets its next request in.
const SLOW: Duration = Duration::from_millis(400);
const STORAGE: &str = "https://storage.azure.com/.default";

struct Client {
    emulator: Emulator,
    http: reqwest::Client,
    token: String,
}

struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    text: String,
    body: Value,
}

impl Answer {
    fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Client {
    async fn start(options: Options) -> Client {
        let emulator = Emulator::start(options).await.unwrap();
        Client { http: emulator.client(), token: emulator.token(MANAGEMENT).unwrap(), emulator }
    }

    async fn with_account() -> Client {
        Client::with_account_at(Options::default().pace).await
    }

    /// With a slower pace, for tests that must act before something is over.
    async fn with_account_at(pace: Duration) -> Client {
        let client = Client::start(Options { pace, ..Options::default() }).await;
        client.send("PUT", &client.group(), json!({"location": "westus"})).await;
        client.create("accountone").await;
        client
    }

    async fn create(&self, name: &str) {
        let sent = json!({"location": "westus", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}});
        assert_eq!(self.send("PUT", &self.account(name), sent).await.status, 202);
        for _ in 0..500 {
            let answer = self.send("GET", &self.account(name), Value::Null).await;
            if answer.body["properties"]["provisioningState"] == "Succeeded" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{name} never became ready");
    }

    fn group(&self) -> String {
        format!("/subscriptions/{}/resourceGroups/Group", self.emulator.options().subscription_id)
    }

    fn account(&self, name: &str) -> String {
        format!("{}/providers/Microsoft.Storage/storageAccounts/{name}", self.group())
    }

    fn container(&self, name: &str) -> String {
        format!("{}/blobServices/default/containers/{name}", self.account("accountone"))
    }

    async fn send(&self, method: &str, path: &str, body: Value) -> Answer {
        self.try_send(method, path, body).await.unwrap()
    }

    async fn try_send(&self, method: &str, path: &str, body: Value) -> Result<Answer, reqwest::Error> {
        let url = match path {
            path if path.starts_with("https://") => path.to_owned(),
            path if path.contains('?') => format!("{}{path}", self.emulator.url()),
            path => format!("{}{path}?api-version=2023-05-01", self.emulator.url()),
        };
        let token = if path.contains("/_blob/") { self.emulator.token(STORAGE).unwrap() } else { self.token.clone() };
        self.raw(method, &url, &token, body).await
    }

    async fn raw(&self, method: &str, url: &str, token: &str, body: Value) -> Result<Answer, reqwest::Error> {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, url).bearer_auth(token);
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer { status, headers, text, body })
    }
}

#[tokio::test]
async fn an_account_passes_through_its_states() {
    let client = Client::start(Options { pace: SLOW, ..Options::default() }).await;
    client.send("PUT", &client.group(), json!({"location": "West US"})).await;
    let sent = json!({"location": "westus", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}});
    let id = client.account("accountone");

    let accepted = client.send("PUT", &id, sent).await;
    assert_eq!((accepted.status, accepted.text.as_str()), (202, ""));
    assert_eq!(accepted.header("retry-after"), "1");
    let location = accepted.header("location").to_owned();
    assert!((1500..3600).contains(&location.len()), "{}", location.len());
    assert_eq!(client.send("GET", &location, Value::Null).await.status, 202);
    assert_eq!(client.send("DELETE", &id, Value::Null).await.code(), "StorageAccountOperationInProgress");

    let mut states = Vec::new();
    while states.last().is_none_or(|last| last != "Succeeded") {
        let answer = client.send("GET", &id, Value::Null).await;
        let state = match answer.status {
            404 => answer.code().to_owned(),
            _ => answer.body["properties"]["provisioningState"].as_str().unwrap().to_owned(),
        };
        if states.last() != Some(&state) {
            states.push(state);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(states, ["ResourceNotFound", "Creating", "ResolvingDns", "Succeeded"]);
    let done = client.send("GET", &location, Value::Null).await;
    assert_eq!((done.status, done.body["id"].as_str()), (200, Some(id.as_str())));
}

#[tokio::test]
async fn account_writes_merge_and_refuse() {
    let client = Client::with_account().await;
    let id = client.account("accountone");
    let base = json!({"location": "westus", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}});
    let with = |change: Value| {
        let mut body = base.clone();
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        body
    };
    let table = [
        ("PATCH", json!({"properties": {"isHnsEnabled": false}}), 400, "AccountPropertyCannotBeUpdated"),
        (
            "PATCH",
            json!({"properties": {"encryption": {"requireInfrastructureEncryption": true}}}),
            400,
            "AccountPropertyCannotBeUpdated",
        ),
        (
            "PATCH",
            json!({"properties": {"immutableStorageWithVersioning": {"enabled": true}}}),
            400,
            "AccountPropertyCannotBeUpdated",
        ),
        ("PATCH", json!({"sku": {"name": "Premium_LRS"}}), 400, "AccountTypeConversionNotAllowed"),
        ("PATCH", json!({"sku": {"name": "Standard_ZRS"}}), 400, "AccountTypeConversionNotAllowed"),
        ("PATCH", json!({"kind": "BlobStorage"}), 400, "AccountKindConversionNotAllowed"),
        ("PATCH", json!({"properties": {"accessTier": "Lukewarm"}}), 400, "InvalidValuesForRequestParameters"),
        (
            "PATCH",
            json!({"properties": {"networkAcls": {"bypass": "Everything"}}}),
            400,
            "InvalidValuesForRequestParameters",
        ),
        ("PUT", with(json!({"location": "atlantis"})), 400, "LocationNotAvailableForResourceType"),
        ("PUT", with(json!({"location": "eastus"})), 409, "InvalidResourceLocation"),
        ("PUT", json!({"kind": "StorageV2"}), 400, "LocationRequired"),
        ("PUT", json!({"location": "westus"}), 400, "InvalidValuesForRequestParameters"),
    ];
    for (method, body, status, code) in table {
        let before = client.emulator.get(&id);
        let answer = client.send(method, &id, body.clone()).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{method} {body}");
        assert_eq!(client.emulator.get(&id), before, "{method} {body} changed something");
    }

    let patch = json!({"tags": {"a": "b"}, "identity": {"type": "SystemAssigned"}, "properties": {
        "keyPolicy": {"keyExpirationPeriodInDays": 9},
        "networkAcls": {"defaultAction": "deny", "ipRules": [{"value": "1.2.3.4"}]},
    }});
    let patched = client.send("PATCH", &id, patch).await.body;
    assert_eq!(patched["properties"]["networkAcls"]["defaultAction"], "Deny");
    assert_eq!(patched["properties"]["networkAcls"]["bypass"], "AzureServices");
    assert_eq!(patched["properties"]["networkAcls"]["ipRules"][0]["action"], "Allow");
    assert!(patched["identity"]["principalId"].is_string());
    // A PUT is a merge: what it leaves out survives.
    let put = client.send("PUT", &id, base.clone()).await;
    assert_eq!(put.status, 200);
    for member in ["/properties/keyPolicy", "/identity/principalId", "/tags/a", "/properties/networkAcls/ipRules/0"] {
        assert_eq!(put.body.pointer(member), patched.pointer(member), "{member}");
    }
    let cleared = client.send("PATCH", &id, json!({"tags": {}})).await.body;
    assert_eq!(cleared["tags"], json!({}));
}

#[tokio::test]
async fn names_are_taken_by_others() {
    let client = Client::with_account().await;
    client.emulator.take_account_name("somebodyelses");
    let other = client.account("accountone").replace("/Group/", "/Other/");
    let other_group = client.group().replace("/Group", "/Other");
    client.send("PUT", &other_group, json!({"location": "westus"})).await;
    let sent = json!({"location": "westus", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}});
    for (id, status, code) in [
        (other, 409, "StorageAccountInAnotherResourceGroup"),
        (client.account("somebodyelses"), 409, "StorageAccountAlreadyTaken"),
        (client.account("Not-Valid"), 400, "AccountNameInvalid"),
        (client.account("accounttwo").replace("Group/", "Nowhere/"), 404, "ResourceGroupNotFound"),
    ] {
        let answer = client.send("PUT", &id, sent.clone()).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{id}");
    }
}

#[tokio::test]
async fn containers_echo_hold_and_linger() {
    let client = Client::with_account_at(SLOW).await;
    let id = client.container("container1");
    let created = client.send("PUT", &id, json!({"properties": {"metadata": {"Key": "v"}}})).await;
    assert_eq!((created.status, created.body["properties"]["publicAccess"].is_null()), (201, true));
    assert_eq!(client.send("PUT", &id, json!({})).await.status, 200);
    let got = client.send("GET", &id, Value::Null).await.body;
    assert_eq!(got["properties"]["metadata"], json!({"key": "v"}));
    assert_eq!(got["properties"]["defaultEncryptionScope"], "$account-encryption-key");

    for (name, body, status, code) in [
        ("Upper", json!({}), 400, "InvalidResourceName"),
        ("public", json!({"properties": {"publicAccess": "blob"}}), 409, "PublicAccessNotPermitted"),
        ("meta", json!({"properties": {"metadata": {"not-a-name": ""}}}), 400, "InvalidMetadata"),
        (
            "worm",
            json!({"properties": {"immutableStorageWithVersioning": {"enabled": true}}}),
            409,
            "FeatureNotSupportedForAccount",
        ),
        ("container1", json!({"properties": {"defaultEncryptionScope": "other"}}), 400, "InvalidRequestPropertyValue"),
    ] {
        let answer = client.send("PUT", &client.container(name), body).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{name}");
    }

    let held = client.send("POST", &format!("{id}/setLegalHold"), json!({"tags": ["Case42"]})).await;
    assert_eq!(held.body, json!({"hasLegalHold": true, "tags": ["case42"]}));
    assert_eq!(client.send("DELETE", &id, Value::Null).await.code(), "ContainerProtectedFromDeletion");
    let account = client.account("accountone");
    assert_eq!(client.send("DELETE", &account, Value::Null).await.code(), "AccountProtectedFromDeletion");
    client.send("POST", &format!("{id}/clearLegalHold"), json!({"tags": ["case42"]})).await;

    assert_eq!(client.send("DELETE", &id, Value::Null).await.status, 200);
    let again = client.send("PUT", &id, json!({})).await;
    assert_eq!((again.status, again.code()), (409, "ContainerOperationFailure"));
    assert_eq!(client.send("DELETE", &id, Value::Null).await.status, 204);
    tokio::time::sleep(SLOW * 6).await;
    assert_eq!(client.send("PUT", &id, json!({})).await.status, 201);

    let service = format!("{account}/blobServices/default");
    client.send("PUT", &service, json!({"properties": {"isVersioningEnabled": true}})).await;
    let worm = json!({"properties": {"immutableStorageWithVersioning": {"enabled": true}}});
    assert_eq!(client.send("PUT", &client.container("worm"), worm).await.status, 201);
}

#[tokio::test]
async fn a_deleted_group_takes_everything_with_it() {
    let client = Client::with_account_at(SLOW).await;
    client.send("PUT", &client.container("container1"), json!({})).await;
    let listed = client.send("GET", &format!("{}/resources", client.group()), Value::Null).await;
    assert_eq!(listed.body["value"].as_array().map(Vec::len), Some(1), "{}", listed.text);
    let deleted = client.send("DELETE", &client.group(), Value::Null).await;
    assert_eq!(deleted.status, 202);
    let refused = client.send("PUT", &client.container("container2"), json!({})).await;
    assert_eq!((refused.status, refused.code()), (409, "ResourceGroupBeingDeleted"));
    tokio::time::sleep(SLOW * 3).await;
    let polled = client.send("GET", deleted.header("location"), Value::Null).await;
    assert_eq!(polled.status, 200);
    assert_eq!(client.send("GET", &client.account("accountone"), Value::Null).await.code(), "ResourceGroupNotFound");
    assert_eq!(client.emulator.resources(), Vec::<String>::new());
}

#[tokio::test]
async fn lists_come_in_pages_with_a_literal_dollar() {
    let client = Client::with_account().await;
    for name in ["one", "two", "three", "four", "five"] {
        client.send("PUT", &client.container(name), json!({})).await;
    }
    let containers = client.container("");
    let mut next = format!("{}?api-version=2023-05-01&$maxpagesize=2", containers.trim_end_matches('/'));
    let mut names = Vec::new();
    let mut pages = 0;
    while !next.is_empty() {
        let page = client.send("GET", &next, Value::Null).await.body;
        let items = page["value"].as_array().unwrap();
        names.extend(items.iter().map(|item| item["name"].as_str().unwrap().to_owned()));
        next = page["nextLink"].as_str().unwrap_or_default().to_owned();
        assert!(next.is_empty() || next.contains("$skipToken="), "{next}");
        pages += 1;
    }
    assert_eq!((names, pages), (["five", "four", "one", "three", "two"].map(str::to_owned).to_vec(), 3));
}

#[tokio::test]
async fn faults_happen_as_often_as_asked() {
    let client = Client::with_account().await;
    let faults = client.emulator.faults();
    let on = || Match::new("GET", "/storageAccounts/accountone$");
    let id = client.account("accountone");
    let get = || client.try_send("GET", &id, Value::Null);

    faults.next(on(), Fault::Throttle { retry_after: 7 });
    let throttled = get().await.unwrap();
    assert_eq!((throttled.status, throttled.header("retry-after")), (429, "7"));
    faults.next(on(), Fault::ThrottleInMessage { retry_after: 7 });
    let throttled = get().await.unwrap();
    assert_eq!((throttled.status, throttled.header("retry-after")), (429, ""));
    assert!(throttled.text.contains("after '7' seconds"));
    faults.next(on(), Fault::Undecodable);
    let cut = get().await.unwrap();
    assert_eq!((cut.status, cut.body), (200, Value::Null));
    for (shape, expected) in [
        (Shape::Wrapped, r#"{"error":{"code":"C","message":"m"}}"#),
        (Shape::Flat, r#"{"code":"C","message":"m"}"#),
        (Shape::Capitalised, r#"{"Code":"C","Message":"m"}"#),
        (Shape::Empty, ""),
        (Shape::Html, "<html><head><title>C</title></head><body>m</body></html>"),
    ] {
        faults.next(on(), Fault::Status { status: 503, code: "C".into(), message: "m".into(), shape });
        let answer = get().await.unwrap();
        assert_eq!((answer.status, answer.text.as_str()), (503, expected));
    }
    faults.times(2, on().after(1), Fault::Busy);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(get().await.unwrap().status);
    }
    assert_eq!(statuses, [200, 409, 409, 200]);

    let container = client.container("lost");
    faults.next(Match::new("PUT", "/containers/lost"), Fault::DropBefore);
    assert!(client.try_send("PUT", &container, json!({})).await.is_err());
    assert_eq!(client.emulator.get(&container), None);
    faults.next(Match::new("PUT", "/containers/lost"), Fault::DropAfter);
    assert!(client.try_send("PUT", &container, json!({})).await.is_err());
    assert!(client.emulator.get(&container).is_some());
    let dropped = client.emulator.requests().into_iter().filter(|request| request.status.is_none()).count();
    assert_eq!((dropped, faults.pending()), (2, 0));

    let asked = json!({"method": "GET", "path": "accountone", "fault": {"Throttle": {"retry_after": 1}}, "times": 2});
    assert_eq!(client.send("POST", "/_emulator/faults", asked).await.status, 204);
    assert_eq!((get().await.unwrap().status, faults.pending()), (429, 1));
    assert_eq!(client.send("DELETE", "/_emulator/faults", Value::Null).await.status, 204);
    assert_eq!(faults.pending(), 0);
}

#[tokio::test]
async fn tokens_are_checked() {
    let client = Client::start(Options { token_lifetime: Duration::ZERO, ..Options::default() }).await;
    let options = client.emulator.options();
    let url = format!(
        "{}/subscriptions/{}/resourcegroups?api-version=2021-04-01",
        client.emulator.url(),
        options.subscription_id
    );
    let storage = client.emulator.token(STORAGE).unwrap();
    for (token, code) in [
        (client.token.as_str(), "ExpiredAuthenticationToken"),
        (storage.as_str(), "InvalidAuthenticationTokenAudience"),
        ("forged", "InvalidAuthenticationToken"),
    ] {
        let answer = client.raw("GET", &url, token, Value::Null).await.unwrap();
        assert_eq!((answer.status, answer.code()), (401, code));
        assert!(answer.header("www-authenticate").starts_with("Bearer "));
    }

    let form = |tenant: &str, id: &str, secret: &str| {
        let url = format!("{}/{tenant}/oauth2/v2.0/token", client.emulator.url());
        let body = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}&scope={MANAGEMENT}");
        let request = client.http.post(url).header("content-type", "application/x-www-form-urlencoded").body(body);
        async move {
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            (status, response.json::<Value>().await.unwrap())
        }
    };
    let (tenant, id, secret) = (&options.tenant_id, &options.client_id, &options.client_secret);
    for (tenant, id, secret, status, code) in [
        (tenant.as_str(), id.as_str(), "wrong", 401, 7_000_215),
        (tenant, "wrong", secret, 400, 700_016),
        ("wrong", id, secret, 400, 90_002),
    ] {
        let (answered, body) = form(tenant, id, secret).await;
        assert_eq!((answered, &body["error_codes"][0]), (status, &json!(code)), "{body}");
        assert!(!body.to_string().contains(secret));
    }
    let (status, body) = form(tenant, id, secret).await;
    assert_eq!((status, body["token_type"].as_str()), (200, Some("Bearer")));

    let client = Client::start(Options::default()).await;
    for (subscription, status, code) in [
        ("99999999-9999-9999-9999-999999999999", 403, "AuthorizationFailed"),
        ("nonsense", 400, "InvalidSubscriptionId"),
    ] {
        let answer = client.send("GET", &format!("/subscriptions/{subscription}/resourcegroups"), Value::Null).await;
        assert_eq!((answer.status, answer.code()), (status, code));
        assert!(!answer.header("x-ms-request-id").is_empty());
    }
}

#[tokio::test]
async fn the_tiny_blob_endpoint_shows_what_a_container_holds() {
    let client = Client::with_account().await;
    client.send("PUT", &client.container("container1"), json!({})).await;
    let account = client.send("GET", &client.account("accountone"), Value::Null).await.body;
    let endpoint = account["properties"]["primaryEndpoints"]["blob"].as_str().unwrap();
    let container = format!("{endpoint}container1");
    let list = format!("{container}?restype=container&comp=list");
    assert!(client.send("GET", &list, Value::Null).await.text.contains("<Blobs></Blobs>"));

    for name in ["a", "b/c", "d"] {
        client.emulator.put_blob("accountone", "container1", name, b"x");
    }
    let first = client.send("GET", &format!("{list}&maxresults=2"), Value::Null).await.text;
    assert!(first.contains("<Name>b/c</Name>") && first.contains("<NextMarker>2</NextMarker>"), "{first}");
    let second = client.send("GET", &format!("{list}&maxresults=2&marker=2"), Value::Null).await.text;
    assert!(second.contains("<Name>d</Name>") && second.contains("<NextMarker/>"), "{second}");
    let nobody = client.raw("GET", &list, &client.token, Value::Null).await.unwrap();
    assert_eq!(nobody.status, 401);
    let missing = client.send("GET", &list.replace("container1", "container2"), Value::Null).await;
    assert_eq!((missing.status, missing.header("x-ms-error-code")), (404, "ContainerNotFound"));

    // With versions on, a blob that is deleted is still in the way.
    let service = format!("{}/blobServices/default", client.account("accountone"));
    client.send("PUT", &service, json!({"properties": {"isVersioningEnabled": true}})).await;
    assert_eq!(client.send("DELETE", &format!("{container}/d"), Value::Null).await.status, 202);
    assert!(!client.send("GET", &list, Value::Null).await.text.contains("<Name>d</Name>"));
    let versions = client.send("GET", &format!("{list}&include=versions"), Value::Null).await.text;
    assert!(versions.contains("<Name>d</Name><VersionId>"), "{versions}");
}

#[tokio::test]
async fn documents_can_drift_behind_everybodys_back() {
    let client = Client::with_account().await;
    let id = client.account("ACCOUNTONE").to_uppercase().replace("/SUBSCRIPTIONS", "/subscriptions");
    assert!(client.emulator.edit(&id, |account| account["tags"]["drift"] = "yes".into()));
    let account = client.send("GET", &client.account("accountone"), Value::Null).await.body;
    assert_eq!(account["tags"]["drift"], "yes");
    assert!(client.emulator.remove(&id));
    assert!(!client.emulator.remove(&id));
    assert!(client.emulator.set(&id, account));
    assert_eq!(client.send("GET", &client.account("accountone"), Value::Null).await.status, 200);
}

#[tokio::test]
async fn azurite_follows_the_management_plane() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new().unwrap();
    let (certificate, key) = authority.certificate();
    std::fs::write(folder.path().join("cert.pem"), certificate).unwrap();
    std::fs::write(folder.path().join("key.pem"), key).unwrap();
    let packages = tools::npm("azurite", Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap().join("node_modules");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let _azurite = tokio::process::Command::new("node")
        .arg("--require")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/azurite.js"))
        .arg(packages.join("azurite/dist/src/blob/main.js"))
        .args(["--inMemoryPersistence", "--oauth", "basic", "--silent", "--skipApiVersionCheck", "--disableTelemetry"])
        .args(["--cert", "cert.pem", "--key", "key.pem", "--blobPort", &port.to_string()])
        .env("NODE_PATH", &packages)
        .current_dir(folder.path())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    for _ in 0..600 {
        if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    let azurite = format!("https://127.0.0.1:{port}");
    let options = Options { azurite: Some(azurite.clone()), authority: Some(authority), ..Options::default() };
    let client = Client::start(options).await;
    client.send("PUT", &client.group(), json!({"location": "westus"})).await;
    client.create("accountone").await;
    let account = client.send("GET", &client.account("accountone"), Value::Null).await.body;
    assert_eq!(account["properties"]["primaryEndpoints"]["blob"], format!("{azurite}/accountone/"));
    let token = client.emulator.token(STORAGE).unwrap();
    let exists = async |name: &str| {
        let request = client.http.get(format!("{azurite}/accountone/{name}?restype=container"));
        let response = request.bearer_auth(&token).header("x-ms-version", "2023-11-03").send().await.unwrap();
        response.status().as_u16()
    };
    for name in ["container1", "container2"] {
        let created = client.send("PUT", &client.container(name), json!({})).await;
        assert_eq!((created.status, exists(name).await), (201, 200), "{}", created.text);
    }
    client.send("DELETE", &client.container("container1"), Value::Null).await;
    assert_eq!(exists("container1").await, 404);
    client.send("DELETE", &client.account("accountone"), Value::Null).await;
    assert_eq!(exists("container2").await, 404);
}
