//! `cargo xtask`: the chores of the project.

mod bench;
mod cfn;
mod custom_resources;
mod docs;
mod generate;
mod package;
mod test;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of the project")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Write what is generated from the Rust types: schema/, docs/ and examples/hana-backup/custom-resources.yaml
    Generate,
    /// Run everything that must hold: format, lints, tests
    Test,
    /// Run the CloudFormation CLI over the types
    #[command(subcommand)]
    Cfn(cfn::Command),
    /// Build a function for release and pack its zip
    Package {
        /// Which one
        #[arg(value_enum)]
        function: package::Function,
        /// Its architecture, a template's parameter Architecture
        #[arg(long, value_enum, default_value = "x86_64")]
        architecture: package::Architecture,
    },
    /// Measure what ships, beside its peers
    #[command(subcommand)]
    Bench(bench::Bench),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse().chore {
        Chore::Generate => generate::write().map_err(|error| error.to_string()),
        Chore::Test => test::run(),
        Chore::Cfn(command) => cfn::run(command).await.map_err(|error| error.to_string()),
        Chore::Package { function, architecture } => package::function(function, architecture),
        Chore::Bench(bench) => bench::run(bench),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
