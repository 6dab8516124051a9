//! S3 → Azure → a second bucket with emulators of others: MiniStack's S3 and Azurite, neither of them written to please us.

#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

use std::{collections::HashMap, path::Path, process::Output};

use aws_sdk_s3::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region},
    types::ChecksumMode,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sandbox::{
    component::{Component, free_port},
    process, tools,
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The one object with tags: MiniStack counts them in the answer to a GET only, S3 in that to a HEAD too.
const TAGGED: &str = "plain.txt";
const ACCOUNT: &str = "backuptest";
const KEY: &[u8] = b"a key of thirty-two bytes, no more";

/// HMAC-SHA256 with a key that is no longer than a block.
fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let pad = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().to_vec()
}

/// An account SAS that allows everything with blobs.
fn sas() -> String {
    let (permissions, expiry, version) = ("rwdlacupt", "2099-01-01T00:00:00Z", "2019-12-12");
    let text = format!("{ACCOUNT}\n{permissions}\nb\nsco\n\n{expiry}\n\nhttps,http\n{version}\n");
    let encode =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    let signature = STANDARD.encode(hmac(KEY, &text));
    format!(
        "sv={version}&ss=b&srt=sco&sp={permissions}&se={}&spr={}&sig={}",
        encode(expiry),
        encode("https,http"),
        encode(&signature)
    )
}

/// Both services; they end with it.
struct Emulators {
    s3: String,
    container: String,
    _azurite: Component,
    _ministack: Component,
}

async fn emulators(folder: &Path) -> Emulators {
    let (node, python) = tokio::task::spawn_blocking(|| {
        let sandbox = tools::root().join("sandbox");
        let node = tools::npm("azurite", &sandbox).unwrap();
        (node, tools::python_venv("cloudformation", &sandbox.join("cloudformation/requirements.txt")).unwrap())
    })
    .await
    .unwrap();
    let (blob_port, s3_port) = (free_port().unwrap(), free_port().unwrap());
    let mut command = process::guarded("node");
    command
        .arg(node.join("node_modules/azurite/dist/src/blob/main.js"))
        .args(["--blobHost", "127.0.0.1", "--blobPort", &blob_port.to_string(), "--silent", "--skipApiVersionCheck"])
        // Strictly, it refuses every request with a CRC64, which it does not check.
        .args(["--disableTelemetry", "--loose"])
        .arg("--location")
        .arg(folder.join("azurite"))
        .env("AZURITE_ACCOUNTS", format!("{ACCOUNT}:{}", STANDARD.encode(KEY)));
    let mut azurite = Component::spawn("Azurite", blob_port, &mut command, folder.join("azurite.log")).unwrap();
    let data = folder.join("ministack");
    std::fs::create_dir_all(&data).unwrap();
    let mut command = process::guarded(python.join("bin/python"));
    command
        .args(["-c", "from ministack.app import main; main()"])
        .env("GATEWAY_PORT", s3_port.to_string())
        .env("BIND_HOST", "127.0.0.1")
        .env("MINISTACK_HOST", "127.0.0.1")
        .env("SERVICES", "s3")
        .env("MINISTACK_DATA_DIR", &data)
        .env("S3_DATA_DIR", data.join("s3"))
        .env("STATE_DIR", data.join("state"))
        .env("TMPDIR", &data)
        .env("HOME", &data)
        .env("IOT_MTLS_ENABLED", "0")
        .env("SFTP_ENABLED", "0")
        .env("DOCKER_HOST", "unix:///nowhere")
        .env("LOG_LEVEL", "ERROR");
    let mut ministack = Component::spawn("MiniStack", s3_port, &mut command, folder.join("ministack.log")).unwrap();
    tokio::try_join!(azurite.ready(), ministack.ready()).unwrap();
    let container = format!("http://127.0.0.1:{blob_port}/{ACCOUNT}/container?{}", sas());
    // reqwest asks for a provider even where no TLS is used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let created = http.put(format!("{container}&restype=container")).header("content-length", 0).send().await.unwrap();
    assert_eq!(created.status().as_u16(), 201, "{}", created.text().await.unwrap());
    Emulators { s3: format!("http://127.0.0.1:{s3_port}"), container, _azurite: azurite, _ministack: ministack }
}

impl Emulators {
    fn client(&self) -> Client {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&self.s3)
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
            .force_path_style(true);
        Client::from_conf(config.build())
    }

    async fn backup(&self, args: &[&str]) -> (i32, Value) {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_backup"));
        command
            .args(args)
            .arg("--json")
            .env_clear()
            .env("HOME", std::env::temp_dir())
            .env("AWS_ACCESS_KEY_ID", "id")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ENDPOINT_URL_S3", &self.s3)
            .env("BACKUP_CONTAINER_URL", &self.container)
            // Blocks to Azurite, but no parts to MiniStack: it computes CRC64NVME of the parts' checksums, not of the whole.
            .env("BACKUP_BLOCK_MIB", if args[0] == "restore" { "8" } else { "1" });
        let Output { status, stdout, stderr } = command.output().await.unwrap();
        let (out, err) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
        let summary = out.lines().last().and_then(|line| serde_json::from_str(line).ok());
        println!("{args:?}: {out}{err}");
        (status.code().unwrap_or(-1), summary.unwrap_or_else(|| panic!("{out}{err}")))
    }
}

/// Everything that S3 says of an object, without what every write gives anew.
async fn essence(
    client: &Client,
    bucket: &str,
    key: &str,
) -> (Vec<u8>, Vec<Option<String>>, HashMap<String, String>, Vec<(String, String)>) {
    let request = client.get_object().bucket(bucket).key(key).checksum_mode(ChecksumMode::Enabled);
    let object = request.send().await.unwrap_or_else(|error| panic!("{key:?}: {error:?}"));
    let headers = [
        object.content_type(),
        object.content_encoding(),
        object.content_language(),
        object.content_disposition(),
        object.cache_control(),
        object.storage_class().map(|class| class.as_str()),
    ];
    let headers = headers.map(|header| header.map(str::to_owned)).to_vec();
    let metadata = object.metadata().cloned().unwrap_or_default();
    let bytes = object.body.collect().await.unwrap().to_vec();
    let tags = client.get_object_tagging().bucket(bucket).key(key).send().await.unwrap();
    let mut tags: Vec<_> = tags.tag_set().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect();
    tags.sort();
    (bytes, headers, metadata, tags)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_trip_through_emulators_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let emulators = emulators(folder.path()).await;
    let client = emulators.client();
    for bucket in ["source", "second"] {
        client.create_bucket().bucket(bucket).send().await.unwrap();
    }
    let large: Vec<u8> = (0..(3_u32 << 20) + 1).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let objects: [(&str, Vec<u8>); 8] = [
        ("plain.txt", b"hello".to_vec()),
        ("empty", Vec::new()),
        ("folder/", Vec::new()),
        ("folder/a b+c%20d.txt", b"odd".to_vec()),
        ("Größe/日本語!", b"odder".to_vec()),
        ("ends./with.", b"dots".to_vec()),
        ("a//b", b"slashes".to_vec()),
        ("large", large),
    ];
    for (key, bytes) in &objects {
        client
            .put_object()
            .bucket("source")
            .key(*key)
            .body(bytes.clone().into())
            .content_type("text/plain; charset=utf-8")
            .content_language("de")
            .content_disposition("attachment; filename=\"a b.txt\"")
            .cache_control("max-age=60")
            .metadata("content-owner", "me & you")
            .metadata("1st", "1")
            .set_tagging((*key == TAGGED).then(|| "team=sap%20hana&mail=a%40b".to_owned()))
            .send()
            .await
            .unwrap();
    }
    let count = Value::from(objects.len());

    let (code, summary) = emulators.backup(&["backfill", "--bucket", "source"]).await;
    assert_eq!((code, &summary["copied"]), (0, &count));
    let (code, summary) = emulators.backup(&["backfill", "--bucket", "source"]).await;
    assert_eq!((code, &summary["copied"], &summary["unchanged"]), (0, &Value::from(0), &count));
    let (code, summary) = emulators.backup(&["verify", "--bucket", "source", "--read"]).await;
    assert_eq!((code, &summary["equal"]), (0, &count));
    let (code, summary) = emulators.backup(&["restore", "--bucket", "source", "--to-bucket", "second"]).await;
    assert_eq!((code, &summary["restored"]), (0, &count));
    for (key, bytes) in &objects {
        let back = essence(&client, "second", key).await;
        assert_eq!(back, essence(&client, "source", key).await, "{key:?}");
        assert_eq!((&back.0, back.3.len()), (bytes, if *key == TAGGED { 2 } else { 0 }), "{key:?}");
    }
    let (code, summary) = emulators.backup(&["restore", "--bucket", "source", "--to-bucket", "second"]).await;
    assert_eq!(summary["unchanged"], objects.len() - 1);
    // MiniStack's HEAD does not say that the tagged one has tags, so it looks like another: a newer one, or one to be
    // written again if it is of the same second as its source.
    assert_eq!(summary["newer"].as_u64().unwrap() + summary["restored"].as_u64().unwrap(), 1, "{summary}");
    assert_eq!(code == 1, summary["newer"] == 1, "{summary}");

    client.delete_object().bucket("source").key("plain.txt").send().await.unwrap();
    let (code, summary) = emulators.backup(&["verify", "--bucket", "source"]).await;
    assert_eq!((code, &summary["extra"]), (1, &Value::from(1)));
}
