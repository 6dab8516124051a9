//! What a backup takes and costs, before it is made.
//!
//! Requests are those that the copy really makes: a small object is a GET and a Put Blob, a large one a HEAD, a list of the blocks
//! that are there, a GET and a Put Block for each block, a note to it if there are several, and a Put Block List. Objects with tags take one request more, which no
//! listing tells of.

use clap::Args;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};

use crate::block::MOST;

use super::{
    Connection, End, Report, Stop,
    bucket::{self, Entry},
    inventory,
    prices::{Prices, SOURCE},
};
use crate::{Error, Policy, Reason, Result};

/// A GB of both providers' price lists.
const GB: f64 = 1e9;
/// Objects that a listing has on a page.
const PAGE: u64 = 1000;

/// Say what a backup takes and costs, before it is made.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The bucket, which is listed
    #[arg(long, required_unless_present = "objects")]
    bucket: Option<String>,
    /// Only keys that begin with this
    #[arg(long, default_value = "", hide_default_value = true)]
    prefix: String,
    /// Take the objects from an S3 Inventory (CSV) instead of listing the bucket: s3://BUCKET/…/manifest.json
    #[arg(long, value_name = "URL", requires = "bucket")]
    inventory: Option<String>,
    /// So many objects, instead of asking S3
    #[arg(long, value_name = "NUMBER", requires = "bytes", conflicts_with_all = ["bucket", "inventory"])]
    objects: Option<u64>,
    /// So many bytes in all of --objects, which are taken to be of one size
    #[arg(long, value_name = "NUMBER", requires = "objects")]
    bytes: Option<u64>,
    /// What the line and both services carry, in Gbit/s
    #[arg(long, value_name = "GBIT", default_value_t = 5.0)]
    gigabits: f64,
    /// Requests that the Azure account takes in a second: 20,000 by default, up to 40,000 in the largest regions
    #[arg(long, value_name = "NUMBER", default_value_t = 20_000.0)]
    requests_per_second: f64,
    #[command(flatten)]
    prices: Prices,
    #[command(flatten)]
    connection: Connection,
}

/// Objects that are copied in the same way.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Part {
    objects: u64,
    bytes: u64,
    /// Of them, in classes that charge for reading.
    retrieved: u64,
    s3_requests: u64,
    azure_writes: u64,
    azure_reads: u64,
}

/// All of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counts {
    small: Part,
    large: Part,
    archived: u64,
}

/// What a part costs.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bill {
    s3_requests: f64,
    retrieval: f64,
    egress: f64,
    azure_requests: f64,
    storage_per_month: f64,
}

impl Counts {
    /// Counts so many objects like this one, as they are copied under this policy.
    fn add(&mut self, policy: &Policy, size: u64, class: &str, number: u64) {
        if matches!(class, "GLACIER" | "DEEP_ARCHIVE") {
            self.archived += number;
            return;
        }
        let small = size <= policy.small;
        let blocks = size.div_ceil(policy.block.max(size.div_ceil(MOST)));
        let part = if small { &mut self.small } else { &mut self.large };
        part.objects += number;
        part.bytes += size * number;
        if class.ends_with("_IA") || class == "GLACIER_IR" {
            part.retrieved += size * number;
        }
        part.s3_requests += number * if small { 1 } else { 1 + blocks };
        part.azure_writes += number
            * match blocks {
                _ if small => 1,
                1 => 2,
                _ => 2 * blocks + 1,
            };
        // What is there, and which blocks.
        part.azure_reads += number * if small { 0 } else { 2 };
    }
}

impl Bill {
    fn of(part: &Part, prices: &Prices) -> Self {
        let gigabytes = part.bytes as f64 / GB;
        Self {
            s3_requests: part.s3_requests as f64 / 1e3 * prices.s3_read,
            retrieval: part.retrieved as f64 / GB * prices.s3_retrieval,
            egress: gigabytes * prices.egress,
            azure_requests: part.azure_writes as f64 / 1e4 * prices.azure_write
                + part.azure_reads as f64 / 1e4 * prices.azure_read,
            storage_per_month: gigabytes * prices.azure_storage,
        }
    }

    /// What is paid once.
    fn once(&self) -> f64 {
        self.s3_requests + self.retrieval + self.egress + self.azure_requests
    }
}

pub(crate) async fn run(options: Options, report: &Report, stop: &Stop) -> Result<End> {
    for (name, value) in [("--gigabits", options.gigabits), ("--requests-per-second", options.requests_per_second)] {
        if !value.is_finite() || value <= 0.0 {
            return Err(Error::new(Reason::Configuration, format!("{name} must be more than 0")));
        }
    }
    let mut counts = Counts::default();
    let mut lists = 0;
    let mut listed = 0;
    let policy = match (options.objects, options.bytes) {
        (Some(objects), Some(bytes)) => {
            let policy = Policy::default();
            counts.add(&policy, bytes.checked_div(objects).unwrap_or_default(), "STANDARD", objects);
            policy
        }
        _ => {
            let bucket = options.bucket.clone().unwrap_or_default();
            let (source, s3, policy) = options.connection.source().await?;
            let entries: std::pin::Pin<Box<dyn Stream<Item = Result<Entry>> + '_>> = match &options.inventory {
                Some(manifest) => inventory::entries(&source, manifest, &bucket, &options.prefix).await?.boxed_local(),
                None => bucket::list(s3, policy.retries, bucket, options.prefix.clone(), false).boxed_local(),
            };
            let mut entries = entries.take_until(Box::pin(stop.set()));
            while let Some(entry) = entries.try_next().await? {
                counts.add(&policy, entry.size, &entry.class, 1);
                listed += 1;
                report.known();
                report.done(entry.size);
            }
            lists = if options.inventory.is_some() { 0 } else { u64::div_ceil(listed, PAGE).max(1) };
            policy
        }
    };
    let summary = summary(&options, &policy, &counts, lists, stop.is_set());
    let person = person(&options, &counts, &summary);
    report.finish(summary, &person);
    Ok(End::Good)
}

fn summary(options: &Options, policy: &Policy, counts: &Counts, lists: u64, interrupted: bool) -> Value {
    let bills = [Bill::of(&counts.small, &options.prices), Bill::of(&counts.large, &options.prices)];
    let listing = lists as f64 / 1e3 * options.prices.s3_list;
    let seconds = seconds(counts, options);
    let part = |part: &Part, bill: &Bill| {
        json!({
            "objects": part.objects, "bytes": part.bytes, "s3_requests": part.s3_requests, "azure_writes": part.azure_writes,
            "azure_reads": part.azure_reads, "egress_bytes": part.bytes,
            "cost": {
                "s3_requests": cents(bill.s3_requests), "retrieval": cents(bill.retrieval), "egress": cents(bill.egress),
                "azure_requests": cents(bill.azure_requests), "once": cents(bill.once()),
                "storage_per_month": cents(bill.storage_per_month),
            },
        })
    };
    let once: f64 = bills.iter().map(Bill::once).sum::<f64>() + listing;
    let monthly: f64 = bills.iter().map(|bill| bill.storage_per_month).sum();
    json!({
        "event": "summary", "command": "estimate", "bucket": options.bucket, "prefix": options.prefix,
        "objects": counts.small.objects + counts.large.objects, "bytes": counts.small.bytes + counts.large.bytes,
        "archived": counts.archived, "small_up_to": policy.small, "small": part(&counts.small, &bills[0]),
        "large": part(&counts.large, &bills[1]), "list_requests": lists, "copy_seconds": cents(seconds),
        "cost": {"listing": cents(listing), "once": cents(once), "storage_per_month": cents(monthly)},
        "prices": options.prices.machine(), "interrupted": interrupted, "complete": !interrupted,
    })
}

/// Whichever is the limit: the line, or the requests that Azure takes.
fn seconds(counts: &Counts, options: &Options) -> f64 {
    let parts = [counts.small, counts.large];
    let bits: f64 = parts.iter().map(|part| part.bytes as f64 * 8.0).sum();
    let requests: f64 = parts.iter().map(|part| (part.azure_writes + part.azure_reads) as f64).sum();
    (bits / (options.gigabits * 1e9)).max(requests / options.requests_per_second)
}

/// To a hundredth of a cent: less is noise.
fn cents(amount: f64) -> f64 {
    (amount * 1e4).round() / 1e4
}

fn person(options: &Options, counts: &Counts, summary: &Value) -> String {
    let line = |name: &str, part: &Part| {
        let cost = &summary[name]["cost"];
        format!(
            "{name:5}  {} objects, {} bytes: {} S3 requests {}, egress {}, retrieval {}, {} Azure requests {}, storage {} a month",
            part.objects,
            part.bytes,
            part.s3_requests,
            cost["s3_requests"],
            cost["egress"],
            cost["retrieval"],
            part.azure_writes + part.azure_reads,
            cost["azure_requests"],
            cost["storage_per_month"],
        )
    };
    let cost = &summary["cost"];
    format!(
        "{}\n{}\nall    {} once (listing {}), then {} a month; at least {} s at {} Gbit/s and {} requests/s; {} archived objects need \
         a restoration first and are not in it\nprices {SOURCE}",
        line("small", &counts.small),
        line("large", &counts.large),
        cost["once"],
        cost["listing"],
        cost["storage_per_month"],
        summary["copy_seconds"],
        options.gigabits,
        options.requests_per_second,
        counts.archived,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::MIB;

    const PRICES: Prices = Prices {
        s3_read: 0.4,
        s3_list: 5.0,
        s3_retrieval: 0.01,
        egress: 0.09,
        azure_write: 0.05,
        azure_read: 0.004,
        azure_storage: 0.02,
    };

    #[test]
    fn what_is_counted() {
        let policy = Policy { small: 8 * MIB, block: 8 * MIB, ..Policy::default() };
        let none = Part::default();
        for (size, class, number, small, large, archived) in [
            (
                4096,
                "STANDARD",
                1000,
                Part { objects: 1000, bytes: 4_096_000, s3_requests: 1000, azure_writes: 1000, ..none },
                none,
                0,
            ),
            (0, "STANDARD", 3, Part { objects: 3, s3_requests: 3, azure_writes: 3, ..none }, none, 0),
            (
                8 * MIB,
                "STANDARD_IA",
                1,
                Part { objects: 1, bytes: 8 * MIB, retrieved: 8 * MIB, s3_requests: 1, azure_writes: 1, ..none },
                none,
                0,
            ),
            (
                8 * MIB + 1,
                "STANDARD",
                2,
                none,
                Part {
                    objects: 2,
                    bytes: 16 * MIB + 2,
                    retrieved: 0,
                    s3_requests: 6,
                    azure_writes: 10,
                    azure_reads: 4,
                },
                0,
            ),
            (
                MIB << 10,
                "GLACIER_IR",
                1,
                none,
                Part {
                    objects: 1,
                    bytes: MIB << 10,
                    retrieved: MIB << 10,
                    s3_requests: 129,
                    azure_writes: 257,
                    azure_reads: 2,
                },
                0,
            ),
            (9, "DEEP_ARCHIVE", 5, none, none, 5),
        ] {
            let mut counts = Counts::default();
            counts.add(&policy, size, class, number);
            assert_eq!(counts, Counts { small, large, archived }, "{size} {class}");
        }
    }

    #[test]
    fn what_it_costs() {
        let part = |bytes, requests, reads| Part {
            objects: 1,
            bytes,
            retrieved: bytes / 2,
            s3_requests: requests,
            azure_writes: requests,
            azure_reads: reads,
        };
        for (part, expected) in [
            (part(0, 0, 0), [0.0; 5]),
            // 100 GB, half of it retrieved; a million requests to each.
            (part(100_000_000_000, 1_000_000, 0), [400.0, 0.5, 9.0, 5.0, 2.0]),
            (part(1_000_000_000, 0, 20_000), [0.0, 0.005, 0.09, 0.008, 0.02]),
        ] {
            let bill = Bill::of(&part, &PRICES);
            let all = [bill.s3_requests, bill.retrieval, bill.egress, bill.azure_requests, bill.storage_per_month];
            assert_eq!(all.map(cents), expected.map(cents), "{part:?}");
            assert_eq!(cents(bill.once()), cents(expected[..4].iter().sum()));
        }
    }
}
