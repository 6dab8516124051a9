//! ARM resource ids.

use std::{
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

use crate::{Error, ErrorKind, Result};

/// Spellings that differ from one answer of Azure to the next; ids come out with these.
const SPELLINGS: &[&str] = &[
    "subscriptions",
    "resourceGroups",
    "providers",
    "Microsoft.Authorization",
    "Microsoft.Insights",
    "Microsoft.KeyVault",
    "Microsoft.ManagedIdentity",
    "Microsoft.Network",
    "Microsoft.Resources",
    "Microsoft.Storage",
    "blobServices",
    "containers",
    "diagnosticSettings",
    "encryptionScopes",
    "fileServices",
    "immutabilityPolicies",
    "inventoryPolicies",
    "localUsers",
    "locks",
    "managementPolicies",
    "objectReplicationPolicies",
    "privateEndpointConnections",
    "queueServices",
    "queues",
    "roleAssignments",
    "shares",
    "storageAccounts",
    "tableServices",
    "tables",
    "userAssignedIdentities",
    "vaults",
];

/// An ARM resource id, such as `/subscriptions/{guid}/resourceGroups/{name}/providers/Microsoft.Storage/storageAccounts/{name}`.
///
/// Equality ignores case, as Azure's does. Keywords, provider namespaces and storage's types come out in their documented
/// spelling, names as they came in.
#[derive(Clone, Debug)]
pub struct ResourceId(Vec<(String, String)>);

impl ResourceId {
    /// The id of a resource group.
    pub fn group(subscription: &str, name: &str) -> Self {
        Self(Vec::new()).child("subscriptions", subscription).child("resourceGroups", name)
    }

    /// Reads the id of one type, such as `Microsoft.Storage/storageAccounts`; the error names the expected shape.
    pub fn parse_as(resource_type: &str, text: &str) -> Result<Self> {
        match text.parse::<Self>() {
            Ok(id) if id.resource_type().eq_ignore_ascii_case(resource_type) => Ok(id),
            _ => Err(malformed(text, &shape(resource_type))),
        }
    }

    /// The subscription's GUID.
    pub fn subscription(&self) -> &str {
        &self.0[0].1
    }

    /// The name of the resource group, if the resource is in one.
    pub fn resource_group(&self) -> Option<&str> {
        self.segment("resourceGroups")
    }

    /// The resource's own name: the last segment.
    pub fn name(&self) -> &str {
        self.0.last().map_or("", |(_, name)| name)
    }

    /// The type, such as `Microsoft.Storage/storageAccounts/blobServices/containers`; a group's is `Microsoft.Resources/resourceGroups`.
    pub fn resource_type(&self) -> String {
        match self.0.iter().rposition(|(key, _)| key == "providers") {
            Some(at) => self.0[at + 1..].iter().fold(self.0[at].1.clone(), |name, (key, _)| format!("{name}/{key}")),
            None => format!("Microsoft.Resources/{}", self.0.last().map_or("", |(key, _)| key)),
        }
    }

    /// The name after a keyword or type such as `storageAccounts`, anywhere in the id.
    pub fn segment(&self, key: &str) -> Option<&str> {
        self.position(key).map(|at| self.0[at].1.as_str())
    }

    /// The id one level up: a container's blob service, an account's group, a group's subscription. A subscription has none.
    pub fn parent(&self) -> Option<Self> {
        let above = match &self.0[..self.0.len() - 1] {
            [above @ .., (key, _)] if key == "providers" => above,
            above => above,
        };
        (!above.is_empty()).then(|| Self(above.to_vec()))
    }

    /// The id up to a keyword or type such as `storageAccounts` and its name.
    pub fn ancestor(&self, key: &str) -> Option<Self> {
        self.position(key).map(|at| Self(self.0[..=at].to_vec()))
    }

    /// The id of a child: `account.child("blobServices", "default")`. Characters that would change the path are encoded.
    pub fn child(&self, resource_type: &str, name: &str) -> Self {
        let mut pairs = self.0.clone();
        pairs.push((spelled(resource_type), encoded(name)));
        Self(pairs)
    }

    /// The id of a provider's resource in this scope: `group.provider("Microsoft.Storage", "storageAccounts", name)`.
    pub fn provider(&self, namespace: &str, resource_type: &str, name: &str) -> Self {
        let mut pairs = self.0.clone();
        pairs.push(("providers".to_owned(), spelled(namespace)));
        Self(pairs).child(resource_type, name)
    }

    fn position(&self, key: &str) -> Option<usize> {
        self.0.iter().rposition(|(own, _)| own.eq_ignore_ascii_case(key))
    }
}

impl FromStr for ResourceId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let shape =
            || malformed(text, "/subscriptions/{guid}[/resourceGroups/{name}][/providers/{namespace}/{type}/{name}…]");
        let segments: Vec<&str> = text.strip_prefix('/').ok_or_else(shape)?.split('/').collect();
        if !segments.len().is_multiple_of(2) || !segments.iter().all(|segment| is_segment(segment)) {
            return Err(shape());
        }
        let mut pairs: Vec<(String, String)> = Vec::with_capacity(segments.len() / 2);
        for pair in segments.chunks_exact(2) {
            let key = spelled(pair[0]);
            let above = pairs.last().map(|(key, _)| key.as_str());
            let in_provider = pairs.iter().any(|(key, _)| key == "providers");
            let allowed = match key.as_str() {
                "subscriptions" => above.is_none(),
                "resourceGroups" => above == Some("subscriptions"),
                "providers" => above.is_some_and(|above| above != "providers"),
                _ => in_provider,
            };
            if !allowed {
                return Err(shape());
            }
            let value = if key == "providers" { spelled(pair[1]) } else { pair[1].to_owned() };
            pairs.push((key, value));
        }
        match pairs.last() {
            Some((key, _)) if key != "providers" => Ok(Self(pairs)),
            _ => Err(shape()),
        }
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(key, value)| write!(f, "/{key}/{value}"))
    }
}

impl PartialEq for ResourceId {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self
                .0
                .iter()
                .zip(&other.0)
                .all(|(a, b)| a.0.eq_ignore_ascii_case(&b.0) && a.1.eq_ignore_ascii_case(&b.1))
    }
}

impl Eq for ResourceId {}

impl Hash for ResourceId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.to_string().to_ascii_lowercase().hash(state);
    }
}

fn spelled(word: &str) -> String {
    SPELLINGS.iter().find(|known| known.eq_ignore_ascii_case(word)).map_or(word, |known| known).to_owned()
}

fn is_segment(text: &str) -> bool {
    !matches!(text, "" | "." | "..")
        && !text.contains(|c: char| c.is_control() || c.is_whitespace() || "?#\\".contains(c))
}

/// A name that a user chose must not reach into another part of the path: Azure shall see it whole, and refuse it.
fn encoded(name: &str) -> String {
    if matches!(name, "." | "..") {
        return name.replace('.', "%252E");
    }
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_control() || c.is_whitespace() || "/?#%\\".contains(c) {
            let mut bytes = [0; 4];
            c.encode_utf8(&mut bytes).bytes().for_each(|byte| out.push_str(&format!("%{byte:02X}")));
        } else {
            out.push(c);
        }
    }
    out
}

fn malformed(text: &str, shape: &str) -> Error {
    Error::new(ErrorKind::InvalidRequest, format!("\"{text}\" is not a resource id of the form {shape}"))
}

/// The form of a type's ids. Storage's services have one instance, named default.
fn shape(resource_type: &str) -> String {
    if resource_type.eq_ignore_ascii_case("Microsoft.Resources/subscriptions") {
        return "/subscriptions/{guid}".to_owned();
    }
    let group = "/subscriptions/{guid}/resourceGroups/{name}";
    if resource_type.eq_ignore_ascii_case("Microsoft.Resources/resourceGroups") {
        return group.to_owned();
    }
    let (namespace, types) = resource_type.split_once('/').unwrap_or((resource_type, ""));
    types.split('/').fold(format!("{group}/providers/{namespace}"), |shape, part| {
        let name = if part.ends_with("Services") { "default" } else { "{name}" };
        format!("{shape}/{part}/{name}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/a";

    #[test]
    fn parts() {
        let account: ResourceId = ACCOUNT.parse().unwrap();
        assert_eq!(account.subscription(), "s");
        assert_eq!(account.resource_group(), Some("g"));
        assert_eq!(account.name(), "a");
        assert_eq!(account.resource_type(), "Microsoft.Storage/storageAccounts");
        assert_eq!(account.parent(), Some(ResourceId::group("s", "g")));
        assert_eq!(ResourceId::group("s", "g").provider("Microsoft.Storage", "storageAccounts", "a"), account);

        let container = account.child("blobServices", "default").child("containers", "c");
        assert_eq!(container.to_string(), format!("{ACCOUNT}/blobServices/default/containers/c"));
        assert_eq!(container.resource_type(), "Microsoft.Storage/storageAccounts/blobServices/containers");
        assert_eq!(container.segment("storageaccounts"), Some("a"));
        assert_eq!(container.ancestor("storageAccounts"), Some(account.clone()));
        assert_eq!(container.ancestor("queues"), None);

        let lock = container.provider("Microsoft.Authorization", "locks", "l");
        assert_eq!(lock.resource_type(), "Microsoft.Authorization/locks");
        assert_eq!(lock.parent(), Some(container));

        let group = ResourceId::group("s", "g");
        assert_eq!(group.resource_type(), "Microsoft.Resources/resourceGroups");
        let subscription = group.parent().unwrap();
        assert_eq!(subscription.to_string(), "/subscriptions/s");
        assert_eq!(subscription.parent(), None);
    }

    #[test]
    fn case_is_ignored_and_repaired() {
        let id: ResourceId = "/SUBSCRIPTIONS/s/resourcegroups/G/Providers/microsoft.keyvault/VAULTS/v".parse().unwrap();
        assert_eq!(id.to_string(), "/subscriptions/s/resourceGroups/G/providers/Microsoft.KeyVault/vaults/v");
        assert_eq!(id, "/subscriptions/S/resourceGroups/g/providers/Microsoft.KeyVault/vaults/V".parse().unwrap());
        assert_ne!(id, "/subscriptions/S/resourceGroups/g/providers/Microsoft.KeyVault/vaults/w".parse().unwrap());
    }

    #[test]
    fn malformed_ids_name_the_expected_shape() {
        for text in [
            "",
            "/",
            "my-account",
            "/subscriptions",
            "/subscriptions/",
            "/subscriptions/s/resourceGroups",
            "/subscriptions/s/resourceGroups/g/",
            "/subscriptions/s/providers/Microsoft.Storage",
            "/subscriptions/s/storageAccounts/a",
            "/resourceGroups/g",
            "/subscriptions/s/resourceGroups/../providers/Microsoft.Storage/storageAccounts/a",
            "/subscriptions/s/resourceGroups/g?x=/providers/Microsoft.Storage/storageAccounts/a",
            "https://management.azure.com/subscriptions/s",
        ] {
            let error = text.parse::<ResourceId>().unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidRequest);
            assert!(error.message.contains("/subscriptions/{guid}"), "{error}");
        }
        let error =
            ResourceId::parse_as("Microsoft.Storage/storageAccounts/blobServices/containers", ACCOUNT).unwrap_err();
        assert!(
            error.message.ends_with(
                "of the form /subscriptions/{guid}/resourceGroups/{name}/providers/Microsoft.Storage/storageAccounts/{name}/blobServices/default/containers/{name}"
            ),
            "{error}"
        );
        assert!(ResourceId::parse_as("microsoft.storage/StorageAccounts", ACCOUNT).is_ok());
    }

    #[test]
    fn a_name_cannot_leave_its_place() {
        let id = ResourceId::group("s", "../../x?y=#z %");
        assert_eq!(id.to_string(), "/subscriptions/s/resourceGroups/..%2F..%2Fx%3Fy=%23z%20%25");
        assert_eq!(ResourceId::group("s", "..").to_string(), "/subscriptions/s/resourceGroups/%252E%252E");
    }

    /// Every id that can be built is read back as itself, in any casing.
    #[test]
    fn parse_undoes_format() {
        let names = ["a", "default", "my-rg_(1).x", "Größe", "providers", "subscriptions", "..", "a/b", "100%", "x y"];
        let mut seed = 1_u64;
        let mut next = |bound: usize| {
            // xorshift64: the same ids on every run
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed % bound as u64) as usize
        };
        for _ in 0..2_000 {
            let mut id = ResourceId::group(names[next(names.len())], names[next(names.len())]);
            for _ in 0..next(3) {
                id = id.provider(SPELLINGS[3 + next(7)], SPELLINGS[10 + next(20)], names[next(names.len())]);
                for _ in 0..next(3) {
                    id = id.child(SPELLINGS[10 + next(20)], names[next(names.len())]);
                }
            }
            let text = id.to_string();
            let read: ResourceId = text.parse().unwrap();
            assert_eq!(read.to_string(), text);
            assert_eq!(read.resource_type(), id.resource_type());
            let shouted: ResourceId = text.to_ascii_uppercase().parse().unwrap();
            assert_eq!(shouted, id);
            assert_eq!(shouted.resource_type(), id.resource_type());
        }
    }
}
