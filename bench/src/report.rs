//! The table, and the goals that it is held against.

use crate::{
    measure::{Average, Measured, median, percentile},
    side::Side,
};
use std::time::Duration;

const COLUMNS: [&str; 11] = [
    "handler",
    "first poll, ms",
    "first answer, ms",
    "CPU to first answer, ms",
    "warm p50, ms",
    "warm p99, ms",
    "warm CPU, ms",
    "peak, MiB",
    "zip, MB",
    "first calls, Azure + AWS",
    "warm calls, Azure + AWS",
];

/// One row for each side.
pub(crate) fn table(sides: &[Side], measured: &[Measured]) -> String {
    let rows = sides.iter().zip(measured).map(|(side, measured)| {
        vec![
            side.name.to_owned(),
            milliseconds(median(&measured.first_poll)),
            milliseconds(median(&measured.first_answer)),
            milliseconds(median(&measured.cold_cpu)),
            milliseconds(median(&measured.warm)),
            milliseconds(percentile(&measured.warm, 0.99)),
            milliseconds(measured.warm_cpu),
            format!("{:.1}", mebibytes(measured.peak)),
            format!("{:.2}", megabytes(side.zip)),
            calls(&measured.cold_calls),
            calls(&measured.warm_calls),
        ]
    });
    markdown(&COLUMNS, rows.collect())
}

/// The goals, of which the ratios are of ours to the Python plugin: with logs and metrics, which decides, and without.
pub(crate) fn goals(zip: u64, with: (&Measured, &Measured), without: (&Measured, &Measured)) -> String {
    let ratio = |goal: &'static str, what: &str, least: f64, of: &dyn Fn(&Measured) -> f64| {
        let [with, without] = [with, without].map(|(ours, python)| of(python) / of(ours));
        let measured = format!("1/{with:.0}; without delivery 1/{without:.0}");
        row(goal, format!("{what} ≤ 1/{least:.0} of Python"), measured, with >= least)
    };
    let ours = with.0;
    let cpu = median(&ours.cold_cpu);
    let (peak, zip) = (mebibytes(ours.peak), megabytes(zip));
    let calls = ours.warm_calls.azure;
    let rows = vec![
        ratio("G1", "start → first poll", 50.0, &|m| median(&m.first_poll).as_secs_f64()),
        ratio("G2", "start → first answer", 40.0, &|m| median(&m.first_answer).as_secs_f64()),
        ratio("G3", "warm CPU per invocation", 100.0, &|m| m.warm_cpu.as_secs_f64()),
        row(
            "G4",
            "CPU to the first answer ≤ 10 ms".to_owned(),
            format!("{} ms", milliseconds(cpu)),
            cpu <= Duration::from_millis(10),
        ),
        row("G5", "peak memory ≤ 24 MiB".to_owned(), format!("{peak:.1} MiB"), peak <= 24.0),
        row("G5", "zip ≤ 5 MB".to_owned(), format!("{zip:.2} MB"), zip <= 5.0),
        row("G6", "a warm READ is one call to Azure".to_owned(), format!("{calls:.2}"), (calls - 1.0).abs() < 1e-9),
    ];
    markdown(&["#", "goal", "measured", "verdict"], rows)
}

fn row(number: &str, goal: String, measured: String, met: bool) -> Vec<String> {
    vec![number.to_owned(), goal, measured, if met { "met" } else { "not met" }.to_owned()]
}

fn calls(average: &Average) -> String {
    format!("{:.1} + {:.1}", average.azure, average.aws)
}

/// Milliseconds, with as many digits as they are worth.
pub(crate) fn milliseconds(time: Duration) -> String {
    let time = time.as_secs_f64() * 1e3;
    if time < 10.0 { format!("{time:.2}") } else { format!("{time:.0}") }
}

/// Bytes in MiB.
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// A table whose columns are as wide as their widest cell.
pub(crate) fn markdown(columns: &[&str], rows: Vec<Vec<String>>) -> String {
    let columns: Vec<String> = columns.iter().map(|&column| column.to_owned()).collect();
    let width = |at: usize| {
        let cells = rows.iter().chain([&columns]).filter_map(|row: &Vec<String>| row.get(at));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(at, cell)| format!("{cell:<width$}", width = width(at)));
        format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
    };
    let rule = (0..columns.len()).map(|at| "-".repeat(width(at))).collect();
    [&columns, &rule].into_iter().chain(&rows).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned() {
        let rows = vec![vec!["ä→b".to_owned(), "1".to_owned()], vec!["c".to_owned(), "1/220".to_owned()]];
        assert_eq!(
            markdown(&["#", "goal"], rows),
            "| #   | goal  |\n| --- | ----- |\n| ä→b | 1     |\n| c   | 1/220 |\n"
        );
    }

    #[test]
    fn short_times_keep_their_digits() {
        assert_eq!(milliseconds(Duration::from_micros(1234)), "1.23");
        assert_eq!(milliseconds(Duration::from_micros(123_456)), "123");
    }
}
