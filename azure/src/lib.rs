//! Azure Resource Manager and Blob Storage, as a CloudFormation handler needs them: every call has a
//! time limit, long-running operations never block, and every failure is classified.
//!
//! ```no_run
//! # async fn example(configuration: azure_client::Configuration) -> azure_client::Result<()> {
//! use azure_client::{ApiVersion, Azure};
//! use std::time::{Duration, Instant};
//!
//! let azure = Azure::open(&configuration)?;
//! let arm = azure.arm(Instant::now() + Duration::from_secs(25));
//! let group = arm
//!     .get(&format!("/subscriptions/{}/resourceGroups/example", azure.subscription_id()), ApiVersion::RESOURCES)
//!     .await?;
//! println!("{}", group["location"]);
//! # Ok(())
//! # }
//! ```

mod arm;
mod blobs;
mod client;
mod configuration;
mod error;
mod id;
mod operation;

pub use arm::{Answer, ApiVersion, Arm, Page};
pub use blobs::{Blobs, Entry, EntryKind};
pub use client::Azure;
pub use configuration::{Cloud, Configuration, Endpoints, Secret};
pub use error::{Error, ErrorKind, Result};
pub use id::ResourceId;
pub use operation::{Operation, Progress};
