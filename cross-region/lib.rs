//! AWS resource types that live in another region than their stack: one file and one row each.

pub mod kms;
pub mod policy;
pub mod provider;
pub mod region;
pub mod s3;
pub mod tags;

use cfn_provider::Entry;
use kms::key::Key;
use s3::bucket::Bucket;

/// Every type that `cross-region` serves.
pub const REGISTRY: &[Entry] = &[Entry::of::<Key>(), Entry::of::<Bucket>()];
