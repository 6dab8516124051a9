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

mod generate;

use crate::{
    error::{Error, Result},
    model,
    resource::Resource,
};
use jsonschema::{Validator, error::ValidationErrorKind};
use schemars::Schema;
use serde_json::Value;
use std::{
    collections::HashMap,
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
        let (json, not_secret) = generate::generate::<R>();
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
