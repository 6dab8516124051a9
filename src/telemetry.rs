//! Logs: one JSON line each on standard output, which Lambda hands to the type owner's log group.
//!
//! Models, credentials and type configurations are never logged, and what is secret in an invocation is taken out of every
//! line of it. `LOG_LEVEL` (error, warn, info, debug) sets how much is logged. Where the invocation's lines are to be
//! delivered elsewhere too, they are kept here until its end ([`Scope`]).

use crate::redaction::Secrets;
use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tracing::level_filters::LevelFilter;

/// The most that one invocation keeps: a tenth of what CloudWatch takes in one request.
const MOST_LINES: usize = 1_000;
const MOST_BYTES: usize = 100 * 1024;
/// Longer lines are cut.
const LONGEST_LINE: usize = 8 * 1024;

/// Starts logging and makes panics one line without their payload, which could quote a model.
pub(crate) fn init() {
    let level = std::env::var("LOG_LEVEL").ok().and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    // At trace, `lambda_runtime` logs whole events before anybody knows what in them is secret.
    let level = level.min(LevelFilter::DEBUG);
    // A second call, as in tests, keeps the first subscriber.
    let _ = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_max_level(level)
        .with_target(false)
        .with_writer(|| Line)
        .try_init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panic");
    }));
}

/// The invocation at work. Lambda gives a process one at a time, so tasks that a handler spawned are part of it.
static CURRENT: Mutex<Option<Arc<Scope>>> = Mutex::new(None);

/// The log of one invocation.
#[derive(Default)]
pub(crate) struct Scope {
    secrets: Secrets,
    kept: Option<Mutex<Kept>>,
}

/// The lines of an invocation.
#[derive(Default)]
pub(crate) struct Kept {
    /// When, in milliseconds since 1970, and what.
    pub(crate) lines: Vec<(i64, String)>,
    /// How many more there were.
    pub(crate) left_out: usize,
    bytes: usize,
}

impl Scope {
    /// Begins an invocation's log, which lasts as long as the guard; `keep` keeps its lines.
    pub(crate) fn enter(secrets: Secrets, keep: bool) -> Guard {
        let scope = Arc::new(Self { secrets, kept: keep.then(Mutex::default) });
        *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = Some(scope.clone());
        Guard(scope)
    }

    fn take(&self, line: &str) {
        let Some(kept) = &self.kept else { return };
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let line = &line[..line.floor_char_boundary(LONGEST_LINE)];
        if kept.lines.len() == MOST_LINES || kept.bytes + line.len() > MOST_BYTES {
            kept.left_out += 1;
            return;
        }
        kept.bytes += line.len();
        kept.lines.push((millis(), line.to_owned()));
    }
}

/// An invocation's log while it lasts.
pub(crate) struct Guard(Arc<Scope>);

impl Guard {
    pub(crate) fn secrets(&self) -> &Secrets {
        &self.0.secrets
    }

    /// The lines so far.
    pub(crate) fn take(&self) -> Kept {
        let kept = self.0.kept.as_ref();
        kept.map(|kept| std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner))).unwrap_or_default()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Milliseconds since 1970.
pub(crate) fn millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Writes the lines of `tracing_subscriber`, which hands over one whole line a call.
struct Line;

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let scope = CURRENT.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match scope {
            Some(scope) => {
                let text = String::from_utf8_lossy(bytes);
                let line = scope.secrets.line(&text);
                scope.take(line.trim_end());
                io::stdout().write_all(line.as_bytes())?;
            }
            None => io::stdout().write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded() {
        let scope = Scope { kept: Some(Mutex::default()), ..Scope::default() };
        let guard = Guard(Arc::new(scope));
        for _ in 0..MOST_LINES + 5 {
            guard.0.take("x");
        }
        let kept = guard.take();
        assert_eq!((kept.lines.len(), kept.left_out), (MOST_LINES, 5));

        for _ in 0..20 {
            guard.0.take(&"ä".repeat(LONGEST_LINE));
        }
        let kept = guard.take();
        assert_eq!(kept.lines[0].1.len(), LONGEST_LINE, "cut");
        assert_eq!((kept.lines.len(), kept.left_out), (MOST_BYTES / LONGEST_LINE, 20 - MOST_BYTES / LONGEST_LINE));
    }
}
