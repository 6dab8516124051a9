//! S3 storage class → Azure access tier. The class itself is kept in the metadata, so that the way back is exact.

/// An access tier of a block blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// For data in use.
    Hot,
    /// For data kept at least 30 days.
    Cool,
    /// For data kept at least 90 days that must be readable at once.
    Cold,
    /// For data kept at least 180 days; hours to read.
    Archive,
}

/// Which tier the copies get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tiers {
    /// The one that answers to the storage class.
    #[default]
    Map,
    /// The account's default: premium accounts have no tiers.
    Account,
}

/// The tier that answers to a storage class; None leaves it to the account.
pub fn of(class: &str, tiers: Tiers) -> Option<Tier> {
    if tiers == Tiers::Account {
        return None;
    }
    Some(match class {
        "" | "STANDARD" | "REDUCED_REDUNDANCY" | "EXPRESS_ONEZONE" | "INTELLIGENT_TIERING" => Tier::Hot,
        "STANDARD_IA" | "ONEZONE_IA" => Tier::Cool,
        "GLACIER_IR" => Tier::Cold,
        "GLACIER" | "DEEP_ARCHIVE" => Tier::Archive,
        // A class that is newer than this table is not guessed at.
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes() {
        for (class, tier) in [
            ("STANDARD", Some(Tier::Hot)),
            ("INTELLIGENT_TIERING", Some(Tier::Hot)),
            ("ONEZONE_IA", Some(Tier::Cool)),
            ("GLACIER_IR", Some(Tier::Cold)),
            ("DEEP_ARCHIVE", Some(Tier::Archive)),
            ("TOMORROW", None),
        ] {
            assert_eq!(of(class, Tiers::Map), tier, "{class}");
            assert_eq!(of(class, Tiers::Account), None);
        }
    }
}
