//! Where Azure's regions are, and where their geo-replication goes.
//!
//! Regions and pairs: Microsoft's "List of Azure regions" and "Azure region pairs and nonpaired regions", and what
//! `az account list-locations` answers; AWS regions: AWS's "AWS Regions and Availability Zones". A geography here is a
//! jurisdiction: Microsoft counts Singapore and Hong Kong as one geography, Asia Pacific; a regulator does not.

/// A region of Azure.
pub(crate) struct Region {
    /// ARM's name of it.
    pub(crate) name: &'static str,
    pub(crate) geography: &'static str,
    /// Where geo-redundant storage keeps its second copy; None where Azure offers no geo-redundant storage.
    pub(crate) pair: Option<&'static str>,
}

/// The geography that is a union of others.
pub(crate) const EUROPEAN_UNION: &str = "European Union";

/// Microsoft's geography of North Europe (Ireland) and West Europe (the Netherlands), which replicate into each other.
const EUROPE: &str = "Europe";

/// The geographies whose regions are all in member states of the European Union.
const IN_THE_UNION: &[&str] =
    &[EUROPE, "Austria", "Belgium", "Denmark", "France", "Germany", "Italy", "Poland", "Spain", "Sweden"];

/// The region that ARM calls by this name.
pub(crate) fn region(name: &str) -> Option<&'static Region> {
    REGIONS.iter().find(|region| region.name == name)
}

/// What `DataResidency` may say: a geography or an AWS region. Answers the geography as the table spells it.
pub(crate) fn geography(residency: &str) -> Option<&'static str> {
    let of_aws = AWS.iter().find(|(name, _)| *name == residency).map(|(_, geography)| *geography);
    of_aws.or_else(|| geographies().into_iter().find(|name| name.eq_ignore_ascii_case(residency)))
}

/// Every geography, in the order of the alphabet.
pub(crate) fn geographies() -> Vec<&'static str> {
    let mut all: Vec<_> = REGIONS.iter().map(|region| region.geography).chain([EUROPEAN_UNION]).collect();
    all.sort_unstable();
    all.dedup();
    all
}

impl Region {
    /// Whether data in the region is in the geography.
    pub(crate) fn is_in(&self, geography: &str) -> bool {
        self.geography == geography || geography == EUROPEAN_UNION && IN_THE_UNION.contains(&self.geography)
    }
}

const fn paired(name: &'static str, geography: &'static str, pair: &'static str) -> Region {
    Region { name, geography, pair: Some(pair) }
}

const fn unpaired(name: &'static str, geography: &'static str) -> Region {
    Region { name, geography, pair: None }
}

const REGIONS: &[Region] = &[
    paired("australiacentral", "Australia", "australiacentral2"),
    paired("australiacentral2", "Australia", "australiacentral"),
    paired("australiaeast", "Australia", "australiasoutheast"),
    paired("australiasoutheast", "Australia", "australiaeast"),
    unpaired("austriaeast", "Austria"),
    unpaired("belgiumcentral", "Belgium"),
    // Out of the country, and in one direction only.
    paired("brazilsouth", "Brazil", "southcentralus"),
    paired("brazilsoutheast", "Brazil", "brazilsouth"),
    paired("canadacentral", "Canada", "canadaeast"),
    paired("canadaeast", "Canada", "canadacentral"),
    paired("centralindia", "India", "southindia"),
    paired("centralus", "United States", "eastus2"),
    paired("centraluseuap", "United States", "eastus2euap"),
    unpaired("chilecentral", "Chile"),
    paired("chinaeast", "China", "chinanorth"),
    paired("chinaeast2", "China", "chinanorth2"),
    paired("chinaeast3", "China", "chinanorth3"),
    paired("chinanorth", "China", "chinaeast"),
    paired("chinanorth2", "China", "chinaeast2"),
    paired("chinanorth3", "China", "chinaeast3"),
    unpaired("denmarkeast", "Denmark"),
    paired("eastasia", "Hong Kong", "southeastasia"),
    paired("eastus", "United States", "westus"),
    paired("eastus2", "United States", "centralus"),
    paired("eastus2euap", "United States", "centraluseuap"),
    paired("francecentral", "France", "francesouth"),
    paired("francesouth", "France", "francecentral"),
    paired("germanynorth", "Germany", "germanywestcentral"),
    paired("germanywestcentral", "Germany", "germanynorth"),
    unpaired("indonesiacentral", "Indonesia"),
    unpaired("israelcentral", "Israel"),
    unpaired("italynorth", "Italy"),
    paired("japaneast", "Japan", "japanwest"),
    paired("japanwest", "Japan", "japaneast"),
    paired("jioindiacentral", "India", "jioindiawest"),
    paired("jioindiawest", "India", "jioindiacentral"),
    paired("koreacentral", "Korea", "koreasouth"),
    paired("koreasouth", "Korea", "koreacentral"),
    unpaired("malaysiawest", "Malaysia"),
    unpaired("mexicocentral", "Mexico"),
    unpaired("newzealandnorth", "New Zealand"),
    paired("northcentralus", "United States", "southcentralus"),
    paired("northeurope", EUROPE, "westeurope"),
    paired("norwayeast", "Norway", "norwaywest"),
    paired("norwaywest", "Norway", "norwayeast"),
    unpaired("polandcentral", "Poland"),
    unpaired("qatarcentral", "Qatar"),
    paired("southafricanorth", "South Africa", "southafricawest"),
    paired("southafricawest", "South Africa", "southafricanorth"),
    paired("southcentralus", "United States", "northcentralus"),
    paired("southeastasia", "Singapore", "eastasia"),
    paired("southindia", "India", "centralindia"),
    unpaired("spaincentral", "Spain"),
    paired("swedencentral", "Sweden", "swedensouth"),
    paired("swedensouth", "Sweden", "swedencentral"),
    paired("switzerlandnorth", "Switzerland", "switzerlandwest"),
    paired("switzerlandwest", "Switzerland", "switzerlandnorth"),
    paired("taiwannorth", "Taiwan", "taiwannorthwest"),
    paired("taiwannorthwest", "Taiwan", "taiwannorth"),
    paired("uaecentral", "United Arab Emirates", "uaenorth"),
    paired("uaenorth", "United Arab Emirates", "uaecentral"),
    paired("uksouth", "United Kingdom", "ukwest"),
    paired("ukwest", "United Kingdom", "uksouth"),
    paired("usdodcentral", "US Government", "usdodeast"),
    paired("usdodeast", "US Government", "usdodcentral"),
    paired("usgovarizona", "US Government", "usgovtexas"),
    paired("usgovtexas", "US Government", "usgovvirginia"),
    paired("usgovvirginia", "US Government", "usgovtexas"),
    paired("westcentralus", "United States", "westus2"),
    paired("westeurope", EUROPE, "northeurope"),
    paired("westindia", "India", "southindia"),
    paired("westus", "United States", "eastus"),
    paired("westus2", "United States", "westcentralus"),
    paired("westus3", "United States", "eastus"),
];

/// The AWS regions that have an Azure region in their country, and the geography of it.
const AWS: &[(&str, &str)] = &[
    ("af-south-1", "South Africa"),
    ("ap-east-1", "Hong Kong"),
    ("ap-east-2", "Taiwan"),
    ("ap-northeast-1", "Japan"),
    ("ap-northeast-2", "Korea"),
    ("ap-northeast-3", "Japan"),
    ("ap-south-1", "India"),
    ("ap-south-2", "India"),
    ("ap-southeast-1", "Singapore"),
    ("ap-southeast-2", "Australia"),
    ("ap-southeast-3", "Indonesia"),
    ("ap-southeast-4", "Australia"),
    ("ap-southeast-5", "Malaysia"),
    ("ap-southeast-6", "New Zealand"),
    ("ca-central-1", "Canada"),
    ("ca-west-1", "Canada"),
    ("cn-north-1", "China"),
    ("cn-northwest-1", "China"),
    ("eu-central-1", "Germany"),
    ("eu-central-2", "Switzerland"),
    ("eu-north-1", "Sweden"),
    ("eu-south-1", "Italy"),
    ("eu-south-2", "Spain"),
    // Ireland: Azure's region there replicates into the Netherlands, which Microsoft counts as one geography.
    ("eu-west-1", EUROPE),
    ("eu-west-2", "United Kingdom"),
    ("eu-west-3", "France"),
    ("il-central-1", "Israel"),
    ("me-central-1", "United Arab Emirates"),
    ("mx-central-1", "Mexico"),
    ("sa-east-1", "Brazil"),
    ("us-east-1", "United States"),
    ("us-east-2", "United States"),
    ("us-gov-east-1", "US Government"),
    ("us-gov-west-1", "US Government"),
    ("us-west-1", "United States"),
    ("us-west-2", "United States"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    #[test]
    fn the_tables_agree_with_themselves() {
        assert!(REGIONS.is_sorted_by_key(|region| region.name), "for whoever looks a region up in the file");
        assert!(AWS.is_sorted_by_key(|(name, _)| *name));
        for one in REGIONS {
            let Some(name) = one.pair else { continue };
            let pair = region(name).unwrap_or_else(|| panic!("{}'s pair {name} has no row", one.name));
            assert!(pair.pair.is_some(), "{name} is a pair and has none");
        }
        for (name, geography) in AWS {
            assert!(geographies().contains(geography), "{name}");
        }
        for geography in IN_THE_UNION {
            assert!(geographies().contains(geography), "{geography}");
        }
    }

    #[test]
    fn pairs_leave_the_geography_where_microsoft_says_so() {
        let leaving: Vec<_> = REGIONS
            .iter()
            .filter(|one| one.pair.is_some_and(|pair| region(pair).is_some_and(|pair| !pair.is_in(one.geography))))
            .map(|one| one.name)
            .collect();
        assert_eq!(leaving, ["brazilsouth", "eastasia", "southeastasia"]);
        let one_way: Vec<_> = REGIONS
            .iter()
            .filter(|one| one.pair.is_some_and(|pair| region(pair).is_some_and(|pair| pair.pair != Some(one.name))))
            .map(|one| one.name)
            .collect();
        assert_eq!(one_way, ["brazilsouth", "brazilsoutheast", "usgovarizona", "westindia", "westus3"]);
    }

    #[test]
    fn residency_is_a_geography_or_an_aws_region() {
        let cases = [
            ("Australia", Some("Australia")),
            ("united kingdom", Some("United Kingdom")),
            ("ap-southeast-2", Some("Australia")),
            ("European Union", Some(EUROPEAN_UNION)),
            ("eu-west-1", Some("Europe")),
            ("me-south-1", None),
            ("Atlantis", None),
        ];
        for (residency, expected) in cases {
            assert_eq!(geography(residency), expected, "{residency}");
        }
        let is_in = |name, geography| region(name).unwrap().is_in(geography);
        assert!(is_in("swedencentral", EUROPEAN_UNION) && is_in("westeurope", EUROPEAN_UNION));
        assert!(!is_in("uksouth", EUROPEAN_UNION) && !is_in("norwayeast", EUROPEAN_UNION));
    }

    #[test]
    fn recorded_accounts_replicate_as_the_table_says() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/azure/recordings"));
        let Ok(files) = fs::read_dir(folder) else {
            println!("skipped: no recordings beside the repository");
            return;
        };
        let mut checked = 0;
        for file in files {
            let text = fs::read_to_string(file.unwrap().path()).unwrap().replace('\\', "");
            for (at, member) in text.match_indices("\"secondaryLocation\":") {
                let value = |from: &str| from.split('"').nth(1).unwrap_or_default().to_owned();
                let secondary = value(&text[at + member.len()..]);
                // Azure answers the members in the order of the alphabet.
                let Some(primary) = text[..at].rfind("\"primaryLocation\":") else { continue };
                let primary = value(&text[primary + "\"primaryLocation\":".len()..]);
                let expected = region(&primary).unwrap_or_else(|| panic!("{primary} has no row")).pair;
                assert_eq!(expected, Some(secondary.as_str()), "the pair of {primary}");
                checked += 1;
            }
        }
        println!("{checked} recorded accounts replicate as the table says");
        assert!(checked > 0);
    }
}
