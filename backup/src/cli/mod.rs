//! The `backup` program.
//!
//! - [`backfill`]: what was there before the events.
//! - [`verify`]: S3 against Azure.
//! - [`restore`]: Azure to S3.
//! - [`estimate`]: what it takes and costs.
//!
//! No state is kept on the machine it runs on: whatever ends a run, the next one finds out what is left to do.

mod backfill;
mod bucket;
mod connect;
mod container;
mod estimate;
mod headers;
mod inventory;
mod merge;
mod pace;
mod prices;
mod report;
mod requeue;
mod restore;
mod stop;
mod upload;
mod verify;

use std::{process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use tokio::time::Instant;

use self::{
    connect::Connection,
    report::{Report, Show},
    stop::Stop,
};
use crate::Result;

/// Backs up S3 objects to Azure Blob Storage, compares both, and brings them back.
///
/// Exit codes: 0 all is done and equal; 1 verify found differences, or some objects could not be done; 2 it could not be done at all,
/// or the command line is wrong; 130 interrupted. Secrets come from the environment or from Secrets Manager, never from options.
#[derive(Debug, Parser)]
#[command(name = "backup", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    show: Show,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Copy what was there before the events; a second run copies nothing that is there
    Backfill(backfill::Options),
    /// Compare S3 with Azure: missing, extra, different
    Verify(verify::Options),
    /// Bring objects back from Azure to S3 as they were
    Restore(restore::Options),
    /// Say what a backup takes and costs, before it is made
    Estimate(estimate::Options),
}

/// How a command ended, if it could be done at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Everything is done, and equal.
    Good,
    /// There are differences, or some objects could not be done.
    Bad,
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let level = std::env::var("LOG_LEVEL").ok().and_then(|level| level.parse().ok());
    if let Some(level) = level {
        let level = tracing::level_filters::LevelFilter::min(level, tracing::level_filters::LevelFilter::DEBUG);
        tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(level).with_target(false).init();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    let stop = runtime.block_on(async { Stop::on_signals() });
    let report = Report::new(cli.show);
    let ended = runtime.block_on(run(cli.command, &report, &stop));
    // What a listing in the background still waits for is nobody's any more.
    runtime.shutdown_timeout(Duration::from_millis(100));
    match ended {
        Err(error) => failed(&error),
        Ok(_) if stop.is_set() => ExitCode::from(stop::INTERRUPTED),
        Ok(End::Good) => ExitCode::SUCCESS,
        Ok(End::Bad) => ExitCode::from(1),
    }
}

async fn run(command: Command, report: &Report, stop: &Stop) -> Result<End> {
    match command {
        Command::Backfill(options) => backfill::run(options, report, stop).await,
        Command::Verify(options) => verify::run(options, report, stop).await,
        Command::Restore(options) => restore::run(options, report, stop).await,
        Command::Estimate(options) => estimate::run(options, report, stop).await,
    }
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("backup: {error}");
    ExitCode::from(2)
}

/// A deadline for what has none.
fn far() -> Instant {
    Instant::now() + Duration::from_secs(365 * 86_400)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_option_takes_a_secret() {
        for command in Cli::command().get_subcommands() {
            for option in command.get_arguments().filter_map(|option| option.get_long()) {
                let is_secret = ["secret", "password", "token", "key", "sas"]
                    .iter()
                    .any(|word| option.split('-').any(|part| part == *word));
                assert!(!is_secret || option.ends_with("-arn"), "--{option}");
            }
        }
    }
}
