//! A custom resource's event. Whatever of it is missing, it is answered where it says.

use serde_json::{Map, Value};

/// What CloudFormation asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Create,
    Update,
    Delete,
}

/// One event. No `Debug`: the URL lets anybody answer in our place.
pub(super) struct Request {
    /// `None` where it is none of CloudFormation's.
    pub(super) kind: Option<Kind>,
    pub(super) url: String,
    pub(super) id: String,
    pub(super) stack_id: String,
    pub(super) logical_id: String,
    pub(super) physical_id: Option<String>,
    pub(super) resource_type: String,
    pub(super) properties: Map<String, Value>,
    pub(super) old_properties: Map<String, Value>,
    pub(super) no_echo: bool,
}

/// Whether an event is a custom resource's.
pub(crate) fn is_one(event: &Value) -> bool {
    event["ResponseURL"].is_string() && event.get("action").is_none()
}

impl Request {
    pub(super) fn read(mut event: Value) -> Self {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let kind = match event["RequestType"].as_str() {
            Some("Create") => Some(Kind::Create),
            Some("Update") => Some(Kind::Update),
            Some("Delete") => Some(Kind::Delete),
            _ => None,
        };
        let (url, id, stack_id) = (text("ResponseURL"), text("RequestId"), text("StackId"));
        let (logical_id, resource_type) = (text("LogicalResourceId"), text("ResourceType"));
        let physical_id = event["PhysicalResourceId"].as_str().map(Into::into);
        let (properties, no_echo) = of_type(event["ResourceProperties"].take());
        let (old_properties, _) = of_type(event["OldResourceProperties"].take());
        Self { kind, url, id, stack_id, logical_id, physical_id, resource_type, properties, old_properties, no_echo }
    }
}

/// The type's properties without the protocol's, and whether the answer is to be masked.
fn of_type(properties: Value) -> (Map<String, Value>, bool) {
    let Value::Object(mut properties) = properties else { return (Map::new(), false) };
    properties.remove("ServiceToken");
    properties.remove("ServiceTimeout");
    let no_echo = properties.remove("NoEcho").is_some_and(|value| value == true || value == "true");
    (properties, no_echo)
}
