//! A Rust runtime for CloudFormation resource types.
//!
//! A type is one struct that implements [`Resource`] and one row in a table of [`Entry`]; [`serve`] answers CloudFormation
//! with it. The struct is the model and the model is the schema ([`schema`]). The engine keeps CloudFormation's contract,
//! so that a handler holds nothing but the service's verbs.

#[cfg(test)]
extern crate self as cfn_provider;

mod custom_resource;
mod delivery;
mod engine;
mod envelope;
mod error;
mod http;
pub mod lambda;
pub mod limits;
mod model;
mod progress;
pub mod protocol;
mod redaction;
pub mod registry;
mod resource;
pub mod schema;
mod tags;
mod telemetry;
pub mod testing;

pub use error::{Error, HandlerErrorCode, Result, Retry};
pub use lambda::serve;
pub use protocol::{Action, Invocation, ProgressEvent};
pub use registry::Entry;
pub use resource::{Change, Context, Identifier, Never, Page, Provider, Request, Resource, Step};
pub use tags::Tag;
