//! What the author of a resource type writes: a struct that is the model, and one trait for its verbs.

use crate::{
    error::{Error, HandlerErrorCode, Result},
    protocol::{Action, Credentials, Invocation},
    tags::Tag,
};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fmt::{self, Display},
    future::Future,
    time::Duration,
};
use tokio::time::Instant;

/// A resource type.
///
/// The struct is the model, and the model is the schema. Every field is an `Option`, because READ, DELETE and LIST get
/// partial models; `#[schemars(required)]` says what a template must give. See [`crate::schema`] for the annotations.
///
/// The engine does CloudFormation's part (existence checks, callbacks, read-back, retries, validation), so a verb only
/// translates and calls. A verb never sleeps: it returns [`Step::Wait`]. Any verb may be called again after a lost
/// answer and must then find its own work.
pub trait Resource: JsonSchema + Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// The type's name: `Organization::Service::Resource`.
    const TYPE_NAME: &'static str;

    /// The AWS permissions that an action needs of the execution role, beside [`Provider::PERMISSIONS`].
    fn permissions(_action: Action) -> &'static [&'static str] {
        &[]
    }

    /// The properties that a LIST must be given (names of top-level properties), such as the parent's id.
    const LIST_BY: &'static [&'static str] = &[];

    /// How long an operation may take in all before the engine gives up with `NotStabilized`: 2 to 2,160 minutes.
    const TIMEOUT_MINUTES: u32 = 60;

    /// What opens the service.
    type Provider: Provider;

    /// The primary identifier. It serialises as an object of the schema's primary identifier properties.
    type Id: Identifier;

    /// What an operation of this type may wait for; [`Never`] where it waits for nothing.
    type Wait: Serialize + DeserializeOwned + Send + Sync;

    /// The model as the service will answer it, where the service changes more than the case of a value: a list it sorts,
    /// a number it rounds, a document it writes anew. Read-back compares this of both, and the answer keeps the template's own form; a
    /// `propertyTransform` in the schema ([`crate::schema`]) tells CloudFormation the same, so that drift detection agrees.
    #[must_use]
    fn normalized(self) -> Self {
        self
    }

    /// Refuses a desired model by a rule that the schema cannot state. No I/O: CREATE and UPDATE call it before anything else.
    ///
    /// # Errors
    /// `InvalidRequest` with the pointer of the property and the rule.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// What a desired model asks for that is possible and yet hardly meant. No I/O. Each is logged, and shown as the message
    /// of a CREATE's first IN_PROGRESS and of the SUCCESS of CREATE and UPDATE.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Settles the name and thereby the identifier of a resource to be created. No I/O: nothing exists yet.
    ///
    /// # Errors
    /// `InvalidRequest` where the model names no possible resource.
    fn identify(&mut self, cx: &Context<Self::Provider>) -> Result<Self::Id>;

    /// Makes the identifier of a resource to be created where only the service can, such as the ARN of a KMS key: the bare
    /// resource comes to be here, marked so that a repetition of the request finds it, and [`Self::create`] does the rest.
    /// `None`, for [`Self::identify`] tells it, with every service that takes a name.
    ///
    /// No callback can carry an identifier that is not known, so the engine repeats a claim that fails for a while within
    /// the one invocation.
    ///
    /// # Errors
    /// `AlreadyExists` where somebody else has what the model names.
    fn claim(&self, _cx: &Context<Self::Provider>) -> impl Future<Output = Result<Option<Claim<Self::Id>>>> + Send {
        std::future::ready(Ok(None))
    }

    /// Creates the resource. The engine has checked that it did not exist, or [`Self::claim`] has made it.
    fn create(
        &self,
        id: &Self::Id,
        cx: &Context<Self::Provider>,
    ) -> impl Future<Output = Result<Step<Self::Wait>>> + Send;

    /// Reads the resource by its identifier alone.
    ///
    /// # Errors
    /// `NotFound`, and only that code, where it does not exist.
    fn read(id: &Self::Id, cx: &Context<Self::Provider>) -> impl Future<Output = Result<Self>> + Send;

    /// Changes the resource from `change.current` to `self`.
    fn update(
        &self,
        id: &Self::Id,
        change: Change<Self>,
        cx: &Context<Self::Provider>,
    ) -> impl Future<Output = Result<Step<Self::Wait>>> + Send;

    /// Deletes the resource. The engine has checked that it exists; `self` may hold no more than the identifier.
    fn delete(
        &self,
        id: &Self::Id,
        cx: &Context<Self::Provider>,
    ) -> impl Future<Output = Result<Step<Self::Wait>>> + Send;

    /// Lists one page, starting at `page` (what the page before returned as `next`). `self` holds [`Self::LIST_BY`].
    fn list(&self, page: Option<&str>, cx: &Context<Self::Provider>)
    -> impl Future<Output = Result<Page<Self>>> + Send;

    /// Looks again at what [`Step::Wait`] said to wait for.
    fn resume(
        wait: Self::Wait,
        id: &Self::Id,
        cx: &Context<Self::Provider>,
    ) -> impl Future<Output = Result<Step<Self::Wait>>> + Send;
}

/// A primary identifier: an object of identifier properties on the wire, a short text for people.
pub trait Identifier: Serialize + DeserializeOwned + Display + Clone + PartialEq + Send + Sync {}

impl<T: Serialize + DeserializeOwned + Display + Clone + PartialEq + Send + Sync> Identifier for T {}

/// What [`Resource::claim`] has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim<I> {
    /// The identifier that the service has made.
    pub id: I,
    /// An earlier delivery of this very request had made and finished it: a create that fails now leaves it.
    pub found: bool,
}

/// What a verb has achieved.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<W> {
    /// The service has accepted the change; the engine reads it back.
    Done,
    /// The service works on it: [`Resource::resume`] is called with `on` after at least `after`.
    Wait {
        /// What to wait for; kept in the callback context, so small and without secrets.
        on: W,
        /// How long.
        after: Duration,
    },
}

/// The wait of a type that waits for nothing.
#[derive(Debug, Serialize, serde::Deserialize)]
pub enum Never {}

/// What UPDATE knows of the resource beside the desired model.
#[derive(Debug)]
pub struct Change<R> {
    /// What the service answered a moment ago.
    pub current: R,
    /// The previous template's model: what is here and not in the desired model was removed by the user.
    pub previous: R,
}

/// One page of a LIST.
#[derive(Debug)]
pub struct Page<R> {
    /// Models with at least their primary identifier.
    pub models: Vec<R>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// A service's clients, opened from the type configuration.
pub trait Provider: Sized + Send + Sync {
    /// The type configuration's model; its schema becomes the `typeConfiguration` of every type of this provider.
    type Configuration: JsonSchema + DeserializeOwned;

    /// The AWS permissions that every action of every type needs of the execution role.
    const PERMISSIONS: &'static [&'static str];

    /// Opens the service for one invocation. Called each time, so whatever is costly is cached by the provider and
    /// whatever is not needed by every invocation is built later.
    ///
    /// # Errors
    /// `InvalidTypeConfiguration` that names the member and what to set.
    fn open(configuration: Self::Configuration, request: &Request) -> Result<Self>;
}

/// The type configuration of a provider that has nothing to configure.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
pub struct NoConfiguration {}

/// What surrounds the model in one invocation. Prints without the credentials, the token and the properties.
#[derive(Clone)]
pub struct Request {
    /// When this invocation must have answered.
    pub deadline: Instant,
    /// The account of the stack.
    pub account_id: Option<String>,
    /// The region of the stack.
    pub region: Option<String>,
    /// The ARN of the stack.
    pub stack_id: Option<String>,
    /// The resource's name in the template.
    pub logical_resource_id: Option<String>,
    /// CloudFormation's idempotency token.
    pub token: Option<String>,
    /// Tags of the whole stack.
    pub stack_tags: BTreeMap<String, String>,
    /// Tags of the whole stack before this update.
    pub previous_stack_tags: BTreeMap<String, String>,
    /// CloudFormation's own tags of the resource.
    pub system_tags: BTreeMap<String, String>,
    /// CloudFormation's own tags before this update.
    pub previous_system_tags: BTreeMap<String, String>,
    /// Whether the stack is being rolled back.
    pub rollback: bool,
    /// DELETE: whether the stack asks for a snapshot first.
    pub snapshot_requested: bool,
    /// Whether the operation is part of drift detection.
    pub driftable: bool,
    /// The resource's `CreationPolicy` in the template.
    pub creation_policy: Option<Value>,
    /// The resource's `UpdatePolicy` in the template.
    pub update_policy: Option<Value>,
    /// The resource's properties as they came: a provider may have to know them before it opens. They may hold secrets,
    /// READ has the identifier alone, LIST what the type lists by, and primitives may be strings.
    pub properties: Map<String, Value>,
    caller_credentials: Option<Credentials>,
}

impl Request {
    pub(crate) fn new(invocation: &Invocation, deadline: Instant) -> Self {
        let data = &invocation.request_data;
        Self {
            deadline,
            account_id: invocation.aws_account_id.clone(),
            region: invocation.region.clone(),
            stack_id: invocation.stack_id.clone(),
            logical_resource_id: data.logical_resource_id.clone(),
            token: invocation.bearer_token.clone(),
            stack_tags: data.stack_tags.clone().unwrap_or_default(),
            previous_stack_tags: data.previous_stack_tags.clone().unwrap_or_default(),
            system_tags: data.system_tags.clone().unwrap_or_default(),
            previous_system_tags: data.previous_system_tags.clone().unwrap_or_default(),
            rollback: invocation.rollback.unwrap_or_default(),
            snapshot_requested: invocation.snapshot_requested.unwrap_or_default(),
            driftable: invocation.driftable.unwrap_or_default(),
            creation_policy: invocation.creation_policy.clone(),
            update_policy: invocation.update_policy.clone(),
            properties: data.resource_properties.clone().unwrap_or_default(),
            caller_credentials: data.caller_credentials.clone(),
        }
    }

    /// The session of the customer's execution role: what a handler calls AWS with. CloudFormation sends a fresh one with
    /// every invocation, so it must not be kept. The Lambda's own environment holds the type owner's credentials, which
    /// are not the customer's.
    ///
    /// # Errors
    /// `InvalidCredentials` where the request has none, or not all of one.
    pub fn caller_credentials(&self) -> Result<&Credentials> {
        self.caller_credentials.as_ref().ok_or_else(|| {
            Error::new(
                HandlerErrorCode::InvalidCredentials,
                "the request carries no AWS credentials of the caller; register the type with permissions in its \
                 handlers, and give the stack an execution role that has them",
            )
        })
    }

    /// A name for a resource whose template gives none: `stack`, logical id and a hash of both and of the request
    /// token, so that the same request finds the same name and a replacement finds another.
    ///
    /// Lower-case letters and digits, joined by `separator` where there is one, `longest` characters at most.
    pub fn derive_name(&self, longest: usize, separator: &str) -> String {
        const HASH: usize = 12;
        let stack = self.stack_id.as_deref().and_then(|arn| arn.split('/').nth(1)).unwrap_or_default();
        let logical = self.logical();
        let hash: String = self
            .digest()
            .iter()
            .take(HASH)
            .map(|byte| char::from(b"abcdefghijklmnopqrstuvwxyz234567"[usize::from(byte & 31)]))
            .collect();
        let words = [plain(stack), plain(logical)].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>();
        let room = longest.saturating_sub(HASH + separator.len());
        let mut name: String = words.join(separator).chars().take(room).collect();
        while !separator.is_empty() && name.ends_with(separator) {
            name.truncate(name.len() - separator.len());
        }
        if name.is_empty() { hash } else { name + separator + &hash }
    }

    /// A UUID for a resource whose name must be one and whose template gives none: like [`Self::derive_name`], the same
    /// for the same request and another for a replacement. Version 8 of RFC 9562, whose bits are ours.
    pub fn derive_uuid(&self) -> String {
        let digest = self.digest();
        let mut bytes: [u8; 16] = std::array::from_fn(|index| digest[index]);
        bytes[6] = bytes[6] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }

    fn logical(&self) -> &str {
        self.logical_resource_id.as_deref().unwrap_or("resource")
    }

    /// What tells this request from others: the stack, the logical id and the request token.
    fn digest(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        for part in [self.stack_id.as_deref(), Some(self.logical()), self.token.as_deref()] {
            hasher.update(part.unwrap_or_default().as_bytes());
            hasher.update([0]);
        }
        hasher.finalize().into()
    }

    /// The tags a resource shall carry: the stack's, overridden by its own.
    pub fn desired_tags(&self, own: Option<&[Tag]>) -> BTreeMap<String, String> {
        let mut tags = self.stack_tags.clone();
        tags.extend(own.unwrap_or_default().iter().map(|tag| (tag.key.clone(), tag.value.clone())));
        tags
    }

    /// The tags that an update leaves on a resource: [`Self::desired_tags`], and those of `current` that others (a policy, a
    /// person) have put there; what the template or the stack no longer names goes.
    pub fn updated_tags(
        &self,
        own: Option<&[Tag]>,
        previous: Option<&[Tag]>,
        current: Option<&[Tag]>,
    ) -> BTreeMap<String, String> {
        let ours = previous.unwrap_or_default();
        let others = current.unwrap_or_default().iter().filter(|tag| {
            !ours.iter().any(|our| our.key == tag.key) && !self.previous_stack_tags.contains_key(&tag.key)
        });
        let mut tags: BTreeMap<_, _> = others.map(|tag| (tag.key.clone(), tag.value.clone())).collect();
        tags.extend(self.desired_tags(own));
        tags
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("account_id", &self.account_id)
            .field("region", &self.region)
            .field("stack_id", &self.stack_id)
            .field("logical_resource_id", &self.logical_resource_id)
            .field("caller_credentials", &self.caller_credentials)
            .finish_non_exhaustive()
    }
}

fn plain(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// What a verb gets beside the model: the opened provider and the request around it.
#[derive(Debug)]
pub struct Context<P> {
    /// The opened service.
    pub provider: P,
    /// What surrounds the model.
    pub request: Request,
}

/// Reads a primary identifier from a model.
///
/// # Errors
/// `NotFound` where the model has none: CloudFormation asks like that for a resource that never came to be.
pub(crate) fn identifier<R: Resource>(model: &Value) -> Result<R::Id> {
    let schema = crate::schema::of::<R>();
    if let Some(missing) = schema.primary_identifier.iter().find(|name| model.get(name.as_str()).is_none()) {
        return Err(Error::not_found(format!("the request names no {}: it has no /{missing}", R::TYPE_NAME)));
    }
    serde_json::from_value(model.clone()).map_err(|error| Error::invalid_request(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(stack: &str, logical: &str, token: &str) -> Request {
        let invocation = Invocation::parse(json!({
            "action": "CREATE", "resourceType": "A::B::C", "bearerToken": token,
            "stackId": format!("arn:aws:cloudformation:eu-west-1:123456789012:stack/{stack}/uuid"),
            "requestData": {"logicalResourceId": logical}
        }));
        Request::new(&invocation.expect("parses"), Instant::now())
    }

    #[test]
    fn derived_names_fit_repeat_and_differ() {
        let name = request("My-Stack", "Account", "t1").derive_name(24, "");
        assert_eq!(name, request("My-Stack", "Account", "t1").derive_name(24, ""));
        assert_ne!(name, request("My-Stack", "Account", "t2").derive_name(24, ""));
        assert_ne!(name, request("My-Stack", "Account2", "t1").derive_name(24, ""));
        assert!(name.len() == 24 && name.starts_with("mystackaccou"), "{name}");
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()), "{name}");

        let dashed = request("prod", "Backups", "t1").derive_name(63, "-");
        assert!(dashed.starts_with("prod-backups-") && !dashed.contains("--"), "{dashed}");
        // The cut falls on a separator, which must not stay doubled.
        assert!(!request("abcdefghij", "k", "t1").derive_name(24, "-").contains("--"));
    }

    #[test]
    fn derived_uuids_are_shaped_repeat_and_differ() {
        let uuid = request("s", "Access", "t1").derive_uuid();
        assert_eq!(uuid, request("s", "Access", "t1").derive_uuid());
        assert_ne!(uuid, request("s", "Access", "t2").derive_uuid());
        assert_ne!(uuid, request("s", "Other", "t1").derive_uuid());
        let parts: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12], "{uuid}");
        assert!(uuid.as_bytes()[14] == b'8' && b"89ab".contains(&uuid.as_bytes()[19]), "{uuid}");
    }

    #[test]
    fn only_a_provider_that_asks_for_credentials_misses_them() {
        let none = request("s", "l", "t").caller_credentials().expect_err("there are none").code;
        assert_eq!(none, HandlerErrorCode::InvalidCredentials);

        let with = |credentials: Value| {
            let event = json!({"action": "READ", "resourceType": "A::B::C", "bearerToken": "b3arer", "requestData": {
                "callerCredentials": credentials, "resourceProperties": {"Password": "pr0perty"},
                "providerCredentials": {"accessKeyId": "PROVIDER", "secretAccessKey": "pr0vider", "sessionToken": null}}});
            Request::new(&Invocation::parse(event).expect("parses"), Instant::now())
        };
        for part in [json!({"accessKeyId": "A", "secretAccessKey": null, "sessionToken": null}), json!({}), Value::Null]
        {
            assert!(with(part.clone()).caller_credentials().is_err(), "{part}");
        }
        let request = with(json!({"accessKeyId": "AKIA", "secretAccessKey": "s3cr3t", "sessionToken": "t0ken"}));
        assert_eq!(request.caller_credentials().expect("are there").access_key_id, "AKIA");
        let printed = format!("{request:?}");
        assert_eq!(request.properties["Password"], "pr0perty");
        assert!(
            !["s3cr3t", "t0ken", "b3arer", "pr0vider", "pr0perty"].iter().any(|secret| printed.contains(secret)),
            "{printed}"
        );
    }

    #[test]
    fn what_surrounds_the_model_reaches_the_handler() {
        let event = json!({
            "action": "UPDATE", "resourceType": "A::B::C", "awsAccountId": "123", "region": "eu-west-1",
            "rollback": true, "snapshotRequested": null, "driftable": true, "creationPolicy": {"c": 1}, "updatePolicy": null,
            "requestData": {
                "systemTags": {"aws:s": "new"}, "previousSystemTags": {"aws:s": "old"},
                "stackTags": {"t": "new"}, "previousStackTags": {"t": "old"}
            }
        });
        let request = Request::new(&Invocation::parse(event).expect("parses"), Instant::now());
        assert_eq!((request.account_id.as_deref(), request.region.as_deref()), (Some("123"), Some("eu-west-1")));
        assert_eq!((request.rollback, request.snapshot_requested, request.driftable), (true, false, true));
        assert_eq!((request.creation_policy, request.update_policy), (Some(json!({"c": 1})), None));
        assert_eq!(
            (&request.system_tags["aws:s"], &request.previous_system_tags["aws:s"]),
            (&"new".into(), &"old".into())
        );
        assert_eq!((&request.stack_tags["t"], &request.previous_stack_tags["t"]), (&"new".into(), &"old".into()));
    }

    #[test]
    fn own_tags_win_over_stack_tags() {
        let mut request = request("s", "l", "t");
        request.stack_tags = BTreeMap::from([("a".into(), "stack".into()), ("b".into(), "stack".into())]);
        let own = [Tag { key: "a".into(), value: "own".into() }];
        assert_eq!(
            request.desired_tags(Some(&own)),
            BTreeMap::from([("a".into(), "own".into()), ("b".into(), "stack".into())])
        );
    }
}
