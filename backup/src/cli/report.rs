//! What is shown: progress while it works, lines for what is worth one, a summary at the end.
//!
//! For a person, progress and failures go to standard error, findings and the summary to standard output. With `--json` standard
//! output has nothing but JSON, one object per line, each with its `event`; the last is the summary.

use std::{
    cell::Cell,
    io::Write as _,
    time::{Duration, Instant},
};

use clap::Args;
use indicatif::{BinaryBytes, HumanDuration, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

/// How often progress is told to machines.
const EVERY: Duration = Duration::from_secs(1);

/// How much is shown.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Show {
    /// Show nothing but failures; with --json the summary too
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Write JSON to standard output, one object per line, the last of them the summary
    #[arg(long, global = true)]
    json: bool,
}

/// Where it is shown.
pub(crate) struct Report {
    show: Show,
    bar: ProgressBar,
    began: Instant,
    told: Cell<Instant>,
    done: Cell<(u64, u64)>,
    known: Cell<u64>,
}

impl Report {
    /// Of objects, of which nothing is known yet.
    pub(crate) fn new(show: Show) -> Self {
        let bar = match show.quiet || show.json {
            true => ProgressBar::hidden(),
            false => ProgressBar::no_length(),
        };
        let template = "{spinner} {pos} of {len} objects, {per_sec}, {msg}, {elapsed} so far, {eta} left";
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(200));
        let now = Instant::now();
        Self { show, bar, began: now, told: Cell::new(now), done: Cell::default(), known: Cell::default() }
    }

    /// One more object is known of.
    pub(crate) fn known(&self) {
        self.known.set(self.known.get() + 1);
        self.bar.set_length(self.known.get());
    }

    /// One more object is done, and so many bytes were moved for it.
    pub(crate) fn done(&self, bytes: u64) {
        let (objects, all) = self.done.get();
        let all = all + bytes;
        self.done.set((objects + 1, all));
        self.bar.inc(1);
        let seconds = self.began.elapsed().as_secs_f64().max(0.001);
        let rate = all as f64 / seconds;
        self.bar.set_message(format!("{} at {}/s", BinaryBytes(all), BinaryBytes(rate as u64)));
        if self.show.json && !self.show.quiet && self.told.get().elapsed() >= EVERY {
            self.told.set(Instant::now());
            // A rate and a remainder of what is known so far: the listing may still be going on.
            let per_second = (objects + 1) as f64 / seconds;
            let left = self.known.get().saturating_sub(objects + 1) as f64 / per_second;
            self.write(&json!({
                "event": "progress",
                "objects": objects + 1,
                "known": self.known.get(),
                "bytes": all,
                "objects_per_second": round(per_second),
                "bytes_per_second": round(rate),
                "seconds_left": round(left),
            }));
        }
    }

    /// Something that is the result itself: a line for a person or for a machine.
    pub(crate) fn finding(&self, machine: &Value, person: &str) {
        match (self.show.json, self.show.quiet) {
            (_, true) => {}
            (true, false) => self.write(machine),
            (false, false) => self.bar.suspend(|| self.print(person)),
        }
    }

    /// An object that could not be done.
    pub(crate) fn failure(&self, key: &str, error: &crate::Error) {
        match self.show.json {
            true => self.write(&json!({
                "event": "failed", "key": key, "reason": error.reason.to_string(),
                "permanent": error.reason.is_permanent(), "message": error.message,
            })),
            false => self.bar.suspend(|| eprintln!("failed: {key}: {error}")),
        }
    }

    /// The end. The summary gets how long it took.
    pub(crate) fn finish(&self, mut summary: Value, person: &str) {
        self.bar.finish_and_clear();
        let took = self.began.elapsed();
        if self.show.json {
            if let Some(summary) = summary.as_object_mut() {
                summary.insert("seconds".to_owned(), round(took.as_secs_f64()));
            }
            self.write(&summary);
        } else if !self.show.quiet {
            self.print(&format!("{person}\nin {}", HumanDuration(took)));
        }
    }

    /// A reader that has gone is no reason to stop.
    fn print(&self, line: &str) {
        let _ = writeln!(std::io::stdout(), "{line}");
    }

    fn write(&self, value: &Value) {
        self.print(&value.to_string());
    }
}

fn round(number: f64) -> Value {
    json!((number * 1000.0).round() / 1000.0)
}
