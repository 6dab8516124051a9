//! A tiny table endpoint: enough to fill, read and empty a table.
//!
//! `/_table/ACCOUNT/TABLE` takes an entity, `/_table/ACCOUNT/TABLE()` answers them by pages, and
//! `/_table/ACCOUNT/TABLE(PartitionKey='P',RowKey='R')` names one.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::http::{Answer, Outcome, Request};

/// The path under which the endpoint is served.
pub(super) const PREFIX: &str = "/_table/";

/// The keys of an entity: partition and row.
type Keys = (String, String);

/// Every entity, by account and table.
#[derive(Default)]
pub(super) struct Tables(BTreeMap<(String, String), BTreeMap<Keys, Value>>);

/// Where a path of the endpoint points to.
pub(super) struct Place<'a> {
    pub(super) account: &'a str,
    pub(super) table: &'a str,
    /// What is in the parentheses; none without them.
    which: Option<&'a str>,
}

impl Place<'_> {
    pub(super) fn parse(path: &str) -> Option<Place<'_>> {
        let (account, rest) = path.strip_prefix(PREFIX)?.split_once('/')?;
        let (table, which) = match rest.strip_suffix(')') {
            Some(rest) => rest.split_once('(').map(|(table, which)| (table, Some(which)))?,
            None => (rest, None),
        };
        (!account.is_empty() && !table.is_empty()).then_some(Place { account, table, which })
    }

    /// Names of tables are the same in any case.
    fn key(&self) -> (String, String) {
        (self.account.to_lowercase(), self.table.to_lowercase())
    }

    fn entity(&self) -> Option<Keys> {
        let (partition, row) = self.which?.split_once("',RowKey='")?;
        Some((partition.strip_prefix("PartitionKey='")?.to_owned(), row.strip_suffix('\'')?.to_owned()))
    }
}

impl Tables {
    pub(super) fn remove_table(&mut self, account: &str, table: &str) {
        self.0.remove(&(account.to_lowercase(), table.to_lowercase()));
    }

    pub(super) fn put(&mut self, account: &str, table: &str, entity: Value) {
        let key = |name: &str| entity[name].as_str().unwrap_or_default().to_owned();
        let keys = (key("PartitionKey"), key("RowKey"));
        self.0.entry((account.to_lowercase(), table.to_lowercase())).or_default().insert(keys, entity);
    }

    /// Serves a request for a table that exists.
    pub(super) fn serve(&mut self, request: &Request, place: &Place<'_>) -> Outcome {
        match (request.method.as_str(), place.which) {
            ("GET", Some("")) => Ok(self.list(request, place)),
            ("POST", None) => match request.json() {
                Some(entity @ Value::Object(_)) => {
                    self.put(place.account, place.table, entity.clone());
                    Ok(Answer::json(201, &entity))
                }
                _ => Err(error(400, "InvalidInput", "One of the request inputs is not valid.")),
            },
            ("DELETE", Some(_)) => {
                let held = self.0.entry(place.key()).or_default();
                match place.entity().and_then(|keys| held.remove(&keys)) {
                    Some(_) => Ok(Answer::empty(204)),
                    None => Err(error(404, "ResourceNotFound", "The specified resource does not exist.")),
                }
            }
            _ => Err(error(501, "NotImplemented", "The emulator's table endpoint does not know this operation.")),
        }
    }

    fn list(&self, request: &Request, place: &Place<'_>) -> Answer {
        let parameters = request.parameters();
        let key = |name: &str| parameters.get(name).cloned().unwrap_or_default();
        let from = (key("nextpartitionkey"), key("nextrowkey"));
        let size = parameters.get("$top").and_then(|top| top.parse().ok()).unwrap_or(1000_usize).clamp(1, 1000);
        let none = BTreeMap::new();
        let mut rest = self.0.get(&place.key()).unwrap_or(&none).range(from..);
        let value: Vec<&Value> = rest.by_ref().take(size).map(|(_, entity)| entity).collect();
        let answer = Answer::json(200, &json!({"value": value}));
        match rest.next() {
            Some(((partition, row), _)) => {
                answer.with("x-ms-continuation-nextpartitionkey", partition).with("x-ms-continuation-nextrowkey", row)
            }
            None => answer,
        }
    }
}

/// An error of the table data plane.
pub(super) fn error(status: u16, code: &str, message: &str) -> Answer {
    Answer::json(status, &json!({"odata.error": {"code": code, "message": {"lang": "en-US", "value": message}}}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let parsed = |path| {
            let place = Place::parse(path)?;
            Some((place.account, place.table, place.which, place.entity().is_some()))
        };
        assert_eq!(parsed("/_table/a/T()"), Some(("a", "T", Some(""), false)));
        assert_eq!(parsed("/_table/a/T"), Some(("a", "T", None, false)));
        let which = "PartitionKey='p',RowKey='r'";
        assert_eq!(parsed("/_table/a/T(PartitionKey='p',RowKey='r')"), Some(("a", "T", Some(which), true)));
        assert_eq!(parsed("/_table/a/"), None);
        assert_eq!(parsed("/_table/a"), None);
    }
}
