//! The Azure part of a type configuration: the profiles, and which of them is meant.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value};

use crate::{
    Error, ErrorKind, Profile, Result,
    profile::{CONFIGURATION, wrong},
};

/// The name of the profile that the members of the top level are.
const DEFAULT: &str = "default";

/// A type configuration: one profile at the top level, and more by name.
///
/// The members beside `Profiles` are the profile `default`. They may be left out where `Profiles` has all that is needed. A
/// profile is complete: it takes nothing from the top level, so that no secret goes to a tenant that it was not given for.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "PascalCase")]
pub struct Configuration {
    #[schemars(flatten)]
    default: Option<Profile>,
    /// More ways to sign in, for resources in other subscriptions, tenants or clouds, by the names that resources give in their property Profile. A resource that gives none is managed by the profile of the subscription that it is in, or else by the default one: the members beside this one, or the only profile.
    #[schemars(extend("x-cfn-keys" = "^[A-Za-z0-9_-]+$"))]
    profiles: Option<BTreeMap<String, Profile>>,
}

impl<'de> Deserialize<'de> for Configuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        // serde's own flattening lets unknown members pass.
        let mut members = Map::<String, Value>::deserialize(deserializer)?;
        let profiles = members.remove("Profiles").filter(|profiles| !profiles.is_null());
        let default = (!members.is_empty()).then_some(Value::Object(members));
        Ok(Self {
            default: default.map(Profile::deserialize).transpose().map_err(D::Error::custom)?,
            profiles: profiles.map(BTreeMap::deserialize).transpose().map_err(D::Error::custom)?,
        })
    }
}

impl Configuration {
    /// The profile of this name; the top level is `default`.
    ///
    /// # Errors
    /// `InvalidRequest` with the names that there are.
    pub fn named(&self, name: &str) -> Result<&Profile> {
        let profiles = self.checked()?;
        let profile = profiles.get(name).copied().ok_or_else(|| {
            let message =
                format!("the type configuration has no profile \"{name}\"; it has {}", names(profiles.keys()));
            Error::new(ErrorKind::InvalidRequest, message)
        })?;
        self.valid(name, profile)
    }

    /// The profile whose subscription is one of these, or else the default one: the top level, or the only profile.
    ///
    /// # Errors
    /// `InvalidRequest` where several profiles fit or there is no default one, `Configuration` where there is none at all.
    pub fn of_subscriptions(&self, subscriptions: &[String]) -> Result<&Profile> {
        let profiles = self.checked()?;
        let fits = |profile: &Profile| {
            subscriptions.iter().any(|subscription| subscription.eq_ignore_ascii_case(&profile.subscription_id))
        };
        let fitting: Vec<(&str, &Profile)> =
            profiles.iter().filter(|(_, profile)| fits(profile)).map(|(name, profile)| (*name, *profile)).collect();
        let only = || profiles.first_key_value().filter(|_| profiles.len() == 1);
        let default = profiles.get_key_value(DEFAULT).or_else(only).map(|(name, profile)| (*name, *profile));
        match (&fitting[..], &default) {
            ([(name, profile)], _) | ([], Some((name, profile))) => self.valid(name, profile),
            ([], None) if profiles.is_empty() => Err(Error::new(
                ErrorKind::Configuration,
                "the type configuration has no profile: set TenantId, ClientId and SubscriptionId, or Profiles, with `aws \
                 cloudformation set-type-configuration`",
            )),
            ([], None) => Err(Error::new(
                ErrorKind::InvalidRequest,
                format!(
                    "the type configuration has no default profile: name one of {} in the property Profile, or set \
                     TenantId, ClientId and SubscriptionId beside Profiles",
                    names(profiles.keys())
                ),
            )),
            (several, _) => Err(Error::new(
                ErrorKind::InvalidRequest,
                format!(
                    "the resource names others in the subscriptions of the profiles {}: name the one that manages it in \
                     the property Profile",
                    names(several.iter().map(|(name, _)| name))
                ),
            )),
        }
    }

    fn valid<'a>(&self, name: &str, profile: &'a Profile) -> Result<&'a Profile> {
        profile.validate().map(|()| profile).map_err(|mut error| {
            let is_top = name == DEFAULT && self.default.is_some();
            if let (false, Some(what)) = (is_top, error.message.strip_prefix(CONFIGURATION)) {
                error.message = format!("{CONFIGURATION}Profiles.{name}.{what}");
            }
            error
        })
    }

    /// Every profile by its name, if a resource's id tells them apart.
    fn checked(&self) -> Result<BTreeMap<&str, &Profile>> {
        let named = self.profiles.iter().flatten().map(|(name, profile)| (name.as_str(), profile));
        let mut profiles: BTreeMap<&str, &Profile> = named.collect();
        if let Some(default) = &self.default
            && profiles.insert(DEFAULT, default).is_some()
        {
            return Err(wrong("Profiles.default", "is there twice: it is what the members beside Profiles are"));
        }
        let mut known: BTreeMap<String, &str> = BTreeMap::new();
        for (name, profile) in &profiles {
            if let Some(other) = known.insert(profile.subscription_id.to_lowercase(), name) {
                let message = format!(
                    "the type configuration's profiles {other} and {name} have the same SubscriptionId, so that nobody \
                     could tell which one reads a resource in it: leave one of them"
                );
                return Err(Error::new(ErrorKind::Configuration, message));
            }
        }
        Ok(profiles)
    }
}

fn names<'a>(names: impl IntoIterator<Item = impl AsRef<str> + 'a>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| name.as_ref().to_owned()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_named_profile_s_member_is_named_with_it() {
        let profile = json!({"TenantId": "t", "ClientId": "c", "SubscriptionId": "no guid"});
        let configuration: Configuration = serde_json::from_value(json!({"Profiles": {"prod": profile}})).unwrap();
        let message = configuration.of_subscriptions(&[]).unwrap_err().message;
        assert!(
            message.starts_with("the type configuration's Profiles.prod.SubscriptionId must be a GUID"),
            "{message}"
        );
    }

    #[test]
    fn the_schema_describes_and_requires() {
        let schema = schemars::schema_for!(Configuration).to_value();
        assert_eq!(schema.get("required"), None, "the top level may be left out");
        let profile = &schema["properties"]["Profiles"]["additionalProperties"];
        assert_eq!(profile["required"], json!(["TenantId", "ClientId", "SubscriptionId"]));
        assert_eq!(profile["additionalProperties"], json!(false));
        assert!(schema["properties"]["ClientSecret"]["description"].as_str().unwrap().starts_with("A client secret"));
        assert_eq!(schema["properties"]["ClientSecret"].get("pattern"), None, "it would refuse dynamic references");
    }
}
