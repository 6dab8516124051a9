//! The function's binary, as Lambda runs it: over HTTPS, in memory that does not grow with the object.

#![allow(clippy::unwrap_used)]

mod support;

use std::{fs, path::Path, time::Duration};

use sandbox::{
    azure::Authority,
    lambda::{Function, Lambda},
};
use serde_json::{Value, json};
use support::{
    azure::Azure,
    queue::bridged,
    s3::{S3, Version, pattern_crc},
};

const BUCKET: &str = "source";
const MIB: u64 = 1 << 20;

/// The most memory that a process of this binary has had, in MiB.
fn peak(binary: &Path) -> u64 {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let ours = processes.filter(|process| fs::read_link(process.path().join("exe")).is_ok_and(|exe| exe == binary));
    ours.filter_map(|process| {
        let status = fs::read_to_string(process.path().join("status")).ok()?;
        // Other tests run the same binary.
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse::<u32>().ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        (parent == std::process::id()).then(|| peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024)
    })
    .max()
    .unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_binary_copies_over_https_in_bounded_memory() {
    let authority = Authority::new().unwrap();
    let s3 = S3::start_tls(&authority).await;
    let azure = Azure::start_tls(&authority).await;
    let folder = tempfile::tempdir().unwrap();
    let certificate = folder.path().join("ca.pem");
    fs::write(&certificate, authority.certificate_authority()).unwrap();
    let binary = fs::canonicalize(env!("CARGO_BIN_EXE_backup-lambda")).unwrap();
    let function = Function {
        env: vec![
            ("BACKUP_CONTAINER_URL".to_owned(), format!("{}?sv=1&sig=SECRET", azure.container_url())),
            ("AWS_ENDPOINT_URL_S3".to_owned(), s3.url()),
            ("AWS_ACCESS_KEY_ID".to_owned(), "id".to_owned()),
            ("AWS_SECRET_ACCESS_KEY".to_owned(), "secret".to_owned()),
            ("SSL_CERT_FILE".to_owned(), certificate.to_string_lossy().into_owned()),
            ("LOG_LEVEL".to_owned(), "debug".to_owned()),
        ],
        timeout: Duration::from_secs(900),
        ..Function::new("backup", &binary)
    };
    let lambda = Lambda::start(0, function).await.unwrap();
    let invoke = async |key: &str, size: u64| {
        let body = bridged(BUCKET, key, json!({"size": size, "sequencer": "1"}), "Object Created");
        let event = json!({"Records": [{
            "messageId": key, "body": body, "attributes": {}, "messageAttributes": {}, "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:backup",
        }]});
        let address = format!("{}/2015-03-31/functions/backup/invocations", lambda.url());
        let answer = support::http().post(address).body(event.to_string()).send().await.unwrap();
        answer.json::<Value>().await.unwrap()
    };

    s3.put(BUCKET, "small", Version::new("hello"));
    assert_eq!(invoke("small", 5).await, json!({"batchItemFailures": []}));
    assert_eq!(azure.blob("small").unwrap().content, "hello");
    let small = peak(&binary);
    // What is printed is read a moment later.
    let figures = loop {
        let lines = lambda.log_lines("backup");
        if let Some(line) = lines.iter().find(|line| line.contains("CloudWatchMetrics")) {
            break serde_json::from_str::<Value>(line).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!((&figures["Objects"], &figures["Bytes"], &figures["Failures"]), (&json!(1), &json!(5), &json!(0)));
    assert!(figures["Container"].as_str().unwrap().ends_with("/container"));

    azure.discard();
    // More with BACKUP_TEST_MIB, as a list: the default is what a test may take.
    let sizes = std::env::var("BACKUP_TEST_MIB").unwrap_or_else(|_| "64,256".to_owned());
    for size in sizes.split(',').map(|size| size.parse::<u64>().unwrap() * MIB) {
        let key = format!("sparse-{size}");
        let mut version = Version::sparse(size);
        let crc64 = pattern_crc(size);
        version.checksum("crc64nvme", &backup::checksum::to_s3(crc64), "FULL_OBJECT");
        s3.put(BUCKET, &key, version);
        let began = std::time::Instant::now();
        assert_eq!(
            invoke(&key, size).await,
            json!({"batchItemFailures": []}),
            "{:?}",
            lambda.log_lines("backup").last()
        );
        let blob = azure.blob(&key).unwrap();
        assert_eq!((blob.size, blob.crc64), (size, crc64));
        let peak = peak(&binary);
        println!(
            "{} MiB: peak memory {peak} MiB ({small} after a small object), {:.1} s",
            size / MIB,
            began.elapsed().as_secs_f64()
        );
        // 60 were measured up to 8 GiB; the allocator takes a little more or less.
        assert!(small > 0 && peak <= 72, "{peak} MiB");
    }

    assert!(!lambda.log_lines("backup").iter().any(|line| line.contains("SECRET")), "the SAS is in the log");
}
