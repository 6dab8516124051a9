//! A resource type whose service is a map in memory, with the faults of a real one.

pub(crate) mod ticket;

use cfn_provider::{
    Change, Context, Error, HandlerErrorCode, Page, Provider, Request, Resource, Result, Retry, Step, Tag,
    schema::{conditional_create_only, create_only, primary_identifier, read_only, tags, unordered, write_only},
    testing::Harness,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    sync::{Arc, LazyLock, Mutex, MutexGuard},
    time::Duration,
};

/// Resource Type definition for Example::Toy::Shelf, which holds nothing but its own description.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Shelf {
    /// The identifier.
    #[schemars(transform = read_only, transform = primary_identifier)]
    pub(crate) id: Option<String>,
    /// The name.
    #[schemars(transform = create_only, regex(pattern = "^[a-z0-9-]+$"))]
    pub(crate) name: Option<String>,
    /// How many boards.
    #[schemars(required, range(min = 1))]
    pub(crate) boards: Option<u32>,
    /// What it is made of.
    pub(crate) colour: Option<Colour>,
    /// Whether it is on a wall.
    pub(crate) mounted: Option<bool>,
    /// What stands on it.
    #[schemars(transform = unordered)]
    pub(crate) books: Option<Vec<String>>,
    /// The code of its lock.
    #[schemars(transform = write_only, length(min = 4))]
    pub(crate) code: Option<String>,
    /// What is written on it; the service drops dots at its end.
    #[schemars(extend("x-cfn-transform" = "$replace(Label, /\\.+$/, '')"))]
    pub(crate) label: Option<String>,
    /// How it is finished.
    pub(crate) finish: Option<Finish>,
    /// The tags.
    #[schemars(transform = tags)]
    pub(crate) tags: Option<Vec<Tag>>,
}

/// A colour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) enum Colour {
    /// As the tree was.
    Oak,
    /// Painted.
    White,
}

/// A finish.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Finish {
    /// Who made it.
    #[schemars(transform = create_only)]
    pub(crate) maker: Option<String>,
    /// The kind of wood, which can become darker in place and never lighter.
    #[schemars(transform = conditional_create_only)]
    pub(crate) wood: Option<u32>,
    /// What the paint is mixed of.
    #[schemars(transform = write_only, length(min = 4))]
    pub(crate) recipe: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Id {
    #[serde(rename = "Id")]
    id: String,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Wait {
    Drying { coats: u32 },
}

/// What a call to the service runs into.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The call fails before it has an effect.
    Fails(HandlerErrorCode, Option<Retry>),
    /// The call has its effect, and its answer is lost.
    Lost,
    /// The process dies before the call has an effect.
    DiesBefore,
    /// The process dies after the call had its effect.
    DiesAfter,
    /// The service never answers.
    Hangs,
    /// The handler has a bug.
    Panics,
    /// Nothing happens.
    Passes,
}

#[derive(Default)]
pub(crate) struct Service {
    pub(crate) shelves: BTreeMap<String, Shelf>,
    pub(crate) tickets: BTreeMap<String, ticket::Ticket>,
    /// What the next calls run into, in order.
    pub(crate) faults: VecDeque<Fault>,
    /// Every call so far: verb and name.
    pub(crate) calls: Vec<String>,
    /// How often a GET after a change still answers the state from before it.
    pub(crate) lag: u32,
    stale: Option<(String, Option<Shelf>, u32)>,
}

static SERVICES: LazyLock<Mutex<HashMap<String, Arc<Mutex<Service>>>>> = LazyLock::new(Mutex::default);

/// The service of a test and a harness that is configured for it.
pub(crate) fn service(test: &str) -> (Arc<Mutex<Service>>, Harness) {
    let service = SERVICES.lock().unwrap().entry(test.into()).or_default().clone();
    (service, Harness::new::<Shelf>(json!({"Service": test, "Secret": "t0p"})))
}

/// The same for tickets.
pub(crate) fn tickets(test: &str) -> (Arc<Mutex<Service>>, Harness) {
    let (service, _) = service(test);
    (service, Harness::new::<ticket::Ticket>(json!({"Service": test, "Secret": "t0p"})))
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Configuration {
    /// Which service.
    service: String,
    /// What opens it.
    #[allow(dead_code, reason = "its presence is what the tests look at")]
    secret: String,
}

pub(crate) struct Toys(Arc<Mutex<Service>>);

impl Provider for Toys {
    type Configuration = Configuration;
    const PERMISSIONS: &'static [&'static str] = &["toys:Use"];

    fn open(configuration: Configuration, _: &Request) -> Result<Self> {
        Ok(Self(SERVICES.lock().unwrap().entry(configuration.service).or_default().clone()))
    }
}

impl Toys {
    async fn call<T>(
        &self,
        verb: &str,
        id: &impl fmt::Display,
        effect: impl FnOnce(&mut MutexGuard<'_, Service>) -> Result<T>,
    ) -> Result<T> {
        let fault = {
            let mut service = self.0.lock().unwrap();
            service.calls.push(format!("{verb} {id}"));
            service.faults.pop_front()
        };
        match fault {
            Some(Fault::Fails(code, retry)) => {
                let error = Error::new(code, "the service is out of order");
                Err(match retry {
                    Some(retry) => error.transient(retry),
                    None => error,
                })
            }
            Some(Fault::Lost) => {
                let _ = effect(&mut self.0.lock().unwrap());
                let lost = Error::new(HandlerErrorCode::NetworkFailure, "the service did not answer");
                Err(lost.transient(Retry::default()))
            }
            Some(Fault::DiesBefore | Fault::Hangs) => std::future::pending().await,
            Some(Fault::Panics) => panic!("t0p"),
            Some(Fault::DiesAfter) => {
                let _ = effect(&mut self.0.lock().unwrap());
                std::future::pending().await
            }
            Some(Fault::Passes) | None => effect(&mut self.0.lock().unwrap()),
        }
    }
}

type Cx = Context<Toys>;

impl Resource for Shelf {
    const TYPE_NAME: &'static str = "Example::Toy::Shelf";
    const TIMEOUT_MINUTES: u32 = 2_160;
    type Provider = Toys;
    type Id = Id;
    type Wait = Wait;

    fn normalized(mut self) -> Self {
        self.label = self.label.map(|label| label.trim_end_matches('.').to_owned());
        self
    }

    fn warnings(&self) -> Vec<String> {
        let many = self.boards.filter(|boards| *boards > 90);
        many.map(|boards| format!("/Boards: {boards} are more than a wall bears")).into_iter().collect()
    }

    fn identify(&mut self, cx: &Cx) -> Result<Id> {
        let name = self.name.get_or_insert_with(|| cx.request.derive_name(40, "-"));
        Ok(Id { id: format!("shelf/{name}") })
    }

    async fn create(&self, id: &Id, cx: &Cx) -> Result<Step<Wait>> {
        self.put("PUT", id, cx).await?;
        Ok(match self.colour {
            Some(Colour::White) => Step::Wait { on: Wait::Drying { coats: 2 }, after: Duration::from_secs(7) },
            _ => Step::Done,
        })
    }

    async fn read(id: &Id, cx: &Cx) -> Result<Self> {
        cx.provider
            .call("GET", id, |service| {
                let found = match &mut service.stale {
                    Some((stale, before, reads)) if *stale == id.id && *reads > 0 => {
                        *reads -= 1;
                        before.clone()
                    }
                    _ => service.shelves.get(&id.id).cloned(),
                };
                found.ok_or_else(|| Error::not_found("there is no such shelf"))
            })
            .await
    }

    async fn update(&self, id: &Id, change: Change<Self>, cx: &Cx) -> Result<Step<Wait>> {
        if change.current.boards > self.boards {
            return Err(Error::new(HandlerErrorCode::NotUpdatable, "/Boards can only grow"));
        }
        let wood = |shelf: &Shelf| shelf.finish.as_ref().and_then(|finish| finish.wood);
        if wood(&change.current) > wood(self) {
            return Err(Error::new(HandlerErrorCode::NotUpdatable, "/Finish/Wood can only become darker"));
        }
        self.put("PATCH", id, cx).await?;
        Ok(Step::Done)
    }

    async fn delete(&self, id: &Id, cx: &Cx) -> Result<Step<Wait>> {
        let gone = |service: &mut MutexGuard<'_, Service>| {
            let before = service.shelves.remove(&id.id);
            service.stale = Some((id.id.clone(), before, service.lag));
            Ok(())
        };
        cx.provider.call("DELETE", id, gone).await?;
        Ok(Step::Done)
    }

    async fn list(&self, page: Option<&str>, cx: &Cx) -> Result<Page<Self>> {
        let all: Vec<Shelf> = cx.provider.0.lock().unwrap().shelves.values().cloned().collect();
        let bad = |_| Error::invalid_request("the page token is none of this type's");
        let start = page.map_or(Ok(0), str::parse).map_err(bad)?.min(all.len());
        let end = (start + 2).min(all.len());
        Ok(Page { models: all[start..end].to_vec(), next: (end < all.len()).then(|| end.to_string()) })
    }

    async fn resume(Wait::Drying { coats }: Wait, id: &Id, cx: &Cx) -> Result<Step<Wait>> {
        cx.provider.call("WAIT", id, |_| Ok(())).await?;
        Ok(match coats {
            0 => Step::Done,
            _ => Step::Wait { on: Wait::Drying { coats: coats - 1 }, after: Duration::from_secs(7) },
        })
    }
}

impl Shelf {
    async fn put(&self, verb: &str, id: &Id, cx: &Cx) -> Result<()> {
        let mut shelf = self.clone().normalized();
        shelf.id = Some(id.id.clone());
        shelf.name = Some(id.id.trim_start_matches("shelf/").into());
        shelf.code = None;
        if let Some(finish) = &mut shelf.finish {
            finish.recipe = None;
        }
        shelf.tags = Some(Tag::list(cx.request.desired_tags(self.tags.as_deref())));
        let set = |service: &mut MutexGuard<'_, Service>| {
            let before = service.shelves.insert(id.id.clone(), shelf);
            service.stale = Some((id.id.clone(), before, service.lag));
            Ok(())
        };
        cx.provider.call(verb, id, set).await
    }
}
