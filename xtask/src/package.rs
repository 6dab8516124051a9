//! `cargo xtask package`: the zips that functions run from.

use std::path::{Path, PathBuf};
use std::process::Command;

use sandbox::package::{Form, package};
use sandbox::tools;

/// The profile of what copies.
pub(crate) const PROFILE: &str = "copier";
/// The glibc of the runtime provided.al2023.
const RUNTIME_GLIBC: (u32, u32) = (2, 34);

/// A function, by the name of its binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Function {
    /// Copies S3 objects to Azure
    BackupLambda,
    /// Serves the Azure types as custom resources
    Bootstrap,
    /// Serves the types of AWS in another region as custom resources
    CrossRegion,
}

impl Function {
    fn binary(self) -> &'static str {
        match self {
            Function::BackupLambda => "backup-lambda",
            Function::Bootstrap => "bootstrap",
            Function::CrossRegion => "cross-region",
        }
    }

    /// Its crate, so that it does not get the features that others in the workspace ask for.
    fn package(self) -> &'static str {
        match self {
            Function::BackupLambda => "backup",
            Function::Bootstrap => "handlers",
            Function::CrossRegion => "cross-region",
        }
    }

    fn profile(self) -> &'static str {
        match self {
            Function::BackupLambda => PROFILE,
            Function::Bootstrap | Function::CrossRegion => "release",
        }
    }
}

/// An architecture of Lambda, by the name that CloudFormation has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "lower")]
pub(crate) enum Architecture {
    #[value(name = "x86_64")]
    X86_64,
    Arm64,
}

impl Architecture {
    fn name(self) -> &'static str {
        match self {
            Architecture::X86_64 => "x86_64",
            Architecture::Arm64 => "arm64",
        }
    }

    fn target(self) -> &'static str {
        match self {
            Architecture::X86_64 => "x86_64-unknown-linux-gnu",
            Architecture::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }

    fn is_host(self) -> bool {
        let host = format!("{}-unknown-{}-gnu", std::env::consts::ARCH, std::env::consts::OS);
        self.target() == host
    }
}

/// Builds a function as it ships and packs it into `target/packages/ARCHITECTURE/BINARY.zip`.
///
/// # Errors
/// What failed, and what to do about it.
pub(crate) fn function(function: Function, architecture: Architecture) -> Result<(), String> {
    let binary = function.binary();
    let executable = build(function, architecture)?;
    check_glibc(&executable)?;
    let to = tools::target_dir().join("packages").join(architecture.name()).join(format!("{binary}.zip"));
    package(&executable, &to, Form::Small).map_err(|e| format!("packing {}: {e}", executable.display()))?;
    let size = std::fs::metadata(&to).map_err(|e| format!("reading {}: {e}", to.display()))?.len();
    println!("{} ({:.1} MB)", to.display(), size as f64 / 1e6);
    Ok(())
}

fn build(function: Function, architecture: Architecture) -> Result<PathBuf, String> {
    let (binary, profile) = (function.binary(), function.profile());
    let which = ["--profile", profile, "--package", function.package(), "--bin", binary];
    let mut cargo = Command::new(env!("CARGO"));
    let (executable, what) = if architecture.is_host() {
        cargo.arg("build").args(which);
        (tools::target_dir().join(profile).join(binary), "cargo build")
    } else {
        // zig, which cargo-lambda links with, takes the oldest glibc to run on as a part of the target.
        let (major, minor) = RUNTIME_GLIBC;
        let target = format!("{}.{major}.{minor}", architecture.target());
        cargo.args(["lambda", "build"]).args(which).args(["--target", &target]);
        (tools::target_dir().join("lambda").join(binary).join("bootstrap"), "cargo lambda build")
    };
    let status = tools::as_from_the_shell(cargo.current_dir(tools::root())).status();
    match status {
        Ok(status) if status.success() => Ok(executable),
        Ok(status) if !architecture.is_host() => Err(format!(
            "{what} ended with {status}: building for {} on this machine takes cargo-lambda and zig \
             (pip install cargo-lambda ziglang, rustup target add {})",
            architecture.name(),
            architecture.target()
        )),
        Ok(status) => Err(format!("{what} ended with {status}")),
        Err(error) => Err(format!("running {what}: {error}")),
    }
}

/// A binary that wants a newer glibc than the runtime has would fail at its first start, in the account.
fn check_glibc(executable: &Path) -> Result<(), String> {
    let bytes = std::fs::read(executable).map_err(|e| format!("reading {}: {e}", executable.display()))?;
    let (wanted, has) = (newest_glibc(&bytes), RUNTIME_GLIBC);
    match wanted > has {
        true => Err(format!(
            "{} wants glibc {}.{}, and provided.al2023 has {}.{}: build it on an older system, Debian 12 for one",
            executable.display(),
            wanted.0,
            wanted.1,
            has.0,
            has.1
        )),
        false => Ok(()),
    }
}

/// The newest version of glibc's symbols that an executable names; zero if it names none.
fn newest_glibc(executable: &[u8]) -> (u32, u32) {
    let marker = b"GLIBC_";
    let versions = executable.windows(marker.len()).enumerate().filter(|(_, window)| window == marker);
    let versions = versions.filter_map(|(at, _)| {
        let rest = &executable[at + marker.len()..];
        let end = rest.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'.')?;
        let (major, minor) = std::str::from_utf8(&rest[..end]).ok()?.split_once('.')?;
        Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
    });
    versions.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_glibc_is_found() {
        let table: [(&[u8], (u32, u32)); 4] = [
            (b"\0GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_2.9\0", (2, 34)),
            (b"GLIBC_PRIVATE\0GLIBC_2.17\0", (2, 17)),
            (b"static", (0, 0)),
            (b"GLIBC_2.", (0, 0)),
        ];
        for (executable, newest) in table {
            assert_eq!(newest_glibc(executable), newest, "{}", String::from_utf8_lossy(executable));
        }
    }

    #[test]
    fn what_is_too_new_for_the_runtime_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let executable = folder.path().join("backup-lambda");
        std::fs::write(&executable, b"GLIBC_2.34\0").unwrap();
        check_glibc(&executable).unwrap();
        std::fs::write(&executable, b"GLIBC_2.38\0").unwrap();
        let refusal = check_glibc(&executable).unwrap_err();
        assert!(refusal.contains("wants glibc 2.38, and provided.al2023 has 2.34"), "{refusal}");
    }
}
