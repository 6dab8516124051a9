//! S3 objects reach Azure Blob Storage and come back, and none is lost.
//!
//! An event ([`event`]) names a change of an object. [`Backup::apply`] carries it over: it reads the object from [`source`] pinned
//! to its version, writes it to [`target`] under a condition, with every byte verified by CRC64 ([`checksum`]), and records on the
//! blob all that the way back needs ([`record`], which maps names, metadata, tags and tiers reversibly). [`lambda`] does so for
//! messages of a queue and tasks of S3 Batch Operations.
//!
//! [`cli`] is the `backup` program: what was there before the events, the comparison of both sides, and the way back.
//!
//! Nothing is kept anywhere else: what a killed process left is in the blob's uncommitted blocks ([`block`]).

pub mod block;
pub mod checksum;
pub mod cli;
mod combine;
mod connection;
mod copy;
pub mod credential;
mod delete;
mod error;
pub mod event;
mod feed;
pub mod lambda;
pub mod log;
mod memory;
pub mod metadata;
pub mod metrics;
pub mod name;
pub mod order;
pub mod record;
mod refusal;
pub mod retry;
pub mod settings;
mod signature;
pub mod source;
pub mod sqs;
mod stand;
pub mod tags;
pub mod target;
pub mod tier;
mod transfer;
pub mod transport;
mod write;

pub use copy::{Backup, Deletes, Outcome, Policy};
pub use error::{Error, Reason, Result};
