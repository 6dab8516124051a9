//! `cargo xtask bench`: builds for release what is measured and what measures, and runs it. No test: it prints.

mod peers;
mod python;

use crate::package;
use clap::Subcommand;
use sandbox::{azure::Authority, tools};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What to measure.
#[derive(Subcommand)]
pub(crate) enum Bench {
    /// READs of our handlers beside the Python plugin's, against one stub of Azure
    Handlers {
        /// Few repetitions, for a look
        #[arg(long)]
        quick: bool,
        /// Fresh processes of each side [default: 20, quick: 3]
        #[arg(long)]
        cold: Option<usize>,
        /// Invocations of a warm process of each side [default: 500, quick: 20]
        #[arg(long)]
        warm: Option<usize>,
    },
    /// Copies of our backup beside rclone's and Python's, from a stub of S3 to one of Blob Storage
    Backup {
        /// A tenth of everything, once, for a look
        #[arg(long)]
        quick: bool,
        /// How often each tool does each case [default: 3, quick: 1]
        #[arg(long)]
        rounds: Option<usize>,
        /// Also copy one object of so many GiB, for the memory that our function takes
        #[arg(long, value_name = "GIB")]
        large: Option<u64>,
        /// Of the copies only those whose case and tool, as they are announced, have this text in them; then without goals
        #[arg(long, value_name = "TEXT")]
        only: Option<String>,
    },
}

/// Measures, and prints tables and how they stand to the goals.
///
/// # Errors
/// Something could not be built, installed or run. Never that it is slow.
pub(crate) fn run(bench: Bench) -> Result<(), String> {
    let folder = tools::target_dir().join("bench");
    fs::create_dir_all(&folder).map_err(|error| format!("creating {}: {error}", folder.display()))?;
    match bench {
        Bench::Handlers { quick, cold, warm } => handlers(&folder, quick, cold, warm),
        Bench::Backup { quick, rounds, large, only } => backup(&folder, quick, rounds, large, only),
    }
}

fn handlers(folder: &Path, quick: bool, cold: Option<usize>, warm: Option<usize>) -> Result<(), String> {
    let (usual_cold, usual_warm) = if quick { (3, 20) } else { (20, 500) };
    // Apart, so that the handlers get the features they ship with.
    let bootstrap = build("handlers", "bootstrap", "release")?;
    let mut measure = Command::new(build("bench", "bench", "release")?);
    let peer = python::install(folder)?;
    certificates(folder, &peer.public_authorities)?;
    measure
        .arg("handlers")
        .arg("--bootstrap")
        .arg(bootstrap)
        .arg("--python")
        .arg(peer.python)
        .arg("--python-folder")
        .arg(peer.folder)
        .arg("--folder")
        .arg(folder)
        .args(["--cold", &cold.unwrap_or(usual_cold).to_string()])
        .args(["--warm", &warm.unwrap_or(usual_warm).to_string()]);
    finish(measure, folder)
}

fn backup(
    folder: &Path,
    quick: bool,
    rounds: Option<usize>,
    large: Option<u64>,
    only: Option<String>,
) -> Result<(), String> {
    let (usual_rounds, divisor) = if quick { (1, 10) } else { (3, 1) };
    // Apart, so that it gets the features it ships with.
    let function = build("backup", "backup-lambda", package::PROFILE)?;
    let program = build("backup", "backup", package::PROFILE)?;
    let mut measure = Command::new(build("bench", "bench", package::PROFILE)?);
    let peers = peers::install(folder)?;
    certificates(folder, &peers.public_authorities)?;
    measure
        .arg("backup")
        .arg("--function")
        .arg(function)
        .arg("--backup")
        .arg(program)
        .arg("--rclone-debian")
        .arg(peers.rclone_debian)
        .arg("--rclone")
        .arg(peers.rclone)
        .arg("--python")
        .arg(peers.python)
        .arg("--python-copy")
        .arg(peers.python_copy)
        .arg("--sample")
        .arg(peers.sample)
        .arg("--folder")
        .arg(folder)
        .args(["--rounds", &rounds.unwrap_or(usual_rounds).to_string()])
        .args(["--divisor", &divisor.to_string()]);
    if let Some(large) = large {
        measure.args(["--large", &large.to_string()]);
    }
    if let Some(only) = only {
        measure.args(["--only", &only]);
    }
    finish(measure, folder)
}

fn finish(mut measure: Command, folder: &Path) -> Result<(), String> {
    match measure.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("the benchmark ended with {status}; its logs are in {}", folder.display())),
        Err(error) => Err(format!("running the benchmark: {error}")),
    }
}

/// Builds a binary as it ships, and returns where it is.
fn build(package: &str, binary: &str, profile: &str) -> Result<PathBuf, String> {
    let mut cargo = Command::new(option_env!("CARGO").unwrap_or("cargo"));
    cargo.args(["build", "--profile", profile, "--package", package, "--bin", binary]).current_dir(tools::root());
    match cargo.status() {
        Ok(status) if status.success() => Ok(tools::target_dir().join(profile).join(binary)),
        Ok(status) => Err(format!("building {binary}: cargo ended with {status}")),
        Err(error) => Err(format!("building {binary}: {error}")),
    }
}

/// A certificate for the stubs, its authority, and that one among the public ones.
fn certificates(folder: &Path, public: &Path) -> Result<(), String> {
    let authority = Authority::new().map_err(|error| error.to_string())?;
    let (certificate, key) = authority.certificate();
    let own = authority.certificate_authority();
    let public = fs::read_to_string(public).map_err(|error| format!("reading {}: {error}", public.display()))?;
    let bundle = format!("{public}\n{own}");
    for (name, pem) in [("ca.pem", own), ("bundle.pem", &bundle), ("certificate.pem", certificate), ("key.pem", key)] {
        fs::write(folder.join(name), pem).map_err(|error| format!("writing {name}: {error}"))?;
    }
    Ok(())
}
