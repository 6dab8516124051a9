//! `cargo xtask test`: everything that must hold, in one run. Its last line counts the tests.

use sandbox::tools;
use std::{
    io::{self, BufRead, BufReader},
    process::{Command, Stdio},
    time::Instant,
};

/// How many tests ran, by what they said.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    passed: u64,
    failed: u64,
    skipped: u64,
}

/// The steps, cheapest first. They share one target folder and one profile.
const STEPS: [(&str, &[&str]); 3] = [
    ("format", &["fmt", "--all", "--check"]),
    ("lints", &["clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"]),
    // The tests print what they measured and why they skip.
    ("tests", &["test", "--workspace", "--no-fail-fast", "--", "--show-output"]),
];

/// Runs the steps.
///
/// # Errors
/// The names of the steps that failed.
pub(crate) fn run() -> Result<(), String> {
    let mut count = Count::default();
    let mut failed = Vec::new();
    let mut times = Vec::new();
    for (name, arguments) in STEPS {
        println!("== {name}: cargo {}", arguments.join(" "));
        let start = Instant::now();
        let passed = step(arguments, &mut count).map_err(|error| format!("running cargo: {error}"))?;
        times.push(format!("{name} {} s", start.elapsed().as_secs()));
        if !passed {
            failed.push(name);
        }
    }
    println!("== {}", times.join(", "));
    if !failed.is_empty() {
        println!("== failed: {}", failed.join(", "));
        count.failed = count.failed.max(1);
    }
    println!("{} passed, {} failed, {} skipped", count.passed, count.failed, count.skipped);
    if failed.is_empty() { Ok(()) } else { Err(format!("{} failed", failed.join(", "))) }
}

fn step(arguments: &[&str], count: &mut Count) -> io::Result<bool> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(arguments).current_dir(tools::root()).stdout(Stdio::piped());
    let mut cargo = tools::as_from_the_shell(&mut cargo).spawn()?;
    if let Some(output) = cargo.stdout.take() {
        for line in BufReader::new(output).lines() {
            let line = line?;
            println!("{line}");
            count.read(&line);
        }
    }
    Ok(cargo.wait()?.success())
}

impl Count {
    /// Adds what a line of cargo's test runner counts: `test result: ok. 3 passed; 0 failed; 1 ignored; …`. What the Python
    /// suites count is shown and not added: each of them is one test of cargo's.
    fn read(&mut self, line: &str) {
        let Some(counts) = line.strip_prefix("test result: ") else { return };
        let number = |what: &str| {
            let words: Vec<&str> = counts.split([' ', ';', '.']).filter(|word| !word.is_empty()).collect();
            words.windows(2).find(|pair| pair[1] == what).and_then(|pair| pair[0].parse().ok()).unwrap_or(0)
        };
        self.passed += number("passed");
        self.failed += number("failed");
        self.skipped += number("ignored");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runner_s_lines_are_counted() {
        let mut count = Count::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: FAILED. 2 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.5s",
            "5 passed in 3.2s",
        ] {
            count.read(line);
        }
        assert_eq!(count, Count { passed: 5, failed: 4, skipped: 1 });
    }
}
