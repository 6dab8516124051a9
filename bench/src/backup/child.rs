//! A process that runs one program and says what it took: the kernel books children that have ended, and the most that any
//! of them held, so each measured program has a parent of its own.

use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};
use std::{
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::process::Command;

/// What runs as such a process.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Where to write what it took
    #[arg(long)]
    report: PathBuf,
    /// Seconds after which the program is killed
    #[arg(long)]
    patience: u64,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    program: Vec<OsString>,
}

#[cfg(test)]
impl Arguments {
    /// As the command line has them.
    pub(super) fn new(report: PathBuf, patience: u64, program: Vec<OsString>) -> Self {
        Self { report, patience, program }
    }
}

/// What a program took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Took {
    /// From its start to its end.
    pub(super) wall: Duration,
    /// User and system time of all its threads.
    pub(super) cpu: Duration,
    /// The most memory that was resident, bytes.
    pub(super) peak: u64,
}

/// A program, and what it needs.
#[derive(Clone, Debug)]
pub(super) struct Program {
    /// The file.
    pub(super) path: PathBuf,
    /// Its arguments.
    pub(super) arguments: Vec<OsString>,
    /// All its environment but the paths.
    pub(super) environment: Vec<(&'static str, String)>,
}

/// Runs a program in a process of its own, which writes to `folder`.
///
/// # Errors
/// It cannot be started, fails, or takes longer than `patience`. What it printed is in `NAME.log`.
pub(super) async fn run(name: &str, program: &Program, folder: &Path, patience: Duration) -> Result<Took, String> {
    let failed = |what: &str, error: &dyn std::fmt::Display| format!("{name}: {what}: {error}");
    let bench = std::env::current_exe().map_err(|error| failed("finding the benchmark", &error))?;
    let report = folder.join("took.json");
    let log = folder.join(format!("{}.log", name.replace(|c: char| !c.is_ascii_alphanumeric(), "-")));
    let output = File::create(&log).and_then(|file| Ok((file.try_clone()?, file)));
    let (output, errors) = output.map_err(|error| failed("opening its log", &error))?;
    let mut command = Command::new(bench);
    command.arg("child").arg("--report").arg(&report).arg("--patience").arg(patience.as_secs().to_string()).arg("--");
    command.arg(&program.path).args(&program.arguments).current_dir(folder).env_clear();
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", folder).env("LANG", "C.UTF-8");
    command.envs(program.environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(output).stderr(errors).kill_on_drop(true);
    let status = command.status().await.map_err(|error| failed("starting it", &error))?;
    if !status.success() {
        let text = fs::read_to_string(&log).unwrap_or_default();
        let said = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing").to_owned();
        return Err(format!("{name} failed: {said} (all of it is in {})", log.display()));
    }
    let text = fs::read_to_string(&report).map_err(|error| failed("reading what it took", &error))?;
    Took::read(&text).ok_or_else(|| failed("reading what it took", &text))
}

/// The process's own part.
///
/// # Errors
/// The program cannot be started, fails, or takes too long.
pub(crate) async fn main(arguments: &Arguments) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("running {:?}: {error}", arguments.program);
    let mut command = Command::new(&arguments.program[0]);
    command.args(&arguments.program[1..]).kill_on_drop(true);
    let begin = Instant::now();
    let mut child = command.spawn().map_err(failed)?;
    let status = tokio::time::timeout(Duration::from_secs(arguments.patience), child.wait()).await;
    let wall = begin.elapsed();
    let status = status.map_err(|_| format!("it took more than {} s", arguments.patience))?.map_err(failed)?;
    if !status.success() {
        return Err(format!("it ended with {status}"));
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|error| failed(error.into()))?;
    let micros = |time: nix::sys::time::TimeVal| time.tv_sec() as u64 * 1_000_000 + time.tv_usec() as u64;
    let took = json!({
        "wall": wall.as_micros() as u64,
        "cpu": micros(usage.user_time()) + micros(usage.system_time()),
        "peak": usage.max_rss() * 1024,
    });
    fs::write(&arguments.report, took.to_string()).map_err(failed)
}

impl Took {
    /// From a report.
    pub(super) fn read(text: &str) -> Option<Self> {
        let took: Value = serde_json::from_str(text).ok()?;
        let micros = |name: &str| took[name].as_u64().map(Duration::from_micros);
        Some(Self { wall: micros("wall")?, cpu: micros("cpu")?, peak: took["peak"].as_u64()? })
    }
}
