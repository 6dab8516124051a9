//! `backup`: backfill, verify, restore, estimate.

use std::process::ExitCode;

fn main() -> ExitCode {
    backup::cli::main()
}
