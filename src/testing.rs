//! Drives a resource type as CloudFormation does, in memory: without Lambda, network or waiting.
//!
//! [`Harness`] sends the events that CloudFormation sends, follows callbacks to the end, and on the way holds every answer
//! against the contract: an IN_PROGRESS carries the identifier, a terminal answer no write-only value, a failure a code
//! and a sentence. A breach panics with the rule, so that a test fails where it happens.

use crate::{
    error::HandlerErrorCode,
    lambda,
    model::lookup,
    protocol::{Action, OperationStatus, ProgressEvent},
    registry::Entry,
    resource::Resource,
    schema::TypeSchema,
};
use serde_json::{Value, json};
use std::{future::Future, time::Duration};

/// More invocations than any operation of a test should take.
const MOST_INVOCATIONS: usize = 2_000;

/// A resource type under test.
#[derive(Debug)]
pub struct Harness {
    registry: [Entry; 1],
    type_configuration: Value,
    stack_tags: Value,
}

/// A failed operation, as CloudFormation sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The code.
    pub code: HandlerErrorCode,
    /// The sentence.
    pub message: String,
}

impl Harness {
    /// A harness for the type `R` with a type configuration.
    pub fn new<R: Resource>(type_configuration: Value) -> Self {
        Self { registry: [Entry::of::<R>()], type_configuration, stack_tags: Value::Null }
    }

    /// The same with tags on the stack.
    #[must_use]
    pub fn stack_tags(self, tags: Value) -> Self {
        Self { stack_tags: tags, ..self }
    }

    /// The type's schema.
    pub fn schema(&self) -> &'static TypeSchema {
        (self.registry[0].schema)()
    }

    /// The event of a first invocation, as CloudFormation sends it in a stack: every primitive a string, optional keys null.
    pub fn event(&self, action: Action, model: &Value) -> Value {
        json!({
            "action": action,
            "awsAccountId": "123456789012",
            "bearerToken": "5f3c7f2e-0c1b-4b59-9a7e-1f4d1c8e2a10",
            "region": "ap-southeast-2",
            "resourceType": self.registry[0].type_name,
            "stackId": "arn:aws:cloudformation:ap-southeast-2:123456789012:stack/harness/6f2c",
            "nextToken": null,
            "callbackContext": null,
            "requestContext": {},
            "requestData": {
                "callerCredentials": {"accessKeyId": "AKIAHARNESS", "secretAccessKey": "not-a-secret", "sessionToken": "t"},
                "logicalResourceId": "Resource",
                "resourceProperties": stringly(model.clone()),
                "previousResourceProperties": null,
                "typeConfiguration": self.type_configuration,
                "stackTags": self.stack_tags,
                "previousStackTags": self.stack_tags,
                "systemTags": {"aws:cloudformation:stack-name": "harness"}
            }
        })
    }

    /// Answers one event, as one invocation of the Lambda does, and checks the answer against the contract.
    pub async fn invoke(&self, event: Value) -> ProgressEvent {
        let action: Action = serde_json::from_value(event["action"].clone()).expect("an action of CloudFormation's");
        let answer = lambda::answer(&self.registry, event, Duration::from_secs(300), "harness").await;
        self.check(action, &answer);
        answer
    }

    /// Creates a resource and returns its model.
    ///
    /// # Errors
    /// What the handler failed with.
    pub async fn create(&self, desired: &Value) -> Result<Value, Failure> {
        let answer = self.drive(self.event(Action::Create, desired)).await?;
        Ok(answer.resource_model.expect("checked"))
    }

    /// Reads a resource by its identifier alone.
    ///
    /// # Errors
    /// What the handler failed with.
    pub async fn read(&self, model: &Value) -> Result<Value, Failure> {
        let answer = self.drive(self.event(Action::Read, &self.identifier(model))).await?;
        Ok(answer.resource_model.expect("checked"))
    }

    /// Updates a resource from the model of its previous template and returns its model.
    ///
    /// # Errors
    /// What the handler failed with.
    pub async fn update(&self, previous: &Value, desired: &Value) -> Result<Value, Failure> {
        let mut event = self.event(Action::Update, desired);
        event["requestData"]["previousResourceProperties"] = stringly(previous.clone());
        let answer = self.drive(event).await?;
        Ok(answer.resource_model.expect("checked"))
    }

    /// Deletes a resource.
    ///
    /// # Errors
    /// What the handler failed with.
    pub async fn delete(&self, model: &Value) -> Result<(), Failure> {
        self.drive(self.event(Action::Delete, model)).await.map(|_| ())
    }

    /// Lists all pages; `parent` holds what the type lists by.
    ///
    /// # Errors
    /// What the handler failed with.
    pub async fn list(&self, parent: &Value) -> Result<Vec<Value>, Failure> {
        let mut event = self.event(Action::List, parent);
        let mut models = Vec::new();
        loop {
            let page = self.drive(event.clone()).await?;
            models.extend(page.resource_models.expect("checked"));
            match page.next_token {
                Some(token) => event["nextToken"] = token.into(),
                None => return Ok(models),
            }
        }
    }

    /// Repeats invocations until the operation ends, with a millisecond in place of each delay.
    ///
    /// # Errors
    /// What the handler failed with.
    pub async fn drive(&self, event: Value) -> Result<ProgressEvent, Failure> {
        self.drive_with(event, |event| self.invoke(event)).await
    }

    /// The same, with each invocation done by `invoke`: a test may lose answers or processes there.
    ///
    /// # Errors
    /// What the handler failed with.
    pub async fn drive_with<F: Future<Output = ProgressEvent>>(
        &self,
        mut event: Value,
        mut invoke: impl FnMut(Value) -> F,
    ) -> Result<ProgressEvent, Failure> {
        let mut last = None;
        for _ in 0..MOST_INVOCATIONS {
            let answer = invoke(event.clone()).await;
            match answer.status {
                OperationStatus::Success => return Ok(answer),
                OperationStatus::Failed => {
                    let (code, message) = (answer.error_code, answer.message);
                    return Err(Failure { code: code.expect("checked"), message: message.expect("checked") });
                }
                OperationStatus::InProgress => {
                    event["callbackContext"] = answer.callback_context.clone().expect("checked");
                    event["requestData"]["resourceProperties"] = answer.resource_model.clone().expect("checked");
                    last = Some(answer);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        }
        panic!("the operation did not end within {MOST_INVOCATIONS} invocations; the last answered {last:?}");
    }

    /// The primary identifier's members of a model.
    pub fn identifier(&self, model: &Value) -> Value {
        let members = self.schema().primary_identifier.iter();
        Value::Object(members.map(|name| (name.clone(), model[name].clone())).collect())
    }

    fn check(&self, action: Action, answer: &ProgressEvent) {
        if let Some(rule) = breach(self.schema(), Some(action), answer) {
            panic!("{action:?}: {rule}: {answer:?}");
        }
    }
}

/// The first rule of the protocol that an answer breaks. `action` is what was asked for, `None` where that was unreadable.
pub fn breach(schema: &TypeSchema, action: Option<Action>, answer: &ProgressEvent) -> Option<&'static str> {
    let names =
        |model: &Value| schema.primary_identifier.iter().all(|name| model.get(name).is_some_and(|id| !id.is_null()));
    let model = answer.resource_model.as_ref();
    let mut terminal = model.into_iter().chain(answer.resource_models.iter().flatten());
    let tells = |model: &Value| schema.write_only.iter().any(|pointer| lookup(model, pointer).is_some());
    let mut rules = Vec::new();
    match answer.status {
        OperationStatus::InProgress => rules.extend([
            (action.is_some_and(|a| !matches!(a, Action::Read | Action::List)), "READ and LIST cannot be in progress"),
            (model.is_some_and(names), "IN_PROGRESS carries the identifier"),
            (answer.callback_context.as_ref().is_some_and(Value::is_object), "IN_PROGRESS carries a callback context"),
            (answer.callback_delay_seconds.is_some_and(|delay| delay <= 900), "a delay has 900 seconds at most"),
            (answer.error_code.is_none(), "IN_PROGRESS carries no error"),
        ]),
        OperationStatus::Success => {
            let kind = match action {
                None => (false, "an unreadable request cannot succeed"),
                Some(Action::Delete) => (model.is_none(), "DELETE answers no model"),
                Some(Action::List) => {
                    let models = answer.resource_models.as_ref();
                    (models.is_some_and(|models| models.iter().all(names)), "LIST answers models with identifiers")
                }
                Some(_) => (model.is_some_and(names), "SUCCESS carries the model with its identifier"),
            };
            rules.extend([kind, (answer.error_code.is_none(), "SUCCESS carries no error")]);
        }
        OperationStatus::Failed => rules.extend([
            (answer.error_code.is_some(), "FAILED carries a code"),
            (answer.message.as_ref().is_some_and(|message| !message.is_empty()), "FAILED carries a sentence"),
            (answer.resource_models.is_none(), "FAILED carries no list"),
        ]),
    }
    if answer.status != OperationStatus::InProgress {
        rules.extend([
            (!terminal.any(tells), "a terminal answer carries no write-only value"),
            (
                answer.callback_context.is_none() && answer.callback_delay_seconds.is_none(),
                "a terminal answer carries no callback",
            ),
        ]);
    }
    let list = action == Some(Action::List) || (answer.resource_models.is_none() && answer.next_token.is_none());
    rules.push((list, "only LIST answers pages"));
    rules.into_iter().find(|(kept, _)| !kept).map(|(_, rule)| rule)
}

/// CloudFormation recasts every primitive of a template to a string.
pub fn stringly(value: Value) -> Value {
    match value {
        Value::Bool(_) | Value::Number(_) => Value::String(value.to_string()),
        Value::Array(items) => Value::Array(items.into_iter().map(stringly).collect()),
        Value::Object(members) => Value::Object(members.into_iter().map(|(k, v)| (k, stringly(v))).collect()),
        other => other,
    }
}
