//! Our Lambda function beside one that works as the sample does, each with one event of one object.

use super::{
    GIB, PATIENCE, Stubs, blob,
    child::Took,
    content::Reply,
    report::{Goal, milliseconds},
    s3::{BUCKET, VERSION, key},
    scene::{Call, Scene, World},
    server::{Service, text},
    tool::{Programs, environment},
};
use crate::{
    instance::Instance,
    measure::{self, Measured, median, percentile},
    report::{markdown, mebibytes},
    side::Side,
    stub::{Calls, token},
    usage::Usage,
};
use http_body_util::BodyExt;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
};
use serde_json::{Value, json};
use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

const TENANT: &str = "11111111-1111-1111-1111-111111111111";
const CLIENT: &str = "22222222-2222-2222-2222-222222222222";
/// What a function has for the object of an event in passing.
const SMALL: u64 = 4 << 10;

/// Messages of one invocation. A queue can be told to gather up to ten times as many.
const BATCH: usize = 1000;

/// Sign-in, parameters and secrets: every call gets its answer at once.
pub(super) struct Services(pub(super) Arc<World>);

impl Service for Services {
    async fn answer(&self, request: Request<Incoming>) -> Response<Reply> {
        self.0.count(Call::Service);
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let target = header("x-amz-target").to_owned();
        let host = format!("https://{}/{TENANT}", header("host"));
        let path = request.uri().path().to_owned();
        // The answer to a request whose body was not read would close the connection.
        let _ = request.into_body().collect().await;
        let json = |value: Value| text(200, "application/json", value.to_string());
        match (target.as_str(), path.as_str()) {
            ("AmazonSSM.GetParameter", _) => {
                json(json!({"Parameter": {"Name": "name", "Type": "String", "Value": CLIENT, "Version": 1}}))
            }
            ("secretsmanager.GetSecretValue", _) => json(json!({"Name": "secret", "SecretString": "example"})),
            (_, path) if path.ends_with("/openid-configuration") => json(json!({
                "issuer": format!("{host}/v2.0"),
                "authorization_endpoint": format!("{host}/oauth2/v2.0/authorize"),
                "token_endpoint": format!("{host}/oauth2/v2.0/token"),
                "jwks_uri": format!("{host}/discovery/v2.0/keys"),
            })),
            (_, path) if path.ends_with("/token") => {
                text(200, "application/json", String::from_utf8_lossy(&token()).into_owned())
            }
            _ => text(
                200,
                "text/xml",
                "<GetWebIdentityTokenResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
                 <GetWebIdentityTokenResult><Expiration>2030-01-01T00:00:00Z</Expiration>\
                 <WebIdentityToken>eyJhbGciOiJSUzI1NiJ9.e30.ZXhhbXBsZQ</WebIdentityToken>\
                 </GetWebIdentityTokenResult></GetWebIdentityTokenResponse>"
                    .to_owned(),
            ),
        }
    }
}

/// What was measured of the functions.
pub(super) struct Functions {
    sides: [(&'static str, Measured); 2],
    /// GiB of an object, how long our function took for it, and the most memory that it held, bytes.
    large: Vec<(u64, Duration, u64)>,
}

/// Starts and warm invocations of both by turns, then single large objects through ours.
///
/// # Errors
/// A function failed.
pub(super) async fn measure(
    stubs: &Stubs,
    programs: &Programs,
    rounds: usize,
    large: Option<u64>,
) -> Result<Functions, String> {
    let scene = Scene { objects: 1, size: SMALL, delay: Duration::ZERO, check: true, remember: false };
    stubs.world.begin(scene);
    let sides = [ours(stubs, &programs.function, 0..1, SMALL), sample(stubs, &programs.sample)];
    let mut measured = [(); 2].map(|()| Measured::default());
    let calls = || {
        let seen = stubs.world.seen();
        Calls { azure: seen.about_objects(), aws: seen.calls(Call::Service) }
    };
    eprintln!("functions: {} starts and {} warm invocations of each", rounds * 3, rounds * 30);
    measure::cold(&sides, &mut measured, &calls, rounds * 3).await?;
    measure::warm(&sides, &mut measured, &calls, rounds * 30).await?;
    let mut copied = Vec::new();
    for size in std::iter::once(1).chain(large) {
        eprintln!("functions: one object of {size} GiB");
        stubs.world.begin(Scene { size: size * GIB, ..scene });
        let side = ours(stubs, &programs.function, 0..1, size * GIB);
        let (mut instance, _) = Instance::start(&side).await?;
        let (took, _, answer) = instance.invoke(&side.event).await?;
        measure::check(&side, &answer)?;
        copied.push((size, took, Usage::of(instance.process()?)?.peak));
        instance.stop().await?;
    }
    let [ours, sample] = measured;
    Ok(Functions { sides: [(sides[0].name, ours), (sides[1].name, sample)], large: copied })
}

/// Starts our function and gives it an event of every object of the scene, batch by batch. The start counts.
///
/// # Errors
/// It failed.
pub(super) async fn copy(stubs: &Stubs, programs: &Programs, scene: Scene) -> Result<Took, String> {
    let objects: Vec<u64> = (0..scene.objects).collect();
    // Before the clock begins: a queue has them ready.
    let events: Vec<_> = objects.chunks(BATCH).map(|batch| event(batch.iter().copied(), scene.size)).collect();
    let mut wall = Duration::ZERO;
    let side = ours(stubs, &programs.function, 0..0, scene.size);
    let (mut instance, _) = Instance::start(&side).await?;
    for event in &events {
        let (_, since_start, answer) = instance.invoke(event).await?;
        measure::check(&side, &answer)?;
        wall = since_start;
    }
    tokio::time::sleep(measure::SETTLE).await;
    let Usage { cpu, peak } = Usage::of(instance.process()?)?;
    instance.stop().await?;
    Ok(Took { wall, cpu, peak })
}

fn ours(stubs: &Stubs, function: &Path, objects: Range<u64>, size: u64) -> Side {
    let mut environment = environment(stubs);
    environment.extend([
        ("BACKUP_CONTAINER_URL", format!("{}/{}/{}", stubs.blob, blob::ACCOUNT, blob::CONTAINER)),
        ("AZURE_TENANT_ID", TENANT.to_owned()),
        ("AZURE_CLIENT_ID", CLIENT.to_owned()),
        ("AZURE_AUTHORITY_HOST", stubs.services.clone()),
        ("AWS_ENDPOINT_URL_STS", stubs.services.clone()),
    ]);
    Side {
        name: "Rust, this project",
        program: function.to_owned(),
        arguments: Vec::new(),
        folder: function.parent().unwrap_or(Path::new("/")).to_owned(),
        environment,
        event: event(objects, size),
        zip: 0,
        patience: PATIENCE,
        succeeded: |answer| answer["batchItemFailures"].as_array().is_some_and(Vec::is_empty),
        log: stubs.folder.join("function.log"),
    }
}

/// A batch of messages, each with EventBridge's event of an object.
fn event(objects: impl Iterator<Item = u64>, size: u64) -> Bytes {
    let records = objects.map(|number| {
        let change = json!({
            "version": "0", "id": "6f6b7e0c-6a53-4b0e-8f5a-000000000001", "detail-type": "Object Created",
            "source": "aws.s3", "account": "000000000000", "time": "2026-01-05T10:11:12Z", "region": "us-east-1",
            "resources": [format!("arn:aws:s3:::{BUCKET}")],
            "detail": {
                "version": "0",
                "bucket": {"name": BUCKET},
                "object": {
                    "key": key(number), "size": size, "etag": "0f343b0931126a20f133d67c2b018a3b", "sequencer": "0065A5",
                    "version-id": VERSION
                },
                "request-id": "656c76696e6727732", "requester": "000000000000", "reason": "PutObject",
            },
        });
        json!({
            "messageId": format!("6f6b7e0c-6a53-4b0e-8f5a-{number:012}"),
            "receiptHandle": "example",
            "body": change.to_string(),
            "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1767607872000"},
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:backup",
            "awsRegion": "us-east-1",
        })
    });
    json!({"Records": records.collect::<Vec<_>>()}).to_string().into()
}

fn sample(stubs: &Stubs, folder: &Path) -> Side {
    let mut environment = environment(stubs);
    environment.extend([
        ("ACCOUNT_URL", format!("{}/{}", stubs.blob, blob::ACCOUNT)),
        ("CONTAINER", blob::CONTAINER.to_owned()),
        ("AUTHORITY", stubs.services.clone()),
        ("AWS_ENDPOINT_URL", stubs.services.clone()),
        ("NODE_EXTRA_CA_CERTS", stubs.bundle.display().to_string()),
    ]);
    let event = json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1", "eventName": "ObjectCreated:Put",
        "eventTime": "2026-01-05T10:11:12.000Z",
        "s3": {
            "s3SchemaVersion": "1.0", "bucket": {"name": BUCKET, "arn": format!("arn:aws:s3:::{BUCKET}")},
            "object": {"key": key(0), "size": SMALL, "eTag": "0f343b0931126a20f133d67c2b018a3b", "sequencer": "0065A5"},
        },
    }]});
    Side {
        name: "Node.js, as the sample",
        program: PathBuf::from("/usr/bin/env"),
        arguments: vec!["node".into(), "runtime.mjs".into()],
        folder: folder.to_owned(),
        environment,
        event: event.to_string().into(),
        zip: 0,
        patience: PATIENCE,
        succeeded: |answer| answer["copied"] == 1,
        log: stubs.folder.join("sample.log"),
    }
}

impl Functions {
    /// A row for each function, and one for each large object.
    pub(super) fn table(&self) -> String {
        let rows = self.sides.iter().map(|(name, measured)| {
            vec![
                (*name).to_owned(),
                milliseconds(median(&measured.first_poll)),
                milliseconds(median(&measured.first_answer)),
                milliseconds(median(&measured.cold_cpu)),
                milliseconds(median(&measured.warm)),
                milliseconds(percentile(&measured.warm, 0.99)),
                milliseconds(measured.warm_cpu),
                format!("{:.1}", mebibytes(measured.peak)),
                format!("{:.1} + {:.1}", measured.cold_calls.azure, measured.cold_calls.aws),
                format!("{:.1} + {:.1}", measured.warm_calls.azure, measured.warm_calls.aws),
            ]
        });
        let columns = [
            "function, an event of 4 KiB",
            "first poll, ms",
            "first answer, ms",
            "CPU to first answer, ms",
            "warm p50, ms",
            "warm p99, ms",
            "warm CPU, ms",
            "peak, MiB",
            "first calls, stores + others",
            "warm calls",
        ];
        let large = self.large.iter().map(|(size, took, peak)| {
            vec![format!("{size} GiB"), format!("{:.1}", took.as_secs_f64()), format!("{:.1}", mebibytes(*peak))]
        });
        let large = markdown(&["our function, one object of", "s", "peak, MiB"], large.collect());
        format!("{}\n{large}", markdown(&columns, rows.collect()))
    }

    /// How it stands to the goals.
    pub(super) fn goals(&self) -> Vec<Goal> {
        let [(_, ours), (_, sample)] = &self.sides;
        let ratio = |what: fn(&Measured) -> Duration| what(sample).as_secs_f64() / what(ours).as_secs_f64();
        let (cold, warm) = (ratio(|of| median(&of.first_answer)), ratio(|of| median(&of.warm)));
        let peaks: Vec<_> = self.large.iter().map(|(size, _, peak)| (*size, mebibytes(*peak))).collect();
        let said = peaks.iter().map(|(size, peak)| format!("{peak:.1} at {size} GiB")).collect::<Vec<_>>().join(", ");
        vec![
            Goal::new(
                "G9",
                "peak memory of the function ≤ 64 MiB for any size",
                said,
                peaks.iter().all(|(_, peak)| *peak <= 64.0),
            ),
            Goal::new(
                "G12",
                "an event of 4 KiB, cold and warm ≤ 1/20 of the sample's way",
                format!("1/{cold:.0} and 1/{warm:.0}"),
                cold >= 20.0 && warm >= 20.0,
            ),
        ]
    }
}

#[cfg(test)]
impl Functions {
    /// The sample takes so many times what ours takes.
    pub(super) fn sample_is_slower(times: u32) -> Self {
        let measured = |times: u32| {
            let took = vec![Duration::from_millis(1) * times];
            Measured { first_answer: took.clone(), warm: took, ..Measured::default() }
        };
        let large = vec![(1, Duration::from_secs(1), 20 << 20)];
        Self { sides: [("ours", measured(1)), ("sample", measured(times))], large }
    }
}
