//! A Rust runtime for CloudFormation resource types.
//!
//! A type is one struct that implements [`Resource`] and one row in a table of [`Entry`]; [`serve`] answers CloudFormation
//! with it. The struct is the model and the model is the schema ([`schema`]). The engine keeps CloudFormation's contract,
//! so that a handler holds nothing but the service's verbs.
//!
//! # A type from the beginning to the end
//!
//! A thermostat, whose service is a map. It is compiled and run with the documentation; `examples/widget` is the same as a
//! project, with its schema, contract test inputs and tests.
//!
//! ```
//! use cfn_provider::{
//!     Change, Context, Entry, Error, HandlerErrorCode, Page, Provider, Request, Resource, Result, Step,
//!     schema::{create_only, primary_identifier},
//!     testing::Harness,
//! };
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//! use std::{collections::BTreeMap, fmt, sync::Mutex, time::Duration};
//!
//! /// Resource Type definition for Example::Home::Thermostat, which keeps a room warm.
//! #[derive(Clone, Serialize, Deserialize, JsonSchema)]
//! #[serde(rename_all = "PascalCase")]
//! struct Thermostat {
//!     /// The room; derived from the stack where the template names none.
//!     #[schemars(transform = create_only, transform = primary_identifier)]
//!     room: Option<String>,
//!     /// How warm it shall be, in degrees Celsius.
//!     #[schemars(required, range(min = 5, max = 30))]
//!     degrees: Option<i32>,
//! }
//!
//! // All that READ and DELETE may rely on: an object on the wire, a word for people.
//! #[derive(Clone, PartialEq, Serialize, Deserialize)]
//! #[serde(rename_all = "PascalCase")]
//! struct Room {
//!     room: String,
//! }
//!
//! impl fmt::Display for Room {
//!     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
//!         f.write_str(&self.room)
//!     }
//! }
//!
//! // What an operation may wait for. It travels in the callback context, so it is small and holds no secret.
//! #[derive(Serialize, Deserialize)]
//! enum Wait {
//!     Warming { minutes: u64 },
//! }
//!
//! // Set once for an account and a region; secrets belong here.
//! #[derive(Deserialize, JsonSchema)]
//! #[serde(rename_all = "PascalCase", deny_unknown_fields)]
//! struct Configuration {
//!     /// The password of the house.
//!     password: String,
//! }
//!
//! // The service, opened for each invocation: what is costly to make lives longer, here in a static.
//! struct House;
//! static ROOMS: Mutex<BTreeMap<String, i32>> = Mutex::new(BTreeMap::new());
//!
//! impl Provider for House {
//!     type Configuration = Configuration;
//!     const PERMISSIONS: &'static [&'static str] = &[];
//!
//!     fn open(configuration: Configuration, _: &Request) -> Result<Self> {
//!         match configuration.password.as_str() {
//!             "sesame" => Ok(House),
//!             _ => Err(Error::new(HandlerErrorCode::InvalidTypeConfiguration, "Password does not open the house")),
//!         }
//!     }
//! }
//!
//! type Cx = Context<House>;
//!
//! impl Resource for Thermostat {
//!     const TYPE_NAME: &'static str = "Example::Home::Thermostat";
//!     type Provider = House;
//!     type Id = Room;
//!     type Wait = Wait;
//!
//!     // Settles the name before the service hears of it. The engine then looks whether it is taken.
//!     fn identify(&mut self, cx: &Cx) -> Result<Room> {
//!         let room = self.room.get_or_insert_with(|| cx.request.derive_name(40, "-"));
//!         Ok(Room { room: room.clone() })
//!     }
//!
//!     // A verb never sleeps: it says what to wait for, and the engine comes back.
//!     async fn create(&self, id: &Room, _: &Cx) -> Result<Step<Wait>> {
//!         ROOMS.lock().unwrap().insert(id.room.clone(), self.degrees.unwrap_or(20));
//!         Ok(Step::Wait { on: Wait::Warming { minutes: 2 }, after: Duration::from_secs(60) })
//!     }
//!
//!     async fn read(id: &Room, _: &Cx) -> Result<Self> {
//!         let degrees = ROOMS.lock().unwrap().get(&id.room).copied();
//!         let degrees = degrees.ok_or_else(|| Error::not_found("there is no such room"))?;
//!         Ok(Thermostat { room: Some(id.room.clone()), degrees: Some(degrees) })
//!     }
//!
//!     async fn update(&self, id: &Room, _: Change<Self>, cx: &Cx) -> Result<Step<Wait>> {
//!         self.create(id, cx).await
//!     }
//!
//!     async fn delete(&self, id: &Room, _: &Cx) -> Result<Step<Wait>> {
//!         ROOMS.lock().unwrap().remove(&id.room);
//!         Ok(Step::Done)
//!     }
//!
//!     async fn list(&self, _: Option<&str>, _: &Cx) -> Result<Page<Self>> {
//!         let rooms = ROOMS.lock().unwrap();
//!         let models = rooms.iter().map(|(room, degrees)| Thermostat { room: Some(room.clone()), degrees: Some(*degrees) });
//!         Ok(Page { models: models.collect(), next: None })
//!     }
//!
//!     async fn resume(Wait::Warming { minutes }: Wait, _: &Room, _: &Cx) -> Result<Step<Wait>> {
//!         Ok(match minutes {
//!             0 => Step::Done,
//!             _ => Step::Wait { on: Wait::Warming { minutes: minutes - 1 }, after: Duration::from_secs(60) },
//!         })
//!     }
//! }
//!
//! // One row a type; `main` of the Lambda is `cfn_provider::serve(REGISTRY).await`.
//! const REGISTRY: &[Entry] = &[Entry::of::<Thermostat>()];
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! // The harness does what CloudFormation does, and panics where an answer breaks the protocol.
//! use serde_json::json;
//! let harness = Harness::new::<Thermostat>(json!({"Password": "sesame"}));
//! let template = json!({"Room": "kitchen", "Degrees": 21});
//! let created = harness.create(&template).await.unwrap();
//! assert_eq!(created, template);
//! assert_eq!(harness.create(&template).await.unwrap_err().code, HandlerErrorCode::AlreadyExists);
//! assert_eq!(harness.update(&template, &json!({"Room": "kitchen", "Degrees": 23})).await.unwrap()["Degrees"], 23);
//! assert_eq!(harness.create(&json!({"Degrees": 99})).await.unwrap_err().code, HandlerErrorCode::InvalidRequest);
//! assert_eq!(harness.list(&json!({})).await.unwrap().len(), 1);
//! harness.delete(&created).await.unwrap();
//! assert_eq!(harness.read(&created).await.unwrap_err().code, HandlerErrorCode::NotFound);
//!
//! let locked_out = Harness::new::<Thermostat>(json!({"Password": "open"}));
//! assert_eq!(locked_out.create(&template).await.unwrap_err().code, HandlerErrorCode::InvalidTypeConfiguration);
//! # assert_eq!(REGISTRY[0].type_name, "Example::Home::Thermostat");
//! # }
//! ```
//!
//! # Without activating a type
//!
//! The same binary answers Lambda-backed custom resources: `Custom::Example-Home-Thermostat` is the type above. It needs no
//! registry and no more rights than the Lambda has, and it is bound to the Lambda's 15 minutes. Its guarantees are
//! written in `src/custom_resource/mod.rs`, and with the other duties of a runtime in `docs/runtime.md`.

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
pub use resource::{
    Change, Claim, Context, Identifier, Never, NoConfiguration, Page, Provider, Request, Resource, Step,
};
pub use tags::Tag;
