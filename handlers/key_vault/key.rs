//! `Azure::KeyVault::Key`.
//!
//! Resource Manager makes a key, reads it, and can do no more: it has no DELETE, and a PUT of a key that exists changes
//! nothing. So changes, deletion, recovery and purge are the vault's own, which wants a role in the vault.

use super::{API, Cx, vault::Vault};
use crate::{
    identifier::{ArmResource, Id},
    profile::ProfileName,
    provider::{AzureProvider, explain},
    translate::{answered_id, camel, decode, object, pascal, retagged, tags_from_azure},
};
use azure_client::ApiVersion;
use cfn_provider::{
    Change, Error, HandlerErrorCode, Page, Resource, Result, Retry, Step, Tag,
    schema::{create_only, not_secret, primary_identifier, read_only, tags, unordered, write_only},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Resource Type definition for Azure::KeyVault::Key, a key that a vault makes and keeps to itself, such as the one that
/// encrypts a storage account. Contributor may make it. To change or delete it, the application needs the role Key Vault Crypto
/// Officer on the vault, or an access policy. The vault keeps a deleted key, and its name, for its retention; what the key
/// encrypts cannot be read meanwhile.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Key {
    /// The ARM id of the key.
    #[schemars(transform = read_only, transform = primary_identifier)]
    pub id: Option<String>,
    /// The ARM id of the vault: `!Ref` of an Azure::KeyVault::Vault.
    #[schemars(required, transform = create_only)]
    pub vault_id: Option<String>,
    /// The name of the key. If you do not give one, a name is derived from the stack and the logical id.
    #[schemars(transform = create_only, length(min = 1, max = 127), regex(pattern = "^[0-9A-Za-z-]+$"))]
    pub key_name: Option<String>,
    /// The type: RSA, the default and what storage accounts take, or EC; with -HSM at the end the key is kept in hardware, in a
    /// vault of the SKU premium.
    #[schemars(transform = create_only, extend("enum" = ["RSA", "RSA-HSM", "EC", "EC-HSM"]))]
    pub kty: Option<String>,
    /// The size of an RSA key in bits; 2048 by default.
    #[schemars(transform = create_only, extend("enum" = [2048, 3072, 4096]))]
    pub key_size: Option<u32>,
    /// The curve of an EC key; P-256 by default.
    #[schemars(transform = create_only, extend("enum" = ["P-256", "P-384", "P-521", "P-256K"]))]
    pub curve_name: Option<String>,
    /// What the key may be used for; all that its type can do by default.
    #[schemars(transform = unordered, inner(regex(pattern = "^(encrypt|decrypt|sign|verify|wrapKey|unwrapKey|import|release)$")))]
    pub key_ops: Option<Vec<String>>,
    /// Whether and when the key can be used.
    pub attributes: Option<Attributes>,
    /// When the vault makes a new version of the key, or tells of its end. Azure does not answer it, so that drift in it is not
    /// seen.
    #[schemars(transform = write_only, transform = not_secret)]
    pub rotation_policy: Option<RotationPolicy>,
    /// Under which condition an exportable key may leave its hardware. Azure does not answer it.
    #[schemars(transform = create_only, transform = write_only, transform = not_secret)]
    pub release_policy: Option<ReleasePolicy>,
    /// Whether a deleted key of this name that the vault still keeps comes back, with all its versions, and takes on what the
    /// template says. If false, which is the default, creating a key of its name fails.
    #[schemars(transform = write_only, transform = not_secret)]
    pub recover_deleted: Option<bool>,
    /// Whether deleting the key also purges it, so that what it encrypts is lost for ever and its name is free. Refused where
    /// the vault has purge protection. False by default.
    #[schemars(transform = write_only, transform = not_secret)]
    pub purge_on_delete: Option<bool>,
    /// The tags of the key.
    #[schemars(transform = tags)]
    pub tags: Option<Vec<Tag>>,
    /// The address of the key, which always means its newest version.
    #[schemars(transform = read_only)]
    pub key_uri: Option<String>,
    /// The address of the newest version.
    #[schemars(transform = read_only)]
    pub key_uri_with_version: Option<String>,
    profile: Option<ProfileName>,
}

/// Whether and when a key can be used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Attributes {
    /// Whether it can be used; true by default.
    pub enabled: Option<bool>,
    /// From when on it can be used, in seconds since 1970. Once set, Azure can change it and not take it back.
    pub nbf: Option<u64>,
    /// Until when it can be used, in seconds since 1970. Once set, Azure can change it and not take it back.
    pub exp: Option<u64>,
    /// Whether the private key may leave the hardware, under a ReleasePolicy; false by default.
    #[schemars(transform = create_only)]
    pub exportable: Option<bool>,
}

/// What the vault does by itself during a key's life.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct RotationPolicy {
    /// How long a new version can be used, as an ISO 8601 duration of 28 days at least: `P2Y`.
    #[schemars(regex(pattern = "^P"))]
    pub expiry_time: Option<String>,
    /// What is done, and when.
    #[schemars(length(max = 2))]
    pub lifetime_actions: Option<Vec<LifetimeAction>>,
}

/// What is done during a key's life.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct LifetimeAction {
    /// A new version is made (Rotate), or an event is sent (Notify).
    #[schemars(required, extend("enum" = ["Rotate", "Notify"]))]
    pub action: Option<String>,
    /// How long after its creation, as an ISO 8601 duration: `P18M`. Either this or TimeBeforeExpiry.
    #[schemars(regex(pattern = "^P"))]
    pub time_after_create: Option<String>,
    /// How long before its end, as an ISO 8601 duration: `P30D`. Either this or TimeAfterCreate.
    #[schemars(regex(pattern = "^P"))]
    pub time_before_expiry: Option<String>,
}

/// Under which condition a key may leave its hardware.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ReleasePolicy {
    /// The form of the policy; `application/json; charset=utf-8` by default.
    #[schemars(length(min = 1))]
    pub content_type: Option<String>,
    /// The policy, as base64url.
    #[schemars(required, length(min = 1))]
    pub data: Option<String>,
}

/// What a key may be waited for.
#[derive(Debug, Serialize, Deserialize)]
pub enum Wait {
    /// It shall be deleted and purged: said before it is deleted, since nobody would purge it afterwards who did not know.
    Delete {
        /// The key's address.
        key: String,
    },
    /// It is deleted and shall be purged, which the vault can do once it shows it as deleted.
    Purge {
        /// The key's address.
        key: String,
        /// How often it was not to be found as deleted.
        unseen: u32,
    },
}

const POLL: Duration = Duration::from_secs(5);
/// After this many looks a deleted key that cannot be found counts as purged.
const UNSEEN: u32 = 6;

impl ArmResource for Key {
    const ARM_TYPE: &'static str = "Microsoft.KeyVault/vaults/keys";
    const API: ApiVersion = API;
}

impl RotationPolicy {
    /// A policy as the vault takes it; none is the vault's own default.
    fn to_azure(policy: Option<&Self>) -> Value {
        let actions = policy.and_then(|policy| policy.lifetime_actions.as_deref()).unwrap_or_default();
        let actions = actions.iter().map(|action| {
            json!({"action": {"type": action.action}, "trigger": camel(json!({
                "TimeAfterCreate": action.time_after_create, "TimeBeforeExpiry": action.time_before_expiry
            }))})
        });
        let expiry = policy.and_then(|policy| policy.expiry_time.as_deref());
        json!({"lifetimeActions": actions.collect::<Vec<_>>(), "attributes": camel(json!({"ExpiryTime": expiry}))})
    }
}

impl Key {
    fn is_elliptic(&self) -> bool {
        self.kty.as_deref().is_some_and(|kind| kind.starts_with("EC"))
    }

    /// The body of a PUT, without tags.
    fn to_azure(&self) -> Value {
        let mut properties = object(camel(json!({
            "Kty": self.kty.as_deref().unwrap_or("RSA"),
            "KeySize": self.key_size,
            "CurveName": self.curve_name,
            "KeyOps": self.key_ops,
            "Attributes": self.attributes,
        })));
        if let Some(policy) = &self.rotation_policy {
            let mut policy = RotationPolicy::to_azure(Some(policy));
            // Resource Manager writes the actions in lower case, and the vault does not.
            for action in policy["lifetimeActions"].as_array_mut().into_iter().flatten() {
                let lower = action["action"]["type"].as_str().unwrap_or_default().to_lowercase();
                action["action"]["type"] = lower.into();
            }
            properties.insert("rotationPolicy".into(), policy);
        }
        if let Some(policy) = &self.release_policy {
            properties.insert("release_policy".into(), camel(json!(policy)));
        }
        json!({"properties": properties})
    }

    fn from_azure(body: &Value) -> Result<Self> {
        let id = answered_id(body)?;
        let mut members = object(pascal(body["properties"].clone()));
        for hidden in ["RotationPolicy", "Release_policy"] {
            members.remove(hidden);
        }
        members.extend(object(json!({
            "Id": id.to_string(),
            "VaultId": id.parent().map(|vault| vault.to_string()),
            "KeyName": id.name(),
        })));
        let key: Self = decode(&id, members)?;
        Ok(Self { tags: Some(tags_from_azure(body)), ..key })
    }

    /// What the vault is to be asked so that `current` becomes this key, without tags.
    fn changes(&self, previous: &Self, current: &Self) -> Map<String, Value> {
        let mut body = Map::new();
        let every = if self.is_elliptic() {
            &["sign", "verify"][..]
        } else {
            &["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"]
        };
        let sorted = |ops: Option<&[String]>| {
            let mut ops: Vec<String> = ops.unwrap_or_default().to_vec();
            ops.sort();
            ops
        };
        let ops = match (&self.key_ops, &previous.key_ops) {
            (None, Some(_)) => Some(every.iter().map(|op| (*op).to_owned()).collect()),
            (ops, _) => ops.clone(),
        };
        if ops.is_some() && sorted(ops.as_deref()) != sorted(current.key_ops.as_deref()) {
            body.insert("key_ops".into(), json!(ops));
        }
        let [wanted, before, now] = [self, previous, current].map(|key| key.attributes.clone().unwrap_or_default());
        // Whoever takes Enabled out of a template does not want a dead key.
        let enabled = wanted.enabled.or(before.enabled.map(|_| true));
        let mut attributes = Map::new();
        for (name, wanted, now) in [
            ("enabled", json!(enabled), json!(now.enabled)),
            ("nbf", json!(wanted.nbf), json!(now.nbf)),
            ("exp", json!(wanted.exp), json!(now.exp)),
        ] {
            if !wanted.is_null() && wanted != now {
                attributes.insert(name.into(), wanted);
            }
        }
        if !attributes.is_empty() {
            body.insert("attributes".into(), attributes.into());
        }
        body
    }

    async fn change(current: &Self, body: Map<String, Value>, cx: &Cx) -> Result<()> {
        if body.is_empty() {
            return Ok(());
        }
        let version = current.key_uri_with_version.as_deref().unwrap_or_default();
        cx.provider.keys().update(version, &Value::Object(body)).await.map_err(explain)
    }

    /// A key that came back must be of the kind that the template asks for.
    fn refuse_another(&self, found: &Self) -> Result<()> {
        let kind = |key: &Self| key.kty.clone().unwrap_or_else(|| "RSA".into());
        let members = [
            ("Kty", Some(json!(kind(self))), json!(kind(found))),
            ("KeySize", self.key_size.map(|size| json!(size)), json!(found.key_size)),
            ("CurveName", self.curve_name.as_ref().map(|curve| json!(curve)), json!(found.curve_name)),
        ];
        match members.into_iter().find(|(_, wanted, has)| wanted.as_ref().is_some_and(|wanted| wanted != has)) {
            Some((name, _, has)) => Err(Error::invalid_request(format!(
                "/{name}: the key of this name that came back has {has}, which cannot change; choose another name"
            ))),
            None => Ok(()),
        }
    }

    /// Asks the vault to bring a deleted key of this name back, where the template allows it.
    async fn recover(&self, id: &Id<Self>, mut taken: Error, cx: &Cx) -> Error {
        if self.recover_deleted != Some(true) {
            taken.message.push_str(
                "; RecoverDeleted true brings the deleted key back with all its versions, and `az keyvault key purge` frees \
                 its name",
            );
            return taken;
        }
        let Some(vault) = id.parent() else { return taken };
        let asked = async {
            let vault = cx.provider.get(&vault.to_string(), API).await?;
            let address = vault["properties"]["vaultUri"].as_str().unwrap_or_default().trim_end_matches('/');
            cx.provider.keys().recover(&format!("{address}/keys/{}", id.name())).await.map_err(explain)
        };
        match asked.await {
            // Once it is back, the same PUT finds it.
            Ok(()) => Error::new(HandlerErrorCode::ResourceConflict, "the deleted key is coming back")
                .transient(Retry { after: Some(POLL), within: None }),
            Err(error) => error,
        }
    }
}

impl Resource for Key {
    const TYPE_NAME: &'static str = "Azure::KeyVault::Key";
    const LIST_BY: &'static [&'static str] = &["VaultId"];
    type Provider = AzureProvider;
    type Id = Id<Self>;
    type Wait = Wait;

    fn check(&self) -> Result<()> {
        if self.is_elliptic() && self.key_size.is_some() {
            return Err(Error::invalid_request("/KeySize: an EC key has a CurveName"));
        }
        if !self.is_elliptic() && self.curve_name.is_some() {
            return Err(Error::invalid_request("/CurveName: an RSA key has a KeySize"));
        }
        let actions = self.rotation_policy.as_ref().and_then(|policy| policy.lifetime_actions.as_deref());
        let is_vague =
            |action: &LifetimeAction| action.time_after_create.is_some() == action.time_before_expiry.is_some();
        match actions.unwrap_or_default().iter().position(is_vague) {
            Some(at) => Err(Error::invalid_request(format!(
                "/RotationPolicy/LifetimeActions/{at}: needs either TimeAfterCreate or TimeBeforeExpiry"
            ))),
            None => Ok(()),
        }
    }

    fn identify(&mut self, cx: &Cx) -> Result<Self::Id> {
        // Only here: whoever updates from what was read has no policy, which Azure does not answer.
        let is_exportable = self.attributes.as_ref().is_some_and(|attributes| attributes.exportable == Some(true));
        if is_exportable && self.release_policy.is_none() {
            return Err(Error::invalid_request("/Attributes/Exportable: needs a ReleasePolicy"));
        }
        let vault = vault(self)?;
        let name = self.key_name.get_or_insert_with(|| cx.request.derive_name(127, "-"));
        Ok(vault.child("keys", name).into())
    }

    async fn create(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Wait>> {
        let mut body = self.to_azure();
        let tags = cx.request.desired_tags(self.tags.as_deref());
        body["tags"] = json!(tags);
        let answer = match cx.provider.put(&id.to_string(), API, &body).await {
            Err(taken) if taken.code == HandlerErrorCode::AlreadyExists => {
                return Err(self.recover(id, taken, cx).await);
            }
            answer => answer?,
        };
        // A PUT leaves a key that came back as it was.
        let found = Self::from_azure(&answer.body)?;
        self.refuse_another(&found)?;
        let mut body = self.changes(self, &found);
        if answer.body["tags"].is_object() && found.tags != Some(Tag::list(tags.clone())) {
            body.insert("tags".into(), json!(tags));
        }
        Self::change(&found, body, cx).await?;
        if self.recover_deleted == Some(true) && self.rotation_policy.is_some() {
            let policy = RotationPolicy::to_azure(self.rotation_policy.as_ref());
            let key = found.key_uri.as_deref().unwrap_or_default();
            cx.provider.keys().set_rotation_policy(key, &policy).await.map_err(explain)?;
        }
        Ok(Step::Done)
    }

    async fn read(id: &Self::Id, cx: &Cx) -> Result<Self> {
        Self::from_azure(&cx.provider.get(&id.to_string(), API).await?)
    }

    async fn update(&self, _: &Self::Id, change: Change<Self>, cx: &Cx) -> Result<Step<Wait>> {
        let mut body = self.changes(&change.previous, &change.current);
        let tags = retagged(&cx.request, self.tags.as_deref(), &change, |key| key.tags.as_deref());
        if change.current.tags != Some(Tag::list(tags.clone())) {
            body.insert("tags".into(), json!(tags));
        }
        Self::change(&change.current, body, cx).await?;
        if self.rotation_policy != change.previous.rotation_policy {
            let policy = RotationPolicy::to_azure(self.rotation_policy.as_ref());
            let key = change.current.key_uri.as_deref().unwrap_or_default();
            cx.provider.keys().set_rotation_policy(key, &policy).await.map_err(explain)?;
        }
        Ok(Step::Done)
    }

    async fn delete(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Wait>> {
        let found = cx.provider.get(&id.to_string(), API).await?;
        let purges = self.purge_on_delete == Some(true);
        let level = found["properties"]["attributes"]["recoveryLevel"].as_str().unwrap_or_default();
        if purges && !level.contains("Purgeable") {
            return Err(Error::invalid_request(format!(
                "/PurgeOnDelete: the recovery level of the key is {level:?}, so that Azure alone may purge it, when its time is \
                 over; delete it without PurgeOnDelete"
            )));
        }
        let key = found["properties"]["keyUri"].as_str().unwrap_or_default().to_owned();
        if purges {
            return Ok(Step::Wait { on: Wait::Delete { key }, after: Duration::ZERO });
        }
        delete(&key, cx).await?;
        Ok(Step::Done)
    }

    async fn list(&self, page: Option<&str>, cx: &Cx) -> Result<Page<Self>> {
        let keys = cx.provider.list(&format!("{}/keys", vault(self)?), API, page).await?;
        Ok(Page { models: keys.items.iter().map(Self::from_azure).collect::<Result<_>>()?, next: keys.next })
    }

    async fn resume(wait: Wait, _: &Self::Id, cx: &Cx) -> Result<Step<Wait>> {
        let (key, unseen) = match wait {
            Wait::Delete { key } => {
                delete(&key, cx).await?;
                return Ok(Step::Wait { on: Wait::Purge { key, unseen: 0 }, after: POLL });
            }
            Wait::Purge { key, unseen } => (key, unseen),
        };
        match cx.provider.keys().purge(&key).await.map_err(explain) {
            Err(error) if error.is_not_found() && unseen < UNSEEN => {
                Ok(Step::Wait { on: Wait::Purge { key, unseen: unseen + 1 }, after: POLL })
            }
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(Step::Done),
        }
    }
}

/// Deletes a key, which may be done already.
async fn delete(key: &str, cx: &Cx) -> Result<()> {
    match cx.provider.keys().delete(key).await.map_err(explain) {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

fn vault(key: &Key) -> Result<Id<Vault>> {
    Id::parse(key.vault_id.as_deref().unwrap_or_default()).map_err(|error| error.while_doing("/VaultId"))
}
