//! Stacks, through the CloudFormation API: what `aws cloudformation deploy` does, with the events as they come.

use std::collections::HashSet;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_cloudformation::error::ProvideErrorMetadata;
use aws_sdk_cloudformation::types::{
    Capability, ChangeSetStatus, ChangeSetType, Parameter, Stack, StackEvent, StackResource, StackStatus, Tag,
};

use crate::serve::Endpoints;

/// The region of everything on the laptop.
pub const REGION: &str = "us-east-1";
/// The largest template that a request may carry, bytes; CloudFormation's quota. Larger ones go through S3.
const LARGEST_BODY: usize = 51_200;
const POLL: Duration = Duration::from_millis(200);
const UPLOADS: &str = "cargo-sandbox-templates";
/// The bucket of [`Stacks::put`].
pub const FILES: &str = "sandbox-uploads";

/// Why a stack is not as it was meant to be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("reading {what} {}: {source}", .path.display())]
    Unreadable {
        /// What it should be: `the template`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A service refused a request.
    #[error("{what}: {reason}")]
    Refused {
        /// What was asked.
        what: String,
        /// What the service said.
        reason: String,
    },
    /// The stack must be deleted before it can be deployed.
    #[error(
        "stack {stack} is in {status}, from which it can only be deleted: run `cargo sandbox delete {stack}` first"
    )]
    OnlyDelete {
        /// The stack.
        stack: String,
        /// Its status.
        status: String,
    },
    /// The operation ended in a failure.
    #[error("stack {stack} ended in {status}{}", reasons(.failures))]
    Failed {
        /// The stack.
        stack: String,
        /// Its status.
        status: String,
        /// The resources that failed and why, in order.
        failures: Vec<String>,
    },
}

fn reasons(failures: &[String]) -> String {
    failures.iter().map(|failure| format!("\n  {failure}")).collect()
}

/// What to deploy.
#[derive(Clone, Debug, Default)]
pub struct Deployment {
    /// The stack's name.
    pub stack: String,
    /// The template, YAML or JSON.
    pub body: String,
    /// Parameters that differ from their defaults; on an update the others keep their values.
    pub parameters: Vec<(String, String)>,
    /// Stack tags.
    pub tags: Vec<(String, String)>,
}

/// How a deployment changed its stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The stack is new.
    Created,
    /// The stack was there and differs.
    Updated,
    /// The stack was as the template wants it.
    None,
}

/// Something that wants to see the events of an operation.
pub trait Watch {
    /// An operation begins that changes so many resources (0 if nobody knows).
    fn begin(&mut self, stack: &str, expected: usize);
    /// Something happened.
    fn event(&mut self, event: &StackEvent);
}

/// Nobody watches.
impl Watch for () {
    fn begin(&mut self, _: &str, _: usize) {}
    fn event(&mut self, _: &StackEvent) {}
}

/// The stacks of a sandbox.
#[derive(Clone, Debug)]
pub struct Stacks {
    client: Client,
    s3: aws_sdk_s3::Client,
    aws: String,
}

impl Stacks {
    /// A client for the CloudFormation at `endpoints`.
    pub fn new(endpoints: &Endpoints) -> Self {
        let config = aws_sdk_cloudformation::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&endpoints.aws)
            .region(Region::new(REGION))
            .credentials_provider(credentials())
            .build();
        Stacks { client: Client::from_conf(config), s3: s3(endpoints), aws: endpoints.aws.clone() }
    }

    /// The plain client, for whatever is not wrapped here.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Creates or updates a stack and waits for the end, showing `watch` the events.
    pub async fn deploy(&self, deployment: &Deployment, watch: &mut impl Watch) -> Result<Change, Error> {
        let stack = &deployment.stack;
        let current = self.find(stack).await?;
        let (kind, change) = match current.as_ref().and_then(|stack| stack.stack_status()) {
            None | Some(StackStatus::ReviewInProgress | StackStatus::DeleteComplete) => {
                (ChangeSetType::Create, Change::Created)
            }
            Some(
                status @ (StackStatus::RollbackComplete
                | StackStatus::RollbackFailed
                | StackStatus::CreateFailed
                | StackStatus::DeleteFailed),
            ) => {
                return Err(Error::OnlyDelete { stack: stack.clone(), status: status.to_string() });
            }
            Some(_) => (ChangeSetType::Update, Change::Updated),
        };
        let seen = match kind {
            ChangeSetType::Create => HashSet::new(),
            _ => self.events(stack).await?.iter().filter_map(|e| e.event_id().map(str::to_owned)).collect(),
        };
        let Some((stack_id, change_set, expected)) = self.change_set(deployment, kind, current.as_ref()).await? else {
            return Ok(Change::None);
        };
        watch.begin(stack, expected);
        let execute = self.client.execute_change_set().stack_name(&stack_id).change_set_name(&change_set);
        execute.send().await.map_err(|e| refused(format!("executing the change set of stack {stack}"), &e))?;
        self.follow(stack, &stack_id, seen, watch).await?;
        Ok(change)
    }

    /// Deletes a stack and waits for the end.
    pub async fn delete(&self, stack: &str, watch: &mut impl Watch) -> Result<(), Error> {
        let Some(found) = self.find(stack).await? else {
            return Err(Error::Refused {
                what: format!("deleting stack {stack}"),
                reason: "there is no such stack".into(),
            });
        };
        let id = found.stack_id().unwrap_or(stack);
        let seen = self.events(id).await?.iter().filter_map(|e| e.event_id().map(str::to_owned)).collect();
        watch.begin(stack, self.resources(id).await?.len());
        let delete = self.client.delete_stack().stack_name(id).send().await;
        delete.map_err(|e| refused(format!("deleting stack {stack}"), &e))?;
        self.follow(stack, id, seen, watch).await
    }

    /// The stack of this name or id, unless there is none.
    pub async fn find(&self, stack: &str) -> Result<Option<Stack>, Error> {
        match self.client.describe_stacks().stack_name(stack).send().await {
            Ok(answer) => Ok(answer.stacks.unwrap_or_default().pop()),
            Err(e) if e.message().is_some_and(|message| message.contains("does not exist")) => Ok(None),
            Err(e) => Err(refused(format!("looking for stack {stack}"), &e)),
        }
    }

    /// Every stack that is not deleted.
    pub async fn list(&self) -> Result<Vec<Stack>, Error> {
        let pages = self.client.describe_stacks().into_paginator().items().send();
        pages.try_collect().await.map_err(|e| refused("listing the stacks", &e))
    }

    /// The resources of a stack.
    pub async fn resources(&self, stack: &str) -> Result<Vec<StackResource>, Error> {
        let answer = self.client.describe_stack_resources().stack_name(stack).send().await;
        let answer = answer.map_err(|e| refused(format!("looking at the resources of stack {stack}"), &e))?;
        Ok(answer.stack_resources.unwrap_or_default())
    }

    /// The events of a stack so far, oldest first.
    async fn events(&self, stack: &str) -> Result<Vec<StackEvent>, Error> {
        let pages = self.client.describe_stack_events().stack_name(stack).into_paginator().items().send();
        let mut events: Vec<_> =
            pages.try_collect().await.map_err(|e| refused(format!("following the events of stack {stack}"), &e))?;
        events.reverse();
        Ok(events)
    }

    /// A change set that is ready: the stack's id, the set's and its number of changes. None if it would change nothing.
    async fn change_set(
        &self,
        deployment: &Deployment,
        kind: ChangeSetType,
        current: Option<&Stack>,
    ) -> Result<Option<(String, String, usize)>, Error> {
        let stack = &deployment.stack;
        let what = format!("creating a change set for stack {stack}");
        let (body, url) = match deployment.body.len() > LARGEST_BODY {
            true => (None, Some(self.upload(deployment).await?)),
            false => (Some(deployment.body.clone()), None),
        };
        let created = async {
            let summary = self.client.get_template_summary();
            let summary = summary.set_template_body(body.clone()).set_template_url(url.clone()).send().await;
            let summary = summary.map_err(|e| refused(format!("reading the template of stack {stack}"), &e))?;
            let declared: Vec<_> = summary.parameters().iter().filter_map(|p| p.parameter_key()).collect();
            let parameters = parameters(deployment, &declared, current)?;
            let request = self
                .client
                .create_change_set()
                .stack_name(stack)
                .change_set_name(format!("cargo-sandbox-{}", uuid::Uuid::new_v4().simple()))
                .change_set_type(kind)
                .capabilities(Capability::CapabilityNamedIam)
                .capabilities(Capability::CapabilityAutoExpand)
                .set_parameters(Some(parameters))
                // None given keeps those that the stack has.
                .set_tags((!deployment.tags.is_empty()).then(|| tags(&deployment.tags)))
                .set_template_body(body)
                .set_template_url(url.clone());
            request.send().await.map_err(|e| refused(&what, &e))
        };
        let created = created.await;
        if url.is_some() {
            self.remove_upload(deployment).await?;
        }
        let created = created?;
        let (Some(id), Some(stack_id)) = (created.id, created.stack_id) else {
            return Err(Error::Refused { what, reason: "the answer has no id".to_owned() });
        };
        loop {
            let set = self.client.describe_change_set().change_set_name(&id).send().await;
            let set = set.map_err(|e| refused(&what, &e))?;
            match set.status() {
                Some(ChangeSetStatus::CreateComplete) => return Ok(Some((stack_id, id, set.changes().len()))),
                Some(ChangeSetStatus::Failed) => {
                    let reason = set.status_reason().unwrap_or("no reason was given").to_owned();
                    let nothing = reason.contains("didn't contain changes") || reason.contains("No updates");
                    let delete = self.client.delete_change_set().change_set_name(&id).send().await;
                    delete.map_err(|e| refused(format!("deleting the change set of stack {stack}"), &e))?;
                    return if nothing { Ok(None) } else { Err(Error::Refused { what, reason }) };
                }
                _ => tokio::time::sleep(POLL).await,
            }
        }
    }

    /// Puts a file into the bucket [`FILES`] under its own name, where a template finds it: the package of a function.
    pub async fn put(&self, file: &Path) -> Result<(), Error> {
        let unreadable = |source| Error::Unreadable { what: "the file to upload", path: file.to_owned(), source };
        let body = tokio::fs::read(file).await.map_err(unreadable)?;
        let key = file.file_name().unwrap_or_default().to_string_lossy();
        // An earlier upload may have made it already.
        let _ = self.s3.create_bucket().bucket(FILES).send().await;
        let put = self.s3.put_object().bucket(FILES).key(key).body(body.into()).send().await;
        put.map_err(|e| refused(format!("uploading {}", file.display()), &e))?;
        Ok(())
    }

    async fn upload(&self, deployment: &Deployment) -> Result<String, Error> {
        let what = || format!("uploading the template of stack {}", deployment.stack);
        // Somebody else's deployment may have made it already.
        let _ = self.s3.create_bucket().bucket(UPLOADS).send().await;
        let put = self.s3.put_object().bucket(UPLOADS).key(&deployment.stack);
        let body = deployment.body.clone().into_bytes().into();
        put.body(body).send().await.map_err(|e| refused(what(), &e))?;
        Ok(format!("{}/{UPLOADS}/{}", self.aws, deployment.stack))
    }

    async fn remove_upload(&self, deployment: &Deployment) -> Result<(), Error> {
        let delete = self.s3.delete_object().bucket(UPLOADS).key(&deployment.stack).send().await;
        delete.map_err(|e| refused(format!("removing the uploaded template of stack {}", deployment.stack), &e))?;
        // Another deployment's template may still be in it.
        let _ = self.s3.delete_bucket().bucket(UPLOADS).send().await;
        Ok(())
    }

    /// Shows the events that are not in `seen` until one of them says that the operation has ended.
    async fn follow(
        &self,
        stack: &str,
        id: &str,
        mut seen: HashSet<String>,
        watch: &mut impl Watch,
    ) -> Result<(), Error> {
        let mut failures = Vec::new();
        loop {
            for event in self.events(id).await? {
                if !seen.insert(event.event_id().unwrap_or_default().to_owned()) {
                    continue;
                }
                watch.event(&event);
                failures.extend(failure(&event));
                // Not from DescribeStacks, which may still have the status from before the operation.
                let own = event.physical_resource_id() == Some(id);
                match event.resource_status().map_or("", |status| status.as_str()) {
                    status if !own || status.ends_with("_IN_PROGRESS") => {}
                    "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "DELETE_COMPLETE" => return Ok(()),
                    status => {
                        return Err(Error::Failed { stack: stack.to_owned(), status: status.to_owned(), failures });
                    }
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Credentials that the sandbox takes; it checks none.
pub(crate) fn credentials() -> Credentials {
    Credentials::new("sandbox", "sandbox", None, None, "sandbox")
}

/// A client for the S3 at `endpoints`.
pub fn s3(endpoints: &Endpoints) -> aws_sdk_s3::Client {
    s3_of(endpoints, REGION)
}

/// A client for the S3 of another region at `endpoints`.
pub fn s3_of(endpoints: &Endpoints, region: &str) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(&endpoints.aws)
        .region(Region::new(region.to_owned()))
        .credentials_provider(credentials())
        .force_path_style(true)
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

/// The name of a stack for which the user gave none: that of the template, or of its folder if the template is called
/// just that.
pub fn stack_name(template: &Path) -> String {
    let stem = template.file_stem().unwrap_or_default().to_string_lossy();
    let folder = template.canonicalize().ok().and_then(|path| Some(path.parent()?.file_name()?.to_owned()));
    let base = match folder {
        Some(folder) if stem == "template" => folder.to_string_lossy().into_owned(),
        _ => stem.into_owned(),
    };
    let name: String = base.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let name = name.trim_matches('-');
    match name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        true => name.to_owned(),
        false => format!("stack-{name}").trim_end_matches('-').to_owned(),
    }
}

/// What was given, and the previous value of whatever else the template declares and the stack has.
fn parameters(deployment: &Deployment, declared: &[&str], current: Option<&Stack>) -> Result<Vec<Parameter>, Error> {
    let given = &deployment.parameters;
    if let Some((unknown, _)) = given.iter().find(|(key, _)| !declared.contains(&key.as_str())) {
        return Err(Error::Refused {
            what: format!("setting the parameter {unknown} of stack {}", deployment.stack),
            reason: match declared {
                [] => "the template declares no parameters".to_owned(),
                _ => format!("the template declares only {}", declared.join(", ")),
            },
        });
    }
    let has = |key: &str| current.is_some_and(|s| s.parameters().iter().any(|p| p.parameter_key() == Some(key)));
    let kept = declared.iter().filter(|key| has(key) && !given.iter().any(|(given, _)| given == *key));
    let given = given.iter();
    Ok(given
        .map(|(key, value)| Parameter::builder().parameter_key(key).parameter_value(value).build())
        .chain(kept.map(|key| Parameter::builder().parameter_key(*key).use_previous_value(true).build()))
        .collect())
}

fn tags(tags: &[(String, String)]) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// `Account (Azure::Storage::StorageAccount): why` for an event that tells of a failure of its own.
fn failure(event: &StackEvent) -> Option<String> {
    let status = event.resource_status()?.as_str();
    let reason = event.resource_status_reason()?;
    let own = status.ends_with("_FAILED") && !reason.ends_with("cancelled");
    own.then(|| {
        let logical = event.logical_resource_id().unwrap_or_default();
        format!("{logical} ({}): {reason}", event.resource_type().unwrap_or_default())
    })
}

/// A service's refusal as an error, in the service's own words if it had any.
pub(crate) fn refused<E>(what: impl Display, error: &E) -> Error
where
    E: ProvideErrorMetadata + std::error::Error,
{
    let reason = match (error.code(), error.message()) {
        // A parser's complaint comes with line breaks and a picture of the place.
        (Some(code), Some(message)) => {
            format!("{} ({code})", message.split_whitespace().collect::<Vec<_>>().join(" "))
        }
        _ => aws_sdk_cloudformation::error::DisplayErrorContext(error).to_string(),
    };
    Error::Refused { what: what.to_string(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_are_named_after_their_templates() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("s3-and-azure");
        std::fs::create_dir(&folder).unwrap();
        for (file, name) in [
            ("template.yaml", "s3-and-azure"),
            ("backup_v2.json", "backup-v2"),
            ("2nd.yaml", "stack-2nd"),
            ("_.yaml", "stack"),
        ] {
            std::fs::write(folder.join(file), "").unwrap();
            assert_eq!(stack_name(&folder.join(file)), name);
        }
    }

    #[test]
    fn keeps_the_values_of_parameters_that_were_not_given() {
        let stack = ["Kept", "Given", "Gone"]
            .iter()
            .fold(Stack::builder(), |stack, key| stack.parameters(Parameter::builder().parameter_key(*key).build()));
        let stack = stack.build();
        let mut deployment = Deployment { parameters: vec![("Given".into(), "new".into())], ..Deployment::default() };
        let declared = ["Added", "Kept", "Given"];
        let sent = parameters(&deployment, &declared, Some(&stack)).unwrap();
        let sent: Vec<_> =
            sent.iter().map(|p| (p.parameter_key().unwrap(), p.parameter_value(), p.use_previous_value())).collect();
        assert_eq!(sent, [("Given", Some("new"), None), ("Kept", None, Some(true))]);

        deployment.stack = "toy".into();
        deployment.parameters.push(("Gone".into(), "x".into()));
        let error = parameters(&deployment, &declared, Some(&stack)).unwrap_err().to_string();
        let expected = "setting the parameter Gone of stack toy: the template declares only Added, Kept, Given";
        assert_eq!(error, expected);
    }
}
