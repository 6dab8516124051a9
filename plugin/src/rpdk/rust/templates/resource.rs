//! `{{ type_name }}`: named texts, kept in the memory of the process.
//!
//! The struct is the model and the model is the schema. Put your service's client in the place of [`Store`] and its calls
//! into the verbs; what CloudFormation asks of a handler beyond that, the runtime does.

use cfn_provider::{
    Change, Context, Error, HandlerErrorCode, Never, Page, Provider, Request, Resource, Result,
    Step, Tag,
    schema::{create_only, primary_identifier, read_only, tags},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
};

/// Resource Type definition for {{ type_name }}, a text with a name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct {{ struct }} {
    /// The name. If you do not give one, a name is derived from the stack and the logical id.
    #[schemars(
        transform = create_only,
        transform = primary_identifier,
        regex(pattern = "^[a-z0-9-]{1,64}$")
    )]
    pub name: Option<String>,
    /// The text.
    #[schemars(required, length(min = 1, max = 1024))]
    pub text: Option<String>,
    /// How often the text was set.
    #[schemars(transform = read_only)]
    pub revision: Option<u32>,
    /// The tags.
    #[schemars(transform = tags)]
    pub tags: Option<Vec<Tag>>,
}

/// The primary identifier: all that READ and DELETE may rely on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Id {
    name: String,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The type configuration, which is set once for an account and a region.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Configuration {
    /// How many texts there may be; 1000 by default.
    #[schemars(range(max = 100_000))]
    capacity: Option<usize>,
}

/// The service: opened for each invocation, so what is costly stays in a static.
pub struct Store {
    capacity: usize,
}

static TEXTS: LazyLock<Mutex<BTreeMap<String, {{ struct }}>>> = LazyLock::new(Mutex::default);

impl Store {
    fn texts(&self) -> MutexGuard<'_, BTreeMap<String, {{ struct }}>> {
        TEXTS.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Provider for Store {
    type Configuration = Configuration;
    // Those of the AWS services that the handlers call with the credentials of the request.
    const PERMISSIONS: &'static [&'static str] = &[];

    fn open(configuration: Configuration, _: &Request) -> Result<Self> {
        Ok(Self {
            capacity: configuration.capacity.unwrap_or(1000),
        })
    }
}

type Cx = Context<Store>;

/// How many models a page of a list has.
const PAGE: usize = 100;

impl Resource for {{ struct }} {
    const TYPE_NAME: &'static str = "{{ type_name }}";
    type Provider = Store;
    type Id = Id;
    type Wait = Never;

    fn identify(&mut self, cx: &Cx) -> Result<Id> {
        let name = self
            .name
            .get_or_insert_with(|| cx.request.derive_name(64, "-"));
        Ok(Id { name: name.clone() })
    }

    async fn create(&self, id: &Id, cx: &Cx) -> Result<Step<Never>> {
        let mut texts = cx.provider.texts();
        if texts.len() >= cx.provider.capacity {
            return Err(Error::new(
                HandlerErrorCode::ServiceLimitExceeded,
                "no more texts fit; delete one, or raise Capacity in the type configuration",
            ));
        }
        let tags = cx.request.desired_tags(self.tags.as_deref());
        let created = Self {
            name: Some(id.name.clone()),
            revision: Some(1),
            tags: Some(Tag::list(tags)),
            ..self.clone()
        };
        texts.insert(id.name.clone(), created);
        Ok(Step::Done)
    }

    async fn read(id: &Id, cx: &Cx) -> Result<Self> {
        let found = cx.provider.texts().get(&id.name).cloned();
        found.ok_or_else(|| Error::not_found("there is no such text"))
    }

    async fn update(&self, id: &Id, change: Change<Self>, cx: &Cx) -> Result<Step<Never>> {
        let tags = cx.request.desired_tags(self.tags.as_deref());
        let revision = change.current.revision.unwrap_or_default();
        let updated = Self {
            name: Some(id.name.clone()),
            revision: Some(revision + u32::from(self.text != change.current.text)),
            tags: Some(Tag::list(tags)),
            ..self.clone()
        };
        cx.provider.texts().insert(id.name.clone(), updated);
        Ok(Step::Done)
    }

    async fn delete(&self, id: &Id, cx: &Cx) -> Result<Step<Never>> {
        cx.provider.texts().remove(&id.name);
        Ok(Step::Done)
    }

    async fn list(&self, page: Option<&str>, cx: &Cx) -> Result<Page<Self>> {
        let texts = cx.provider.texts();
        // A page begins after the last name of the one before: what comes and goes between two pages moves nothing.
        let after = page.unwrap_or_default();
        let models: Vec<Self> = texts
            .iter()
            .filter(|(name, _)| name.as_str() > after)
            .take(PAGE)
            .map(|(_, text)| text.clone())
            .collect();
        let next = (models.len() == PAGE).then(|| models[PAGE - 1].name.clone());
        Ok(Page {
            models,
            next: next.flatten(),
        })
    }

    async fn resume(wait: Never, _: &Id, _: &Cx) -> Result<Step<Never>> {
        match wait {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cfn_provider::testing::Harness;
    use serde_json::json;

    #[tokio::test]
    async fn a_text_lives() {
        let harness = Harness::new::<{{ struct }}>(json!({}));
        let template =
            json!({"Name": "lives", "Text": "hello", "Tags": [{"Key": "k", "Value": "v"}]});
        let created = harness.create(&template).await.unwrap();
        assert_eq!(created["Revision"], 1);
        assert_eq!(harness.read(&created).await.unwrap(), created);

        let again = harness.create(&template).await.unwrap_err();
        assert_eq!(again.code, HandlerErrorCode::AlreadyExists);

        let changed = json!({"Name": "lives", "Text": "goodbye"});
        let updated = harness.update(&template, &changed).await.unwrap();
        assert_eq!(updated["Revision"], 2);
        assert!(harness.list(&json!({})).await.unwrap().contains(&updated));

        harness.delete(&updated).await.unwrap();
        let gone = harness.read(&updated).await.unwrap_err();
        assert_eq!(gone.code, HandlerErrorCode::NotFound);
    }

    #[tokio::test]
    async fn a_name_is_derived_where_the_template_gives_none() {
        let harness = Harness::new::<{{ struct }}>(json!({}));
        let created = harness.create(&json!({"Text": "hello"})).await.unwrap();
        let name = created["Name"].as_str().unwrap();
        assert!(name.starts_with("harness-resource-"), "{name}");
    }

    #[tokio::test]
    async fn a_full_store_says_what_to_do() {
        let harness = Harness::new::<{{ struct }}>(json!({"Capacity": 0}));
        let full = harness.create(&json!({"Text": "hello"})).await.unwrap_err();
        assert_eq!(full.code, HandlerErrorCode::ServiceLimitExceeded);
        assert!(full.message.contains("Capacity"), "{}", full.message);
    }

    #[tokio::test]
    async fn a_request_that_breaks_the_schema_changes_nothing() {
        let harness = Harness::new::<{{ struct }}>(json!({}));
        let refused = harness
            .create(&json!({"Name": "Not Allowed", "Text": ""}))
            .await
            .unwrap_err();
        assert_eq!(refused.code, HandlerErrorCode::InvalidRequest);
        assert!(refused.message.contains("/Name"), "{}", refused.message);
    }
}
