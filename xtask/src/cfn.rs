//! `cargo xtask cfn`: the CloudFormation CLI over staged types.

use clap::Subcommand;
use contract_tests::cfn::Cfn;
use contract_tests::contract::Cloud;
use contract_tests::stage::{self, Values};

/// What the CLI is to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Stage types under target/stage, where any command of the CLI can be run by hand
    Stage {
        /// Such as Azure::Storage::BlobContainer; all types if none is named
        types: Vec<String>,
    },
    /// Validate schemas as the CLI does, and take its warnings for errors
    Validate {
        /// Such as Azure::Storage::BlobContainer; all types if none is named
        types: Vec<String>,
    },
    /// Run the contract tests against the real handlers and the emulated Azure
    Test {
        /// Such as Azure::Storage::BlobContainer; all types if none is named
        types: Vec<String>,
    },
}

/// Runs a command of the CLI.
///
/// # Errors
/// What the CLI found, or why it could not be run.
pub(crate) async fn run(command: Command) -> Result<(), contract_tests::Error> {
    match command {
        Command::Stage { types } => {
            for name in chosen(types)? {
                println!("{}", stage::stage(&name, &Values::new())?.display());
            }
        }
        Command::Validate { types } => {
            let cfn = Cfn::start()?;
            for name in chosen(types)? {
                cfn.validate(&stage::stage(&name, &Values::new())?)?;
                println!("{name}: valid");
            }
        }
        Command::Test { types } => {
            let cloud = Cloud::start().await?;
            for name in chosen(types)? {
                for line in cloud.check(&name).await? {
                    println!("{name}: {line}");
                }
            }
        }
    }
    Ok(())
}

fn chosen(names: Vec<String>) -> Result<Vec<String>, contract_tests::Error> {
    let types = stage::types()?;
    match names.iter().find(|name| !types.contains(name)) {
        Some(unknown) => Err(contract_tests::Error::File {
            file: "schema".into(),
            problem: format!("no schema of {unknown}; there are {}", types.join(", ")),
        }),
        None if names.is_empty() => Ok(types),
        None => Ok(names),
    }
}
