//! What the other suites stand on: both emulators, and the proxy that breaks calls to them.

#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[allow(dead_code, reason = "the other suites use the rest")]
mod support;

use sandbox::aws::{Fault, Proxy};
use std::time::{Duration, Instant};
use support::EMULATORS;

/// What a plain PUT of a bucket meets: the status, or `None` where the connection is cut.
async fn put(proxy: &Proxy, bucket: &str) -> Option<u16> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let signed =
        "AWS4-HMAC-SHA256 Credential=AKIAHARNESS/20261122/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
    let request = client.put(format!("{}/{bucket}", proxy.url())).header("authorization", signed);
    request.send().await.ok().map(|answer| answer.status().as_u16())
}

#[tokio::test]
async fn the_proxy_breaks_what_it_is_asked_to() {
    for emulator in EMULATORS {
        let proxy = Proxy::start(emulator.url().await).await.unwrap();
        let exists = async |bucket: &str| {
            let client = emulator.s3("us-east-1", "AKIAHARNESS").await;
            client.head_bucket().bucket(bucket).send().await.is_ok()
        };
        let refused = Fault::Refuse { status: 409, code: "OperationAborted", message: "again" };
        for (fault, status, done) in [
            (Fault::Throttle, Some(503), false),
            (refused, Some(409), false),
            (Fault::DropBefore, None, false),
            (Fault::DropAfter, None, true),
            (Fault::Delay(Duration::from_millis(300)), Some(200), true),
        ] {
            let bucket = format!("fault-{}-{done}-{}", status.unwrap_or(0), format!("{fault:?}").len());
            proxy.fail("PUT", 1, [fault.clone()]);
            assert_eq!(put(&proxy, &format!("before-{bucket}")).await, Some(200), "{emulator:?} {fault:?}");
            assert_eq!(proxy.pending(), 1);
            let start = Instant::now();
            assert_eq!(put(&proxy, &bucket).await, status, "{emulator:?} {fault:?}");
            let is_late = start.elapsed() >= Duration::from_millis(300);
            assert!(is_late || !matches!(fault, Fault::Delay(_)), "{emulator:?}: {:?}", start.elapsed());
            assert_eq!((proxy.pending(), exists(&bucket).await), (0, done), "{emulator:?} {fault:?}");
            assert_eq!(proxy.calls().last().unwrap(), &format!("PUT /{bucket}"));
        }
    }
}

#[tokio::test]
async fn keys_are_of_one_region() {
    for emulator in EMULATORS {
        let key = emulator.kms("eu-west-1").await.create_key().send().await.unwrap().key_metadata.unwrap();
        assert!(key.arn().unwrap().starts_with("arn:aws:kms:eu-west-1:"), "{emulator:?}: {key:?}");
        let elsewhere = emulator.kms("eu-central-1").await.describe_key().key_id(key.key_id()).send().await;
        assert!(elsewhere.is_err(), "{emulator:?}: {elsewhere:?}");
    }
}
