//! ARM resource ids.

use std::{fmt, str::FromStr};

use crate::{Error, Result};

/// An ARM resource id. Equality ignores case, as Azure does; output has the canonical casing of keywords and provider namespaces.
#[derive(Clone, Debug)]
pub struct ResourceId(Vec<(String, String)>);

impl ResourceId {
    /// The id of a resource group.
    pub fn resource_group_id(subscription: &str, group: &str) -> Self {
        Self(vec![("subscriptions".into(), subscription.into()), ("resourceGroups".into(), group.into())])
    }

    /// Reads an id of one resource type, such as `Microsoft.Storage/storageAccounts`; the error names the expected shape.
    pub fn parse_as(resource_type: &str, text: &str) -> Result<Self> {
        let _ = (resource_type, text);
        unimplemented!()
    }

    /// The subscription's GUID.
    pub fn subscription(&self) -> &str {
        &self.0[0].1
    }

    /// The name of the resource group, if the resource is in one.
    pub fn resource_group(&self) -> Option<&str> {
        unimplemented!()
    }

    /// The last segment: the resource's own name.
    pub fn name(&self) -> &str {
        unimplemented!()
    }

    /// The type, such as `Microsoft.Storage/storageAccounts`, `Microsoft.Resources/resourceGroups` for a group.
    pub fn resource_type(&self) -> String {
        unimplemented!()
    }

    /// The name that follows a type, such as `storageAccounts`, anywhere in the id.
    pub fn segment(&self, key: &str) -> Option<&str> {
        let _ = key;
        unimplemented!()
    }

    /// The id one level up: a container's blob service, an account's resource group, a group's subscription.
    pub fn parent(&self) -> Option<Self> {
        unimplemented!()
    }

    /// The id up to and including the pair of that type, such as `storageAccounts`.
    pub fn ancestor(&self, key: &str) -> Option<Self> {
        let _ = key;
        unimplemented!()
    }

    /// The id of a child: `account.child("blobServices", "default")`.
    pub fn child(&self, resource_type: &str, name: &str) -> Self {
        let _ = (resource_type, name);
        unimplemented!()
    }

    /// The id of a resource of a provider in this scope: `group.provider("Microsoft.Storage", "storageAccounts", "name")`.
    pub fn provider(&self, namespace: &str, resource_type: &str, name: &str) -> Self {
        let _ = (namespace, resource_type, name);
        unimplemented!()
    }
}

impl FromStr for ResourceId {
    type Err = Error;

    fn from_str(_text: &str) -> Result<Self> {
        unimplemented!()
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(key, value)| write!(f, "/{key}/{value}"))
    }
}

impl PartialEq for ResourceId {
    fn eq(&self, other: &Self) -> bool {
        self.to_string().eq_ignore_ascii_case(&other.to_string())
    }
}

impl Eq for ResourceId {}
