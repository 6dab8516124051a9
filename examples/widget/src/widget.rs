//! `Example::Demo::Widget`: a text in a file, so that it outlives the process that wrote it.

use cfn_provider::{
    Change, Context, Error, HandlerErrorCode, Never, Page, Provider, Request, Resource, Result, Step, Tag,
    schema::{create_only, primary_identifier, read_only, tags},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, fs, io, path::PathBuf};

/// Resource Type definition for Example::Demo::Widget, a text with a name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Widget {
    /// The name; derived from the stack and the logical id where the template gives none.
    #[schemars(transform = create_only, transform = primary_identifier, regex(pattern = "^[a-z0-9-]{1,64}$"))]
    name: Option<String>,
    /// The text.
    #[schemars(required, length(min = 1, max = 1024))]
    text: Option<String>,
    /// How often the text was set.
    #[schemars(transform = read_only)]
    revision: Option<u32>,
    /// The tags.
    #[schemars(transform = tags)]
    tags: Option<Vec<Tag>>,
}

/// The primary identifier: all that READ and DELETE may rely on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Id {
    name: String,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The type configuration, set once for an account and a region.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Configuration {
    /// Where the widgets are kept; `/tmp/widgets` by default.
    directory: Option<PathBuf>,
}

/// The service, opened for each invocation.
pub(crate) struct Folder(PathBuf);

impl Provider for Folder {
    type Configuration = Configuration;
    const PERMISSIONS: &'static [&'static str] = &[];

    fn open(configuration: Configuration, _: &Request) -> Result<Self> {
        let folder = configuration.directory.unwrap_or_else(|| "/tmp/widgets".into());
        fs::create_dir_all(&folder).map_err(explain)?;
        Ok(Self(folder))
    }
}

impl Folder {
    /// Where a widget is. A READ or DELETE may name what no template could.
    fn file(&self, Id { name }: &Id) -> Result<PathBuf> {
        let named = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if named { Ok(self.0.join(name)) } else { Err(Error::not_found("no widget has such a name")) }
    }
}

/// What the service fails with, in CloudFormation's terms.
fn explain(error: io::Error) -> Error {
    let code = match error.kind() {
        io::ErrorKind::NotFound => return Error::not_found("there is no such widget").caused_by(error),
        io::ErrorKind::PermissionDenied => HandlerErrorCode::AccessDenied,
        io::ErrorKind::StorageFull => HandlerErrorCode::ServiceLimitExceeded,
        _ => HandlerErrorCode::GeneralServiceException,
    };
    Error::new(code, error.to_string()).caused_by(error)
}

type Cx = Context<Folder>;

impl Widget {
    fn load(path: PathBuf) -> Result<Self> {
        serde_json::from_slice(&fs::read(path).map_err(explain)?).map_err(Error::internal)
    }

    /// Writes the widget whole or not at all.
    fn store(self, revision: u32, id: &Id, cx: &Cx) -> Result<()> {
        let tags = Some(Tag::list(cx.request.desired_tags(self.tags.as_deref())));
        let widget = Self { name: Some(id.name.clone()), revision: Some(revision), tags, ..self };
        let (path, new) = (cx.provider.file(id)?, cx.provider.0.join(format!(".{}", id.name)));
        fs::write(&new, serde_json::to_vec(&widget).map_err(Error::internal)?).map_err(explain)?;
        fs::rename(new, path).map_err(explain)
    }
}

impl Resource for Widget {
    const TYPE_NAME: &'static str = "Example::Demo::Widget";
    type Provider = Folder;
    type Id = Id;
    type Wait = Never;

    fn identify(&mut self, cx: &Cx) -> Result<Id> {
        let name = self.name.get_or_insert_with(|| cx.request.derive_name(64, "-"));
        Ok(Id { name: name.clone() })
    }

    async fn create(&self, id: &Id, cx: &Cx) -> Result<Step<Never>> {
        self.clone().store(1, id, cx).map(|()| Step::Done)
    }

    async fn read(id: &Id, cx: &Cx) -> Result<Self> {
        Self::load(cx.provider.file(id)?)
    }

    async fn update(&self, id: &Id, change: Change<Self>, cx: &Cx) -> Result<Step<Never>> {
        let revision = change.current.revision.unwrap_or_default() + u32::from(self.text != change.current.text);
        self.clone().store(revision, id, cx).map(|()| Step::Done)
    }

    async fn delete(&self, id: &Id, cx: &Cx) -> Result<Step<Never>> {
        fs::remove_file(cx.provider.file(id)?).map_err(explain).map(|()| Step::Done)
    }

    async fn list(&self, page: Option<&str>, cx: &Cx) -> Result<Page<Self>> {
        const PAGE: usize = 100;
        let files = fs::read_dir(&cx.provider.0).map_err(explain)?;
        let mut names: Vec<String> = files.flatten().filter_map(|file| file.file_name().into_string().ok()).collect();
        names.retain(|name| !name.starts_with('.') && Some(name.as_str()) > page);
        names.sort();
        // Another process may have deleted one since.
        let models = names.iter().take(PAGE).filter_map(|name| Self::load(cx.provider.0.join(name)).ok()).collect();
        Ok(Page { models, next: (names.len() > PAGE).then(|| names[PAGE - 1].clone()) })
    }

    async fn resume(wait: Never, _: &Id, _: &Cx) -> Result<Step<Never>> {
        match wait {}
    }
}

#[cfg(test)]
mod tests;
