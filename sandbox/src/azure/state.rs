//! Everything that exists, and what will happen to it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use serde_json::Value;
use uuid::Uuid;

use super::blobs::Blobs;
use super::ids::Id;
use super::tables::Tables;

/// What the emulator knows. Time passes by [`State::settle`], at the beginning of each request.
#[derive(Default)]
pub(super) struct State {
    resources: BTreeMap<String, Resource>,
    operations: HashMap<String, Operation>,
    blocked: HashMap<String, Instant>,
    pub(super) taken: BTreeSet<String>,
    principals: BTreeMap<String, Instant>,
    pub(super) blobs: Blobs,
    pub(super) tables: Tables,
    /// What is still to be done at Azurite before the answer leaves.
    pub(super) effects: Vec<Effect>,
}

/// One resource: its document as a GET would show it at most.
pub(super) struct Resource {
    pub(super) document: Value,
    /// ARM already works on it, but a GET does not find it yet.
    pub(super) hidden: bool,
    later: Vec<(Instant, Later)>,
}

/// What happens to a resource by itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Later {
    /// A GET finds it.
    Appear,
    /// `properties.provisioningState` changes.
    Become(&'static str),
    /// It is gone, with everything below it.
    Vanish,
}

/// A long-running operation that a `Location` header points to.
pub(super) struct Operation {
    pub(super) due: Instant,
    /// The resource whose document is the result; none for an empty 200.
    pub(super) result: Option<Id>,
}

/// A change of the blob data plane that a change of the management plane brings with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    CreateContainer { account: String, container: String },
    DeleteContainer { account: String, container: String },
}

impl State {
    /// Lets everything happen that is due.
    pub(super) fn settle(&mut self, now: Instant) {
        let mut gone = Vec::new();
        for (key, resource) in &mut self.resources {
            while let Some((_, what)) = resource.later.first().filter(|(due, _)| *due <= now) {
                match what {
                    Later::Appear => resource.hidden = false,
                    Later::Become(state) => {
                        resource.document["properties"]["provisioningState"] = (*state).into();
                    }
                    Later::Vanish => gone.push(key.clone()),
                }
                resource.later.remove(0);
            }
        }
        for key in gone {
            self.remove_key(&key);
        }
        self.blocked.retain(|_, until| *until > now);
    }

    /// The resource, whether a GET finds it or not.
    pub(super) fn any(&self, id: &Id) -> Option<&Resource> {
        self.resources.get(&id.key())
    }

    /// The document of a resource that a GET finds.
    pub(super) fn get(&self, id: &Id) -> Option<&Value> {
        self.any(id).filter(|resource| !resource.hidden).map(|resource| &resource.document)
    }

    pub(super) fn get_mut(&mut self, id: &Id) -> Option<&mut Value> {
        self.resources.get_mut(&id.key()).map(|resource| &mut resource.document)
    }

    pub(super) fn put(&mut self, id: &Id, document: Value) {
        self.put_later(id, document, false, Vec::new());
    }

    /// Puts a resource that goes on changing by itself; `later` in order of time.
    pub(super) fn put_later(&mut self, id: &Id, document: Value, hidden: bool, later: Vec<(Instant, Later)>) {
        let resource = Resource { document, hidden, later };
        self.resources.insert(id.key(), resource);
    }

    /// Replaces what will happen to a resource.
    pub(super) fn schedule(&mut self, id: &Id, later: Vec<(Instant, Later)>) {
        if let Some(resource) = self.resources.get_mut(&id.key()) {
            resource.later = later;
        }
    }

    /// Removes a resource and everything below it; false if there was none.
    pub(super) fn remove(&mut self, id: &Id) -> bool {
        self.remove_key(&id.key())
    }

    fn remove_key(&mut self, key: &str) -> bool {
        let below = format!("{key}/");
        let gone: Vec<String> =
            self.resources.keys().filter(|other| *other == key || other.starts_with(&below)).cloned().collect();
        for key in &gone {
            self.resources.remove(key);
            if let Some((account, container)) = container_of(key) {
                self.blobs.remove_container(&account, &container);
                self.effects.push(Effect::DeleteContainer { account, container });
            }
            if let Some((account, table)) = table_of(key) {
                self.tables.remove_table(&account, &table);
            }
        }
        gone.iter().any(|other| other == key)
    }

    /// Takes a resource and all below it out of sight, and marks it as deleted on a date.
    pub(super) fn keep_deleted(&mut self, id: &Id, mark: &str, date: &str) {
        for resource in self.at_and_below(id) {
            resource.hidden = true;
        }
        if let Some(resource) = self.resources.get_mut(&id.key()) {
            resource.document[mark] = date.into();
        }
    }

    /// Brings a deleted resource back, and what is below it and was not deleted for itself.
    pub(super) fn bring_back(&mut self, id: &Id, mark: &str) {
        if let Some(document) = self.get_any_mut(id) {
            document.remove(mark);
        }
        for resource in self.at_and_below(id) {
            resource.hidden = resource.document.get(mark).is_some();
        }
    }

    fn get_any_mut(&mut self, id: &Id) -> Option<&mut serde_json::Map<String, Value>> {
        self.resources.get_mut(&id.key())?.document.as_object_mut()
    }

    fn at_and_below(&mut self, id: &Id) -> impl Iterator<Item = &mut Resource> {
        let (own, below) = (id.key(), format!("{}/", id.key()));
        self.resources
            .iter_mut()
            .filter(move |(key, _)| **key == own || key.starts_with(&below))
            .map(|(_, resource)| resource)
    }

    /// Everything that a GET finds, by id.
    pub(super) fn visible(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.resources.iter().filter(|(_, resource)| !resource.hidden).map(|(key, resource)| (key, &resource.document))
    }

    /// Every resource of a type, found by a GET or not.
    pub(super) fn of_type(&self, kind: &str) -> impl Iterator<Item = &Resource> {
        self.resources.values().filter(move |resource| {
            resource.document["type"].as_str().is_some_and(|own| own.eq_ignore_ascii_case(kind))
        })
    }

    /// Lets nobody create `id` for a while.
    pub(super) fn block(&mut self, id: &Id, now: Instant, time: Duration) {
        self.blocked.insert(id.key(), now + time);
    }

    pub(super) fn is_blocked(&self, id: &Id) -> bool {
        self.blocked.contains_key(&id.key())
    }

    /// Lets Entra know a principal from `when` on.
    pub(super) fn introduce(&mut self, principal: &str, when: Instant) {
        self.principals.insert(principal.to_lowercase(), when);
    }

    /// Since when Entra knows a principal, or from when on it will; none for a stranger.
    pub(super) fn introduced(&self, principal: &str) -> Option<Instant> {
        self.principals.get(&principal.to_lowercase()).copied()
    }

    /// Starts an operation and returns its name.
    pub(super) fn start(&mut self, operation: Operation) -> String {
        let name = Uuid::new_v4().to_string();
        self.operations.insert(name.clone(), operation);
        name
    }

    pub(super) fn operation(&self, name: &str) -> Option<&Operation> {
        self.operations.get(name)
    }
}

/// The account and the container that a key names, if it names a blob container.
pub(super) fn container_of(key: &str) -> Option<(String, String)> {
    held_by("blobservices", "containers", key)
}

/// The account and the table that a key names, if it names a table.
pub(super) fn table_of(key: &str) -> Option<(String, String)> {
    held_by("tableservices", "tables", key)
}

fn held_by(service: &str, kind: &str, key: &str) -> Option<(String, String)> {
    let segments: Vec<&str> = key.split('/').collect();
    match segments[..] {
        [.., "storageaccounts", account, own, _, held, name] if own == service && held == kind => {
            Some((account.into(), name.into()))
        }
        _ => None,
    }
}
