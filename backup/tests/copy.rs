//! Objects from a stub of S3 to a stub of Azure: what arrives, in how many requests, and what stands in the way.

#![allow(clippy::unwrap_used)]

mod support;

use std::{collections::BTreeMap, time::Duration};

use backup::{
    Deletes, Outcome, Policy, Reason,
    checksum::{Algorithm, Checked},
    event::{Change, Kind},
    name,
    record::{Describing, Description, Record},
};
use support::{World, created, faults::Fault, noise, s3::Version, small_policy};
use tokio::time::Instant;

const BUCKET: &str = "source";

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

async fn apply(world: &World, policy: &Policy, change: &Change) -> backup::Result<Outcome> {
    world.backup(policy.clone()).apply(change, soon()).await
}

fn copied(bytes: u64) -> Outcome {
    Outcome::Copied { bytes, checked: Checked::Against(Algorithm::Crc64Nvme) }
}

/// What the blob of a key says of its object.
fn record(world: &World, key: &str) -> Record {
    let name = name::encode("", key);
    let blob = world.azure.blob(&name).unwrap_or_else(|| panic!("no blob {name}"));
    let description = Description { headers: blob.headers, metadata: blob.metadata, tags: blob.tags, tier: None };
    Record::read(&Describing::default(), &name, &description).unwrap()
}

#[tokio::test]
async fn a_small_object_takes_two_requests() {
    let world = World::start().await;
    world.s3.put(BUCKET, "a/b.txt", Version::new("hello"));
    assert_eq!(apply(&world, &small_policy(), &created(BUCKET, "a/b.txt")).await.unwrap(), copied(5));
    assert_eq!(world.s3.requests(), ["GET /source/a/b.txt"]);
    assert_eq!(world.azure.requests(), ["PUT /container/a%2Fb.txt"]);
    assert_eq!(world.azure.blob("a/b.txt").unwrap().content, "hello");

    assert_eq!(apply(&world, &small_policy(), &created(BUCKET, "a/b.txt")).await.unwrap(), Outcome::Unchanged);
    assert_eq!(world.azure.blob("a/b.txt").unwrap().writes, 1, "a repeated event copies nothing");
}

#[tokio::test]
async fn sizes_around_a_block_arrive_whole() {
    let world = World::start().await;
    for (size, blocks) in [(0, 0), (1, 0), (4095, 0), (4096, 0), (4097, 2), (8192, 2), (8193, 3), (50_000, 13)] {
        let key = format!("{size}");
        let bytes = noise(size as u64, 0, size);
        world.s3.put(BUCKET, &key, Version::new(bytes.clone()));
        let change = Change { size: Some(size as u64), ..created(BUCKET, &key) };
        assert_eq!(apply(&world, &small_policy(), &change).await.unwrap(), copied(size as u64));
        assert_eq!(world.azure.blob(&key).unwrap().content, bytes, "{size}");
        // The first byte of an id, in base64, tells what the block is.
        let staged = world.azure.requests().iter().filter(|line| line.contains("blockid=U")).count();
        assert_eq!(staged, blocks, "{size}");
    }
    // An event without a size, of a large object.
    world.s3.put(BUCKET, "unknown", Version::new(noise(1, 0, 20_000)));
    assert_eq!(apply(&world, &small_policy(), &created(BUCKET, "unknown")).await.unwrap(), copied(20_000));
}

#[tokio::test]
async fn blocks_go_from_memory_where_nobody_says_what_arrived() {
    let world = World::start().await;
    world.azure.mute();
    let bytes = noise(3, 0, 30_000);
    world.s3.put(BUCKET, "k", Version::new(bytes.clone()));
    world.s3.faults().next("GET /source/k", Fault::Truncate);
    world.s3.faults().next("GET /source/k", Fault::Truncate);
    world.azure.flip(1);
    let change = Change { size: Some(30_000), ..created(BUCKET, "k") };
    assert_eq!(apply(&world, &small_policy(), &change).await.unwrap(), copied(30_000));
    assert_eq!(world.azure.blob("k").unwrap().content, bytes);
}

#[tokio::test]
async fn a_flipped_bit_is_refused_and_sent_again() {
    let world = World::start().await;
    world.s3.put(BUCKET, "k", Version::new(noise(4, 0, 20_000)));
    world.s3.faults().next("GET /source/k", Fault::Truncate);
    world.s3.faults().next("GET /source/k", Fault::Truncate);
    world.azure.flip(2);
    let change = Change { size: Some(20_000), ..created(BUCKET, "k") };
    assert_eq!(apply(&world, &small_policy(), &change).await.unwrap(), copied(20_000));
    assert_eq!(world.azure.blob("k").unwrap().content, noise(4, 0, 20_000));
}

#[tokio::test]
async fn a_wrong_size_is_noticed_even_without_a_checksum() {
    let world = World::start().await;
    let mut version = Version::new(noise(11, 0, 20_000));
    version.checksum("", "", "");
    world.s3.put(BUCKET, "k", version);
    // The stub then says that the object has one byte.
    world.s3.faults().next("HEAD /source/k", Fault::Truncate);
    let change = Change { size: Some(20_000), ..created(BUCKET, "k") };
    let outcome = apply(&world, &small_policy(), &change).await.unwrap();
    assert_eq!(outcome, Outcome::Copied { bytes: 20_000, checked: Checked::Computed });
    assert_eq!(world.azure.blob("k").unwrap().content, noise(11, 0, 20_000));
}

#[tokio::test]
async fn azure_fetches_by_itself_where_it_can() {
    for reaches in [true, false] {
        let world = World::start().await;
        if reaches {
            world.azure.reach();
        }
        let policy = Policy { pull: true, ..small_policy() };
        let key = "a b+c/é%20";
        world.s3.put(BUCKET, key, Version::new(noise(5, 0, 20_000)));
        let change = Change { size: Some(20_000), ..created(BUCKET, key) };
        assert_eq!(apply(&world, &policy, &change).await.unwrap(), copied(20_000));
        assert_eq!(world.azure.blob(key).unwrap().content, noise(5, 0, 20_000));
        let presigned = world.s3.requests().iter().filter(|line| line.contains("X-Amz-Signature=")).count();
        // Five blocks, and more where one took too long.
        assert_eq!(presigned >= 5, reaches, "{presigned}");
        assert_eq!(record(&world, key).content.unwrap().checked, Checked::Against(Algorithm::Crc64Nvme));
    }
}

#[tokio::test]
async fn everything_that_describes_an_object_arrives() {
    let world = World::start().await;
    let key = "päth/with +%20 and/./dots.../";
    let mut version = Version::new("x")
        .with("content-type", "text/plain; charset=utf-8")
        .with("content-encoding", "gzip")
        .with("content-language", "de")
        .with("content-disposition", "attachment; filename=\"a b.txt\"")
        .with("cache-control", "max-age=60")
        .with("expires", "Thu, 01 Jan 2026 00:00:00 GMT")
        .with("x-amz-storage-class", "GLACIER_IR")
        .with("x-amz-website-redirect-location", "/elsewhere")
        .with("x-amz-server-side-encryption", "aws:kms")
        .with("x-amz-meta-content-owner", "Größe")
        .with("x-amz-meta-1st_thing", "1");
    version.id = Some("v.1_x".to_owned());
    let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    version.tags = BTreeMap::from([tag("team", "sap"), tag("mail", "a@b&c"), tag("größe", "<1")]);
    world.s3.put(BUCKET, key, version.clone());
    let change = Change { version: Some("v.1_x".to_owned()), sequencer: Some("0A".to_owned()), ..created(BUCKET, key) };
    assert_eq!(apply(&world, &small_policy(), &change).await.unwrap(), copied(1));
    let record = record(&world, key);
    assert_eq!(record.key, key);
    assert_eq!(record.tags, version.tags);
    assert_eq!(record.user, BTreeMap::from([tag("content-owner", "Größe"), tag("1st_thing", "1")]));
    for (name, value) in &version.headers {
        if !name.starts_with("x-amz-meta-") && !name.starts_with("x-amz-checksum") && name != "x-amz-storage-class" {
            assert_eq!(record.headers.get(name), Some(value), "{name}");
        }
    }
    let content = record.content.unwrap();
    assert_eq!((content.version.as_deref(), content.class.as_str()), (Some("v.1_x"), "GLACIER_IR"));
    assert_eq!(content.position.sequencer.as_deref(), Some("0A"));
    let blob = world.azure.blob(&name::encode("", key)).unwrap();
    assert_eq!((blob.tier.as_deref(), blob.tags.len()), (Some("Cold"), 1));
}

#[tokio::test]
async fn checksums_are_compared_or_it_is_said_that_they_are_not() {
    let world = World::start().await;
    let bytes = noise(6, 0, 10_000);
    let crc32 = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        u32::try_from(crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, &bytes)).unwrap().to_be_bytes(),
    );
    for (key, algorithm, value, kind, expected) in [
        ("none", "", "", "", Checked::Computed),
        ("crc32", "crc32", crc32.as_str(), "FULL_OBJECT", Checked::Against(Algorithm::Crc32)),
        ("parts", "sha256", "AAAA-2", "COMPOSITE", Checked::NotComparable),
    ] {
        let mut version = Version::new(bytes.clone());
        version.checksum(algorithm, value, kind);
        world.s3.put(BUCKET, key, version);
        let outcome = apply(&world, &small_policy(), &created(BUCKET, key)).await.unwrap();
        assert_eq!(outcome, Outcome::Copied { bytes: 10_000, checked: expected }, "{key}");
        let content = record(&world, key).content.unwrap();
        assert_eq!((content.checked, content.crc64), (expected, crc_fast::crc64_nvme(&bytes)));
    }
    for (key, size) in [("wrong-small", 100), ("wrong-large", 10_000)] {
        let mut version = Version::new(noise(8, 0, size));
        version.checksum("crc64nvme", "AAAAAAAAAAA=", "FULL_OBJECT");
        world.s3.put(BUCKET, key, version);
        let error = apply(&world, &small_policy(), &created(BUCKET, key)).await.unwrap_err();
        assert_eq!(error.reason, Reason::Damaged);
        assert_eq!(world.azure.blob(key), None, "nothing wrong is ever committed");
    }
}

#[tokio::test]
async fn a_killed_copy_goes_on_where_it_was() {
    let world = World::start().await;
    let size = 40_960;
    for mute in [false, true] {
        let key = format!("k{mute}");
        let policy = small_policy();
        if mute {
            world.azure.mute();
        }
        world.s3.put(BUCKET, &key, Version::new(noise(9, 0, size)));
        let change = Change { size: Some(size as u64), ..created(BUCKET, &key) };
        let mut rounds = 0;
        loop {
            let backup = world.backup(policy.clone());
            // Every call of the process may be its last.
            let killed =
                tokio::time::timeout(Duration::from_micros(600 * (rounds + 1)), backup.apply(&change, soon())).await;
            rounds += 1;
            if let Ok(outcome) = killed {
                assert!(matches!(outcome.unwrap(), Outcome::Copied { .. } | Outcome::Unchanged));
                break;
            }
        }
        assert_eq!(world.azure.blob(&key).unwrap().content, noise(9, 0, size), "after {rounds} processes");
        let staged = world.azure.requests().iter().filter(|line| line.contains("blockid=")).count();
        println!("{mute}: {rounds} processes, {staged} blocks staged for 10");
    }
}

#[tokio::test]
async fn time_that_is_over_leaves_progress() {
    let world = World::start().await;
    let size = 409_600;
    world.s3.put(BUCKET, "k", Version::new(noise(9, 0, size)));
    let change = Change { size: Some(size as u64), ..created(BUCKET, "k") };
    let backup = world.backup(Policy { memory: 1, ..small_policy() });
    let mut reached = 0;
    for _ in 0..1000 {
        match backup.apply(&change, Instant::now() + Duration::from_millis(25)).await {
            Ok(Outcome::Unfinished { staged, total }) => {
                assert!(staged >= reached && total == size as u64);
                reached = staged;
            }
            // Over before the first block was.
            Err(error) if error.reason == Reason::Deadline => {}
            done => {
                // Unchanged: committed, and the answer was lost with the time.
                assert!([copied(size as u64), Outcome::Unchanged].contains(&done.unwrap()));
                assert!(reached > 0, "it took more than one invocation");
                return;
            }
        }
    }
    panic!("no end at {reached} bytes");
}

fn version(id: &str, bytes: &str, seconds: i64) -> Version {
    Version { id: Some(id.to_owned()), ..Version::new(bytes.to_owned()).at(seconds) }
}

fn event(key: &str, id: &str, sequencer: &str) -> Change {
    Change { version: Some(id.to_owned()), sequencer: Some(sequencer.to_owned()), ..created(BUCKET, key) }
}

#[tokio::test]
async fn an_older_version_never_overwrites_a_newer_one() {
    let world = World::start().await;
    for (id, bytes, seconds) in [("v1", "one", 0), ("v2", "two", 0), ("v3", "three", 0)] {
        world.s3.put(BUCKET, "k", version(id, bytes, seconds));
    }
    let policy = small_policy();
    assert_eq!(apply(&world, &policy, &event("k", "v2", "02")).await.unwrap(), copied(3));
    assert_eq!(apply(&world, &policy, &event("k", "v1", "01")).await.unwrap(), Outcome::Superseded);
    assert_eq!(world.azure.blob("k").unwrap().content, "two");
    assert_eq!(apply(&world, &policy, &event("k", "v3", "03")).await.unwrap(), copied(5));
    assert_eq!(apply(&world, &policy, &event("k", "v2", "02")).await.unwrap(), Outcome::Superseded);
    // A listing knows no sequencer; the times are the same, so S3 is asked.
    let listed = Change { sequencer: None, ..event("k", "v1", "") };
    assert_eq!(apply(&world, &policy, &listed).await.unwrap(), Outcome::Superseded);
    let listed = Change { sequencer: None, ..event("k", "v3", "") };
    assert_eq!(apply(&world, &policy, &listed).await.unwrap(), Outcome::Unchanged);
    assert_eq!(world.azure.blob("k").unwrap().content, "three");
}

#[tokio::test]
async fn two_writers_on_one_key_end_with_the_newer_one() {
    let world = World::start().await;
    let sizes = [30_000, 3, 26_000, 50];
    for (n, size) in sizes.into_iter().enumerate() {
        let bytes = String::from_utf8(vec![b'a' + n as u8; size]).unwrap();
        world.s3.put(BUCKET, "k", version(&format!("v{n}"), &bytes, n as i64));
    }
    for round in 0..12 {
        let key = "k";
        let (one, other) = (round % 4, (round / 4 + 1 + round) % 4);
        let changes = [one, other].map(|n| Change {
            size: Some(sizes[n] as u64),
            ..event(key, &format!("v{n}"), &format!("{round:02X}0{n}"))
        });
        let policy = small_policy();
        let (first, second) = tokio::join!(apply(&world, &policy, &changes[0]), apply(&world, &policy, &changes[1]));
        first.unwrap();
        second.unwrap();
        let newest = one.max(other);
        let blob = world.azure.blob(key).unwrap();
        assert_eq!((blob.size, blob.content[0]), (sizes[newest] as u64, b'a' + newest as u8), "round {round}");
    }
}

#[tokio::test]
async fn blocks_that_another_writer_discards_are_staged_again() {
    let world = World::start().await;
    world.s3.put(BUCKET, "k", Version::new(noise(10, 0, 20_000)));
    let change = Change { size: Some(20_000), ..created(BUCKET, "k") };
    let azure = world.azure.clone();
    let thief = tokio::spawn(async move {
        for _ in 0..20 {
            azure.lose_blocks("k");
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
    });
    let outcome = apply(&world, &small_policy(), &change).await.unwrap();
    thief.await.unwrap();
    assert_eq!(outcome, copied(20_000));
    assert_eq!(world.azure.blob("k").unwrap().content, noise(10, 0, 20_000));
}

#[tokio::test]
async fn what_stands_in_the_way_has_a_reason() {
    let world = World::start().await;
    let refused = |status, code, message| Version { refusal: Some((status, code, message)), ..Version::new("x") };
    world.s3.put(BUCKET, "archived", refused(403, "InvalidObjectState", "no").with("x-amz-storage-class", "GLACIER"));
    world.s3.put(BUCKET, "secret", refused(403, "AccessDenied", "no"));
    world.s3.put(BUCKET, "customer", refused(400, "InvalidRequest", "stored using a form of Server Side Encryption"));
    let many = (0..12).fold(Version::new("x"), |version, n| version.with(&format!("x-amz-meta-{n}"), &"é".repeat(250)));
    world.s3.put(BUCKET, "wordy", many);
    for key in ["forbidden", "missing", "full", "held", "leased", "taken"] {
        world.s3.put(BUCKET, key, Version::new("x"));
    }
    for (name, status, code) in [
        ("forbidden", 403, "AuthorizationPermissionMismatch"),
        ("missing", 404, "ContainerNotFound"),
        ("full", 409, "AccountCapacityExceeded"),
        ("held", 409, "BlobImmutableDueToPolicy"),
        ("leased", 412, "LeaseIdMissing"),
    ] {
        world.azure.refuse(name, status, code);
    }
    world.azure.put("taken", support::azure::Blob { etag: "\"1\"".to_owned(), ..Default::default() });
    for (key, size, reason) in [
        ("archived", None, Reason::Archived),
        ("archived", Some(1 << 30), Reason::Archived),
        ("secret", None, Reason::SourceForbidden),
        ("customer", None, Reason::CustomerKey),
        ("customer", Some(1 << 30), Reason::CustomerKey),
        ("gone", None, Reason::Gone),
        ("wordy", None, Reason::TooMuchMetadata),
        ("forbidden", None, Reason::TargetForbidden),
        ("missing", None, Reason::ContainerMissing),
        ("full", None, Reason::Full),
        ("held", None, Reason::Immutable),
        ("leased", None, Reason::Leased),
        ("taken", None, Reason::NotOurs),
    ] {
        let error = apply(&world, &small_policy(), &Change { size, ..created(BUCKET, key) }).await.unwrap_err();
        assert_eq!(error.reason, reason, "{key}: {error}");
        assert!(error.reason.is_permanent() && error.message.contains(&format!("s3://source/{key}")), "{error}");
    }
    // Restored from the archive, it can be read.
    let restored =
        Version::new("x").with("x-amz-storage-class", "GLACIER").with("x-amz-restore", "ongoing-request=\"false\"");
    world.s3.put(BUCKET, "archived", restored);
    assert_eq!(apply(&world, &small_policy(), &created(BUCKET, "archived")).await.unwrap(), copied(1));
    assert_eq!(world.azure.blob("archived").unwrap().tier.as_deref(), Some("Archive"));
}

#[tokio::test]
async fn storms_pass_or_are_told() {
    let world = World::start().await;
    world.s3.put(BUCKET, "k", Version::new("x"));
    for fault in support::faults::ALL {
        world.s3.faults().next("GET /source/k", fault);
        world.azure.faults().next("PUT /container/k", fault);
    }
    let patient = Policy {
        retries: backup::retry::Retries {
            attempts: 20,
            patience: Duration::from_millis(100),
            ..small_policy().retries
        },
        ..small_policy()
    };
    let outcome = apply(&world, &patient, &created(BUCKET, "k")).await.unwrap();
    assert!(
        matches!(outcome, Outcome::Copied { .. } | Outcome::Unchanged),
        "{outcome:?}: the answer to its write may be lost"
    );
    assert_eq!(world.azure.blob("k").unwrap().content, "x");

    world.azure.refuse("busy", 503, "ServerBusy");
    world.s3.put(BUCKET, "busy", Version::new("x"));
    let error = apply(&world, &small_policy(), &created(BUCKET, "busy")).await.unwrap_err();
    assert_eq!((error.reason, error.reason.is_permanent()), (Reason::Throttled, false));
    assert!(error.message.contains("ServerBusy") && error.message.contains("AZUREREQUEST"), "{error}");
}

#[tokio::test]
async fn deletions_follow_the_policy() {
    for (deletes, outcome, stays) in [
        (Deletes::Retain, Outcome::Retained, true),
        (Deletes::Tombstone, Outcome::Tombstoned, true),
        (Deletes::Propagate, Outcome::Deleted, false),
    ] {
        let world = World::start().await;
        let policy = Policy { deletes, ..small_policy() };
        world.s3.put(BUCKET, "k", version("v1", "one", 0));
        let deleted = |id: &str, sequencer: &str| Change { kind: Kind::Deleted, ..event("k", id, sequencer) };
        apply(&world, &policy, &event("k", "v1", "01")).await.unwrap();
        // An older deletion than what is there.
        if deletes != Deletes::Retain {
            assert_eq!(apply(&world, &policy, &deleted("m0", "00")).await.unwrap(), Outcome::Superseded);
        }
        world.s3.put(BUCKET, "k", Version { marker: true, ..version("m1", "", 1) });
        assert_eq!(apply(&world, &policy, &deleted("m1", "02")).await.unwrap(), outcome);
        assert_eq!(world.azure.blob("k").is_some(), stays);
        if stays {
            assert_eq!(record(&world, "k").tombstone.is_some(), deletes == Deletes::Tombstone);
        }
        // The same event again, and that of the deleted version, change nothing.
        apply(&world, &policy, &deleted("m1", "02")).await.unwrap();
        apply(&world, &policy, &event("k", "v1", "01")).await.unwrap();
        assert_eq!(world.azure.blob("k").is_some(), stays, "{deletes:?}");
        // Written again: it is there, and nothing says that it was deleted.
        world.s3.put(BUCKET, "k", version("v2", "two", 2));
        assert_eq!(apply(&world, &policy, &event("k", "v2", "03")).await.unwrap(), copied(3));
        assert_eq!(record(&world, "k").tombstone, None);
    }
}

#[tokio::test]
async fn a_deletion_that_comes_first_is_not_forgotten() {
    let world = World::start().await;
    world.s3.put(BUCKET, "k", version("v1", "one", 0));
    world.s3.put(BUCKET, "k", Version { marker: true, ..version("m1", "", 1) });
    let deleted = Change { kind: Kind::Deleted, ..event("k", "m1", "02") };
    let policy = Policy { deletes: Deletes::Tombstone, ..small_policy() };
    assert_eq!(apply(&world, &policy, &deleted).await.unwrap(), Outcome::Tombstoned);
    assert_eq!(record(&world, "k").content, None);
    assert_eq!(apply(&world, &policy, &event("k", "v1", "01")).await.unwrap(), copied(3));
    let buried = record(&world, "k");
    assert!(buried.tombstone.is_some() && buried.content.is_some(), "the bytes are kept, and it is deleted");
    assert_eq!(world.azure.blob("k").unwrap().content, "one");
}

#[tokio::test]
async fn the_version_below_a_deleted_one_is_what_counts() {
    let world = World::start().await;
    let policy = Policy { deletes: Deletes::Propagate, ..small_policy() };
    world.s3.put(BUCKET, "k", version("v1", "one", 0));
    world.s3.put(BUCKET, "k", version("v2", "two", 5));
    apply(&world, &policy, &event("k", "v2", "02")).await.unwrap();
    world.s3.remove(BUCKET, "k", Some("v2"));
    let removed = Change { kind: Kind::VersionDeleted, ..event("k", "v2", "03") };
    assert_eq!(apply(&world, &policy, &removed).await.unwrap(), copied(3));
    assert_eq!(world.azure.blob("k").unwrap().content, "one");
    world.s3.remove(BUCKET, "k", Some("v1"));
    let removed = Change { kind: Kind::VersionDeleted, ..event("k", "v1", "04") };
    assert_eq!(apply(&world, &policy, &removed).await.unwrap(), Outcome::Deleted);
    assert_eq!(world.azure.blob("k"), None);
}

#[tokio::test]
async fn new_tags_and_classes_reach_the_blob_without_its_bytes() {
    let world = World::start().await;
    world.s3.put(BUCKET, "k", version("v1", "one", 0));
    let policy = small_policy();
    apply(&world, &policy, &event("k", "v1", "01")).await.unwrap();
    let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let tags = BTreeMap::from([tag("plain", "a"), tag("ünicode", "b")]);
    world.s3.change(BUCKET, "k", |version| {
        version.tags = tags.clone();
        version.headers.insert("x-amz-storage-class".to_owned(), "STANDARD_IA".to_owned());
    });
    let described = Change { kind: Kind::Described, ..event("k", "v1", "02") };
    assert_eq!(apply(&world, &policy, &described).await.unwrap(), Outcome::Described);
    let blob = world.azure.blob("k").unwrap();
    assert_eq!((blob.writes, blob.tier.as_deref()), (1, Some("Cool")));
    assert_eq!(record(&world, "k").tags, tags);
    world.s3.change(BUCKET, "k", |version| version.tags.clear());
    apply(&world, &policy, &described).await.unwrap();
    assert_eq!(record(&world, "k").tags, BTreeMap::new());
    // Of an object that is not there yet, it is a copy.
    world.s3.put(BUCKET, "new", version("v1", "one", 0));
    let described = Change { kind: Kind::Described, ..event("new", "v1", "02") };
    assert_eq!(apply(&world, &policy, &described).await.unwrap(), copied(3));
}
