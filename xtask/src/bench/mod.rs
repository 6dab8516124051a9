//! `cargo xtask bench`: builds for release what is measured and what measures, and runs it. No test: it prints.

mod python;

use clap::Subcommand;
use sandbox::{azure::Authority, tools};
use std::{fs, path::Path, process::Command};

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
}

/// Measures, and prints a table and how it stands to the goals.
///
/// # Errors
/// Something could not be built, installed or run. Never that it is slow.
pub(crate) fn run(bench: Bench) -> Result<(), String> {
    let Bench::Handlers { quick, cold, warm } = bench;
    let (usual_cold, usual_warm) = if quick { (3, 20) } else { (20, 500) };
    // Apart, so that the handlers get the features they ship with.
    build("handlers", "bootstrap")?;
    build("bench", "bench")?;
    let folder = tools::target_dir().join("bench");
    fs::create_dir_all(&folder).map_err(|error| format!("creating {}: {error}", folder.display()))?;
    let peer = python::install(&folder)?;
    certificates(&folder, &peer.public_authorities)?;
    let release = tools::target_dir().join("release");
    let mut measure = Command::new(release.join("bench"));
    measure
        .arg("handlers")
        .arg("--bootstrap")
        .arg(release.join("bootstrap"))
        .arg("--python")
        .arg(peer.python)
        .arg("--python-folder")
        .arg(peer.folder)
        .arg("--folder")
        .arg(&folder)
        .args(["--cold", &cold.unwrap_or(usual_cold).to_string()])
        .args(["--warm", &warm.unwrap_or(usual_warm).to_string()]);
    match measure.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("the benchmark ended with {status}; its logs are in {}", folder.display())),
        Err(error) => Err(format!("running the benchmark: {error}")),
    }
}

fn build(package: &str, binary: &str) -> Result<(), String> {
    let mut cargo = Command::new(option_env!("CARGO").unwrap_or("cargo"));
    cargo.args(["build", "--release", "--package", package, "--bin", binary]).current_dir(tools::root());
    match cargo.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("building {binary}: cargo ended with {status}")),
        Err(error) => Err(format!("building {binary}: {error}")),
    }
}

/// A certificate for the stub, its authority, and that one among the public ones.
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
