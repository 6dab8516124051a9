//! Figures of an invocation, in CloudWatch's embedded metric format: one line on standard output, no call.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::{Outcome, checksum::Checked};

/// CloudWatch's name for the figures.
pub const NAMESPACE: &str = "Backup";
/// The most values of one figure that a line may have.
const MOST: usize = 100;

/// What an invocation did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    /// Objects that are in Azure now and were not before.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those whose bytes could be compared with no checksum of S3.
    pub unverified: u64,
    /// Changes that needed nothing: repeated, overtaken, or not to be carried over.
    pub skipped: u64,
    /// Copies that were deleted, or say that their object was.
    pub deletions: u64,
    /// Objects that go on in another invocation.
    pub unfinished: u64,
    /// Changes that failed.
    pub failures: u64,
    /// How long each change took from S3 to its end here.
    pub lags: Vec<Duration>,
    /// How long the oldest message had waited.
    pub oldest: Option<Duration>,
}

impl Metrics {
    /// Counts what became of a change.
    pub fn count(&mut self, outcome: &Outcome, lag: Option<Duration>) {
        match outcome {
            Outcome::Copied { bytes, checked } => {
                self.objects += 1;
                self.bytes += bytes;
                self.unverified += u64::from(!matches!(checked, Checked::Against(_)));
            }
            Outcome::Unchanged | Outcome::Superseded | Outcome::Described | Outcome::Retained | Outcome::Ignored => {
                self.skipped += 1
            }
            Outcome::Deleted | Outcome::Tombstoned => self.deletions += 1,
            Outcome::Unfinished { .. } => self.unfinished += 1,
        }
        if !matches!(outcome, Outcome::Unfinished { .. }) {
            self.lags.extend(lag);
        }
    }

    /// Adds what another part of the same invocation did.
    pub fn add(&mut self, other: Self) {
        self.objects += other.objects;
        self.bytes += other.bytes;
        self.unverified += other.unverified;
        self.skipped += other.skipped;
        self.deletions += other.deletions;
        self.unfinished += other.unfinished;
        self.failures += other.failures;
        self.lags.extend(other.lags);
        self.oldest = self.oldest.max(other.oldest);
    }

    /// The line, with the container as the dimension.
    pub fn line(&self, container: &str, now: SystemTime) -> String {
        let mut values = Map::new();
        let mut described = Vec::new();
        let mut put = |name: &str, unit: &str, value: Value| {
            described.push(json!({"Name": name, "Unit": unit}));
            values.insert(name.to_owned(), value);
        };
        put("Objects", "Count", self.objects.into());
        put("Bytes", "Bytes", self.bytes.into());
        put("Unverified", "Count", self.unverified.into());
        put("Skipped", "Count", self.skipped.into());
        put("Deletions", "Count", self.deletions.into());
        put("Unfinished", "Count", self.unfinished.into());
        put("Failures", "Count", self.failures.into());
        let mut lags: Vec<u128> = self.lags.iter().map(Duration::as_millis).collect();
        // The longest ones: an alarm is about those.
        lags.sort_unstable_by(|one, other| other.cmp(one));
        lags.truncate(MOST);
        if !lags.is_empty() {
            put("Lag", "Milliseconds", json!(lags));
        }
        if let Some(oldest) = self.oldest {
            put("OldestAge", "Milliseconds", json!(oldest.as_millis()));
        }
        let timestamp = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let mut line = json!({
            "_aws": {
                "Timestamp": timestamp,
                "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": [["Container"]], "Metrics": described}],
            },
            "Container": container,
        });
        if let Some(line) = line.as_object_mut() {
            line.extend(values);
        }
        line.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_is_described() {
        let mut metrics = Metrics { failures: 1, oldest: Some(Duration::from_secs(3)), ..Metrics::default() };
        let second = Some(Duration::from_secs(1));
        metrics.count(&Outcome::Copied { bytes: 5, checked: Checked::Computed }, second);
        metrics.count(&Outcome::Unchanged, second);
        metrics.count(&Outcome::Tombstoned, None);
        metrics.count(&Outcome::Unfinished { staged: 1, total: 2 }, second);
        let line: Value = serde_json::from_str(&metrics.line("c", UNIX_EPOCH + Duration::from_millis(7))).unwrap();
        for (name, value) in [
            ("Objects", json!(1)),
            ("Bytes", json!(5)),
            ("Unverified", json!(1)),
            ("Skipped", json!(1)),
            ("Deletions", json!(1)),
            ("Unfinished", json!(1)),
            ("Failures", json!(1)),
            ("Lag", json!([1000, 1000])),
            ("OldestAge", json!(3000)),
        ] {
            assert_eq!(line[name], value, "{name}");
            let described = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap();
            assert!(described.iter().any(|metric| metric["Name"] == name), "{name}");
        }
        assert_eq!((&line["_aws"]["Timestamp"], &line["Container"]), (&json!(7), &json!("c")));
    }

    #[test]
    fn a_line_has_the_longest_hundred_lags() {
        let metrics = Metrics { lags: (0..150).map(Duration::from_millis).collect(), ..Metrics::default() };
        let line: Value = serde_json::from_str(&metrics.line("c", UNIX_EPOCH)).unwrap();
        let lags = line["Lag"].as_array().unwrap();
        assert_eq!((lags.len(), &lags[0], &lags[99]), (100, &json!(149), &json!(50)));
    }
}
