//! S3 in another region.

pub mod bucket;
