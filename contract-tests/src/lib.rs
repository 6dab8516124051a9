//! The real `cfn` CLI, offline, over every resource type.
//!
//! The CLI wants one folder for each type and cannot be pointed elsewhere; [`stage`] makes that folder under `target`.
//! [`cfn`] runs the CLI in it, [`contract`] has the emulated cloud that `cfn test` needs, and [`guard_rail`] asks the
//! linter by which registry publishing is judged.

use std::io;
use std::path::Path;

pub mod cfn;
pub mod contract;
pub mod guard_rail;
pub mod package;
pub mod stage;
mod sts;

/// Why a check could not be made, or what it found.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A tool that could not be installed.
    #[error(transparent)]
    Tool(#[from] sandbox::tools::Error),
    /// A file or a process that the system refused.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
    /// A file that does not hold what it should.
    #[error("{file}: {problem}")]
    File {
        /// The file.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A program that ended otherwise than it should.
    #[error("{command} {outcome}:\n{said}")]
    Program {
        /// What was run, and where.
        command: String,
        /// How it ended.
        outcome: String,
        /// What it printed.
        said: String,
    },
    /// The emulated cloud that could not be set up.
    #[error("setting up the emulated cloud: {0}")]
    Cloud(String),
}

impl Error {
    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
        let what = what.into();
        move |source| Error::Io { what, source }
    }

    fn file(file: &Path, problem: impl ToString) -> Error {
        Error::File { file: file.display().to_string(), problem: problem.to_string() }
    }
}
