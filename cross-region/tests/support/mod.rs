//! A type on an emulator of AWS, as CloudFormation drives it, with a proxy between that can break every call.

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_http_client::tls::{Provider as Tls, rustls_provider::CryptoMode};
use cfn_provider::{
    Action, ProgressEvent, Resource,
    protocol::OperationStatus,
    testing::{Failure, Harness},
};
use cross_region::provider::at;
use sandbox::aws::{Aws, Fault, Proxy};
use serde_json::Value;
use std::time::Duration;
use tokio::sync::OnceCell;

/// The two emulators. Where they differ, a test says which one did what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Emulator {
    /// The AWS of the sandbox.
    MiniStack,
    /// The check on it.
    Moto,
}

pub(crate) const EMULATORS: [Emulator; 2] = [Emulator::MiniStack, Emulator::Moto];

impl Emulator {
    /// Its address. One of each serves all tests of a binary: they use names of their own.
    pub(crate) async fn url(self) -> &'static str {
        static MINISTACK: OnceCell<Aws> = OnceCell::const_new();
        static MOTO: OnceCell<Aws> = OnceCell::const_new();
        let started = match self {
            Emulator::MiniStack => MINISTACK.get_or_try_init(Aws::ministack).await,
            Emulator::Moto => MOTO.get_or_try_init(Aws::moto).await,
        };
        started.unwrap_or_else(|error| panic!("{self:?} does not start: {error}")).url()
    }

    /// S3 of a region as somebody else calls it. `account` is the access key, which MiniStack takes for the account.
    pub(crate) async fn s3(self, region: &str, account: &str) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::config::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .credentials_provider(Credentials::new(account, "not-a-secret", None, None, "test"))
            .endpoint_url(self.url().await)
            .http_client(client())
            .force_path_style(true);
        aws_sdk_s3::Client::from_conf(config.build())
    }

    /// KMS of a region as somebody else calls it.
    pub(crate) async fn kms(self, region: &str) -> aws_sdk_kms::Client {
        let config = aws_sdk_kms::config::Config::builder()
            .behavior_version(aws_sdk_kms::config::BehaviorVersion::latest())
            .region(aws_sdk_kms::config::Region::new(region.to_owned()))
            .credentials_provider(Credentials::new("AKIAHARNESS", "not-a-secret", None, None, "test"))
            .endpoint_url(self.url().await)
            .http_client(client());
        aws_sdk_kms::Client::from_conf(config.build())
    }
}

/// A client of one test: a connection dies with the runtime that opened it.
fn client() -> aws_smithy_runtime_api::client::http::SharedHttpClient {
    aws_smithy_http_client::Builder::new().tls_provider(Tls::Rustls(CryptoMode::Ring)).build_https()
}

/// A type on an emulator behind a proxy. What [`Harness`] does, this does there.
pub(crate) struct Type {
    pub(crate) emulator: Emulator,
    pub(crate) harness: Harness,
    pub(crate) proxy: Proxy,
}

impl Type {
    pub(crate) async fn new<R: Resource>(emulator: Emulator) -> Self {
        let proxy = Proxy::start(emulator.url().await).await.expect("the proxy starts");
        if emulator == Emulator::Moto {
            // The SDK for Rust reads the name of a document, as others do not.
            proxy.reword("GetBucketVersioningResponse", "VersioningConfiguration");
        }
        Self { emulator, harness: Harness::new::<R>(Value::Null), proxy }
    }

    /// The same with tags on the stack.
    pub(crate) fn stack_tags(self, tags: Value) -> Self {
        Self { harness: self.harness.stack_tags(tags), ..self }
    }

    pub(crate) async fn create(&self, desired: &Value) -> Result<Value, Failure> {
        at(self.proxy.url(), self.harness.create(desired)).await
    }

    pub(crate) async fn read(&self, model: &Value) -> Result<Value, Failure> {
        at(self.proxy.url(), self.harness.read(model)).await
    }

    pub(crate) async fn update(&self, previous: &Value, desired: &Value) -> Result<Value, Failure> {
        at(self.proxy.url(), self.harness.update(previous, desired)).await
    }

    pub(crate) async fn delete(&self, model: &Value) -> Result<(), Failure> {
        at(self.proxy.url(), self.harness.delete(model)).await
    }

    pub(crate) async fn list(&self, parent: &Value) -> Result<Vec<Value>, Failure> {
        at(self.proxy.url(), self.harness.list(parent)).await
    }

    pub(crate) async fn invoke(&self, event: Value) -> ProgressEvent {
        at(self.proxy.url(), self.harness.invoke(event)).await
    }

    /// The same in a Lambda that has no more time than this.
    pub(crate) async fn invoke_within(&self, event: Value, remaining: Duration) -> ProgressEvent {
        at(self.proxy.url(), cfn_provider::lambda::answer(cross_region::REGISTRY, event, remaining, "test")).await
    }

    pub(crate) async fn drive(&self, event: Value) -> Result<ProgressEvent, Failure> {
        at(self.proxy.url(), self.harness.drive(event)).await
    }

    /// Creates a resource by a request of its own, so that a derived name is one too.
    pub(crate) async fn create_as(&self, token: &str, desired: &Value) -> Result<Value, Failure> {
        Ok(self.drive(self.creating(desired, token)).await?.resource_model.expect("SUCCESS has a model"))
    }

    /// The event of a create that differs from others of the same model in its token, so that a derived name does too.
    pub(crate) fn creating(&self, model: &Value, token: &str) -> Value {
        let mut event = self.harness.event(Action::Create, model);
        event["bearerToken"] = token.into();
        event
    }

    /// Drives an operation to its end. While a fault is pending, an invocation whose calls have met the last one is killed
    /// and sent again, as CloudFormation does; the number of deaths comes with the answer.
    pub(crate) async fn survive(&self, mut event: Value) -> (ProgressEvent, usize) {
        let mut deaths = 0;
        loop {
            let Some(answer) = self.killed(event.clone()).await else {
                deaths += 1;
                continue;
            };
            if answer.status != OperationStatus::InProgress {
                return (answer, deaths);
            }
            event["callbackContext"] = answer.callback_context.expect("IN_PROGRESS has one");
            event["requestData"]["resourceProperties"] = answer.resource_model.expect("IN_PROGRESS has one");
        }
    }

    /// One invocation, killed while AWS works on the call that the last fault holds up: `None` then.
    async fn killed(&self, event: Value) -> Option<ProgressEvent> {
        let armed = self.proxy.pending() > 0;
        tokio::select! {
            answer = self.invoke(event) => Some(answer),
            () = async {
                while self.proxy.pending() > 0 {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                tokio::time::sleep(Duration::from_millis(150)).await;
            }, if armed => None,
        }
    }
}

/// The model with another value of a property; `null` takes it out.
pub(crate) fn changed(model: &Value, name: &str, value: &Value) -> Value {
    let mut model = model.clone();
    match value {
        Value::Null => drop(model.as_object_mut().expect("a model").remove(name)),
        value => model[name] = value.clone(),
    }
    model
}

/// Fails unless `actual` has all of `expected`: lists as sets, as CloudFormation compares those without insertion order.
pub(crate) fn assert_contains(expected: &Value, actual: &Value, at: &str) {
    if let Some(missing) = missing(expected, actual) {
        panic!("{at}{missing}: {expected} in {actual}");
    }
}

/// Where `actual` lacks or contradicts `expected`.
fn missing(expected: &Value, actual: &Value) -> Option<String> {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => expected.iter().find_map(|(name, value)| {
            let below = actual.get(name).map_or(Some(String::new()), |other| missing(value, other))?;
            Some(format!("/{name}{below}"))
        }),
        (Value::Array(expected), Value::Array(actual)) => {
            let has = |item: &Value| actual.iter().any(|other| missing(item, other).is_none());
            (expected.len() != actual.len() || !expected.iter().all(has)).then(String::new)
        }
        _ => (expected != actual).then(String::new),
    }
}

/// What may happen to any call, by name. A call that is held up for a minute is one whose invocation is killed.
pub(crate) fn faults() -> Vec<(&'static str, Vec<Fault>)> {
    let hold = Fault::Delay(Duration::from_secs(60));
    let busy = Fault::Refuse { status: 500, code: "InternalError", message: "We encountered an internal error." };
    vec![
        // The client repeats a call once by itself.
        ("throttled twice", vec![Fault::Throttle, Fault::Throttle]),
        ("failing inside", vec![busy.clone(), busy]),
        ("dropped before", vec![Fault::DropBefore, Fault::DropBefore]),
        ("dropped after", vec![Fault::DropAfter]),
        ("dropped after, twice", vec![Fault::DropAfter, Fault::DropAfter]),
        ("killed before", vec![hold.clone()]),
        ("killed after", vec![Fault::DropAfter, hold]),
    ]
}
