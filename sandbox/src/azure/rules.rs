//! Azure's rules for names, places and combinations.

use super::merge::spelled;

/// The regions the emulator knows, each with the region it is paired with.
const REGIONS: &[(&str, &str)] = &[
    ("australiacentral", "australiacentral2"),
    ("australiaeast", "australiasoutheast"),
    ("australiasoutheast", "australiaeast"),
    ("brazilsouth", "southcentralus"),
    ("canadacentral", "canadaeast"),
    ("canadaeast", "canadacentral"),
    ("centralindia", "southindia"),
    ("centralus", "eastus2"),
    ("centraluseuap", "eastus2euap"),
    ("eastasia", "southeastasia"),
    ("eastus", "westus"),
    ("eastus2", "centralus"),
    ("eastus2euap", "centraluseuap"),
    ("francecentral", "francesouth"),
    ("germanywestcentral", "germanynorth"),
    ("japaneast", "japanwest"),
    ("japanwest", "japaneast"),
    ("italynorth", "westeurope"),
    ("koreacentral", "koreasouth"),
    ("koreasouth", "koreacentral"),
    ("northcentralus", "southcentralus"),
    ("northeurope", "westeurope"),
    ("norwayeast", "norwaywest"),
    ("southafricanorth", "southafricawest"),
    ("southcentralus", "northcentralus"),
    ("southeastasia", "eastasia"),
    ("southindia", "centralindia"),
    ("swedencentral", "swedensouth"),
    ("switzerlandnorth", "switzerlandwest"),
    ("uaenorth", "uaecentral"),
    ("uksouth", "ukwest"),
    ("ukwest", "uksouth"),
    ("westcentralus", "westus2"),
    ("westeurope", "northeurope"),
    ("westindia", "southindia"),
    ("westus", "eastus"),
    ("westus2", "westcentralus"),
    ("westus3", "eastus"),
];

/// The names of the regions, for error messages.
pub(super) static LOCATIONS: std::sync::LazyLock<Vec<&'static str>> =
    std::sync::LazyLock::new(|| REGIONS.iter().map(|(name, _)| *name).collect());

/// The short name of a region, which may be spelled `West Europe`; none if there is no such region.
pub(super) fn location(name: &str) -> Option<&'static str> {
    let short = name.replace(' ', "").to_lowercase();
    LOCATIONS.iter().copied().find(|known| *known == short)
}

/// The region that a geo-redundant account is copied to.
pub(super) fn paired(location: &str) -> Option<&'static str> {
    REGIONS.iter().find(|(name, _)| *name == location).map(|(_, pair)| *pair)
}

/// 1 to 90 letters, digits, `-_.()`, not ending in a period.
pub(super) fn is_group_name(name: &str) -> bool {
    (1..=90).contains(&name.chars().count())
        && !name.ends_with('.')
        && name.chars().all(|c| c.is_alphanumeric() || "-_.()".contains(c))
}

/// 3 to 24 lower-case letters and digits.
pub(super) fn is_account_name(name: &str) -> bool {
    (3..=24).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// 3 to 63 lower-case letters, digits and single dashes, which neither begin nor end it; or one of the system's own.
pub(super) fn is_container_name(name: &str) -> bool {
    matches!(name, "$root" | "$web" | "$logs")
        || ((3..=63).contains(&name.len())
            && !name.contains("--")
            && !name.starts_with('-')
            && !name.ends_with('-')
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'))
}

/// A C# identifier, since metadata travels as headers and ends up as one.
pub(super) fn is_metadata_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// 3 to 23 letters and digits.
pub(super) fn is_hold_tag(tag: &str) -> bool {
    (3..=23).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphanumeric())
}

pub(super) const SKUS: &[&str] = &[
    "Standard_LRS",
    "Standard_GRS",
    "Standard_RAGRS",
    "Standard_ZRS",
    "Premium_LRS",
    "Premium_ZRS",
    "Standard_GZRS",
    "Standard_RAGZRS",
];

pub(super) const KINDS: &[&str] = &["Storage", "StorageV2", "BlobStorage", "FileStorage", "BlockBlobStorage"];

/// Whether accounts of `kind` are sold with `sku`.
pub(super) fn goes_together(kind: &str, sku: &str) -> bool {
    match kind {
        "StorageV2" => sku != "Premium_ZRS",
        "Storage" => !sku.contains("ZRS"),
        "BlobStorage" => matches!(sku, "Standard_LRS" | "Standard_GRS" | "Standard_RAGRS"),
        _ => sku.starts_with("Premium_"),
    }
}

/// The replication a SKU stands for: `LRS`, `RAGZRS`, …
pub(super) fn replication(sku: &str) -> &str {
    sku.split_once('_').map_or("", |(_, replication)| replication)
}

/// Members with a closed set of values, below an account's `properties`, and those values as Azure spells them.
pub(super) const CHOICES: &[(&str, &[&str])] = &[
    ("/accessTier", &["Hot", "Cool", "Premium", "Cold"]),
    ("/allowedCopyScope", &["PrivateLink", "AAD"]),
    ("/dnsEndpointType", &["Standard", "AzureDnsZone"]),
    ("/encryption/keySource", &["Microsoft.Storage", "Microsoft.Keyvault"]),
    ("/largeFileSharesState", &["Disabled", "Enabled"]),
    ("/minimumTlsVersion", &["TLS1_0", "TLS1_1", "TLS1_2", "TLS1_3"]),
    ("/networkAcls/defaultAction", &["Allow", "Deny"]),
    ("/publicNetworkAccess", &["Enabled", "Disabled", "SecuredByPerimeter"]),
    ("/routingPreference/routingChoice", &["MicrosoftRouting", "InternetRouting"]),
    ("/sasPolicy/expirationAction", &["Log", "Block"]),
];

/// `bypass` is a comma-separated set; the result is spelled as Azure does.
pub(super) fn bypass(text: &str) -> Option<String> {
    const WORDS: &[&str] = &["None", "Logging", "Metrics", "AzureServices"];
    let words: Option<Vec<&str>> = text.split(',').map(|word| spelled(word.trim(), WORDS)).collect();
    words.map(|words| words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        type Rule = fn(&str) -> bool;
        let long = "a".repeat(64);
        let table: &[(Rule, &str, bool)] = &[
            (is_account_name, "abc", true),
            (is_account_name, "ab", false),
            (is_account_name, &long[..24], true),
            (is_account_name, &long[..25], false),
            (is_account_name, "Abc", false),
            (is_account_name, "a-b", false),
            (is_container_name, "abc", true),
            (is_container_name, "a-1", true),
            (is_container_name, "$root", true),
            (is_container_name, "$other", false),
            (is_container_name, "ab", false),
            (is_container_name, "a--b", false),
            (is_container_name, "-ab", false),
            (is_container_name, "ab-", false),
            (is_container_name, "Abc", false),
            (is_container_name, &long[..63], true),
            (is_container_name, &long, false),
            (is_group_name, "My.Group_(1)-x", true),
            (is_group_name, "ends.", false),
            (is_group_name, "a/b", false),
            (is_group_name, "", false),
            (is_metadata_name, "key_1", true),
            (is_metadata_name, "1key", false),
            (is_metadata_name, "a-b", false),
            (is_hold_tag, "tag", true),
            (is_hold_tag, "ta", false),
            (is_hold_tag, "ta-g", false),
        ];
        for (rule, name, expected) in table {
            assert_eq!(rule(name), *expected, "{name}");
        }
    }

    #[test]
    fn places() {
        assert_eq!(location("West Europe"), Some("westeurope"));
        assert_eq!(location("WESTUS2"), Some("westus2"));
        assert_eq!(location("atlantis"), None);
        assert_eq!(paired("westus"), Some("eastus"));
    }

    #[test]
    fn combinations() {
        for (kind, sku, expected) in [
            ("StorageV2", "Standard_RAGZRS", true),
            ("StorageV2", "Premium_LRS", true),
            ("StorageV2", "Premium_ZRS", false),
            ("Storage", "Standard_ZRS", false),
            ("BlobStorage", "Premium_LRS", false),
            ("FileStorage", "Standard_LRS", false),
            ("FileStorage", "Premium_ZRS", true),
            ("BlockBlobStorage", "Premium_LRS", true),
        ] {
            assert_eq!(goes_together(kind, sku), expected, "{kind} {sku}");
        }
    }

    #[test]
    fn bypass_is_a_set() {
        assert_eq!(bypass("logging,Metrics").as_deref(), Some("Logging, Metrics"));
        assert_eq!(bypass("everything"), None);
    }
}
