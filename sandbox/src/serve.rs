//! The whole sandbox: everything started together, on loopback, and stopped together.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::azure::{self, Authority, Emulator};
use crate::component::{self, Component, free_port};
use crate::lambda::{self, Function, Lambda};
use crate::sts::{EXECUTION_ROLE, ISSUER, Sts};
use crate::{azurite, cloudformation, tools};

/// The name under which the Lambda serves the Azure types, that of the cargo binary.
pub const FUNCTION: &str = "bootstrap";
/// The same for the types of AWS in another region.
pub const CROSS_REGION: &str = "cross-region";
const RUN: &str = "run-";
/// Locked as long as its folder has an owner; the kernel unlocks the files of the dead.
const IN_USE: &str = "in-use";

/// Why the sandbox does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A tool could not be installed.
    #[error(transparent)]
    Tool(#[from] tools::Error),
    /// The emulator could not be started.
    #[error("starting the Azure emulator: {0}")]
    Azure(#[from] azure::Error),
    /// A component did not start, or ended.
    #[error(transparent)]
    Component(#[from] component::Error),
    /// Another `serve` runs.
    #[error(
        "a sandbox is already running, its CloudFormation at {0}: stop it first, or use it with `cargo sandbox deploy`"
    )]
    Running(String),
    /// The system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
}

/// Where everything is; all that a client of a running sandbox has to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Endpoints {
    /// CloudFormation, S3 and the rest of AWS, `http://127.0.0.1:PORT`.
    pub aws: String,
    /// STS, which signs web identity tokens; the rest of it is the AWS behind it.
    pub sts: String,
    /// The Lambda that serves the handlers.
    pub lambda: String,
    /// Azure Resource Manager and Entra, `https://127.0.0.1:PORT`.
    pub azure: String,
    /// The blob service; an account's endpoint is `BLOB/ACCOUNT`.
    pub blob: String,
    /// The certificate to trust for both of Azure's, PEM.
    pub certificate_authority: PathBuf,
    /// The type configuration of the Azure types, JSON.
    pub type_configuration: PathBuf,
    /// The logs of the components.
    pub logs: PathBuf,
}

/// Everything, running; dropping it stops everything and removes its data.
pub struct Sandbox {
    endpoints: Endpoints,
    emulator: Emulator,
    lambda: Lambda,
    sts: Sts,
    azurite: Component,
    cloudformation: Component,
    folder: tempfile::TempDir,
    _in_use: File,
}

impl Sandbox {
    /// Installs what is missing, builds the handlers and starts everything.
    ///
    /// AWS listens on `port`, then Lambda, Azure, blobs and STS on the next four; 0 takes whatever is free.
    pub async fn start(port: u16) -> Result<Sandbox, Error> {
        let (node, python, [bootstrap, cross_region]) = blocking(|| {
            let node = azurite::install()?;
            let python = cloudformation::install()?;
            let executables = lambda::build([FUNCTION, CROSS_REGION]).map_err(failed("building the handlers"))?;
            Ok::<_, Error>((node, python, executables))
        })
        .await?;

        let [aws_port, lambda_port, azure_port, blob_port, sts_port] = ports(port)?;
        let parent = home();
        let folder = fs::create_dir_all(&parent)
            .and_then(|()| tempfile::Builder::new().prefix(RUN).tempdir_in(&parent))
            .map_err(failed(format!("making a folder in {}", parent.display())))?;
        remove_abandoned(&parent);
        let in_use = File::create(folder.path().join(IN_USE)).map_err(failed("marking a folder as in use"))?;
        in_use.lock().map_err(failed("marking a folder as in use"))?;

        let authority = Authority::new()?;
        let blob = format!("https://127.0.0.1:{blob_port}");
        let options = azure::Options {
            port: azure_port,
            azurite: Some(blob.clone()),
            authority: Some(authority.clone()),
            // Nobody likes to wait. What takes a while is still accepted first and done when it is asked for again.
            pace: Duration::ZERO,
            ..azure::Options::default()
        };
        let emulator = Emulator::start(options).await?;
        let aws = format!("http://127.0.0.1:{aws_port}");
        let sts = Sts::start(sts_port, Some(aws.clone())).await.map_err(failed("starting STS"))?;
        emulator.federate(ISSUER, EXECUTION_ROLE);
        emulator.trust(sts.issuer());
        let type_configuration = folder.path().join("type-configuration.json");
        write(&type_configuration, &emulator.federated_configuration().to_string())?;
        let certificate_authority = folder.path().join("ca.pem");
        write(&certificate_authority, emulator.certificate_authority())?;

        let function = |name: &str, executable| Function {
            log: Some(folder.path().join(format!("{name}.log"))),
            env: vec![("AWS_ENDPOINT_URL".into(), aws.clone()), ("AWS_ENDPOINT_URL_STS".into(), sts.url())],
            ..Function::new(name, executable)
        };
        let lambda = Lambda::start(lambda_port, function(FUNCTION, bootstrap)).await;
        let lambda = lambda.map_err(failed("starting the Lambda endpoint"))?;
        lambda.add(function(CROSS_REGION, cross_region)).map_err(failed("starting the Lambda endpoint"))?;

        let mut azurite = azurite::spawn(&node, blob_port, &authority, folder.path())?;
        // Functions find Azure by what Azure's SDKs, the backup and OpenSSL read.
        let trusted = certificate_authority.to_string_lossy();
        let sts_url = sts.url();
        let environment = [
            ("AWS_ENDPOINT_URL_STS", sts_url.as_str()),
            ("AZURE_AUTHORITY_HOST", emulator.url()),
            ("BACKUP_CERTIFICATE_AUTHORITY", trusted.as_ref()),
            ("SSL_CERT_FILE", trusted.as_ref()),
        ];
        let mut cloudformation =
            cloudformation::spawn(&python, aws_port, &lambda.url(), &type_configuration, &environment, folder.path())?;
        tokio::try_join!(azurite.ready(), cloudformation.ready())?;

        let endpoints = Endpoints {
            aws,
            sts: sts.url(),
            lambda: lambda.url(),
            azure: emulator.url().to_owned(),
            blob,
            certificate_authority,
            type_configuration,
            logs: folder.path().to_owned(),
        };
        Ok(Sandbox { endpoints, emulator, lambda, sts, azurite, cloudformation, folder, _in_use: in_use })
    }

    /// Where everything is.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// The emulator of Azure.
    pub fn azure(&self) -> &Emulator {
        &self.emulator
    }

    /// The Lambda that serves the handlers.
    pub fn lambda(&self) -> &Lambda {
        &self.lambda
    }

    /// STS, which signs web identity tokens.
    pub fn sts(&self) -> &Sts {
        &self.sts
    }

    /// Returns when a component has ended by itself, which none should.
    pub async fn crashed(&mut self) -> Error {
        loop {
            if let Err(error) = self.azurite.check().and_then(|()| self.cloudformation.check()) {
                return error.into();
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Stops everything but leaves the logs, whose folder is returned.
    pub fn keep_logs(self) -> PathBuf {
        self.folder.keep()
    }
}

/// The note that a running `serve` leaves for `deploy`, `delete` and `status`.
///
/// It holds while its file is locked, and the kernel unlocks the file of a process that is no more: a crash leaves no
/// stale note.
#[derive(Debug)]
pub struct Announcement {
    _locked: File,
}

impl Announcement {
    /// Announces a sandbox until this is dropped.
    pub fn publish(endpoints: &Endpoints) -> Result<Announcement, Error> {
        let path = note();
        let file = File::options().create(true).read(true).write(true).truncate(false).open(&path);
        let file = file.map_err(failed(format!("opening {}", path.display())))?;
        if file.try_lock().is_err() {
            return Err(Error::Running(running().map_or_else(String::new, |other| other.aws)));
        }
        let text = serde_json::to_string_pretty(endpoints).expect("paths below target are UTF-8 and keys are strings");
        write(&path, &text)?;
        Ok(Announcement { _locked: file })
    }
}

/// The sandbox that a `serve` keeps running in this repository, if there is one.
pub fn running() -> Option<Endpoints> {
    let file = File::open(note()).ok()?;
    match file.try_lock_shared() {
        Err(fs::TryLockError::WouldBlock) => serde_json::from_reader(file).ok(),
        _ => None,
    }
}

fn note() -> PathBuf {
    home().join("serve.json")
}

/// Where sandboxes keep their data: `CARGO_SANDBOX_DIR`, with which several can be told apart, else `target/sandbox`.
fn home() -> PathBuf {
    match std::env::var_os("CARGO_SANDBOX_DIR") {
        Some(folder) if !folder.is_empty() => folder.into(),
        _ => tools::target_dir().join("sandbox"),
    }
}

fn ports(first: u16) -> Result<[u16; 5], Error> {
    if first != 0 {
        return Ok([0, 1, 2, 3, 4].map(|offset| first.saturating_add(offset)));
    }
    let free = || free_port().map_err(failed("looking for a free port"));
    // The Lambda, the emulator and STS pick theirs themselves.
    Ok([free()?, 0, 0, free()?, 0])
}

/// Removes the folders of sandboxes that are no more: killed ones, and those whose logs were kept.
fn remove_abandoned(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let abandoned = entry.file_name().to_string_lossy().starts_with(RUN)
            && File::open(entry.path().join(IN_USE)).is_ok_and(|mark| mark.try_lock().is_ok());
        if abandoned {
            // If not now, then the next time.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(e) => Err(failed("installing")(io::Error::other(e))),
    }
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(failed(format!("writing {}", path.display())))
}

fn failed(what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
    let what = what.into();
    move |source| Error::Io { what, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_abandoned_folders_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let folder = parent.path().join(name);
            fs::create_dir(&folder).unwrap();
            File::create(folder.join(IN_USE)).unwrap()
        };
        drop(folder("run-dead"));
        drop(folder("other"));
        let alive = folder("run-alive");
        alive.lock().unwrap();
        remove_abandoned(parent.path());
        let mut left: Vec<_> = fs::read_dir(parent.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["other", "run-alive"]);
    }
}
