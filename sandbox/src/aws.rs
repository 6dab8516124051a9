//! S3 and KMS alone, in every region, by two emulators of others: what one of them lacks, the other may have.

mod proxy;

use std::io;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::component::{Component, free_port};
use crate::{cloudformation, process, tools};

pub use proxy::{Call, Fault, Proxy};

/// A running emulator; dropping it stops it and removes its data.
#[derive(Debug)]
pub struct Aws {
    url: String,
    _component: Component,
    _folder: TempDir,
}

impl Aws {
    /// MiniStack, the AWS of the sandbox.
    pub async fn ministack() -> io::Result<Aws> {
        Self::start("MiniStack", cloudformation::install, |python, port, data| {
            let mut command = process::guarded(python.join("bin/python"));
            command.args(["-c", "from ministack.app import main; main()"]);
            command
                .env("GATEWAY_PORT", port.to_string())
                .env("BIND_HOST", "127.0.0.1")
                .env("MINISTACK_HOST", "127.0.0.1");
            command.env("SERVICES", "s3,kms,sts,iam").env("LOG_LEVEL", "ERROR");
            for (name, folder) in [("MINISTACK_DATA_DIR", "data"), ("S3_DATA_DIR", "s3"), ("STATE_DIR", "state")] {
                command.env(name, data.join(folder));
            }
            // Its brokers listen on every interface; its containers are not ours to look for.
            command.env("IOT_MTLS_ENABLED", "0").env("SFTP_ENABLED", "0").env("DOCKER_HOST", "unix:///nowhere");
            command
        })
        .await
    }

    /// moto, which checks what MiniStack is too kind to.
    pub async fn moto() -> io::Result<Aws> {
        let install = || tools::python_venv("moto", &tools::root().join("sandbox/requirements/moto.txt"));
        Self::start("moto", install, |python, port, _| {
            let mut command = process::guarded(python.join("bin/python"));
            command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
            command
        })
        .await
    }

    async fn start(
        name: &'static str,
        install: impl FnOnce() -> Result<std::path::PathBuf, tools::Error> + Send + 'static,
        command: impl FnOnce(&Path, u16, &Path) -> Command,
    ) -> io::Result<Aws> {
        let python = tokio::task::spawn_blocking(install).await.map_err(io::Error::other)?.map_err(io::Error::other)?;
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let mut command = command(&python, port, folder.path());
        command.env("HOME", folder.path()).env("TMPDIR", folder.path()).env("PYTHONDONTWRITEBYTECODE", "1");
        let log = folder.path().join("emulator.log");
        let mut component = Component::spawn(name, port, &mut command, log).map_err(io::Error::other)?;
        component.ready().await.map_err(io::Error::other)?;
        Ok(Aws { url: format!("http://127.0.0.1:{port}"), _component: component, _folder: folder })
    }

    /// `http://127.0.0.1:PORT`, for `AWS_ENDPOINT_URL`.
    pub fn url(&self) -> &str {
        &self.url
    }
}
