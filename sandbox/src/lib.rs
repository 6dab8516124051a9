//! CloudFormation, S3 and Azure storage on a laptop.

pub mod azure;
pub mod lambda;
pub mod process;
pub mod tools;
