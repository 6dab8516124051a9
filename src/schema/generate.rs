//! The schema itself: what schemars says of the struct, its annotations as pointer lists, and CloudFormation's dialect.

use super::{ANNOTATIONS, resolve};
use crate::{
    model,
    protocol::Action,
    resource::{Provider, Resource},
};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What the keys of a map match.
const KEY_PATTERN: &str = "x-cfn-keys";
/// How the service normalises a property.
const TRANSFORM: &str = "x-cfn-transform";

/// The pointer lists, in the order in which a schema shows them.
const POINTER_LISTS: [&str; 5] = [
    "readOnlyProperties",
    "createOnlyProperties",
    "conditionalCreateOnlyProperties",
    "writeOnlyProperties",
    "primaryIdentifier",
];

/// Generates a type's schema, and the pointers that are no secrets.
pub(super) fn generate<R: Resource>() -> (Value, Vec<String>) {
    let mut settings = SchemaSettings::draft07();
    settings.meta_schema = None;
    // schemars would wrap a documented `$ref` in `allOf`, which hides what is below from pointers.
    settings.transforms.clear();
    let mut generator = settings.into_generator();
    let mut root = root_of::<R>(&mut generator);
    let mut configuration = root_of::<<R::Provider as Provider>::Configuration>(&mut generator);
    let mut definitions: Map<String, Value> = generator.take_definitions(false);
    for schema in definitions.values_mut().chain([&mut root, &mut configuration]) {
        speak(schema);
    }
    let definitions = Value::Object(definitions);

    let mut marks = Marks::default();
    collect(&definitions, &root, "", 0, &mut marks);
    let Marks { lists: mut marks, transforms } = marks;
    let tag_property = marks.get("x-cfn-tags").and_then(|pointers| pointers.first()).cloned();

    let mut schema = json!({
        "typeName": R::TYPE_NAME,
        "description": root["description"],
        "definitions": definitions,
        "typeConfiguration": {
            "properties": configuration["properties"],
            "additionalProperties": false,
            "required": configuration["required"]
        },
        "properties": root["properties"],
        "additionalProperties": false,
        "required": root["required"],
    });
    for list in POINTER_LISTS {
        if let Some(pointers) = marks.remove(format!("x-cfn-{list}").as_str()) {
            schema[list] = pointers.into();
        }
    }
    if !transforms.is_empty() {
        schema["propertyTransform"] = Value::Object(transforms);
    }
    schema["tagging"] = match tag_property {
        Some(pointer) => json!({
            "taggable": true, "tagOnCreate": true, "tagUpdatable": true,
            "cloudFormationSystemTags": false, "tagProperty": pointer, "permissions": tagging::<R>()
        }),
        None => json!({"taggable": false}),
    };
    schema["handlers"] = handlers::<R>(&schema);
    prune(&mut schema);
    drop_annotations(&mut schema);
    (schema, marks.remove("x-cfn-notSecret").unwrap_or_default())
}

fn root_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    let mut root = T::json_schema(generator).to_value();
    if let Value::Object(map) = &mut root {
        map.entry("required").or_insert_with(|| Value::Array(Vec::new()));
    }
    root
}

fn handlers<R: Resource>(schema: &Value) -> Value {
    let listed = |key: &str, name: &str| {
        let pointer = format!("/properties/{name}");
        schema[key].as_array().is_some_and(|list| list.iter().any(|entry| *entry == pointer))
    };
    let updatable = schema["properties"].as_object().is_some_and(|properties| {
        properties.keys().any(|name| !listed("readOnlyProperties", name) && !listed("createOnlyProperties", name))
    });
    let mut handlers = Map::new();
    for action in Action::ALL.into_iter().filter(|action| updatable || *action != Action::Update) {
        let mut handler = json!({"permissions": permissions::<R>(action)});
        match action {
            Action::Create | Action::Update | Action::Delete => handler["timeoutInMinutes"] = R::TIMEOUT_MINUTES.into(),
            Action::List if !R::LIST_BY.is_empty() => {
                let parents: Map<String, Value> = R::LIST_BY
                    .iter()
                    .map(|name| ((*name).into(), json!({"$ref": format!("resource-schema.json#/properties/{name}")})))
                    .collect();
                handler["handlerSchema"] = json!({"properties": parents, "required": R::LIST_BY});
            }
            Action::List | Action::Read => {}
        }
        handlers.insert(action.handler().into(), handler);
    }
    Value::Object(handlers)
}

/// What an action needs of the execution role.
fn permissions<R: Resource>(action: Action) -> Vec<&'static str> {
    [R::Provider::PERMISSIONS, R::permissions(action)].concat()
}

/// What tagging needs of the execution role: the permissions that are about tags, by their names, each once.
fn tagging<R: Resource>() -> BTreeSet<&'static str> {
    let all = Action::ALL.into_iter().flat_map(permissions::<R>);
    all.filter(|permission| ["Tag", "Untag"].iter().any(|word| permission.contains(word))).collect()
}

/// What the annotations of a type say.
#[derive(Default)]
struct Marks {
    /// Per annotation, the pointers of what carries it.
    lists: BTreeMap<&'static str, Vec<String>>,
    /// Pointer → expression.
    transforms: Map<String, Value>,
}

/// Walks from the root through references and collects the annotations.
fn collect(definitions: &Value, at: &Value, pointer: &str, depth: usize, marks: &mut Marks) {
    const DEEPEST: usize = 32; // A recursive type would never end, and CloudFormation has no pointer for it.
    for key in ANNOTATIONS.iter().filter(|key| at.get(**key).is_some()) {
        marks.lists.entry(key).or_default().push(pointer.to_owned());
    }
    if let Some(expression) = at.get(TRANSFORM) {
        marks.transforms.insert(pointer.to_owned(), expression.clone());
    }
    if depth == DEEPEST {
        return;
    }
    let target = resolve(definitions, at);
    for (name, member) in target["properties"].as_object().into_iter().flatten() {
        let pointer = if pointer.is_empty() { format!("/properties/{name}") } else { format!("{pointer}/{name}") };
        collect(definitions, member, &pointer, depth + 1, marks);
    }
    if target["items"].is_object() {
        collect(definitions, &target["items"], &format!("{pointer}/*"), depth + 1, marks);
    }
}

/// Turns one of schemars' schemas, and all below it, into CloudFormation's dialect.
fn speak(schema: &mut Value) {
    let Value::Object(map) = schema else { return };
    map.remove("title");
    map.remove("$schema");
    map.retain(|key, value| key != "default" || !matches!(value, Value::Null));
    if let Some(Value::String(description)) = map.get_mut("description") {
        *description = description.replace('\n', " ");
    }
    if let Some(Value::String(format)) = map.get("format")
        && !matches!(format.as_str(), "date-time" | "uri")
    {
        map.remove("format");
    }
    // Option<T>: an absent property is what CloudFormation knows, null is not.
    if let Some(Value::Array(types)) = map.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [single] = types.as_slice() {
            let single = single.clone();
            map.insert("type".into(), single);
        }
    }
    if let Some(Value::Array(choices)) = map.get_mut("anyOf") {
        choices.retain(|choice| choice["type"] != "null");
        if let [single] = choices.as_slice() {
            let single = model::into_object(single.clone());
            map.shift_remove("anyOf");
            for (key, value) in single {
                map.entry(key).or_insert(value);
            }
        }
    }
    if let Some(Value::Array(values)) = map.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    // An enum whose variants are documented comes as a choice of constants.
    if let Some(Value::Array(choices)) = map.get("oneOf")
        && choices.iter().all(|choice| choice.get("const").is_some() || choice.get("enum").is_some())
    {
        let values: Vec<Value> = choices
            .iter()
            .flat_map(|choice| match choice.get("const") {
                Some(value) => vec![value.clone()],
                None => choice["enum"].as_array().cloned().unwrap_or_default(),
            })
            .collect();
        map.shift_remove("oneOf");
        map.insert("type".into(), "string".into());
        map.insert("enum".into(), values.into());
    }
    if map.get("type").is_some_and(|kind| kind == "array") {
        let unordered =
            map.contains_key("x-cfn-unordered") || map.contains_key("x-cfn-tags") || map.contains_key("uniqueItems");
        map.insert("insertionOrder".into(), (!unordered).into());
        map.insert("uniqueItems".into(), unordered.into());
    }
    if map.get("type").is_some_and(|kind| kind == "object") {
        let values = match map.insert("additionalProperties".into(), false.into()) {
            // A map of anything, such as a policy document.
            Some(Value::Bool(true)) => Some(json!({})),
            values => values,
        };
        if let Some(values @ Value::Object(_)) = values {
            let keys = map.shift_remove(KEY_PATTERN).and_then(|pattern| pattern.as_str().map(str::to_owned));
            let mut patterns = Map::new();
            patterns.insert(keys.unwrap_or_else(|| "^.+$".into()), values);
            map.insert("patternProperties".into(), Value::Object(patterns));
        }
    }
    for key in ["properties", "patternProperties"] {
        if let Some(Value::Object(members)) = map.get_mut(key) {
            members.values_mut().for_each(speak);
        }
    }
    if let Some(items) = map.get_mut("items") {
        speak(items);
    }
}

/// Drops empty lists and the definitions that nothing refers to.
fn prune(schema: &mut Value) {
    let empty = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    if let Value::Object(map) = schema {
        map.retain(|_, value| !empty(value));
    }
    if let Some(Value::Object(configuration)) = schema.get_mut("typeConfiguration") {
        configuration.retain(|_, value| !empty(value));
    }
    // A type without settings has no configuration: CloudFormation would ask for an empty one.
    if schema["typeConfiguration"]["properties"].as_object().is_none_or(Map::is_empty)
        && let Value::Object(map) = schema
    {
        map.shift_remove("typeConfiguration");
    }
    if let Some(Value::Object(tagging)) = schema.get_mut("tagging") {
        tagging.retain(|_, value| !empty(value));
    }
    loop {
        let text = schema.to_string();
        let Some(Value::Object(definitions)) = schema.get_mut("definitions") else { break };
        let before = definitions.len();
        definitions.retain(|name, _| text.contains(&format!("\"#/definitions/{name}\"")));
        if definitions.len() == before {
            break;
        }
    }
    if let Value::Object(map) = schema {
        map.retain(|key, value| key != "definitions" || value.as_object().is_some_and(|map| !map.is_empty()));
    }
}

fn drop_annotations(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| key != TRANSFORM && !ANNOTATIONS.contains(&key.as_str()));
            map.values_mut().for_each(drop_annotations);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_annotations),
        _ => {}
    }
}
