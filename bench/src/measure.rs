//! The runs: the sides take turns, so that what else the machine does falls on all of them.

use crate::{instance::Instance, side::Side, stub::Calls, usage::Usage};
use hyper::body::Bytes;
use std::time::Duration;

/// After its last answer a process writes its log and polls; then it sleeps, and what it used is booked.
pub(crate) const SETTLE: Duration = Duration::from_millis(20);
/// Invocations of one side before the next side's turn.
const TURN: usize = 10;

/// What was measured of one side.
#[derive(Default)]
pub(crate) struct Measured {
    /// From the start of a process to its first poll.
    pub(crate) first_poll: Vec<Duration>,
    /// From the start of a process to its first answer.
    pub(crate) first_answer: Vec<Duration>,
    /// What a process used from its start to the poll after its first answer.
    pub(crate) cold_cpu: Vec<Duration>,
    /// What an answer of a process took that has answered before.
    pub(crate) warm: Vec<Duration>,
    /// What that answer used, on average.
    pub(crate) warm_cpu: Duration,
    /// The most memory that any process held, bytes.
    pub(crate) peak: u64,
    /// The calls to services in the first invocation of a process, on average.
    pub(crate) cold_calls: Average,
    /// The calls to services in an invocation after the first, on average.
    pub(crate) warm_calls: Average,
}

/// Calls per invocation.
#[derive(Default)]
pub(crate) struct Average {
    /// To Azure.
    pub(crate) azure: f64,
    /// To AWS.
    pub(crate) aws: f64,
}

impl Average {
    fn add(&mut self, before: Calls, after: Calls, invocations: usize) {
        self.azure += (after.azure - before.azure) as f64 / invocations as f64;
        self.aws += (after.aws - before.aws) as f64 / invocations as f64;
    }
}

/// Starts every side `times` times and lets each process answer once.
///
/// # Errors
/// A process failed, or answered anything but success.
pub(crate) async fn cold(
    sides: &[Side],
    measured: &mut [Measured],
    calls: &dyn Fn() -> Calls,
    times: usize,
) -> Result<(), String> {
    for _ in 0..times {
        for (side, measured) in sides.iter().zip(&mut *measured) {
            let before = calls();
            let (mut instance, first_poll) = Instance::start(side).await?;
            let (_, first_answer, answer) = instance.invoke(&side.event).await?;
            check(side, &answer)?;
            tokio::time::sleep(SETTLE).await;
            let usage = Usage::of(instance.process()?)?;
            measured.first_poll.push(first_poll);
            measured.first_answer.push(first_answer);
            measured.cold_cpu.push(usage.cpu);
            measured.peak = measured.peak.max(usage.peak);
            measured.cold_calls.add(before, calls(), times);
            instance.stop().await?;
        }
    }
    Ok(())
}

/// Lets one process of every side answer `times` times, after a turn that does not count.
///
/// # Errors
/// A process failed, or answered anything but success.
pub(crate) async fn warm(
    sides: &[Side],
    measured: &mut [Measured],
    calls: &dyn Fn() -> Calls,
    times: usize,
) -> Result<(), String> {
    let mut instances = Vec::new();
    let mut before = Vec::new();
    for side in sides {
        let (mut instance, _) = Instance::start(side).await?;
        for _ in 0..TURN {
            check(side, &instance.invoke(&side.event).await?.2)?;
        }
        tokio::time::sleep(SETTLE).await;
        before.push(Usage::of(instance.process()?)?.cpu);
        instances.push(instance);
    }
    let mut left = times;
    while left > 0 {
        let turn = left.min(TURN);
        left -= turn;
        for ((side, measured), instance) in sides.iter().zip(&mut *measured).zip(&mut instances) {
            let before = calls();
            for _ in 0..turn {
                let (latency, _, answer) = instance.invoke(&side.event).await?;
                check(side, &answer)?;
                measured.warm.push(latency);
            }
            measured.warm_calls.add(before, calls(), times);
        }
    }
    tokio::time::sleep(SETTLE).await;
    for ((measured, instance), before) in measured.iter_mut().zip(&instances).zip(before) {
        let usage = Usage::of(instance.process()?)?;
        measured.warm_cpu = (usage.cpu - before) / u32::try_from(times).unwrap_or(u32::MAX);
        measured.peak = measured.peak.max(usage.peak);
    }
    Ok(())
}

/// Whether an answer says what it should.
///
/// # Errors
/// It does not.
pub(crate) fn check(side: &Side, answer: &Bytes) -> Result<(), String> {
    if (side.succeeded)(&serde_json::from_slice(answer).unwrap_or_default()) {
        return Ok(());
    }
    Err(format!("{} answered {}", side.name, String::from_utf8_lossy(answer)))
}

/// The value below which `share` (0 to 1) of the values are.
pub(crate) fn percentile(values: &[Duration], share: f64) -> Duration {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let at = (sorted.len().saturating_sub(1) as f64 * share).round() as usize;
    sorted.get(at).copied().unwrap_or_default()
}

/// The middle value.
pub(crate) fn median(values: &[Duration]) -> Duration {
    percentile(values, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles() {
        let values: Vec<Duration> = (1..=101).rev().map(Duration::from_millis).collect();
        assert_eq!(median(&values), Duration::from_millis(51));
        assert_eq!(percentile(&values, 0.99), Duration::from_millis(100));
        assert_eq!(percentile(&values, 0.0), Duration::from_millis(1));
        assert_eq!(median(&[]), Duration::ZERO);
    }
}
