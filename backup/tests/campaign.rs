//! Thousands of objects and everything that can go wrong, at once, by a seed.
//!
//! Several processes work on one queue. Requests fail, hang, are cut or lose their answers on both sides; processes are killed
//! between any two steps; events come twice and in the wrong order. In the end every object is read back and is identical, with
//! all that describes it, or its message is in the dead-letter queue and the log has the reason.

#![allow(clippy::unwrap_used)]

mod support;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use backup::{
    Policy, Reason,
    lambda::Function,
    metrics::Metrics,
    name,
    record::{Describing, Description, Record},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use support::{
    World, azure,
    faults::Random,
    lock, noise,
    queue::{Sqs, bridged, notified},
    s3::{Content, Version},
    small_policy,
};
use tokio::time::Instant;

const SEED: u64 = 20_260_301;
const OBJECTS: u64 = 2_000;
/// Of a thousand requests, on each side.
const FAULTS: u64 = 60;
/// Of a hundred invocations.
const KILLS: u64 = 15;
const WORKERS: u64 = 8;
const MOST_RECEIVED: u32 = 12;
const BUCKET: &str = "source";

/// The lines of the log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.0).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// The reasons of the failures, by message.
    fn reasons(&self) -> HashMap<String, Vec<String>> {
        let text = String::from_utf8(lock(&self.0).clone()).unwrap();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut reasons: HashMap<String, Vec<String>> = HashMap::new();
        for line in lines.filter(|line| line["message"] == "failed") {
            let reason = line["reason"].as_str().unwrap().to_owned();
            reasons.entry(line["message_id"].as_str().unwrap().to_owned()).or_default().push(reason);
        }
        reasons
    }
}

/// What is to become of a key.
struct Expected {
    /// The newest version.
    newest: Version,
    /// The messages that tell of it.
    messages: Vec<String>,
    /// Why it cannot be copied, if it cannot.
    reason: Option<Reason>,
}

fn key(random: &mut Random, n: u64) -> String {
    const PIECES: [&str; 16] =
        ["a", "+", " ", "%20", "%", "/", "//", ".", "..", "/./", "é", "日本", "!", "\\", "\u{7f}", "?#&="];
    let mut key: String = (0..random.below(6)).map(|_| PIECES[random.below(16) as usize]).collect();
    key.push_str(&n.to_string());
    if random.chance(2) {
        key.push_str(&"x".repeat(1024 - key.len()));
    } else if random.chance(1) {
        key.push_str(&"/".repeat(700));
    } else if random.chance(10) {
        key.push_str(["/", ".", "./", "\\"][random.below(4) as usize]);
    }
    key
}

fn object(random: &mut Random, n: u64, version: u64) -> Version {
    const SIZES: [u64; 10] = [0, 1, 100, 4095, 4096, 4097, 8192, 8193, 20_000, 40_960];
    let size = SIZES[random.below(10) as usize];
    let mut object = Version::new(noise(n * 10 + version, 0, size as usize)).at(version as i64);
    match random.below(8) {
        0 => object.checksum("", "", ""),
        1 => object.checksum("sha256", "AAAA-3", "COMPOSITE"),
        _ => {}
    }
    if random.chance(30) {
        object = object.with("x-amz-meta-owner-name", "Größe ").with("x-amz-meta-n_1", &n.to_string());
    }
    if random.chance(20) {
        object =
            object.with("content-encoding", "gzip").with("expires", "never").with("x-amz-storage-class", "STANDARD_IA");
    }
    if random.chance(20) {
        object.tags = BTreeMap::from([("a".to_owned(), "b@c".to_owned()), ("d".to_owned(), n.to_string())]);
    }
    object
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_object_arrives_or_is_in_the_dead_letter_queue_with_a_reason() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_max_level(tracing::Level::INFO)
        .with_writer(move || writer.clone())
        .init();
    let began = Instant::now();
    let world = World::start().await;
    let queue = Sqs::default();
    let mut random = Random(SEED);
    let mut expected: HashMap<String, Expected> = HashMap::new();
    let mut events: Vec<(String, String)> = Vec::new();

    for n in 0..OBJECTS {
        let key = key(&mut random, n);
        let versions = if random.chance(25) { 2 + random.below(2) } else { 1 };
        let versioned = versions > 1 || random.chance(50);
        for version in 0..versions {
            let mut newest = object(&mut random, n, version);
            newest.id = versioned.then(|| format!("v{version}"));
            let reason = refusal(&mut random, &mut newest, &world, &key, version + 1 == versions);
            world.s3.put(BUCKET, &key, newest.clone());
            let mut about = json!({"size": newest.content.size(), "sequencer": format!("{n:08X}{version:02X}")});
            if let Some(id) = &newest.id {
                about["version-id"] = json!(id);
            }
            let event = match random.chance(50) {
                true => bridged(BUCKET, &key, about, "Object Created"),
                false => notified(BUCKET, &key, about, "ObjectCreated:Put"),
            };
            for _ in 0..1 + random.below(5) / 4 {
                events.push((key.clone(), event.clone()));
            }
            if reason == Some(Reason::Gone) {
                world.s3.remove(BUCKET, &key, newest.id.as_deref());
            }
            expected.insert(key.clone(), Expected { newest: newest.clone(), messages: Vec::new(), reason });
        }
        if random.chance(1) {
            // Not an event at all.
            events.push((String::new(), ["{", "{}", "[1]", "{\"Records\": 5}"][random.below(4) as usize].to_owned()));
        }
    }
    // In any order.
    for at in (1..events.len()).rev() {
        events.swap(at, random.below(at as u64 + 1) as usize);
    }
    let mut malformed = HashSet::new();
    let count = events.len();
    for (key, event) in events {
        let id = queue.send(&event);
        match expected.get_mut(&key) {
            Some(expected) => expected.messages.push(event),
            None => _ = malformed.insert(id),
        }
    }

    world.s3.faults().random(SEED, FAULTS);
    world.azure.faults().random(SEED + 1, FAULTS);
    let totals = Mutex::new((0u64, 0u64));
    let policy = Policy { memory: 256 << 10, ..small_policy() };
    let work = |worker: u64| {
        let (world, queue, policy, totals) = (&world, &queue, &policy, &totals);
        async move {
            let mut random = Random(SEED + 100 + worker);
            while !queue.is_empty() {
                let Some((event, ids)) = queue.receive(10) else {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    continue;
                };
                // A process of its own, with connections of its own.
                let backup = world.backup(policy.clone());
                let function = Function { backup: &backup, queue, concurrency: 8 };
                let mut metrics = Metrics::default();
                let time = Duration::from_secs(5) + Duration::from_millis(200 + random.below(3_000));
                let event = serde_json::value::to_raw_value(&event).unwrap();
                let handled = function.handle(&event, Instant::now() + time, &mut metrics);
                let life = match random.chance(KILLS) {
                    true => Duration::from_millis(random.below(300)),
                    false => Duration::from_secs(60),
                };
                let answer = tokio::time::timeout(life, handled).await.ok().map(|answer| answer.unwrap());
                let mut totals = lock(totals);
                totals.0 += 1;
                totals.1 += u64::from(answer.is_none());
                queue.settle(&ids, answer.as_ref(), MOST_RECEIVED);
            }
        }
    };
    futures::future::join_all((0..WORKERS).map(work)).await;
    world.s3.faults().stop();
    world.azure.faults().stop();

    // Every blob is read back, over the same wire.
    let reasons = log.reasons();
    let dead: HashMap<String, Vec<String>> = queue.dead().into_iter().fold(HashMap::new(), |mut dead, message| {
        assert!(reasons.contains_key(&message.id), "a dead letter without a reason: {message:?}");
        dead.entry(message.body).or_default().extend(reasons[&message.id].clone());
        dead
    });
    let (mut identical, mut dead_letters) = (0, BTreeMap::<String, u32>::new());
    world.azure.allow();
    let reader = support::http();
    for (key, expected) in &expected {
        let blob_name = name::encode("", key);
        let address = format!("{}/{}", world.azure.container_url(), utf8_percent_encode(&blob_name, NON_ALPHANUMERIC));
        let answer = reader.get(address).send().await.unwrap();
        let read = match answer.status().is_success() {
            true => world.azure.blob(&blob_name).filter(|blob| blob.size == answer.content_length().unwrap()),
            false => None,
        };
        let read = match read {
            Some(blob) => Some(azure::Blob { content: answer.bytes().await.unwrap(), ..blob }),
            None => None,
        };
        let is_identical = read.as_ref().is_some_and(|blob| same(&blob_name, key, blob, &expected.newest));
        let letters: Vec<&String> =
            expected.messages.iter().filter_map(|message| dead.get(message)).flatten().collect();
        match &expected.reason {
            None if is_identical => identical += 1,
            None => {
                assert!(
                    !letters.is_empty(),
                    "{key:?} is neither identical nor a dead letter: {read:?}, not {:?}",
                    expected.newest
                );
                *dead_letters.entry(format!("exhausted: {}", letters[0])).or_default() += 1;
            }
            Some(reason) => {
                assert!(!is_identical, "{key:?} should have been refused: {reason}");
                assert!(!letters.is_empty(), "{key:?} is no dead letter: {reason}");
                let wanted = reason.to_string();
                let letter = if letters.contains(&&wanted) { wanted } else { format!("exhausted: {}", letters[0]) };
                *dead_letters.entry(letter).or_default() += 1;
            }
        }
    }
    let dead_ids: HashSet<_> = queue.dead().into_iter().map(|message| message.id).collect();
    assert!(malformed.iter().all(|id| dead_ids.contains(id) && reasons[id].iter().all(|reason| reason == "Malformed")));
    dead_letters.insert("Malformed".to_owned(), malformed.len() as u32);

    let (invocations, killed) = *lock(&totals);
    let lettered: u32 = dead_letters.values().sum();
    println!(
        "campaign: seed {SEED}, {OBJECTS} objects, {count} messages, {invocations} invocations, {killed} killed, {} faults at S3, {} at \
         Azure, {} messages went on; {identical} objects identical, {lettered} dead letters with a reason {dead_letters:?}, 0 lost, \
         {:.1} s",
        world.s3.faults().count(),
        world.azure.faults().count(),
        queue.sent_on(),
        began.elapsed().as_secs_f64(),
    );
    let exhausted: u32 =
        dead_letters.iter().filter(|(reason, _)| reason.starts_with("exhausted")).map(|(_, count)| count).sum();
    assert!(u64::from(exhausted) * 100 < OBJECTS, "more than one in a hundred gave up");
}

/// Now and then something stands in the way of the newest version.
fn refusal(random: &mut Random, version: &mut Version, world: &World, key: &str, is_newest: bool) -> Option<Reason> {
    if !is_newest {
        return None;
    }
    match random.below(200) {
        0 => {
            version.refusal = Some((403, "InvalidObjectState", "archived"));
            version.headers.insert("x-amz-storage-class".to_owned(), "DEEP_ARCHIVE".to_owned());
            Some(Reason::Archived)
        }
        1 => {
            version.refusal = Some((403, "AccessDenied", "no"));
            Some(Reason::SourceForbidden)
        }
        2 => Some(Reason::Gone),
        3 => {
            version.checksum("crc64nvme", "AAAAAAAAAAE=", "FULL_OBJECT");
            Some(Reason::Damaged)
        }
        4 => {
            world.azure.refuse(&name::encode("", key), 403, "AuthorizationPermissionMismatch");
            Some(Reason::TargetForbidden)
        }
        5 => {
            world.azure.refuse(&name::encode("", key), 409, "AccountCapacityExceeded");
            Some(Reason::Full)
        }
        6 => {
            world
                .azure
                .put(&name::encode("", key), azure::Blob { etag: "\"0x1\"".to_owned(), ..azure::Blob::default() });
            Some(Reason::NotOurs)
        }
        _ => None,
    }
}

/// Whether a blob is this version, byte for byte and with all that describes it.
fn same(blob_name: &str, key: &str, blob: &azure::Blob, version: &Version) -> bool {
    let Content::Bytes(bytes) = &version.content else { return false };
    let described = Description {
        headers: blob.headers.clone(),
        metadata: blob.metadata.clone(),
        tags: blob.tags.clone(),
        tier: None,
    };
    let Some(record) = Record::read(&Describing::default(), blob_name, &described) else { return false };
    let Some(content) = &record.content else { return false };
    let user: BTreeMap<_, _> = version
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("x-amz-meta-")?.to_owned(), value.trim().to_owned())))
        .collect();
    let headers: BTreeMap<_, _> = version
        .headers
        .iter()
        .filter(|(name, _)| !name.starts_with("x-amz-"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    blob.content == bytes
        && record.key == key
        && record.tags == version.tags
        && record.user == user
        && record.headers == headers
        && content.etag == version.etag
        && content.version == version.id
        && content.crc64 == crc_fast::crc64_nvme(bytes)
}
