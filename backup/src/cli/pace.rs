//! How many objects are under way at once: as many as make the whole faster.
//!
//! With a fast service a few are enough, with 20 ms between request and answer it takes hundreds. So the number doubles as long
//! as that moves more, goes back to where doubling gained nothing, tries again now and then, and halves when the rate collapses,
//! as it does when a service throttles.

use std::time::Duration;

use futures::{Stream, StreamExt as _, stream::FuturesUnordered};
use tokio::time::Instant;

use super::stop::Stop;
use crate::Result;

/// The number to begin with.
const FIRST: usize = 8;
/// A rate is taken over at least this time, and over as many objects as are under way.
const WINDOW: Duration = Duration::from_millis(250);
/// How much more a doubled number must move to be kept.
const GAIN: f64 = 1.15;
/// What part of the usual rate is a collapse.
const COLLAPSE: f64 = 0.5;
/// After how many windows a larger number is tried again.
const PATIENCE: u32 = 16;
/// What an object costs beside its bytes, in bytes: so much is sent in the time of a request.
const REQUEST: f64 = 128.0 * 1024.0;

/// The number of objects under way, and what is known of its effect.
#[derive(Debug)]
pub(crate) struct Pace {
    limit: usize,
    most: usize,
    phase: Phase,
    began: Instant,
    done: usize,
    work: f64,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Nothing is known yet.
    First,
    /// A larger number is on trial. The one before moved so much.
    Trial { before: usize, rate: f64 },
    /// The number is kept, for so many windows by now.
    Kept { rate: f64, windows: u32 },
}

impl Pace {
    /// At most so many at once.
    pub(crate) fn new(most: usize, now: Instant) -> Self {
        let most = most.max(1);
        Self { limit: FIRST.min(most), most, phase: Phase::First, began: now, done: 0, work: 0.0 }
    }

    /// How many may be under way now.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// An object of so many bytes was done.
    pub(crate) fn finished(&mut self, bytes: u64, now: Instant) {
        self.done += 1;
        self.work += REQUEST + bytes as f64;
        let elapsed = now.duration_since(self.began);
        if self.done < self.limit || elapsed < WINDOW {
            return;
        }
        let rate = self.work / elapsed.as_secs_f64();
        self.adjust(rate);
        (self.began, self.done, self.work) = (now, 0, 0.0);
    }

    fn adjust(&mut self, rate: f64) {
        self.phase = match self.phase {
            Phase::Trial { before, rate: known } if rate < known * GAIN => {
                self.limit = before;
                Phase::Kept { rate: known, windows: 0 }
            }
            Phase::Kept { rate: known, .. } if rate < known * COLLAPSE => {
                self.limit = (self.limit / 2).max(1);
                Phase::Kept { rate, windows: 0 }
            }
            Phase::Kept { rate: known, windows } if windows < PATIENCE => {
                Phase::Kept { rate: (known + rate) / 2.0, windows: windows + 1 }
            }
            _ if self.limit == self.most => Phase::Kept { rate, windows: 0 },
            _ => {
                let before = self.limit;
                self.limit = (before * 2).min(self.most);
                Phase::Trial { before, rate }
            }
        };
    }
}

/// Works on items as they come, as many at once as the pace allows, and hands each result to `done`, which says how many bytes
/// it was. Ends when all are done; after an interruption, when those under way are done or their time of grace is over.
///
/// # Errors
/// The first failure of the items themselves or of `done`; those under way are finished before it is returned.
pub(crate) async fn drive<T, R, F: Future<Output = R>>(
    items: impl Stream<Item = Result<T>>,
    most: usize,
    stop: &Stop,
    work: impl Fn(T) -> F,
    mut done: impl FnMut(R) -> Result<u64>,
) -> Result<()> {
    let mut items = std::pin::pin!(items);
    let mut pace = Pace::new(most, Instant::now());
    let mut running = FuturesUnordered::new();
    let (mut ended, mut failed) = (false, None);
    loop {
        let stopped = stop.is_set();
        if running.is_empty() && (ended || stopped) {
            break;
        }
        tokio::select! {
            Some(result) = running.next(), if !running.is_empty() => match done(result) {
                Ok(bytes) => pace.finished(bytes, Instant::now()),
                Err(error) => {
                    ended = true;
                    failed.get_or_insert(error);
                }
            },
            next = items.next(), if !ended && !stopped && running.len() < pace.limit() => match next {
                Some(Ok(item)) => running.push(work(item)),
                Some(Err(error)) => {
                    ended = true;
                    failed.get_or_insert(error);
                }
                None => ended = true,
            },
            () = stop.set(), if !stopped => {}
            () = stop.over() => break,
        }
    }
    match failed {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A service with this latency, which does at most so many objects per second: the number that is reached with it.
    fn reached(latency: Duration, capacity: f64, most: usize, minutes: u64) -> (Pace, f64) {
        let start = Instant::now();
        let mut now = start;
        let mut pace = Pace::new(most, now);
        let mut rate = 0.0;
        while now - start < Duration::from_secs(60 * minutes) {
            rate = (pace.limit() as f64 / latency.as_secs_f64()).min(capacity);
            now += Duration::from_secs_f64(1.0 / rate);
            pace.finished(0, now);
        }
        (pace, rate)
    }

    #[tokio::test]
    async fn the_number_follows_the_latency() {
        let (near, rate) = reached(Duration::from_millis(1), 10_000.0, 512, 1);
        assert!((8..=32).contains(&near.limit()) && rate >= 8_000.0, "{near:?} {rate}");
        let (far, rate) = reached(Duration::from_millis(20), 10_000.0, 512, 1);
        assert!((128..=512).contains(&far.limit()) && rate >= 6_000.0, "{far:?} {rate}");
        let (bounded, _) = reached(Duration::from_millis(20), 10_000.0, 20, 1);
        assert_eq!(bounded.limit(), 20);
    }

    #[tokio::test]
    async fn a_collapse_halves_the_number() {
        let now = Instant::now();
        let mut pace = Pace::new(64, now);
        pace.limit = 64;
        pace.phase = Phase::Kept { rate: 1000.0, windows: 0 };
        pace.adjust(400.0);
        assert_eq!(pace.limit(), 32);
        pace.adjust(390.0);
        assert_eq!(pace.limit(), 32, "once");
    }

    #[tokio::test]
    async fn no_more_are_under_way_than_the_limit_allows() {
        use std::cell::Cell;
        let (running, peak, finished) = (Cell::new(0), Cell::new(0), Cell::new(0));
        let items = futures::stream::iter((0..500).map(Ok));
        let work = |_: i32| async {
            running.set(running.get() + 1);
            peak.set(peak.get().max(running.get()));
            tokio::time::sleep(Duration::from_micros(100)).await;
            running.set(running.get() - 1);
        };
        let done = |()| {
            finished.set(finished.get() + 1);
            Ok(0)
        };
        drive(items, 5, &Stop::never(), work, done).await.unwrap();
        assert_eq!((finished.get(), peak.get()), (500, 5));
    }
}
