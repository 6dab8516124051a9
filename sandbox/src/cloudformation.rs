//! The CloudFormation of the laptop: MiniStack with our resource types, in `sandbox/cloudformation`.

use std::path::{Path, PathBuf};

use crate::component::{Component, Error};
use crate::serve::{CROSS_REGION, FUNCTION};
use crate::{process, tools};

/// Installs the engine on first use and returns its virtual environment.
pub(crate) fn install() -> Result<PathBuf, tools::Error> {
    tools::python_venv("cloudformation", &folder().join("requirements.txt"))
}

/// Starts CloudFormation, S3 and their neighbours on one port of 127.0.0.1. State is kept below `folder`.
///
/// `installed` is the folder of [`install`]; `lambda` is the Lambda endpoint with the handlers, each of which gets the content of
/// the file `type_configuration`, if it takes any. `environment` is that of the functions which stacks make.
pub(crate) fn spawn(
    installed: &Path,
    port: u16,
    lambda: &str,
    type_configuration: &Path,
    environment: &[(&str, &str)],
    folder: &Path,
) -> Result<Component, Error> {
    let mut command = process::guarded(installed.join("bin/python"));
    command
        .args(["-m", "registry_types", "--port", &port.to_string()])
        .arg("--schemas")
        .arg(tools::root().join("schema"))
        .args(["--lambda-endpoint", lambda, "--function", FUNCTION])
        .arg(format!("--function=CrossRegion={CROSS_REGION}"))
        // A retry on a laptop need not spare anybody.
        .args(["--retry-delay", "0.05"])
        .arg("--type-configuration")
        .arg(type_configuration)
        .args(environment.iter().map(|(name, value)| format!("--function-environment={name}={value}")))
        .arg("--data")
        .arg(folder.join("cloudformation"))
        .env("PYTHONPATH", self::folder())
        .env("PYTHONUNBUFFERED", "1")
        .env("PYTHONDONTWRITEBYTECODE", "1");
    Component::spawn("CloudFormation", port, &mut command, folder.join("cloudformation.log"))
}

fn folder() -> PathBuf {
    tools::root().join("sandbox/cloudformation")
}
