//! What an account's document looks like: Azure's defaults and merges.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::http::timestamp;
use super::ids::Id;
use super::merge::{merge, spelled};
use super::rules;

/// Sub-objects that are replaced whole; every other one is merged member by member.
const REPLACED: [&str; 5] =
    ["azureFilesIdentityBasedAuthentication", "encryption", "keyPolicy", "sasPolicy", "customDomain"];

/// The document of a new account. `served` has the endpoints that are not at Azure's usual address.
pub(super) fn create(body: &Value, id: &Id, location: &str, served: &Value, tenant: &str) -> Value {
    let sku = spelled(body["sku"]["name"].as_str().unwrap_or_default(), rules::SKUS).unwrap_or_default();
    let kind = spelled(body["kind"].as_str().unwrap_or_default(), rules::KINDS).unwrap_or_default();
    let now = timestamp();
    let mut properties = json!({
        "keyCreationTime": {"key1": now, "key2": now},
        "allowCrossTenantReplication": false,
        "privateEndpointConnections": [],
        "minimumTlsVersion": "TLS1_0",
        "allowBlobPublicAccess": false,
        "networkAcls": {
            "ipv6Rules": [],
            "bypass": "AzureServices",
            "virtualNetworkRules": [],
            "ipRules": [],
            "defaultAction": "Allow",
        },
        "supportsHttpsTrafficOnly": true,
        "encryption": encryption(&Value::Null, &json!({})),
    });
    properties["provisioningState"] = "Creating".into();
    properties["creationTime"] = now.into();
    properties["primaryLocation"] = location.into();
    properties["statusOfPrimary"] = "available".into();
    let mut document = json!({
        "sku": {"name": sku},
        "kind": kind,
        "id": id.to_string(),
        "name": id.name(),
        "type": id.type_name(),
        "location": location,
        "tags": {},
        "properties": properties,
    });
    if !body["extendedLocation"].is_null() {
        document["extendedLocation"] = body["extendedLocation"].clone();
        document["properties"]["primaryExtendedLocation"] = body["extendedLocation"].clone();
    }
    put_in(&mut document, body, tenant);
    derive(&mut document, served);
    document
}

/// The document after a PUT or PATCH of `body`.
pub(super) fn update(before: &Value, body: &Value, tenant: &str) -> Value {
    let mut after = before.clone();
    put_in(&mut after, body, tenant);
    let endpoints = &before["properties"]["primaryEndpoints"];
    derive(&mut after, &json!({"blob": endpoints["blob"], "table": endpoints["table"]}));
    after
}

/// Puts what was sent into a document.
fn put_in(document: &mut Value, body: &Value, tenant: &str) {
    if let Some(sku) = body["sku"]["name"].as_str() {
        document["sku"]["name"] = spelled(sku, rules::SKUS).unwrap_or(sku).into();
    }
    if let Some(kind) = body["kind"].as_str() {
        document["kind"] = spelled(kind, rules::KINDS).unwrap_or(kind).into();
    }
    if !body["tags"].is_null() {
        document["tags"] = body["tags"].clone();
    }
    if !body["identity"].is_null() {
        document["identity"] = identity(&document["identity"], &body["identity"], tenant);
    }
    let none = Map::new();
    for (name, value) in body["properties"].as_object().unwrap_or(&none) {
        if value.is_null() {
            continue;
        }
        let properties = &mut document["properties"];
        match name.as_str() {
            "encryption" => properties[name] = encryption(&properties[name], value),
            _ if REPLACED.contains(&name.as_str()) => properties[name] = value.clone(),
            _ => {
                let mut member = properties[name].take();
                merge(&mut member, value);
                properties[name] = member;
            }
        }
    }
    spell(&mut document["properties"]);
}

/// Spells members with a closed set of values as Azure does, and completes network rules.
fn spell(properties: &mut Value) {
    for (pointer, allowed) in rules::CHOICES {
        if let Some(value) = properties.pointer_mut(pointer) {
            let text = value.as_str().unwrap_or_default();
            if let Some(right) = spelled(text, allowed) {
                *value = right.into();
            }
        }
    }
    let rules = &mut properties["networkAcls"];
    if let Some(bypass) = rules["bypass"].as_str().and_then(rules::bypass) {
        rules["bypass"] = bypass.into();
    }
    for (list, member, value) in [
        ("virtualNetworkRules", "action", "Allow"),
        ("virtualNetworkRules", "state", "Succeeded"),
        ("ipRules", "action", "Allow"),
    ] {
        for rule in rules[list].as_array_mut().into_iter().flatten() {
            if rule[member].is_null() {
                rule[member] = value.into();
            }
        }
    }
}

/// An encryption object as Azure keeps it: blob and file always, times as they were, a customer's key with its version.
fn encryption(before: &Value, sent: &Value) -> Value {
    let mut after = json!({});
    for member in ["requireInfrastructureEncryption", "identity"] {
        if !sent[member].is_null() {
            after[member] = sent[member].clone();
        }
    }
    if sent["keyvaultproperties"].is_object() {
        after["keyvaultproperties"] = customer_key(&sent["keyvaultproperties"]);
    }
    let mut services = json!({"file": {}, "blob": {}});
    merge(&mut services, &sent["services"]);
    for (name, service) in services.as_object_mut().into_iter().flatten() {
        let since = match &before["services"][name]["lastEnabledTime"] {
            Value::String(since) => since.clone(),
            _ => timestamp(),
        };
        let kind = service["keyType"].as_str().unwrap_or("Account").to_owned();
        *service = json!({"keyType": kind, "enabled": true, "lastEnabledTime": since});
    }
    // Queues and tables are shown only where they share the account's key.
    if let Some(services) = services.as_object_mut() {
        services.retain(|name, service| matches!(name.as_str(), "blob" | "file") || service["keyType"] == "Account");
    }
    after["services"] = services;
    let source = sent["keySource"].as_str().unwrap_or("Microsoft.Storage");
    after["keySource"] = source.into();
    after
}

fn customer_key(sent: &Value) -> Value {
    let uri = sent["keyvaulturi"].as_str().unwrap_or_default();
    let name = sent["keyname"].as_str().unwrap_or_default();
    let version = sent["keyversion"].as_str().filter(|version| !version.is_empty());
    let current = version.map_or_else(|| Uuid::new_v4().simple().to_string(), str::to_owned);
    let mut key = json!({
        "currentVersionedKeyIdentifier": format!("{}/keys/{name}/{current}", uri.trim_end_matches('/')),
        "lastKeyRotationTimestamp": timestamp(),
        "currentVersionedKeyExpirationTimestamp": "1970-01-01T00:00:00.0000000Z",
        "keyvaulturi": uri,
        "keyname": name,
    });
    if !sent["keyversion"].is_null() {
        key["keyversion"] = sent["keyversion"].clone();
    }
    key
}

/// An identity as Azure keeps it: ids for what was asked for, null takes a user-assigned one away.
fn identity(before: &Value, sent: &Value, tenant: &str) -> Value {
    let kind = sent["type"].as_str().unwrap_or("None");
    let mut after = json!({});
    if kind.contains("SystemAssigned") {
        let principal = before["principalId"].as_str().map(str::to_owned);
        after["principalId"] = principal.unwrap_or_else(|| Uuid::new_v4().to_string()).into();
        after["tenantId"] = tenant.into();
    }
    after["type"] = kind.into();
    if kind.contains("UserAssigned") && kind != "SystemAssigned" {
        let mut assigned = before["userAssignedIdentities"].clone();
        if !assigned.is_object() {
            assigned = json!({});
        }
        let none = Map::new();
        for (id, value) in sent["userAssignedIdentities"].as_object().unwrap_or(&none) {
            if value.is_null() {
                assigned.as_object_mut().map(|map| map.remove(id));
            } else if assigned[id].is_null() {
                assigned[id] = json!({"principalId": Uuid::new_v4(), "clientId": Uuid::new_v4()});
            }
        }
        after["userAssignedIdentities"] = assigned;
    }
    after
}

/// What follows from SKU, kind and place: tier, endpoints and the second region.
fn derive(document: &mut Value, served: &Value) {
    let sku = document["sku"]["name"].as_str().unwrap_or_default().to_owned();
    let kind = document["kind"].as_str().unwrap_or_default().to_owned();
    let name = document["name"].as_str().unwrap_or_default().to_owned();
    let tier = sku.split('_').next().unwrap_or_default();
    document["sku"]["tier"] = tier.into();
    if kind != "Storage" && document["properties"]["accessTier"].is_null() {
        document["properties"]["accessTier"] = if tier == "Premium" { "Premium" } else { "Hot" }.into();
    }
    let services: &[&str] = match (kind.as_str(), tier) {
        ("StorageV2", "Premium") => &["web", "blob"],
        ("StorageV2", _) => &["dfs", "web", "blob", "queue", "table", "file"],
        ("BlobStorage", _) => &["dfs", "blob", "table"],
        ("BlockBlobStorage", _) => &["dfs", "web", "blob"],
        ("FileStorage", _) => &["file"],
        _ => &["blob", "queue", "table", "file"],
    };
    let endpoints_of = |suffix: &str| {
        let mut endpoints = json!({});
        for service in services {
            let zone = if *service == "web" { "z22.web" } else { service };
            endpoints[*service] = format!("https://{name}{suffix}.{zone}.core.windows.net/").into();
        }
        endpoints
    };
    let properties = &mut document["properties"];
    let routing = properties["routingPreference"].clone();
    let routed = |mut endpoints: Value, suffix: &str| {
        for (flag, member, route, without) in [
            ("publishMicrosoftEndpoints", "microsoftEndpoints", "-microsoftrouting", [].as_slice()),
            // Queues and tables are not routed over the internet.
            ("publishInternetEndpoints", "internetEndpoints", "-internetrouting", &["queue", "table"]),
        ] {
            if routing[flag] == true {
                endpoints[member] = endpoints_of(&format!("{suffix}{route}"));
                remove(&mut endpoints[member], without);
            }
        }
        endpoints
    };
    let mut primary = routed(endpoints_of(""), "");
    for service in services.iter().filter(|service| served[**service].is_string()) {
        primary[*service] = served[*service].clone();
    }
    properties["primaryEndpoints"] = primary;

    let replication = rules::replication(&sku);
    let location = properties["primaryLocation"].as_str().unwrap_or_default();
    let paired = rules::paired(location).filter(|_| replication.contains('G'));
    remove(properties, &["secondaryLocation", "statusOfSecondary", "secondaryEndpoints"]);
    if let Some(paired) = paired {
        properties["secondaryLocation"] = paired.into();
        properties["statusOfSecondary"] = "available".into();
        if replication.starts_with("RA") {
            // There is no second endpoint for files.
            let mut secondary = routed(endpoints_of("-secondary"), "-secondary");
            remove(&mut secondary, &["file"]);
            for member in ["microsoftEndpoints", "internetEndpoints"] {
                if secondary[member].is_object() {
                    remove(&mut secondary[member], &["file"]);
                }
            }
            properties["secondaryEndpoints"] = secondary;
        }
    }
}

fn remove(object: &mut Value, members: &[&str]) {
    if let Some(object) = object.as_object_mut() {
        object.retain(|name, _| !members.contains(&name.as_str()));
    }
}
