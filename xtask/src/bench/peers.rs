//! What our backup is measured beside: rclone from Debian and from PyPI, Python's clients, and a function as the sample has it.

use super::python;
use sandbox::tools;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The installed peers.
pub(super) struct Peers {
    /// rclone as Debian has it.
    pub(super) rclone_debian: PathBuf,
    /// rclone as PyPI has it.
    pub(super) rclone: PathBuf,
    /// A Python with boto3 and azure-storage-blob.
    pub(super) python: PathBuf,
    /// What it is to run.
    pub(super) python_copy: PathBuf,
    /// The sample's way, with its packages.
    pub(super) sample: PathBuf,
    /// The certificates of the public authorities, PEM: certifi's, which Python's libraries load.
    pub(super) public_authorities: PathBuf,
}

/// Installs them, the function in `bench`.
///
/// # Errors
/// Something cannot be installed or copied.
pub(super) fn install(bench: &Path) -> Result<Peers, String> {
    let root = tools::root().join("bench");
    let debian = tools::debian("rclone").map_err(|error| error.to_string())?;
    let venv = tools::python_venv("python-copy", &root.join("python-copy/requirements.txt"))
        .map_err(|error| error.to_string())?;
    let source = root.join("sample");
    let packages = tools::npm("sample", &source).map_err(|error| error.to_string())?;
    let sample = bench.join("sample");
    lay_out(&source, &packages, &sample).map_err(|error| format!("laying out {}: {error}", sample.display()))?;
    Ok(Peers {
        rclone_debian: debian.join("usr/bin/rclone"),
        rclone: venv.join("bin/rclone"),
        python: venv.join("bin/python"),
        python_copy: root.join("python-copy/bucket_to_container.py"),
        sample,
        public_authorities: python::packages(&venv)
            .map_err(|error| format!("reading {}: {error}", venv.display()))?
            .join("certifi/cacert.pem"),
    })
}

fn lay_out(source: &Path, packages: &Path, folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    for file in ["index.mjs", "runtime.mjs"] {
        fs::copy(source.join(file), folder.join(file))?;
    }
    let link = folder.join("node_modules");
    if !link.exists() {
        std::os::unix::fs::symlink(packages.join("node_modules"), link)?;
    }
    Ok(())
}
