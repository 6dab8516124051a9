//! The CloudFormation CLI with our language plugin, offline, in a virtual environment of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use sandbox::process;
use sandbox::tools;

use crate::Error;
use crate::sts::Sts;

/// No command takes nearly this long; a handler that never settles would keep `cfn test` for hours.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// What `cfn validate` prints when it has nothing to say.
const VALID: &str = "Resource schema is valid.";

/// The installed CLI and its surroundings; everything stops when this is dropped.
pub struct Cfn {
    program: PathBuf,
    /// Empty, so that no profile and no type configuration of the user's gets in.
    home: PathBuf,
    sts: Sts,
}

/// Where `cfn test` finds the handlers.
pub struct Handlers {
    /// The Lambda endpoint, `http://127.0.0.1:PORT`.
    pub endpoint: String,
    /// The function's name there.
    pub function: String,
    /// The type configuration, a JSON file, where the type needs one.
    pub type_configuration: Option<PathBuf>,
}

/// What pytest reported of one set of inputs.
#[derive(Debug, Default, PartialEq)]
pub struct Summary {
    /// The line as printed, such as `13 passed, 2 skipped, 9 deselected in 4.05s`.
    pub line: String,
    /// Tests that passed.
    pub passed: usize,
    /// Tests that were skipped.
    pub skipped: usize,
    /// Tests that failed or could not be set up.
    pub failed: usize,
}

/// What `cfn test` reported.
#[derive(Debug)]
pub struct Tested {
    /// One summary for each set of inputs.
    pub summaries: Vec<Summary>,
    /// Why tests were skipped, one reason for each.
    pub skipped: Vec<String>,
    /// All that was printed.
    pub said: String,
}

impl Cfn {
    /// Installs the CLI on the first call and starts the stand-in for STS.
    pub fn start() -> Result<Cfn, Error> {
        let venv = venv()?;
        let home = tools::target_dir().join("stage").join("home");
        fs::create_dir_all(&home).map_err(Error::io(format!("creating {}", home.display())))?;
        Ok(Cfn { program: venv.join("bin/cfn"), home, sts: Sts::start()? })
    }

    /// `cfn validate`; a warning is an error here.
    pub fn validate(&self, folder: &Path) -> Result<(), Error> {
        let said = self.run(folder, &["validate"], &[])?;
        match said.trim() {
            VALID => Ok(()),
            _ => Err(unexpected("cfn validate", folder, "had warnings", said)),
        }
    }

    /// `cfn submit --dry-run` with a finished binary; returns the package.
    pub fn submit_dry_run(&self, folder: &Path, bootstrap: &Path) -> Result<PathBuf, Error> {
        let env = [("RPDK_RUST_BOOTSTRAP", &*bootstrap.to_string_lossy())];
        let said = self.run(folder, &["submit", "--dry-run"], &env)?;
        match said.lines().find_map(|line| line.strip_prefix("Dry run complete: ")) {
            Some(package) => Ok(package.into()),
            None => Err(unexpected("cfn submit --dry-run", folder, "named no package", said)),
        }
    }

    /// `cfn generate`: role and docs. A schema that is not the one the binary generates is an error here.
    pub fn generate(&self, folder: &Path, bootstrap: &Path) -> Result<(), Error> {
        let said = self.run(folder, &["generate"], &[("RPDK_RUST_BOOTSTRAP", &bootstrap.to_string_lossy())])?;
        let mut lines = said.lines();
        match (lines.next(), lines.next(), lines.next()) {
            (Some(VALID), Some(done), None) if done.starts_with("Generated files for ") => Ok(()),
            _ => Err(unexpected(
                "cfn generate",
                folder,
                "had something to say; a schema that is out of date is written by `cargo xtask generate`",
                said,
            )),
        }
    }

    /// `cfn test`: the contract tests of a type, once for each set of inputs.
    pub fn test(&self, folder: &Path, handlers: &Handlers) -> Result<Tested, Error> {
        let type_configuration = handlers.type_configuration.as_ref().map(|file| file.to_string_lossy());
        let type_configuration = type_configuration.iter().flat_map(|file| ["--typeconfig", file.as_ref()]);
        // After `--` come pytest's own arguments. The CLI's log would show whole models, and `-rs` names the reason of
        // every test that is skipped.
        let arguments = ["test", "--endpoint", &handlers.endpoint, "--function-name", &handlers.function]
            .into_iter()
            .chain(type_configuration)
            .chain(["--enforce-timeout", "30"])
            .chain(["--", "-q", "-rs", "-o", "log_cli=false", "-p", "no:cacheprovider", "-W", "ignore"]);
        let said =
            self.run(folder, &arguments.collect::<Vec<_>>(), &[]).map_err(|error| with_answers(error, folder))?;
        Ok(Tested { summaries: summaries(&said), skipped: skip_reasons(&said), said })
    }

    /// Any command of the CLI; returns what it printed if it ended with 0.
    pub fn run(&self, folder: &Path, arguments: &[&str], env: &[(&str, &str)]) -> Result<String, Error> {
        let name = format!("cfn {}", arguments.first().copied().unwrap_or_default());
        let log = folder.join(format!("{}.log", name.replace(' ', "-")));
        let file = File::create(&log).map_err(Error::io(format!("creating {}", log.display())))?;
        let also = file.try_clone().map_err(Error::io(format!("sharing {}", log.display())))?;
        let mut command = process::guarded(&self.program);
        command.args(arguments).current_dir(folder).stdout(file).stderr(also);
        // Credentials and proxies of the user must not get in, and there is no network but loopback.
        for (variable, _) in std::env::vars_os() {
            let shown = variable.to_string_lossy().to_ascii_uppercase();
            if shown.starts_with("AWS_") || shown.ends_with("_PROXY") || shown == "RPDK_RUST_BOOTSTRAP" {
                command.env_remove(variable);
            }
        }
        // The plugin runs Cargo, which must find its toolchain in spite of the other home.
        for (variable, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
            if let (None, Some(home)) = (std::env::var_os(variable), std::env::home_dir()) {
                command.env(variable, home.join(folder));
            }
        }
        command
            .env("HOME", &self.home)
            .env("HTTPS_PROXY", &self.sts.url)
            .env("NO_PROXY", "127.0.0.1")
            .env("AWS_CA_BUNDLE", &self.sts.authority)
            .env("AWS_ACCESS_KEY_ID", "A")
            .env("AWS_SECRET_ACCESS_KEY", "B")
            // With a token the CLI takes the credentials as they are; without, it asks STS for others on every call.
            .env("AWS_SESSION_TOKEN", "t")
            .envs(env.iter().copied());
        let mut child = process::spawn(&mut command).map_err(Error::io(format!("starting {name}")))?;
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            let ended = child.ended().map_err(Error::io(format!("waiting for {name}")))?;
            if ended.is_some() || Instant::now() > deadline {
                break ended;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        drop(child);
        let said = fs::read(&log).map_err(Error::io(format!("reading {}", log.display())))?;
        let said = String::from_utf8_lossy(&said).into_owned();
        match status {
            Some(status) if status.success() => Ok(said),
            Some(status) => Err(unexpected(&name, folder, &format!("ended with {status}"), said)),
            None => Err(unexpected(&name, folder, &format!("was still running after {PATIENCE:?}"), said)),
        }
    }
}

/// The virtual environment with the CLI and the plugin in `plugin/`.
pub fn venv() -> Result<PathBuf, Error> {
    let venv = tools::python_venv("cfn", &tools::root().join("contract-tests/requirements/cfn.txt"))?;
    install_plugin(&venv)?;
    Ok(venv)
}

/// Installs `plugin/` editable, so that a change in it counts at once; again when its metadata changed.
fn install_plugin(venv: &Path) -> Result<(), Error> {
    let plugin = tools::root().join("plugin");
    let metadata = plugin.join("pyproject.toml");
    let wanted = fs::read(&metadata).map_err(Error::io(format!("reading {}", metadata.display())))?;
    let marker = venv.join(".plugin");
    let lock = File::create(venv.join(".plugin.lock"))
        .and_then(|file| file.lock().map(|()| file))
        .map_err(Error::io("locking the plugin's installation"))?;
    if fs::read(&marker).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(["--no-index", "--no-deps", "--no-build-isolation", "--editable"])
        .arg(&plugin);
    let done = pip.output().map_err(Error::io("installing the plugin"))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        return Err(unexpected("pip install --editable", &plugin, &format!("ended with {}", done.status), said));
    }
    fs::write(&marker, wanted).map_err(Error::io(format!("writing {}", marker.display())))?;
    drop(lock);
    Ok(())
}

fn unexpected(command: &str, folder: &Path, outcome: &str, said: String) -> Error {
    Error::Program { command: format!("{command} in {}", folder.display()), outcome: outcome.to_owned(), said }
}

/// Adds what the handlers refused, which pytest does not show.
fn with_answers(error: Error, folder: &Path) -> Error {
    let Error::Program { command, outcome, mut said } = error else { return error };
    let log = fs::read(folder.join("rpdk.log")).unwrap_or_default();
    for answer in String::from_utf8_lossy(&log).lines().filter(|line| line.starts_with("{'status': 'FAILED'")) {
        said.push_str(answer);
        said.push('\n');
    }
    Error::Program { command, outcome, said }
}

/// The last line of each of pytest's runs. (Its XML report would show the last run only.)
fn summaries(said: &str) -> Vec<Summary> {
    said.lines().filter_map(summary).collect()
}

fn summary(line: &str) -> Option<Summary> {
    let line = line.trim_matches(['=', ' ']);
    let (counts, _duration) =
        line.rsplit_once(" in ").filter(|(_, end)| end.starts_with(|c: char| c.is_ascii_digit()))?;
    let mut summary = Summary { line: line.to_owned(), ..Summary::default() };
    for count in counts.split(", ") {
        let (number, what) = count.split_once(' ')?;
        let number: usize = number.parse().ok()?;
        match what {
            "passed" => summary.passed += number,
            "skipped" => summary.skipped += number,
            "failed" | "error" | "errors" => summary.failed += number,
            _ => {}
        }
    }
    Some(summary)
}

/// The reasons in lines such as `SKIPPED [2] path/handler_create.py:49: No writable identifiers.`, as often as they say.
fn skip_reasons(said: &str) -> Vec<String> {
    let reason = |line: &str| {
        let (count, rest) = line.strip_prefix("SKIPPED [")?.split_once("] ")?;
        let (_place, reason) = rest.split_once(": ")?;
        Some(std::iter::repeat_n(reason.to_owned(), count.parse().ok()?))
    };
    said.lines().filter_map(reason).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_pytest_reports() {
        let said = "\
collected 24 items / 9 deselected / 15 selected
.....s.........                                                          [100%]
=========================== short test summary info ============================
SKIPPED [2] ../suite/handler_create.py:49: No writable identifiers. Skipping test.
SKIPPED [1] ../suite/handler_update.py:107: another reason: with a colon
================= 13 passed, 3 skipped, 9 deselected in 4.05s ==================
====== 1 failed, 12 passed, 9 deselected, 1 error in 61.20s (0:01:01) ==========
";
        let found = summaries(said);
        assert_eq!(found.len(), 2);
        assert_eq!(
            found[0],
            Summary { line: "13 passed, 3 skipped, 9 deselected in 4.05s".into(), passed: 13, skipped: 3, failed: 0 }
        );
        assert_eq!((found[1].passed, found[1].failed), (12, 2));
        let identifiers = "No writable identifiers. Skipping test.";
        assert_eq!(skip_reasons(said), [identifiers, identifiers, "another reason: with a colon"]);
    }

    #[test]
    fn prose_is_no_summary() {
        for line in ["3 small steps in time", "settled in 5 s", "", "==== FAILURES ====", "in 4s"] {
            assert_eq!(summary(line), None, "{line}");
        }
    }
}
