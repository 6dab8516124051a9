//! Azure Resource Manager and the data of storage accounts, as a CloudFormation handler needs them: every call has a
//! time limit, long-running operations never block, and every failure is classified.
//!
//! ```no_run
//! # async fn example(profile: azure_client::Profile) -> azure_client::Result<()> {
//! use azure_client::{ApiVersion, Azure, ResourceId};
//! use std::time::{Duration, Instant};
//!
//! let azure = Azure::open(&profile, None)?;
//! let arm = azure.arm(Instant::now() + Duration::from_secs(25));
//! let id = ResourceId::group(azure.subscription_id(), "example");
//! let group = arm.get(&id.to_string(), ApiVersion::RESOURCES).await?;
//! println!("{}", group["location"]);
//! # Ok(())
//! # }
//! ```

mod arm;
mod aws;
mod blobs;
mod call;
mod client;
mod configuration;
mod data_plane;
mod error;
mod id;
mod keys;
mod kind;
mod operation;
mod profile;
mod retry;
mod secret;
mod tables;
mod telemetry;
mod token;
mod transport;

pub use arm::{Answer, ApiVersion, Arm, Page};
pub use aws::Session;
pub use blobs::{Blobs, Entry, EntryKind};
pub use client::Azure;
pub use configuration::Configuration;
pub use error::{Error, Result};
pub use id::ResourceId;
pub use keys::Keys;
pub use kind::ErrorKind;
pub use operation::{Operation, Progress};
pub use profile::{Cloud, Endpoints, Profile};
pub use secret::{Secret, SecretArn};
pub use tables::{Entity, Tables};
