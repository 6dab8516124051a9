//! The primary identifier of every Azure type: its ARM resource id.

use azure_client::{ApiVersion, ResourceId};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::SerializeStruct};
use std::{fmt, marker::PhantomData, ops::Deref};

/// What ARM calls a type.
pub trait ArmResource: Send + Sync + 'static {
    /// The type in ARM: `Microsoft.Storage/storageAccounts`.
    const ARM_TYPE: &'static str;
    /// The version of its API.
    const API: ApiVersion;
}

/// The ARM id of a resource of the type `T`; `{"Id": "/subscriptions/…"}` on CloudFormation's wire.
pub struct Id<T>(ResourceId, PhantomData<fn() -> T>);

impl<T: ArmResource> Id<T> {
    /// Reads an id.
    ///
    /// # Errors
    /// `InvalidRequest` that shows the expected shape where it is malformed or of another type.
    pub fn parse(text: &str) -> cfn_provider::Result<Self> {
        ResourceId::parse_as(T::ARM_TYPE, text)
            .map(Self::from)
            .map_err(|error| cfn_provider::Error::invalid_request(error.message))
    }
}

impl<T> From<ResourceId> for Id<T> {
    fn from(id: ResourceId) -> Self {
        Self(id, PhantomData)
    }
}

impl<T> Deref for Id<T> {
    type Target = ResourceId;

    fn deref(&self) -> &ResourceId {
        &self.0
    }
}

impl<T> fmt::Display for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        self.0.clone().into()
    }
}

impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Serialize for Id<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Id", 1)?;
        object.serialize_field("Id", &self.0.to_string())?;
        object.end()
    }
}

impl<'de, T: ArmResource> Deserialize<'de> for Id<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Properties {
            #[serde(rename = "Id")]
            id: String,
        }
        let Properties { id } = Properties::deserialize(deserializer)?;
        Self::parse(&id).map_err(|error| D::Error::custom(format!("/Id: {}", error.message)))
    }
}
