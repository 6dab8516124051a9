//! AWS resource types that live in another region than their stack: one file and one row each.

pub mod provider;

use cfn_provider::Entry;

/// Every type that `cross-region` serves.
pub const REGISTRY: &[Entry] = &[];
