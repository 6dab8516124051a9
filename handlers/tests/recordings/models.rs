//! What bodies of ARM say in the models' terms, of those members that the models have. Written apart from the handlers' own
//! translation, which it checks.

use serde_json::{Map, Value, json};

/// The property, or the properties, that a member of `properties` becomes; none for what says nothing.
pub(crate) type Member = fn(&str, &Value) -> Vec<(String, Value)>;

/// A member of the same name and content.
pub(crate) fn plain(key: &str, value: &Value) -> Vec<(String, Value)> {
    vec![(capital(key), if key == "metadata" { value.clone() } else { pascal(value) })]
}

pub(crate) fn account(key: &str, value: &Value) -> Vec<(String, Value)> {
    match key {
        "networkAcls" => vec![("NetworkAcls".into(), network_acls(value))],
        "encryption" => vec![("Encryption".into(), encryption(value))],
        _ => plain(key, value),
    }
}

pub(crate) fn vault(key: &str, value: &Value) -> Vec<(String, Value)> {
    let mut property = account(key, value);
    if key == "networkAcls" {
        property[0].1["Bypass"] = value["bypass"].clone();
    }
    property
}

/// What is there is sent.
pub(crate) fn diagnostic_setting(key: &str, value: &Value) -> Vec<(String, Value)> {
    match value.as_array() {
        Some(entries) => {
            let sent = entries.iter().filter(|entry| entry["enabled"] == true);
            vec![(capital(key), sent.map(pascal).collect())]
        }
        None => plain(key, value),
    }
}

pub(crate) fn container(key: &str, value: &Value) -> Vec<(String, Value)> {
    match value["tags"].as_array() {
        Some(tags) if key == "legalHold" && !tags.is_empty() => {
            let names: Vec<&Value> = tags.iter().map(|tag| &tag["tag"]).collect();
            vec![("LegalHold".into(), json!({"Tags": names}))]
        }
        _ if key == "legalHold" => Vec::new(),
        _ => plain(key, value),
    }
}

pub(crate) fn scope(key: &str, value: &Value) -> Vec<(String, Value)> {
    match key {
        // An answer to a PUT has an empty one for Azure's own key.
        "keyVaultProperties" if value["keyUri"].is_null() => Vec::new(),
        _ => plain(key, value),
    }
}

/// The rules of a lifecycle or of an inventory, days in whole numbers.
pub(crate) fn policy(key: &str, value: &Value) -> Vec<(String, Value)> {
    if key != "policy" {
        return Vec::new();
    }
    let rules = value["rules"].as_array().into_iter().flatten().map(|rule| {
        let mut rule = pascal(rule);
        let definition = rule["Definition"].take();
        rule.as_object_mut().unwrap().extend(definition.as_object().unwrap().clone());
        whole(rule)
    });
    let mut properties = vec![("Rules".into(), rules.collect())];
    if !value["enabled"].is_null() {
        properties.push(("Enabled".into(), value["enabled"].clone()));
    }
    properties
}

fn whole(value: Value) -> Value {
    match value {
        Value::Object(members) => members.into_iter().map(|(key, value)| (key, whole(value))).collect(),
        Value::Array(items) => items.into_iter().map(whole).collect(),
        Value::Number(days) => (days.as_f64().unwrap() as u64).into(),
        other => other,
    }
}

pub(crate) fn local_user(key: &str, value: &Value) -> Vec<(String, Value)> {
    let mut property = plain(key, value);
    for scope in property[0].1.as_array_mut().into_iter().flatten().filter(|_| key == "permissionScopes") {
        let words = scope["Permissions"].as_str().unwrap().chars().map(|letter| match letter {
            'r' => "Read",
            'w' => "Write",
            'd' => "Delete",
            'l' => "List",
            'c' => "Create",
            'o' => "ModifyOwnership",
            'p' => "ModifyPermissions",
            other => panic!("no recording has {other}"),
        });
        scope["Permissions"] = words.collect();
    }
    property
}

/// What `members` make of a body, without the names and parents that its path has.
pub(crate) fn model(body: &Value, member: Member, schema: &Value) -> Value {
    let mut model = Map::new();
    for (key, value) in body["properties"].as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        model.extend(member(key, value));
    }
    for key in ["location", "kind", "sku"] {
        if !body[key].is_null() {
            model.insert(capital(key), pascal(&body[key]));
        }
    }
    if let Some(tags) = body["tags"].as_object() {
        model.insert("Tags".into(), tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect());
    }
    if body["identity"].is_object() {
        let mut identity = json!({"Type": body["identity"]["type"]});
        if let Some(ids) = body["identity"]["userAssignedIdentities"].as_object() {
            identity["UserAssignedIdentityIds"] = ids.keys().map(String::as_str).collect();
        }
        model.insert("Identity".into(), identity);
    }
    known(schema, schema, Value::Object(model))
}

/// Leaves those members that the schema knows, its words spelled as it does.
fn known(schema: &Value, at: &Value, value: Value) -> Value {
    let at = match at["$ref"].as_str() {
        Some(name) => &schema["definitions"][name.rsplit('/').next().unwrap()],
        None => at,
    };
    match value {
        Value::String(text) if at["enum"].is_array() => {
            let words = at["enum"].as_array().unwrap().iter();
            words.filter_map(Value::as_str).find(|word| word.eq_ignore_ascii_case(&text)).unwrap_or(&text).into()
        }
        Value::Object(members) if at["properties"].is_object() => {
            let members = members.into_iter().filter(|(key, _)| at["properties"].get(key).is_some());
            Value::Object(
                members.map(|(key, value)| (key.clone(), known(schema, &at["properties"][&key], value))).collect(),
            )
        }
        Value::Array(items) => items.into_iter().map(|item| known(schema, &at["items"], item)).collect(),
        other => other,
    }
}

fn capital(key: &str) -> String {
    key[..1].to_uppercase() + &key[1..]
}

fn pascal(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (capital(key), pascal(value)))
            .collect(),
        Value::Array(items) => items.iter().map(pascal).collect(),
        other => other.clone(),
    }
}

fn network_acls(acls: &Value) -> Value {
    let mut model = json!({});
    for (from, to, member) in
        [("ipRules", "IpRules", "value"), ("virtualNetworkRules", "VirtualNetworkSubnetIds", "id")]
    {
        if let Some(rules) = acls[from].as_array() {
            model[to] = rules.iter().map(|rule| rule[member].clone()).collect();
        }
    }
    if let Some(bypass) = acls["bypass"].as_str() {
        model["Bypass"] = bypass.split(',').map(str::trim).filter(|who| *who != "None").collect();
    }
    for key in ["defaultAction", "resourceAccessRules"] {
        if !acls[key].is_null() {
            model[capital(key)] = pascal(&acls[key]);
        }
    }
    model
}

fn encryption(encryption: &Value) -> Value {
    let mut model = json!({});
    if !encryption["requireInfrastructureEncryption"].is_null() {
        model["RequireInfrastructureEncryption"] = encryption["requireInfrastructureEncryption"].clone();
    }
    for (from, to) in
        [("userAssignedIdentity", "UserAssignedIdentityId"), ("federatedIdentityClientId", "FederatedIdentityClientId")]
    {
        if !encryption["identity"][from].is_null() {
            model[to] = encryption["identity"][from].clone();
        }
    }
    let key = &encryption["keyvaultproperties"];
    if key.is_object() {
        model["KeyVaultProperties"] = json!({"KeyVaultUri": key["keyvaulturi"], "KeyName": key["keyname"]});
        if key["keyversion"].as_str().is_some_and(|version| !version.is_empty()) {
            model["KeyVaultProperties"]["KeyVersion"] = key["keyversion"].clone();
        }
    }
    model
}
