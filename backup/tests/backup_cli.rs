//! The `backup` program against stubs of S3, Azure and SQS: what it does, what it says, how it ends.

#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

mod support;

use std::{
    collections::BTreeMap,
    io::Write as _,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{body::Body, extract::Request, http::Response as Http};
use backup::{event, name};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use support::{World, faults::Fault, lock, noise, s3::Version, serve};
use tokio::process::Command;

const BUCKET: &str = "source";
/// Keys whose names differ, so that they stand elsewhere in Azure's listing.
const ODD: [&str; 8] = ["a/", "a/b.", "a b+c%20d", "wow!", "x/../y", "Größe/日本語.txt", "tab\tkey", "//"];

/// How the program ended, and what it wrote.
struct Run {
    code: i32,
    out: String,
    err: String,
}

impl Run {
    fn lines(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
    }

    /// The last line, which is the summary.
    fn summary(&self) -> Value {
        let last = self.lines().pop().unwrap_or_else(|| panic!("no summary: {}", self.err));
        assert_eq!(last["event"], "summary");
        last
    }

    fn events(&self, event: &str) -> Vec<Value> {
        self.lines().into_iter().filter(|line| line["event"] == event).collect()
    }
}

fn command(world: &World, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_backup"));
    command
        .args(args)
        .env_clear()
        .env("HOME", std::env::temp_dir())
        .env("AWS_ACCESS_KEY_ID", "id")
        .env("AWS_SECRET_ACCESS_KEY", "very-secret")
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ENDPOINT_URL_S3", world.s3.url())
        .env("BACKUP_CONTAINER_URL", format!("{}?sig=very-secret", world.azure.container_url()))
        .env("BACKUP_BLOCK_MIB", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn ended(mut command: Command) -> Run {
    let output = tokio::time::timeout(Duration::from_secs(120), command.output()).await.unwrap().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let run = Run { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) };
    assert!(!run.out.contains("very-secret") && !run.err.contains("very-secret"), "{}{}", run.out, run.err);
    run
}

async fn run(world: &World, args: &[&str]) -> Run {
    ended(command(world, args)).await
}

/// Objects of every kind: with odd keys, empty, small, of one block and more.
fn fill(world: &World) -> BTreeMap<String, Version> {
    let mut all = BTreeMap::new();
    for at in 0..25 {
        all.insert(format!("logs/{at:03}"), Version::new(noise(at, 0, 100 + at as usize)));
    }
    for (at, key) in ODD.into_iter().enumerate() {
        all.insert(key.to_owned(), Version::new(noise(100 + at as u64, 0, at)));
    }
    all.insert("large".to_owned(), Version::new(noise(7, 0, (5 << 19) + 1)));
    let mut described = Version::new("described")
        .with("content-type", "text/plain; charset=utf-8")
        .with("content-encoding", "gzip")
        .with("content-language", "de")
        .with("content-disposition", "attachment; filename=\"a b.txt\"")
        .with("cache-control", "max-age=60")
        .with("expires", "Thu, 01 Jan 2026 00:00:00 GMT")
        .with("x-amz-storage-class", "STANDARD_IA")
        .with("x-amz-website-redirect-location", "/elsewhere")
        .with("x-amz-meta-content-owner", "=?UTF-8?B?R3LDtsOfZQ==?=")
        .with("x-amz-meta-1st_thing", "1");
    let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    described.tags = BTreeMap::from([tag("team", "sap"), tag("mail", "a@b&c"), tag("größe", "<1 +")]);
    all.insert("described".to_owned(), described);
    for (key, version) in &all {
        world.s3.put(BUCKET, key, version.clone());
    }
    all
}

async fn filled() -> (World, BTreeMap<String, Version>) {
    let world = World::start().await;
    let all = fill(&world);
    let run = run(&world, &["backfill", "--bucket", BUCKET, "--json"]).await;
    assert_eq!(run.code, 0, "{}{}", run.out, run.err);
    (world, all)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_backfill_copies_nothing() {
    let world = World::start().await;
    let all = fill(&world);
    let first = run(&world, &["backfill", "--bucket", BUCKET, "--json"]).await;
    assert_eq!(first.code, 0, "{}{}", first.out, first.err);
    let bytes: u64 = all.values().map(|version| version.content.size()).sum();
    let summary = first.summary();
    assert_eq!((summary["copied"].as_u64(), summary["bytes"].as_u64()), (Some(all.len() as u64), Some(bytes)));
    assert_eq!((&summary["unverified"], &summary["complete"]), (&json!(0), &json!(true)));
    for (key, version) in &all {
        assert_eq!(world.azure.blob(&name::encode("", key)).unwrap().content, version.content.bytes(), "{key:?}");
    }
    world.s3.requests();
    world.azure.requests();
    let second = run(&world, &["backfill", "--bucket", BUCKET, "--json"]).await;
    assert_eq!(second.code, 0, "{}", second.err);
    assert_eq!((&second.summary()["copied"], &second.summary()["unchanged"]), (&json!(0), &json!(all.len())));
    let requests = [world.s3.requests(), world.azure.requests()].concat();
    assert!(requests.iter().all(|line| line.contains("list")), "nothing but listings: {requests:?}");

    // One object is new, one changed: those and no others.
    world.s3.put(BUCKET, "logs/999", Version::new("new"));
    world.s3.put(BUCKET, "logs/003", Version::new("changed").at(60));
    let third = run(&world, &["backfill", "--bucket", BUCKET, "--prefix", "logs/", "--versions", "--json"]).await;
    assert_eq!((third.code, &third.summary()["copied"]), (0, &json!(2)), "{}", third.err);
    assert_eq!(world.azure.blob("logs/003").unwrap().content, "changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn how_much_is_shown() {
    let world = World::start().await;
    fill(&world);
    let person = run(&world, &["backfill", "--bucket", BUCKET]).await;
    assert!(person.out.starts_with("copied 35 objects"), "{}", person.out);
    let quiet = run(&world, &["verify", "--bucket", BUCKET, "--quiet"]).await;
    assert_eq!((quiet.code, quiet.out.as_str(), quiet.err.as_str()), (0, "", ""));
    let quiet = run(&world, &["verify", "--bucket", BUCKET, "--quiet", "--json"]).await;
    assert_eq!((quiet.lines().len(), quiet.err.as_str()), (1, ""));
    let refused =
        run(&world, &["verify", "--bucket", BUCKET, "--quiet", "--container-url", "https://a/c?sv=1&sig=x"]).await;
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("put it into BACKUP_CONTAINER_URL"), "{}", refused.err);
    world.s3.faults().next("GET /source", Fault::Cut);
    let repeated = run(&world, &["verify", "--bucket", BUCKET, "--quiet"]).await;
    assert_eq!((repeated.code, repeated.err.as_str()), (0, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_fails_is_named_and_the_others_are_copied() {
    let world = World::start().await;
    let all = fill(&world);
    world.s3.change(BUCKET, "logs/001", |version| version.refusal = Some((403, "InvalidObjectState", "archived")));
    world.azure.refuse("logs/002", 403, "AuthorizationPermissionMismatch");
    let run = run(&world, &["backfill", "--bucket", BUCKET, "--json"]).await;
    let summary = run.summary();
    assert_eq!((run.code, &summary["copied"]), (1, &json!(all.len() - 2)));
    assert_eq!((&summary["archived"], &summary["failed"]), (&json!(1), &json!(1)));
    let mut failed = run.events("failed");
    failed.sort_by_key(|line| line["key"].to_string());
    assert_eq!((&failed[0]["reason"], &failed[1]["reason"]), (&json!("Archived"), &json!("TargetForbidden")));
    assert!(failed[1]["message"].as_str().unwrap().contains("AZUREREQUEST"), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inventory_is_a_listing() {
    let world = World::start().await;
    let all = fill(&world);
    let mut rows = csv::Writer::from_writer(Vec::new());
    let encode = |key: &str| percent_encoding::utf8_percent_encode(key, percent_encoding::NON_ALPHANUMERIC).to_string();
    for (key, version) in &all {
        let size = version.content.size().to_string();
        rows.write_record([BUCKET, &encode(key), &size, &version.etag]).unwrap();
    }
    let rows = rows.into_inner().unwrap();
    let (one, other) = rows.split_at(rows.iter().position(|byte| *byte == b'\n').unwrap() + 1);
    for (part, rows) in [("data/1.csv.gz", one), ("data/2.csv.gz", other)] {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(rows).unwrap();
        world.s3.put("inventories", part, Version::new(packed.finish().unwrap()));
    }
    let manifest = |format: &str| {
        json!({
            "sourceBucket": BUCKET, "destinationBucket": "arn:aws:s3:::inventories", "fileFormat": format,
            "fileSchema": "Bucket, Key, Size, ETag",
            "files": [{"key": "data/1.csv.gz"}, {"key": "data/2.csv.gz"}],
        })
    };
    world.s3.put("inventories", "manifest.json", Version::new(manifest("CSV").to_string()));
    let args = ["backfill", "--bucket", BUCKET, "--inventory", "s3://inventories/manifest.json", "--json"];
    let first = run(&world, &args).await;
    assert_eq!((first.code, &first.summary()["copied"]), (0, &json!(all.len())), "{}{}", first.out, first.err);
    world.azure.requests();
    let second = run(&world, &args).await;
    assert_eq!((second.code, &second.summary()["unchanged"]), (0, &json!(all.len())));
    assert!(world.azure.requests().iter().all(|line| line.starts_with("HEAD")));
    world.s3.put("inventories", "manifest.json", Version::new(manifest("Parquet").to_string()));
    let refused = run(&world, &args).await;
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("parts are Parquet, and only CSV is read"), "{}", refused.err);
    world.s3.put("inventories", "manifest.json", Version::new(manifest("CSV").to_string()));
    world.s3.put("inventories", "data/2.csv.gz", Version::new("not packed"));
    let damaged = run(&world, &args).await;
    assert_eq!(damaged.code, 2, "half an inventory is not a whole one");
    assert!(damaged.err.contains("data/2.csv.gz") && damaged.err.contains("damaged"), "{}", damaged.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_finds_every_kind_of_difference() {
    let (world, all) = filled().await;
    let equal = run(&world, &["verify", "--bucket", BUCKET, "--json"]).await;
    assert_eq!((equal.code, &equal.summary()["equal"]), (0, &json!(all.len())), "{}{}", equal.out, equal.err);
    let read = run(&world, &["verify", "--bucket", BUCKET, "--read", "--versions", "--json"]).await;
    assert_eq!((read.code, &read.summary()["equal"]), (0, &json!(all.len())), "{}{}", read.out, read.err);

    world.s3.put(BUCKET, "missing!", Version::new("m"));
    world.s3.put(BUCKET, "logs/005", Version::new("another state").at(9));
    world.s3.remove(BUCKET, "logs/006", None);
    world.azure.put(
        "somebody's",
        world.azure.blob("logs/007").map(|blob| support::azure::Blob { metadata: BTreeMap::new(), ..blob }).unwrap(),
    );
    let damaged = world.azure.blob("logs/008").unwrap();
    let mut bytes = damaged.content.to_vec();
    bytes[3] ^= 1;
    world.azure.put("logs/008", support::azure::Blob { content: bytes.into(), ..damaged });

    let sent: Arc<Mutex<Vec<Value>>> = Arc::default();
    let queue = {
        let sent = sent.clone();
        serve(move |request: Request| {
            let sent = sent.clone();
            async move {
                let body = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
                lock(&sent).push(serde_json::from_slice(&body).unwrap());
                let answer = json!({"MessageId": "m", "MD5OfMessageBody": "x"});
                Http::builder()
                    .header("content-type", "application/x-amz-json-1.0")
                    .body(Body::from(answer.to_string()))
                    .unwrap()
            }
        })
        .await
    };
    let url = format!("http://{queue}/000000000000/queue");
    let mut verify = command(&world, &["verify", "--bucket", BUCKET, "--read", "--json", "--requeue", &url]);
    verify.env("AWS_ENDPOINT_URL_SQS", format!("http://{queue}"));
    let found = ended(verify).await;
    assert_eq!(found.code, 1, "{}{}", found.out, found.err);
    let mut findings: Vec<_> = found
        .events("finding")
        .iter()
        .map(|line| (line["kind"].as_str().unwrap().to_owned(), line["blob"].as_str().unwrap().to_owned()))
        .collect();
    findings.sort();
    let expected = [
        ("different", "logs/005"),
        ("different", "logs/008"),
        ("extra", "logs/006"),
        ("extra", "somebody's"),
        ("missing", "missing!21"),
    ];
    assert_eq!(findings, expected.map(|(kind, name)| (kind.to_owned(), name.to_owned())));
    assert_eq!(found.summary()["requeued"], 3);

    let mut keys: Vec<_> = lock(&sent)
        .iter()
        .map(|message| {
            assert_eq!(message["QueueUrl"], url.as_str());
            event::parse(message["MessageBody"].as_str().unwrap()).unwrap().remove(0)
        })
        .collect();
    keys.sort_by(|one, other| one.key.cmp(&other.key));
    assert_eq!(keys.iter().map(|change| change.key.as_str()).collect::<Vec<_>>(), ["logs/005", "logs/008", "missing!"]);
    let backup = world.backup(support::small_policy());
    for change in &keys[..1] {
        backup.apply(change, tokio::time::Instant::now() + Duration::from_secs(20)).await.unwrap();
    }
    assert_eq!(world.azure.blob("logs/005").unwrap().content, "another state", "what was sent puts it right");

    let person = run(&world, &["verify", "--bucket", BUCKET, "--prefix", "missing", "--versions"]).await;
    assert_eq!(person.code, 1);
    assert!(person.out.starts_with("missing    \"missing!\": Azure has no copy\n"), "{}", person.out);
    let allowed = run(&world, &["verify", "--bucket", BUCKET, "--prefix", "logs/006", "--allow-extra"]).await;
    assert_eq!(allowed.code, 0, "{}", allowed.out);
    world.s3.change(BUCKET, "logs/009", |version| version.refusal = Some((403, "AccessDenied", "no")));
    let failed = run(&world, &["verify", "--bucket", BUCKET, "--read", "--prefix", "logs/009", "--json"]).await;
    assert_eq!((failed.code, &failed.summary()["complete"]), (2, &json!(false)));
    assert!(failed.events("failed")[0]["message"].as_str().unwrap().contains("s3:GetObject"));
}

/// What a version is, without what every write gives anew.
fn essence(version: &Version) -> (Vec<u8>, BTreeMap<String, String>, BTreeMap<String, String>) {
    (version.content.bytes().to_vec(), version.headers.clone(), version.tags.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_comes_back_as_it_was() {
    let (world, all) = filled().await;
    let args = ["restore", "--bucket", BUCKET, "--to-bucket", "second", "--to-prefix", "back/", "--json"];
    let restored = run(&world, &args).await;
    assert_eq!(restored.code, 0, "{}{}", restored.out, restored.err);
    assert_eq!((&restored.summary()["restored"], &restored.summary()["unverified"]), (&json!(all.len()), &json!(0)));
    let keys: Vec<_> = all.keys().map(|key| format!("back/{key}")).collect();
    assert_eq!(world.s3.keys("second"), keys);
    for (key, version) in &all {
        let back = world.s3.object("second", &format!("back/{key}")).unwrap();
        assert_eq!(essence(&back), essence(version), "{key:?}");
    }
    let again = run(&world, &args).await;
    assert_eq!(
        (again.code, &again.summary()["unchanged"], &again.summary()["restored"]),
        (0, &json!(all.len()), &json!(0))
    );

    // Somebody works on in the second bucket.
    world.s3.put(
        "second",
        "back/logs/001",
        Version { modified: time::OffsetDateTime::now_utc(), ..Version::new("newer") },
    );
    let kept = run(&world, &args).await;
    assert_eq!((kept.code, &kept.summary()["newer"]), (1, &json!(1)), "{}", kept.out);
    assert_eq!(world.s3.object("second", "back/logs/001").unwrap().content.bytes(), "newer");
    world.s3.put("second", "back/logs/002", Version::new("older").at(-60));
    let overwritten = run(&world, &[&args[..], &["--overwrite", "--prefix", "logs/00"]].concat()).await;
    assert_eq!((overwritten.code, &overwritten.summary()["restored"]), (0, &json!(2)), "{}", overwritten.out);
    assert_eq!(essence(&world.s3.object("second", "back/logs/001").unwrap()), essence(&all["logs/001"]));

    // What Azure has is not what was recorded.
    let damaged = world.azure.blob("logs/003").unwrap();
    let bytes = vec![0; damaged.content.len()];
    world.azure.put("logs/003", support::azure::Blob { content: bytes.into(), ..damaged });
    let refused =
        run(&world, &["restore", "--bucket", BUCKET, "--to-bucket", "third", "--prefix", "logs/003", "--json"]).await;
    assert_eq!((refused.code, &refused.events("failed")[0]["reason"]), (1, &json!("Damaged")));
    assert!(world.s3.keys("third").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_restoration_goes_on() {
    let world = World::start().await;
    let bytes = noise(9, 0, (40 << 20) + 7);
    let original = Version::new(bytes.clone()).with("x-amz-meta-owner", "me");
    world.s3.put(BUCKET, "huge", original.clone());
    let filled = run(&world, &["backfill", "--bucket", BUCKET, "--quiet"]).await;
    assert_eq!(filled.code, 0, "{}", filled.err);
    world.s3.faults().next("partNumber=2", Fault::Hang);
    let args = ["restore", "--bucket", BUCKET, "--to-bucket", "second", "--json"];
    let mut killed = command(&world, &args).spawn().unwrap();
    tokio::time::timeout(Duration::from_secs(60), async {
        while world.s3.parts() < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
    killed.kill().await.unwrap();
    world.s3.requests();
    let gone_on = run(&world, &args).await;
    assert_eq!((gone_on.code, &gone_on.summary()["restored"]), (0, &json!(1)), "{}{}", gone_on.out, gone_on.err);
    let uploaded: Vec<_> = world.s3.requests().into_iter().filter(|line| line.contains("partNumber=")).collect();
    assert!(uploaded.len() == 1 && uploaded[0].contains("partNumber=2"), "{uploaded:?}");
    assert_eq!(essence(&world.s3.object("second", "huge").unwrap()), essence(&original));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interruption_ends_cleanly_and_the_next_run_goes_on() {
    let world = World::start().await;
    let all = fill(&world);
    world.s3.faults().next("GET /source/logs/010", Fault::Hang);
    let mut interrupted = command(&world, &["backfill", "--bucket", BUCKET, "--json"]);
    let child = interrupted.spawn().unwrap();
    tokio::time::timeout(Duration::from_secs(60), async {
        while world.azure.names().len() < all.len() - 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
    let id = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let output = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let summary: Value =
        serde_json::from_str(String::from_utf8(output.stdout).unwrap().lines().last().unwrap()).unwrap();
    assert_eq!((&summary["interrupted"], &summary["complete"]), (&json!(true), &json!(false)));
    let next = run(&world, &["backfill", "--bucket", BUCKET, "--json"]).await;
    assert_eq!((next.code, &next.summary()["copied"]), (0, &json!(1)), "{}", next.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_point_in_time_comes_back() {
    let world = World::start().await;
    world.azure.keep_versions();
    for (seconds, changed) in [(0, "first"), (100, "second")] {
        world.s3.put(BUCKET, "changes", Version::new(changed).at(seconds));
        if seconds == 100 {
            world.s3.put(BUCKET, "late", Version::new("late").at(seconds));
        }
        let run = run(&world, &["backfill", "--bucket", BUCKET, "--quiet"]).await;
        assert_eq!(run.code, 0, "{}", run.err);
    }
    for (at, bucket, keys, content) in [
        ("2026-01-01T00:01:00Z", "then", &["changes"][..], "first"),
        ("2026-01-01T00:01:40Z", "now", &["changes", "late"], "second"),
    ] {
        let args = ["restore", "--bucket", BUCKET, "--to-bucket", bucket, "--at", at, "--json"];
        let run = run(&world, &args).await;
        assert_eq!(run.code, 0, "{}{}", run.out, run.err);
        assert_eq!(world.s3.keys(bucket), keys);
        assert_eq!(world.s3.object(bucket, "changes").unwrap().content.bytes(), content);
    }
    let wrong = run(&world, &["restore", "--bucket", BUCKET, "--to-bucket", "x", "--at", "yesterday"]).await;
    assert_eq!(wrong.code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_estimate_needs_no_azure() {
    let world = World::start().await;
    let all = fill(&world);
    let mut estimate = command(&world, &["estimate", "--bucket", BUCKET, "--json", "--egress", "0.05"]);
    estimate.env_remove("BACKUP_CONTAINER_URL");
    let run = ended(estimate).await;
    let summary = run.summary();
    let bytes: u64 = all.values().map(|version| version.content.size()).sum();
    assert_eq!((run.code, &summary["bytes"], &summary["large"]["objects"]), (0, &json!(bytes), &json!(1)));
    assert_eq!(
        (&summary["small"]["s3_requests"], &summary["large"]["s3_requests"]),
        (&json!(all.len() - 1), &json!(4))
    );
    assert_eq!(summary["prices"]["egress_per_gb"], 0.05);
    let given = self::run(&world, &["estimate", "--objects", "1000000000", "--bytes", "4096000000000", "--json"]).await;
    // A thousand million GETs at 0.0004 a thousand, PUTs at 0.055 ten thousand, 4,096 GB at 0.09; 20,000 requests a second.
    assert_eq!(given.summary()["cost"]["once"], json!(400.0 + 5500.0 + 368.64));
    assert_eq!(given.summary()["copy_seconds"], json!(50_000.0));
    let person = self::run(&world, &["estimate", "--objects", "1", "--bytes", "1"]).await;
    assert!(person.out.contains("prices list prices in US dollars"), "{}", person.out);
}
