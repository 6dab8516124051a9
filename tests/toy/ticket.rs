//! A resource that only the service can name: it counts its tickets.

use super::{Cx, Toys};
use cfn_provider::{
    Action, Change, Claim, Error, HandlerErrorCode, Never, Page, Resource, Result, Step, Tag,
    schema::{create_only, primary_identifier, read_only, tags},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Resource Type definition for Example::Toy::Ticket, which one holder has at most one of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Ticket {
    /// The number, which the service gives.
    #[schemars(transform = read_only, transform = primary_identifier)]
    pub(crate) number: Option<String>,
    /// Whose it is.
    #[schemars(required, transform = create_only)]
    pub(crate) holder: Option<String>,
    /// Where the holder sits.
    pub(crate) seat: Option<String>,
    /// The tags.
    #[schemars(transform = tags)]
    pub(crate) tags: Option<Vec<Tag>>,
    /// Which request has made it.
    #[serde(skip)]
    mark: Option<String>,
    #[serde(skip)]
    finished: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Number {
    #[serde(rename = "Number")]
    number: String,
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.number)
    }
}

impl Resource for Ticket {
    const TYPE_NAME: &'static str = "Example::Toy::Ticket";
    type Provider = Toys;
    type Id = Number;
    type Wait = Never;

    fn permissions(action: Action) -> &'static [&'static str] {
        match action {
            Action::Create => &["toys:MakeTicket", "toys:TagTicket"],
            Action::Update => &["toys:TagTicket", "toys:UntagTicket"],
            Action::Read | Action::Delete | Action::List => &[],
        }
    }

    fn identify(&mut self, _: &Cx) -> Result<Number> {
        unreachable!("it is claimed")
    }

    async fn claim(&self, cx: &Cx) -> Result<Option<Claim<Number>>> {
        let mark = Some(cx.request.derive_uuid());
        let all = Number { number: "*".into() };
        let taken = cx.provider.call("FIND", &all, |service| {
            let mut tickets = service.tickets.values();
            if let Some(own) = tickets.clone().find(|ticket| ticket.mark == mark) {
                let id = Number { number: own.number.clone().unwrap() };
                return Ok(Some(Claim { id, found: own.finished }));
            }
            match tickets.find(|ticket| ticket.holder == self.holder) {
                Some(_) => Err(Error::new(HandlerErrorCode::AlreadyExists, "the holder has a ticket")),
                None => Ok(None),
            }
        });
        if let Some(claim) = taken.await? {
            return Ok(Some(claim));
        }
        let made = cx.provider.call("MAKE", &all, |service| {
            let number = format!("no-{}", service.tickets.len() + 1);
            let ticket = Ticket { number: Some(number.clone()), mark: mark.clone(), ..self.clone() };
            service.tickets.insert(number.clone(), Ticket { seat: None, ..ticket });
            Ok(Claim { id: Number { number }, found: false })
        });
        made.await.map(Some)
    }

    async fn create(&self, id: &Number, cx: &Cx) -> Result<Step<Never>> {
        self.put(id, cx).await
    }

    async fn read(id: &Number, cx: &Cx) -> Result<Self> {
        let found = |service: &mut std::sync::MutexGuard<'_, super::Service>| service.tickets.get(&id.number).cloned();
        let none = || Error::not_found("there is no such ticket");
        cx.provider.call("GET", id, |service| found(service).ok_or_else(none)).await
    }

    async fn update(&self, id: &Number, _: Change<Self>, cx: &Cx) -> Result<Step<Never>> {
        self.put(id, cx).await
    }

    async fn delete(&self, id: &Number, cx: &Cx) -> Result<Step<Never>> {
        cx.provider.call("DELETE", id, |service| Ok(service.tickets.remove(&id.number))).await?;
        Ok(Step::Done)
    }

    async fn list(&self, _: Option<&str>, cx: &Cx) -> Result<Page<Self>> {
        Ok(Page { models: cx.provider.0.lock().unwrap().tickets.values().cloned().collect(), next: None })
    }

    async fn resume(wait: Never, _: &Number, _: &Cx) -> Result<Step<Never>> {
        match wait {}
    }
}

impl Ticket {
    async fn put(&self, id: &Number, cx: &Cx) -> Result<Step<Never>> {
        let tags = Some(Tag::list(cx.request.desired_tags(self.tags.as_deref())));
        let set = |service: &mut std::sync::MutexGuard<'_, super::Service>| {
            let ticket =
                service.tickets.get_mut(&id.number).ok_or_else(|| Error::not_found("there is no such ticket"))?;
            (ticket.seat, ticket.tags, ticket.finished) = (self.seat.clone(), tags, true);
            Ok(Step::Done)
        };
        cx.provider.call("PUT", id, set).await
    }
}
