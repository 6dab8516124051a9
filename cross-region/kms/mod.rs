//! AWS Key Management Service.

mod arn;
mod client;
pub mod key;
mod marks;
mod permissions;
mod policy;
