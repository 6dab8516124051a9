//! The CloudFormation contract, written once.
//!
//! # Guarantees
//! - **The identifier is durable before the service hears of the resource.** The first CREATE invocation validates,
//!   settles the identifier, makes sure that nothing has it, and returns IN_PROGRESS; the next one creates. If the process
//!   dies after the service accepted the create, CloudFormation already knows what to delete, and the repeated create
//!   finds its own work instead of AlreadyExists.
//! - The first CREATE invocation never returns IN_PROGRESS for a resource it did not find absent: CloudFormation deletes
//!   what carries a returned identifier when the create fails. The exceptions are an identifier made from this very
//!   request's token, since what has it is this request's own work from an answer that was lost, and one that only the
//!   service can make ([`Resource::claim`]).
//! - A version of the handler that is deployed in the middle of an operation finishes it ([`crate::progress`]).
//! - Every invocation answers within its budget; one that runs out of time is continued, and repeated, by a callback.
//! - Only `NotFound` means absent.
//! - SUCCESS of CREATE and UPDATE carries what the service reads back, and it agrees with what the template asked for.
//! - Write-only values leave with IN_PROGRESS, where CloudFormation needs them for the next call, and never otherwise.

use crate::{
    error::{Error, HandlerErrorCode, Result, Retry},
    limits, model,
    progress::{LONGEST_DELAY, Progress, Stage},
    protocol::{Action, Invocation, ProgressEvent},
    resource::{Change, Claim, Context, Provider, Request, Resource, Step, identifier},
    schema::{self, TypeSchema},
};
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// How long read-back may disagree with the template before the operation fails with `NotStabilized`.
const SETTLING: Duration = Duration::from_secs(120);
/// The shortest wait between two looks, whoever asked for it.
const SHORTEST_DELAY: Duration = Duration::from_secs(1);

/// What an invocation found out.
enum Outcome {
    Done(Option<Value>),
    Again(Duration),
}

struct Operation<'a, R: Resource> {
    action: Action,
    schema: &'static TypeSchema,
    /// The desired model, or what is known of the resource.
    model: Value,
    previous: &'a Option<serde_json::Map<String, Value>>,
    cx: Context<R::Provider>,
}

/// Answers one invocation for the type `R`, before `deadline`.
pub(crate) async fn handle<R: Resource>(invocation: &Invocation, deadline: Instant) -> ProgressEvent {
    match run::<R>(invocation, deadline).await.and_then(bounded) {
        Ok(event) => event,
        Err(error) => {
            tracing::warn!(code = ?error.code, cause = cause(&error), "{}", error.message);
            ProgressEvent::failed(&error)
        }
    }
}

/// Refuses an answer that CloudFormation could not take or not send back.
fn bounded(event: ProgressEvent) -> Result<ProgressEvent> {
    limits::answered("the model", &event.resource_model, limits::MODEL)?;
    limits::answered("the callback context", &event.callback_context, limits::CALLBACK_CONTEXT)?;
    limits::answered("the page of models", &event.resource_models, limits::PAYLOAD)?;
    Ok(event)
}

fn cause(error: &Error) -> Option<String> {
    std::error::Error::source(error).map(ToString::to_string)
}

async fn run<R: Resource>(invocation: &Invocation, deadline: Instant) -> Result<ProgressEvent> {
    let action = invocation.action;
    let data = &invocation.request_data;
    let schema = schema::of::<R>();
    let mut model = Value::Object(data.resource_properties.clone().unwrap_or_default());
    model::coerce(schema, &mut model);

    let callback =
        invocation.callback_context.as_ref().filter(|context| context.as_object().is_some_and(|c| !c.is_empty()));
    if callback.is_none() && matches!(action, Action::Create | Action::Update) {
        validate(schema, &model).map_err(|error| error.while_doing(subject::<R>(action, &model)))?;
    }

    let request = Request::new(invocation, deadline);
    let cx = Context { provider: open::<R>(data.type_configuration.as_ref(), &request)?, request };
    let operation = Operation::<R> { action, schema, model, previous: &data.previous_resource_properties, cx };
    match action {
        Action::Read => operation.bounded(operation.read()).await,
        Action::List => operation.bounded(operation.list(invocation.next_token.as_deref())).await,
        Action::Create | Action::Update | Action::Delete => match callback {
            Some(callback) => {
                let progress = Progress::read(callback, &operation.model, |id| identifier::<R>(id).is_ok())
                    .map_err(|error| error.while_doing(subject::<R>(action, &operation.model)))?;
                operation.advance(progress).await
            }
            None => operation.begin().await,
        },
    }
}

fn validate(schema: &TypeSchema, model: &Value) -> Result<()> {
    if let Some(pointer) = model::unresolved(model) {
        return Err(Error::invalid_request(format!(
            "{pointer}: a dynamic reference {{{{resolve:…}}}} arrived unresolved; CloudFormation resolves it only where the \
             type and the property allow it, so give the value itself or a parameter"
        )));
    }
    schema.validate(model)
}

fn open<R: Resource>(configuration: Option<&Value>, request: &Request) -> Result<R::Provider> {
    let invalid = |message: String| {
        Error::new(
            HandlerErrorCode::InvalidTypeConfiguration,
            format!(
                "the type configuration of {}: {message}; set it with `aws cloudformation set-type-configuration`",
                R::TYPE_NAME
            ),
        )
    };
    let configuration = match configuration {
        // CloudFormation hands it over as an object; older callers as its text.
        Some(Value::String(text)) => serde_json::from_str(text).map_err(|_| invalid("is not JSON".into()))?,
        Some(value) => value.clone(),
        None => Value::Object(serde_json::Map::new()),
    };
    let typed = serde_json::from_value(configuration.clone()).map_err(|error| {
        let misfits = schema::of::<R>().misfits(&configuration);
        invalid(if misfits.is_empty() { without_values(&error.to_string()) } else { misfits })
    })?;
    R::Provider::open(typed, request)
}

/// serde quotes a value of the wrong type, which may be a secret: names of members are all that may be shown.
fn without_values(error: &str) -> String {
    if error.starts_with("missing field") || error.starts_with("unknown field") {
        error.to_owned()
    } else {
        "a member has a value of the wrong type".to_owned()
    }
}

/// What an error sentence is about: `creating Azure::Storage::BlobContainer x`.
fn subject<R: Resource>(action: Action, model: &Value) -> String {
    let known = identifier::<R>(model).map(|id| format!(" {id}")).unwrap_or_default();
    format!("{} {}{known}", action.gerund(), R::TYPE_NAME)
}

impl<R: Resource> Operation<'_, R> {
    async fn read(&self) -> Result<ProgressEvent> {
        let id = identifier::<R>(&self.model)?;
        let model = R::read(&id, &self.cx).await?;
        Ok(ProgressEvent::success(Some(self.answer(&model)?)))
    }

    async fn list(&self, next_token: Option<&str>) -> Result<ProgressEvent> {
        if let Some(missing) = R::LIST_BY.iter().find(|name| self.model.get(**name).is_none()) {
            return Err(Error::invalid_request(format!("/{missing} is required to list")));
        }
        let page = R::list(&self.typed(&self.model)?, next_token, &self.cx).await?;
        let models = page.models.iter().map(|model| self.answer(model)).collect::<Result<_>>()?;
        Ok(ProgressEvent::page(models, page.next))
    }

    /// READ and LIST cannot express IN_PROGRESS: they answer within their budget or fail.
    async fn bounded(&self, answer: impl Future<Output = Result<ProgressEvent>>) -> Result<ProgressEvent> {
        timeout_at(self.cx.request.deadline, answer)
            .await
            .unwrap_or_else(|_| Err(self.late()))
            .map_err(|error| error.while_doing(subject::<R>(self.action, &self.model)))
    }

    fn late(&self) -> Error {
        Error::new(HandlerErrorCode::NetworkFailure, "the service did not answer within the time of one invocation")
            .transient(Retry::default())
    }

    /// The first invocation of CREATE, UPDATE or DELETE.
    async fn begin(mut self) -> Result<ProgressEvent> {
        let about = subject::<R>(self.action, &self.model);
        if self.action != Action::Delete {
            self.typed(&self.model)?.check().map_err(|error| error.while_doing(&about))?;
        }
        if self.action != Action::Create {
            let id = identifier::<R>(&self.model).map_err(|error| error.while_doing(&about))?;
            return self.advance(Progress::begin(&id)?).await;
        }
        let mut desired = self.typed(&self.model)?;
        if let Some(Claim { id, found }) = self.claimed(&desired).await.map_err(|error| error.while_doing(&about))? {
            return self.begun(&desired, Progress { found, ..Progress::begin(&id)? }, &id);
        }
        let id = desired.identify(&self.cx).map_err(|error| error.while_doing(&about))?;
        let about = format!("{about} {id}");
        let found =
            timeout_at(self.cx.request.deadline, R::read(&id, &self.cx)).await.unwrap_or_else(|_| Err(self.late()));
        match found {
            Ok(_) if self.is_of_this_request(&id) => {
                self.begun(&desired, Progress { found: true, ..Progress::begin(&id)? }, &id)
            }
            Ok(_) => Err(Error::new(
                HandlerErrorCode::AlreadyExists,
                "it already exists; import it into the stack, or give it another name or none",
            )
            .while_doing(about)),
            Err(error) if error.is_not_found() => self.begun(&desired, Progress::begin(&id)?, &id),
            Err(error) => Err(error.while_doing(about)),
        }
    }

    /// What only the service can name. A failure that waiting may mend is repeated while this invocation has time, since a
    /// FAILED would leave behind what the call before may have made.
    async fn claimed(&self, desired: &R) -> Result<Option<Claim<R::Id>>> {
        let mut last = None;
        let claimed = timeout_at(self.cx.request.deadline, async {
            loop {
                let error = match desired.claim(&self.cx).await {
                    Err(error) => error,
                    claimed => return claimed,
                };
                let Some(retry) = error.retry() else { return Err(error) };
                tracing::info!(code = ?error.code, "claiming a {}: {}; trying again", R::TYPE_NAME, error.message);
                last = Some(error);
                sleep(retry.after.unwrap_or(SHORTEST_DELAY)).await;
            }
        })
        .await;
        claimed.unwrap_or_else(|_| Err(last.unwrap_or_else(|| self.late())))
    }

    /// CREATE's first answer: CloudFormation knows the identifier from now on.
    fn begun(&self, desired: &R, progress: Progress, id: &R::Id) -> Result<ProgressEvent> {
        let (model, context) = (self.named(desired, id)?, progress.to_context()?);
        Ok(ProgressEvent::in_progress(model, context, Duration::ZERO, self.warnings()))
    }

    /// What the type warns of in the desired model, for the log and as a message.
    fn warnings(&self) -> Option<String> {
        if self.action == Action::Delete {
            return None;
        }
        let warnings = self.typed(&self.model).map(|desired| desired.warnings()).unwrap_or_default();
        warnings.iter().for_each(|warning| tracing::warn!("{}: {warning}", R::TYPE_NAME));
        (!warnings.is_empty()).then(|| format!("warning: {}", warnings.join("; ")))
    }

    /// Whether the identifier was made from this request's token, so that nobody else can have taken it: what has it was
    /// made by an earlier delivery of the same request.
    fn is_of_this_request(&mut self, id: &R::Id) -> bool {
        let Some(token) = self.cx.request.token.clone().filter(|token| !token.is_empty()) else { return false };
        let Ok(mut desired) = self.typed(&self.model) else { return false };
        self.cx.request.token = Some(format!("not {token}"));
        let other = desired.identify(&self.cx);
        self.cx.request.token = Some(token);
        other.is_ok_and(|other| other != *id)
    }

    /// Any invocation of CREATE after the first, and every one of UPDATE and DELETE.
    async fn advance(mut self, mut progress: Progress) -> Result<ProgressEvent> {
        let id: R::Id = serde_json::from_value(progress.id.clone()).map_err(|error| {
            Error::new(HandlerErrorCode::InternalFailure, format!("the callback context names no identifier: {error}"))
        })?;
        // A foreign context may have been the whole model, and a callback context holds no more than the identifier.
        progress.id = serde_json::to_value(&id).map_err(Error::internal)?;
        if let (Value::Object(model), Value::Object(id)) = (&mut self.model, &progress.id) {
            model.extend(id.clone());
        }
        let about = format!("{} {} {id}", self.action.gerund(), R::TYPE_NAME);
        let patience = Duration::from_secs(u64::from(R::TIMEOUT_MINUTES) * 60);
        let first = progress.attempt == 0 && progress.stage == Stage::Act;
        let outcome = timeout_at(self.cx.request.deadline, self.work(&mut progress, &id, first))
            .await
            .unwrap_or_else(|_| Err(self.late()));
        let (delay, message) = match outcome {
            Ok(Outcome::Done(model)) => {
                return Ok(ProgressEvent { message: self.warnings(), ..ProgressEvent::success(model) });
            }
            Ok(Outcome::Again(delay)) => (delay, None),
            Err(error) => match error.retry() {
                Some(retry) => {
                    let delay = retry.after.unwrap_or_else(|| progress.backoff());
                    let within = retry.within.unwrap_or(patience).min(patience);
                    if progress.elapsed() + delay > within {
                        return Err(error.while_doing(about));
                    }
                    tracing::info!(code = ?error.code, attempt = progress.attempt, "{about}: {}; trying again", error.message);
                    (delay, Some(error.message))
                }
                None => return Err(error.while_doing(about)),
            },
        };
        if progress.elapsed() > patience {
            let error = format!("{about}: not finished after {} minutes", R::TIMEOUT_MINUTES);
            return Err(Error::new(HandlerErrorCode::NotStabilized, error));
        }
        let delay = delay.clamp(SHORTEST_DELAY, LONGEST_DELAY);
        Ok(ProgressEvent::in_progress(self.model, progress.into_context()?, delay, message))
    }

    async fn work(&self, progress: &mut Progress, id: &R::Id, first: bool) -> Result<Outcome> {
        let step = match &progress.stage {
            Stage::Settle => return self.settle(progress, id).await,
            Stage::Wait(on) => match serde_json::from_value(on.clone()) {
                Ok(wait) => R::resume(wait, id, &self.cx).await?,
                Err(_) => {
                    tracing::warn!("another version of the handler began to wait here; acting again");
                    match self.act(id, false).await? {
                        Some(step) => step,
                        None => return Ok(Outcome::Done(None)),
                    }
                }
            },
            Stage::Act => match self.act(id, first).await? {
                Some(step) => step,
                None => return Ok(Outcome::Done(None)),
            },
        };
        match step {
            Step::Done => {
                progress.turn(Stage::Settle);
                self.settle(progress, id).await
            }
            Step::Wait { on, after } => {
                let on = Stage::Wait(serde_json::to_value(on).map_err(Error::internal)?);
                if on != progress.stage {
                    progress.turn(on);
                }
                Ok(Outcome::Again(after))
            }
        }
    }

    /// Asks the service for the change; `None` where a repeated DELETE finds nothing left to do.
    async fn act(&self, id: &R::Id, first: bool) -> Result<Option<Step<R::Wait>>> {
        let desired = self.typed(&self.model)?;
        match self.action {
            Action::Create => desired.create(id, &self.cx).await.map(Some),
            Action::Update => {
                let current = R::read(id, &self.cx).await?;
                let previous = match self.previous {
                    Some(previous) => {
                        let mut previous = Value::Object(previous.clone());
                        model::coerce(self.schema, &mut previous);
                        previous
                    }
                    None => self.answer(&current)?,
                };
                self.refuse_replacement(&previous)?;
                let previous = self.typed(&previous)?;
                desired.update(id, Change { current, previous }, &self.cx).await.map(Some)
            }
            Action::Delete => match R::read(id, &self.cx).await {
                Ok(_) => desired.delete(id, &self.cx).await.map(Some),
                Err(error) if error.is_not_found() && !first => Ok(None),
                Err(error) => Err(error),
            },
            Action::Read | Action::List => unreachable!("they do not advance"),
        }
    }

    fn refuse_replacement(&self, before: &Value) -> Result<()> {
        let replaced = self.schema.replaced(before, &self.model);
        if replaced.is_empty() {
            return Ok(());
        }
        Err(Error::new(
            HandlerErrorCode::NotUpdatable,
            format!("{} cannot change in place; the resource must be replaced", replaced.join(", ")),
        ))
    }

    /// Reads back until the service shows the change.
    async fn settle(&self, progress: &mut Progress, id: &R::Id) -> Result<Outcome> {
        let read = R::read(id, &self.cx).await;
        if self.action == Action::Delete {
            return match read {
                Ok(_) => Ok(Outcome::Again(progress.backoff())),
                Err(error) if error.is_not_found() => Ok(Outcome::Done(None)),
                Err(error) => Err(error),
            };
        }
        let patient = progress.settling() < SETTLING;
        let read = match read {
            Ok(model) => model,
            Err(error) if error.is_not_found() && patient => return Ok(Outcome::Again(progress.backoff())),
            Err(error) => return Err(error),
        };
        let mut desired = self.model.clone();
        model::strip(&mut desired, &self.schema.write_only);
        // Whoever updates from what was read sends these along, and the change may change them.
        model::strip(&mut desired, &self.schema.read_only);
        let normalized =
            model::without_nulls(serde_json::to_value(self.typed(&desired)?.normalized()).map_err(Error::internal)?);
        let mut actual = self.answer(&read)?;
        let differences = model::difference(self.schema, &normalized, &self.answer(&read.normalized())?);
        if differences.is_empty() {
            model::restore(&desired, &normalized, &mut actual);
            model::respell(&desired, &mut actual);
            return Ok(Outcome::Done(Some(actual)));
        }
        if patient {
            return Ok(Outcome::Again(progress.backoff()));
        }
        Err(Error::new(
            HandlerErrorCode::NotStabilized,
            format!(
                "the service accepted the change, but {} s later it still answers another value at {}",
                SETTLING.as_secs(),
                differences.join(", ")
            ),
        ))
    }

    /// A model as CloudFormation gets it from a terminal status.
    fn answer(&self, model: &R) -> Result<Value> {
        let mut value = model::without_nulls(serde_json::to_value(model).map_err(Error::internal)?);
        model::strip(&mut value, &self.schema.write_only);
        Ok(value)
    }

    /// The desired model with its settled name and identifier.
    fn named(&self, desired: &R, id: &R::Id) -> Result<Value> {
        let mut value = model::without_nulls(serde_json::to_value(desired).map_err(Error::internal)?);
        if let Value::Object(model) = &mut value {
            model.extend(model::into_object(serde_json::to_value(id).map_err(Error::internal)?));
        }
        Ok(value)
    }

    fn typed(&self, model: &Value) -> Result<R> {
        self.decode(model.clone())
    }

    fn decode<T: serde::de::DeserializeOwned>(&self, value: Value) -> Result<T> {
        // The text could quote a write-only value, so it goes to the log without its values.
        serde_json::from_value(value).map_err(|error| {
            Error::invalid_request(format!("the model of {} does not fit its schema", R::TYPE_NAME))
                .caused_by(without_values(&error.to_string()))
        })
    }
}
