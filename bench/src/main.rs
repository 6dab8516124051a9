//! Measures the handlers and the backup beside their peers, in one run on one machine: read the ratios, not the absolutes.
//!
//! `cargo xtask bench` builds it for release, with what it measures, and calls it; its own speed counts, since it is the
//! Lambda, the S3 and the Azure that they wait for.

mod backup;
mod instance;
mod measure;
mod report;
mod side;
mod stub;
mod tls;
mod usage;

use clap::{Parser, Subcommand};
use measure::Measured;
use side::{Delivery, Side, Trust};
use std::{path::PathBuf, process::ExitCode};
use stub::Stub;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Start, first answer and warm READs of our handlers and of the Python plugin's
    Handlers(Handlers),
    /// Copies from S3 to Blob Storage by our backup and by other tools
    Backup(backup::Arguments),
    /// Runs a program and reports what it took
    #[command(hide = true)]
    Child(backup::Child),
    /// Copies with nothing but requests
    #[command(hide = true)]
    Bare(backup::Bare),
}

#[derive(clap::Args)]
struct Handlers {
    /// Our handlers
    #[arg(long)]
    bootstrap: PathBuf,
    /// A Python with awslambdaric
    #[arg(long)]
    python: PathBuf,
    /// What the Python plugin's zip unpacks to
    #[arg(long)]
    python_folder: PathBuf,
    /// Where ca.pem, bundle.pem, certificate.pem and key.pem are, and the logs go
    #[arg(long)]
    folder: PathBuf,
    /// Fresh processes of each side
    #[arg(long)]
    cold: usize,
    /// Invocations of a process that is warm
    #[arg(long)]
    warm: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match Arguments::parse().what {
        What::Handlers(handlers) => run(&handlers).await,
        What::Backup(arguments) => backup::run(&arguments).await,
        What::Child(arguments) => backup::child(&arguments).await,
        What::Bare(arguments) => backup::bare(&arguments).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(handlers: &Handlers) -> Result<(), String> {
    let folder = &handlers.folder;
    let trust = Trust::read(folder)?;
    let stub = Stub::start(&folder.join("certificate.pem"), &folder.join("key.pem"))?;
    let ours = |delivery| Side::ours(&handlers.bootstrap, &trust, &stub, delivery);
    let python = |delivery| Side::python(&handlers.python, &handlers.python_folder, &trust, &stub, delivery);
    let sides = [ours(Delivery::On)?, ours(Delivery::Off)?, python(Delivery::On)?, python(Delivery::Off)?];
    let mut measured = [(); 4].map(|()| Measured::default());
    let before = usage::load();
    let calls = || stub.calls();
    measure::cold(&sides, &mut measured, &calls, handlers.cold).await?;
    measure::warm(&sides, &mut measured, &calls, handlers.warm).await?;
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "One READ of a storage account; medians of {} starts and {} warm invocations, the sides by turns.\n\
         {cores} cores; load average {before} before, {} after.\n",
        handlers.cold,
        handlers.warm,
        usage::load(),
    );
    let [ours, ours_alone, python, python_alone] = &measured;
    println!("{}", report::table(&sides, &measured));
    println!("{}", report::goals(sides[0].zip, (ours, python), (ours_alone, python_alone)));
    Ok(())
}
