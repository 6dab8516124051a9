//! The Python peer, laid out as Lambda would: the plugin's zip unpacked, the runtime client outside of it.

use sandbox::tools;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Lambda's own, pip's, and what makes the environment one: no part of the plugin's zip.
const NOT_SHIPPED: [&str; 10] = [
    "awslambdaric",
    "runtime_client",
    "simplejson",
    "snapshot_restore_py",
    "pip",
    "setuptools",
    "pkg_resources",
    "_distutils_hack",
    "distutils-precedence.pth",
    "__pycache__",
];

/// An installed peer.
pub(super) struct Peer {
    /// Python with Lambda's runtime client.
    pub(super) python: PathBuf,
    /// What the plugin's zip would unpack to.
    pub(super) folder: PathBuf,
    /// The certificates of the public authorities, PEM: certifi's, which Python's libraries load.
    pub(super) public_authorities: PathBuf,
}

/// Installs the peer's packages and lays its zip's content out in `bench`.
///
/// # Errors
/// They cannot be installed or copied.
pub(super) fn install(bench: &Path) -> Result<Peer, String> {
    let source = tools::root().join("bench/python-peer");
    let venv =
        tools::python_venv("python-peer", &source.join("requirements.txt")).map_err(|error| error.to_string())?;
    let folder = bench.join("python");
    lay_out(&source, &venv, &folder).map_err(|error| format!("laying out {}: {error}", folder.display()))?;
    let public_authorities = folder.join("certifi/cacert.pem");
    Ok(Peer { python: venv.join("bin/python"), folder, public_authorities })
}

fn lay_out(source: &Path, venv: &Path, folder: &Path) -> io::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    copy(&packages(venv)?, folder)?;
    fs::copy(source.join("handlers.py"), folder.join("handlers.py"))?;
    Ok(())
}

/// Where an environment has its packages.
///
/// # Errors
/// It has none.
pub(super) fn packages(venv: &Path) -> io::Result<PathBuf> {
    let version = fs::read_dir(venv.join("lib"))?.next().ok_or(io::ErrorKind::NotFound)??;
    Ok(version.path().join("site-packages"))
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        let shipped = {
            let name = name.to_string_lossy();
            // A package's metadata are `name-version.dist-info`, an extension module is `name.cpython-….so`.
            let package = name.split(['-', '.']).next().unwrap_or_default();
            !NOT_SHIPPED.iter().any(|skipped| *skipped == name || *skipped == package)
        };
        if !shipped {
            continue;
        }
        let target = to.join(&name);
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
