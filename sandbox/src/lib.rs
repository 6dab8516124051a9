//! CloudFormation, S3 and Azure storage on a laptop.

pub mod aws;
pub mod azure;
pub mod azurite;
mod cloudformation;
pub mod component;
pub mod deploy;
pub mod lambda;
pub mod package;
pub mod process;
pub mod progress;
pub mod proof;
pub mod serve;
pub mod sts;
pub mod tools;
