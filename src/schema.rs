//! From a Rust type to a CloudFormation resource schema.
//!
//! schemars describes the struct; this module lifts the annotations below to CloudFormation's pointer lists and speaks its
//! dialect of JSON Schema. An annotation is a function, so a misspelling does not compile:
//!
//! ```
//! # use schemars::JsonSchema; use serde::Serialize;
//! use cfn_provider::schema::{create_only, primary_identifier, read_only};
//!
//! #[derive(Serialize, JsonSchema)]
//! #[serde(rename_all = "PascalCase")]
//! struct Widget {
//!     /// The identifier.
//!     #[schemars(transform = read_only, transform = primary_identifier)]
//!     id: Option<String>,
//!     /// The name.
//!     #[schemars(required, transform = create_only, length(min = 1))]
//!     name: Option<String>,
//! }
//! ```
//!
//! Two annotations carry a value:
//! - `#[schemars(extend("x-cfn-keys" = "^[a-z]+$"))]`: what the keys of a map match.
//! - `#[schemars(extend("x-cfn-transform" = "$lowercase(Name)"))]`: how the service normalises a property, as an expression
//!   over the model (JSONata for CloudFormation's drift detection). It becomes an entry of `propertyTransform`; the
//!   engine's side of it is [`Resource::normalized`].
//!
//! Source of the dialect: `provider.definition.schema.v1.json` of the CloudFormation CLI 0.2.41 and what `cfn validate`
//! says of a schema.

use crate::{
    error::{Error, Result},
    model,
    protocol::Action,
    resource::{Provider, Resource},
};
use jsonschema::{Validator, error::ValidationErrorKind};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{LazyLock, Mutex, OnceLock, PoisonError},
};

macro_rules! annotations {
    ($($(#[doc = $doc:literal])+ $function:ident => $key:literal;)+) => {
        $($(#[doc = $doc])+ pub fn $function(schema: &mut Schema) {
            schema.insert($key.into(), Value::Bool(true));
        })+
        const ANNOTATIONS: &[&str] = &[$($key),+];
    };
}

annotations! {
    /// Set by the service; a template may not.
    read_only => "x-cfn-readOnlyProperties";
    /// A change replaces the resource.
    create_only => "x-cfn-createOnlyProperties";
    /// A change replaces the resource in some cases, which the update handler refuses with `NotUpdatable`.
    conditional_create_only => "x-cfn-conditionalCreateOnlyProperties";
    /// Never answered by a handler, and kept out of logs and messages as a secret is.
    write_only => "x-cfn-writeOnlyProperties";
    /// Beside [`write_only`]: the service merely does not keep it, so that logs and messages may quote it.
    not_secret => "x-cfn-notSecret";
    /// Part of the primary identifier.
    primary_identifier => "x-cfn-primaryIdentifier";
    /// The list of tags.
    tags => "x-cfn-tags";
    /// A list whose order means nothing and that holds no item twice.
    unordered => "x-cfn-unordered";
}

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

/// A type's CloudFormation schema, and what the engine needs of it.
#[derive(Debug)]
pub struct TypeSchema {
    /// The schema, as in `schema/<type>.json`.
    pub json: Value,
    /// The names of the primary identifier's properties.
    pub(crate) primary_identifier: Vec<String>,
    /// Pointers as in the schema: `/properties/A/B`.
    pub(crate) create_only: Vec<String>,
    /// Pointers as in the schema: `/properties/A/B`.
    conditional_create_only: Vec<String>,
    /// Pointers as in the schema: `/properties/A/B`.
    pub(crate) write_only: Vec<String>,
    /// Those of `write_only` that are secrets.
    pub(crate) secret: Vec<String>,
    /// Pointers as in the schema: `/properties/A/B`.
    pub(crate) read_only: Vec<String>,
    /// Where a model has its tags: `/Tags`.
    pub(crate) tag_property: Option<String>,
    validator: OnceLock<Validator>,
}

/// The schema of a type, generated once per process.
pub fn of<R: Resource>() -> &'static TypeSchema {
    static SCHEMAS: LazyLock<Mutex<HashMap<&'static str, &'static TypeSchema>>> = LazyLock::new(Mutex::default);
    let mut schemas = SCHEMAS.lock().unwrap_or_else(PoisonError::into_inner);
    // One small leak per type and process: the registry is closed.
    schemas.entry(R::TYPE_NAME).or_insert_with(|| {
        let (json, not_secret) = generate::<R>();
        let mut schema = TypeSchema::from_json(json);
        schema.secret.retain(|pointer| !not_secret.contains(pointer));
        Box::leak(Box::new(schema))
    })
}

impl TypeSchema {
    pub(crate) fn from_json(json: Value) -> Self {
        let pointers = |key: &str| -> Vec<String> {
            json[key].as_array().into_iter().flatten().filter_map(Value::as_str).map(Into::into).collect()
        };
        let name = |pointer: &String| pointer.trim_start_matches("/properties/").to_owned();
        Self {
            primary_identifier: pointers("primaryIdentifier").iter().map(name).collect(),
            create_only: pointers("createOnlyProperties"),
            conditional_create_only: pointers("conditionalCreateOnlyProperties"),
            write_only: pointers("writeOnlyProperties"),
            secret: pointers("writeOnlyProperties"),
            read_only: pointers("readOnlyProperties"),
            tag_property: json["tagging"]["tagProperty"]
                .as_str()
                .map(|p| p.trim_start_matches("/properties").to_owned()),
            validator: OnceLock::new(),
            json,
        }
    }

    /// Follows a `$ref` into the definitions.
    pub(crate) fn resolve<'a>(&'a self, at: &'a Value) -> &'a Value {
        resolve(&self.json["definitions"], at)
    }

    /// Checks a model.
    ///
    /// # Errors
    /// `InvalidRequest` with a pointer and a rule for each violation (five at most); secret values are not quoted.
    pub(crate) fn validate(&self, model: &Value) -> Result<()> {
        let validator = self.validator.get_or_init(|| {
            let mut schema = self.json.clone();
            schema["type"] = "object".into();
            jsonschema::draft7::new(&schema).expect("a generated schema is a valid schema; a test builds every type's")
        });
        let violations: Vec<String> = validator
            .iter_errors(model)
            .take(5)
            .map(|error| {
                let at = error.instance_path().to_string();
                // A rule broken above a secret quotes the secret with it.
                let secret = self.secret.iter().any(|pointer| overlaps(pointer, &at));
                let rule = match error.kind() {
                    ValidationErrorKind::Enum { options } if !secret => {
                        format!("{} is not one of {options}", error.instance())
                    }
                    _ if secret => error.masked().to_string(),
                    _ => error.to_string(),
                };
                // A pattern alone is a riddle, of a value as of the keys of a map.
                let meaning = match (error.kind(), self.describe(&at)) {
                    (ValidationErrorKind::Pattern { .. }, (_, Some(text))) => format!(" ({text})"),
                    (ValidationErrorKind::AdditionalProperties { .. }, (true, Some(text))) => format!(" ({text})"),
                    _ => String::new(),
                };
                format!("{}: {rule}{meaning}", if at.is_empty() { "/" } else { &at })
            })
            .collect();
        if violations.is_empty() { Ok(()) } else { Err(Error::invalid_request(violations.join("; "))) }
    }

    /// Checks a type configuration: the members that do not fit, without their values.
    pub(crate) fn misfits(&self, configuration: &Value) -> String {
        let mut schema = self.json["typeConfiguration"].clone();
        (schema["type"], schema["definitions"]) = ("object".into(), self.json["definitions"].clone());
        let Ok(validator) = jsonschema::draft7::new(&schema) else { return String::new() };
        let misfits = validator.iter_errors(configuration).take(5).map(|error| {
            let at = error.instance_path().to_string();
            format!("{at}{}{}", if at.is_empty() { "" } else { ": " }, error.masked())
        });
        misfits.collect::<Vec<_>>().join("; ")
    }

    /// Whether there is a map at a pointer into a model, and what the schema says of the value there or of the nearest one
    /// around it.
    fn describe(&self, at: &str) -> (bool, Option<&str>) {
        let mut schema = &self.json;
        let mut described = None;
        for part in at.split('/').skip(1) {
            let around = self.resolve(schema);
            schema = if around["items"].is_object() { &around["items"] } else { &around["properties"][part] };
            described = schema["description"].as_str().or(described);
        }
        let is_map = self.resolve(schema)["patternProperties"].is_object();
        (is_map, described.map(|text| text.trim_end_matches('.')))
    }

    /// The create-only properties that differ between two models, as pointers into a model.
    pub(crate) fn replaced(&self, before: &Value, after: &Value) -> Vec<String> {
        let changed = self.create_only.iter().filter(|pointer| self.changed(pointer, before, after));
        changed.map(|pointer| pointer.trim_start_matches("/properties").to_owned()).collect()
    }

    /// Whether a property differs whose change may replace the resource.
    pub(crate) fn conditionally_replaced(&self, before: &Value, after: &Value) -> bool {
        self.conditional_create_only.iter().any(|pointer| self.changed(pointer, before, after))
    }

    /// The properties whose change replaces the resource, always or in some cases.
    pub(crate) fn replacing(&self) -> impl Iterator<Item = &String> {
        self.create_only.iter().chain(&self.conditional_create_only)
    }

    /// Whether a property, by its name with dots (`Sku.Name`), is set by the service.
    pub(crate) fn is_read_only(&self, name: &str) -> bool {
        let at = format!("/{}", name.replace('.', "/"));
        self.read_only.iter().any(|pointer| overlaps(pointer, &at))
    }

    fn changed(&self, pointer: &str, before: &Value, after: &Value) -> bool {
        match (model::lookup(before, pointer), model::lookup(after, pointer)) {
            (Some(before), Some(after)) => !model::difference(self, before, after).is_empty(),
            // A name that the template leaves out is the service's or ours, not a change.
            (_, None) => false,
            (None, Some(_)) => true,
        }
    }
}

/// Whether a pointer of the schema (`/properties/A/*/B`) and one into a model (`/A/0`) name the same value, or one a value
/// inside the other's.
fn overlaps(pointer: &str, at: &str) -> bool {
    let (pointer, at) = (pointer.trim_start_matches("/properties").split('/'), at.split('/'));
    pointer.zip(at).all(|(a, b)| a == b || a == "*")
}

fn resolve<'a>(definitions: &'a Value, at: &'a Value) -> &'a Value {
    match at["$ref"].as_str().and_then(|target| target.strip_prefix("#/definitions/")) {
        Some(name) => resolve(definitions, &definitions[name]),
        None => at,
    }
}

/// Generates a type's schema, and the pointers that are no secrets.
fn generate<R: Resource>() -> (Value, Vec<String>) {
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
    all.filter(|permission| permission.contains("Tag")).collect()
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
        let values = map.insert("additionalProperties".into(), false.into());
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
