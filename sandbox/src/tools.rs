//! Pinned third-party tools, installed under `target/tools` the first time they are needed.
//!
//! A tool's lock file is committed; its hash, with the interpreter's version, is the stamp that makes the next call
//! return at once. The stamp is written last, so a folder without a fitting one is thrown away and made again.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sha2::{Digest, Sha256};

use crate::process;

const PYTHON: (u32, u32) = (3, 10);
const NODE: (u32, u32) = (18, 0);
const STAMP: &str = ".installed";

/// Why a tool could not be installed: one line for the user.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An interpreter that the user has to install.
    #[error("{tool} {minimum} or newer is needed{found}: install it ({package} on Debian and Ubuntu) and try again", minimum = Version(*minimum))]
    Missing {
        /// `python3`, `node`, …
        tool: &'static str,
        /// The least version that works.
        minimum: (u32, u32),
        /// What was found instead, with its own punctuation.
        found: String,
        /// What brings it.
        package: &'static str,
    },
    /// An installer that ended with an error.
    #[error("installing {name}: {command} ended with {status}: {reason}")]
    Failed {
        /// The tool's name.
        name: String,
        /// What was run.
        command: &'static str,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The last line of what it said.
        reason: String,
    },
    /// A file or a process that the system refused.
    #[error("installing {name}: {what}: {source}")]
    Io {
        /// The tool's name.
        name: String,
        /// What was tried.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
}

struct Version((u32, u32));

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            (major, 0) => write!(f, "{major}"),
            (major, minor) => write!(f, "{major}.{minor}"),
        }
    }
}

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the sandbox is a folder of the workspace").to_owned()
}

/// Makes a cargo that is started from under another cargo build as one from the shell does.
///
/// The outer cargo describes its own package in the environment. ring's build script watches those variables, so that
/// ring, and all that stands on it, would be built anew at each turn.
pub fn as_from_the_shell(cargo: &mut std::process::Command) -> &mut std::process::Command {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    cargo
}

/// Cargo's target folder: `CARGO_TARGET_DIR`, else `target` in the repository.
pub fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) if !dir.is_empty() => root().join(dir),
        _ => root().join("target"),
    }
}

/// A Python virtual environment with exactly what `requirements` pins (every line with its hashes).
///
/// Returns the environment's folder, `target/tools/NAME`; its programs are in `bin`.
pub fn python_venv(name: &str, requirements: &Path) -> Result<PathBuf, Error> {
    let version = python()?;
    let stamp = stamp(name, &version, &[requirements])?;
    install(name, &stamp, |venv| {
        run(name, "python3 -m venv", Command::new("python3").args(["-m", "venv"]).arg(venv))?;
        run(
            name,
            "pip install",
            Command::new(venv.join("bin/python"))
                .args(["-m", "pip", "install", "--quiet", "--no-input"])
                // A lock file is complete: nothing is left to resolve, and a package's own pins cannot object.
                .args(["--disable-pip-version-check", "--no-deps", "--require-hashes", "-r"])
                .arg(requirements),
        )
    })
}

/// The npm packages of the `package-lock.json` in `package_dir`.
///
/// Returns a folder `target/tools/NAME` with `node_modules` in it. Packages run no install script.
pub fn npm(name: &str, package_dir: &Path) -> Result<PathBuf, Error> {
    let version = node()?;
    let manifest = package_dir.join("package.json");
    let lock = package_dir.join("package-lock.json");
    let stamp = stamp(name, &version, &[&manifest, &lock])?;
    install(name, &stamp, |folder| {
        for file in ["package.json", "package-lock.json"] {
            let source = package_dir.join(file);
            fs::create_dir_all(folder)
                .and_then(|()| fs::copy(&source, folder.join(file)))
                .map_err(io_error(name, format!("copying {}", source.display())))?;
        }
        run(
            name,
            "npm ci",
            Command::new("npm")
                .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
                .args(["--loglevel", "error"])
                .current_dir(folder),
        )
    })
}

/// What a Debian package has for this system, without installing it there or what it depends on.
///
/// Returns a folder `target/tools/NAME-debian` with `usr` and the like in it. The version is the system's, not ours to pin.
pub fn debian(package: &str) -> Result<PathBuf, Error> {
    let name = format!("{package}-debian");
    install(&name, "debian\n", |folder| {
        fs::create_dir_all(folder).map_err(io_error(&name, format!("creating {}", folder.display())))?;
        run(&name, "apt-get download", Command::new("apt-get").args(["download", package]).current_dir(folder))?;
        let files = fs::read_dir(folder).map_err(io_error(&name, format!("reading {}", folder.display())))?;
        for file in files.filter_map(Result::ok).map(|entry| entry.path()) {
            run(&name, "dpkg-deb --extract", Command::new("dpkg-deb").arg("--extract").arg(&file).arg(folder))?;
        }
        Ok(())
    })
}

/// Installs into `target/tools/NAME` unless its stamp says that this was done; one process at a time.
fn install(name: &str, stamp: &str, fill: impl FnOnce(&Path) -> Result<(), Error>) -> Result<PathBuf, Error> {
    let tools = target_dir().join("tools");
    let folder = tools.join(name);
    let marker = folder.join(STAMP);
    let installed = || fs::read_to_string(&marker).is_ok_and(|found| found == stamp);
    if installed() {
        return Ok(folder);
    }
    let lock = tools.join(format!("{name}.lock"));
    let _held = fs::create_dir_all(&tools)
        .and_then(|()| File::create(&lock))
        .and_then(|file| file.lock().map(|()| file))
        .map_err(io_error(name, format!("locking {}", lock.display())))?;
    if installed() {
        return Ok(folder);
    }
    eprintln!("installing {name} (first run)");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(io_error(name, format!("removing {}", folder.display())))?;
    }
    fill(&folder)?;
    fs::write(&marker, stamp).map_err(io_error(name, format!("writing {}", marker.display())))?;
    Ok(folder)
}

/// What identifies an installation: the interpreter's version and the bytes of its lock files.
fn stamp(name: &str, version: &str, files: &[&Path]) -> Result<String, Error> {
    let mut hash = Sha256::new();
    for file in files {
        let bytes = fs::read(file).map_err(io_error(name, format!("reading {}", file.display())))?;
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    let hash: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    Ok(format!("{version} {hash}\n"))
}

fn python() -> Result<String, Error> {
    // Debian packages `ensurepip`, without which there is no venv, apart from Python.
    let probe = "import sys; print('%d.%d' % sys.version_info[:2]); sys.stdout.flush(); import venv, ensurepip";
    let missing =
        |found: String| Error::Missing { tool: "python3", minimum: PYTHON, found, package: "python3 and python3-venv" };
    let Ok(answer) = Command::new("python3").args(["-c", probe]).output() else {
        return Err(missing(String::new()));
    };
    let version = checked(&answer, PYTHON).map_err(missing)?;
    if !answer.status.success() {
        return Err(missing(format!(" with its venv module, which the Python {version} here lacks")));
    }
    Ok(version)
}

fn node() -> Result<String, Error> {
    let missing = |found: String| Error::Missing { tool: "node", minimum: NODE, found, package: "nodejs and npm" };
    let Ok(answer) = Command::new("node").arg("--version").output() else {
        return Err(missing(String::new()));
    };
    let version = checked(&answer, NODE).map_err(missing)?;
    if Command::new("npm").arg("--version").output().is_err() {
        return Err(missing(" with npm, and there is no npm on the PATH".to_owned()));
    }
    Ok(version)
}

/// The version that an interpreter printed, if it is new enough; else how to say that it is not.
fn checked(answer: &Output, minimum: (u32, u32)) -> Result<String, String> {
    let text = String::from_utf8_lossy(&answer.stdout);
    let version = text.trim().trim_start_matches('v');
    let mut numbers = version.split('.').map(|n| n.parse().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    match found >= minimum {
        true => Ok(version.to_owned()),
        false => Err(format!(" (found {version:?})")),
    }
}

/// Runs an installer; what it printed is shown only as the reason of a failure.
fn run(name: &str, what: &'static str, command: &Command) -> Result<(), Error> {
    let mut guarded = process::guarded(command.get_program());
    guarded.args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        guarded.current_dir(folder);
    }
    let done = process::output(&mut guarded).map_err(io_error(name, format!("starting {what}")))?;
    if done.status.success() {
        return Ok(());
    }
    let said = [done.stderr, done.stdout].concat();
    let said = String::from_utf8_lossy(&said);
    let reason = said
        .lines()
        .map(str::trim)
        .rfind(|line| line.to_ascii_lowercase().contains("error") && !line.ends_with(':'))
        .or_else(|| said.lines().map(str::trim).rfind(|line| !line.is_empty()))
        .unwrap_or("it said nothing");
    Err(Error::Failed { name: name.to_owned(), command: what, status: done.status, reason: reason.to_owned() })
}

fn io_error(name: &str, what: String) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io { name: name.to_owned(), what, source }
}
