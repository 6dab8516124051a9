//! S3 and KMS alone, in every region, by two emulators of others: what one of them lacks, the other may have.

mod proxy;

use std::io;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
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

    /// What there is: the names of all buckets, and the ARNs of the keys of these regions that are not scheduled for
    /// deletion.
    ///
    /// # Errors
    /// Those of the calls.
    pub async fn resources(&self, regions: &[&str]) -> io::Result<Vec<String>> {
        let listed = self.call("us-east-1", "s3", None).await?;
        let names = listed.split("<Name>").skip(1).filter_map(|rest| rest.split("</Name>").next());
        let mut found: Vec<String> = names.map(str::to_owned).collect();
        for region in regions {
            let keys = self.call(region, "kms", Some(("ListKeys", json!({ "Limit": 1000 })))).await?;
            for key in serde_json::from_str::<Value>(&keys)?["Keys"].as_array().into_iter().flatten() {
                let asked = Some(("DescribeKey", json!({ "KeyId": key["KeyId"] })));
                let described: Value = serde_json::from_str(&self.call(region, "kms", asked).await?)?;
                let metadata = &described["KeyMetadata"];
                if metadata["KeyState"] != "PendingDeletion" && metadata["KeyManager"] != "AWS" {
                    found.extend(key["KeyArn"].as_str().map(str::to_owned));
                }
            }
        }
        Ok(found)
    }

    /// A plain call, signed by nobody: `GET /`, or an operation of KMS.
    async fn call(&self, region: &str, service: &str, operation: Option<(&str, Value)>) -> io::Result<String> {
        let client = proxy::client()?;
        let signature = format!("AWS4-HMAC-SHA256 Credential=AKIASANDBOX/20261122/{region}/{service}/aws4_request");
        let request = match operation {
            None => client.get(&self.url),
            Some((name, body)) => client
                .post(&self.url)
                .header("x-amz-target", format!("TrentService.{name}"))
                .header("content-type", "application/x-amz-json-1.1")
                .body(body.to_string()),
        };
        let signature = format!("{signature}, SignedHeaders=host, Signature=0");
        let answer = request.header("authorization", signature).send().await.map_err(io::Error::other)?;
        answer.error_for_status().map_err(io::Error::other)?.text().await.map_err(io::Error::other)
    }
}
