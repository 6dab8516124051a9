//! The laptop's Lambda, with a toy function over the real `lambda_runtime`.
#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use lambda_runtime::{LambdaEvent, service_fn};
use sandbox::lambda::{Function, Lambda};
use serde_json::{Value, json};

/// What the toy does is in its event.
async fn toy(event: LambdaEvent<Value>) -> Result<Value, lambda_runtime::Error> {
    println!("toy got {}", event.payload);
    match event.payload["do"].as_str() {
        Some("fail") => Err("no luck".into()),
        Some("exit") => std::process::exit(3),
        Some("sleep") => {
            tokio::time::sleep(Duration::from_secs(event.payload["seconds"].as_u64().unwrap())).await;
            Ok(Value::Null)
        }
        _ => Ok(json!({
            "pid": std::process::id(),
            "request": event.context.request_id,
            "left": event.context.deadline as i128 - now(),
            "arn": event.context.invoked_function_arn,
            "environment": std::env::vars().map(|(name, _)| name).collect::<Vec<_>>(),
            "event": event.payload,
        })),
    }
}

fn now() -> i128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i128
}

#[test]
#[ignore = "the function, run by the other tests as an executable of its own"]
fn serve_toy() {
    if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_some() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(lambda_runtime::run(service_fn(toy))).unwrap();
    }
}

struct Toy {
    lambda: Lambda,
    client: reqwest::Client,
    _dir: tempfile::TempDir,
}

fn script(dir: &tempfile::TempDir, text: &str) -> PathBuf {
    let path = dir.path().join("bootstrap");
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

impl Toy {
    async fn start() -> Self {
        Self::with("exec \"$TOY\" --exact serve_toy --ignored --nocapture", |_| ()).await
    }

    async fn with(text: &str, change: impl FnOnce(&mut Function)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut function = Function::new("toy", script(&dir, text));
        let exe = std::env::current_exe().unwrap();
        function.env.push(("TOY".into(), exe.to_str().unwrap().into()));
        change(&mut function);
        // The client's type wants a TLS provider even for plain HTTP.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Toy { lambda: Lambda::start(0, function).await.unwrap(), client: reqwest::Client::new(), _dir: dir }
    }

    /// The body, and what `X-Amz-Function-Error` says.
    async fn invoke(&self, event: Value) -> (Value, Option<String>) {
        let url = format!("{}/2015-03-31/functions/toy/invocations", self.lambda.url());
        let answer = self.client.post(url).json(&event).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let error = answer.headers().get("x-amz-function-error").map(|v| v.to_str().unwrap().to_owned());
        (answer.json().await.unwrap(), error)
    }

    /// The process that answers an ordinary event.
    async fn pid(&self) -> u64 {
        self.invoke(json!({})).await.0["pid"].as_u64().unwrap()
    }
}

#[tokio::test]
async fn answers_and_stays_warm() {
    let toy = Toy::start().await;
    let (answer, error) = toy.invoke(json!({"a": [1, "é"]})).await;
    assert_eq!(error, None);
    assert_eq!(answer["event"], json!({"a": [1, "é"]}));
    assert_eq!(answer["arn"], "arn:aws:lambda:us-east-1:000000000000:function:toy");
    let left = answer["left"].as_i64().unwrap();
    assert!((55_000..=60_000).contains(&left), "{left}");
    assert_eq!(toy.pid().await, answer["pid"].as_u64().unwrap());
    assert!(toy.lambda.log_lines("toy").iter().any(|line| line.contains("toy got")));
}

#[tokio::test]
async fn inherits_no_environment() {
    let toy = Toy::start().await;
    let (answer, _) = toy.invoke(json!({})).await;
    let names: Vec<_> = answer["environment"].as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect();
    // `cargo test` itself always has these.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some() && !names.contains(&"CARGO_MANIFEST_DIR"), "{names:?}");
    assert!(!names.contains(&"HOME") && names.contains(&"TOY"), "{names:?}");
}

#[tokio::test]
async fn reports_a_failing_handler_and_keeps_it() {
    let toy = Toy::start().await;
    let before = toy.pid().await;
    let (answer, error) = toy.invoke(json!({"do": "fail"})).await;
    assert_eq!(error.as_deref(), Some("Unhandled"));
    assert_eq!(answer["errorMessage"], "no luck");
    assert_eq!(toy.pid().await, before);
}

#[tokio::test]
async fn replaces_a_process_that_exits() {
    let toy = Toy::start().await;
    let before = toy.pid().await;
    let (answer, error) = toy.invoke(json!({"do": "exit"})).await;
    assert_eq!(error.as_deref(), Some("Unhandled"));
    assert_eq!(answer["errorType"], "Runtime.ExitError");
    assert!(answer["errorMessage"].as_str().unwrap().ends_with("exit status: 3"), "{answer}");
    assert_ne!(toy.pid().await, before);
}

#[tokio::test]
async fn replaces_a_process_that_takes_too_long() {
    let text = "exec \"$TOY\" --exact serve_toy --ignored --nocapture";
    let toy = Toy::with(text, |function| function.timeout = Duration::from_millis(300)).await;
    let before = toy.pid().await;
    let (answer, error) = toy.invoke(json!({"do": "sleep", "seconds": 60})).await;
    assert_eq!(error.as_deref(), Some("Unhandled"));
    assert_eq!(answer["errorType"], "Sandbox.Timedout");
    assert!(answer["errorMessage"].as_str().unwrap().ends_with("Task timed out after 0.30 seconds"), "{answer}");
    assert_ne!(toy.pid().await, before);
}

#[tokio::test]
async fn starts_instances_up_to_the_limit_and_then_waits() {
    let text = "exec \"$TOY\" --exact serve_toy --ignored --nocapture";
    let toy = Toy::with(text, |function| function.concurrency = 2).await;
    toy.pid().await;
    let start = Instant::now();
    let sleep = || toy.invoke(json!({"do": "sleep", "seconds": 1}));
    tokio::join!(sleep(), sleep(), sleep());
    // Two at once and one after them: one alone would take 1 s, three in a row 3 s.
    assert!((2.0..3.0).contains(&start.elapsed().as_secs_f64()), "{:?}", start.elapsed());
}

#[tokio::test]
async fn dies_when_a_test_says_so() {
    let toy = Toy::start().await;
    let before = toy.pid().await;

    toy.lambda.kill_at_answer("toy", 1);
    assert_eq!(toy.pid().await, before);
    let (answer, error) = toy.invoke(json!({"mark": "done but not heard"})).await;
    assert_eq!((answer["errorType"].as_str(), error.as_deref()), (Some("Runtime.ExitError"), Some("Unhandled")));
    assert!(toy.lambda.log_lines("toy").iter().any(|line| line.contains("done but not heard")));

    let asleep = toy.invoke(json!({"do": "sleep", "seconds": 60}));
    let (dead, ()) = tokio::join!(asleep, async {
        while !toy.lambda.log_lines("toy").iter().any(|line| line.contains("sleep")) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(toy.lambda.kill_busy("toy"), 1);
    });
    assert_eq!(dead.0["errorType"], "Runtime.ExitError");
    assert_ne!(toy.pid().await, before);
}

#[tokio::test]
async fn a_binary_that_does_not_start_is_an_answer() {
    let quits = Toy::with("echo bye >&2; exit 4", |_| ()).await;
    let (answer, error) = quits.invoke(json!({})).await;
    assert_eq!(error.as_deref(), Some("Unhandled"));
    assert!(answer["errorMessage"].as_str().unwrap().ends_with("before its first poll: exit status: 4"), "{answer}");

    let absent = Toy::with("", |function| function.bootstrap = "/nonexistent/bootstrap".into()).await;
    let (answer, _) = absent.invoke(json!({})).await;
    assert_eq!(answer["errorType"], "Runtime.InvalidEntrypoint");
}

#[tokio::test]
async fn knows_its_functions() {
    let toy = Toy::start().await;
    let invoke = |name| {
        let url = format!("{}/2015-03-31/functions/{name}/invocations", toy.lambda.url());
        toy.client.post(url).body("{}").send()
    };
    let unknown = invoke("other").await.unwrap();
    assert_eq!(unknown.status(), 404);
    assert_eq!(unknown.headers()["x-amzn-errortype"], "ResourceNotFoundException");

    let dir = tempfile::tempdir().unwrap();
    toy.lambda.add(Function::new("other", script(&dir, "exit 1"))).unwrap();
    assert_eq!(invoke("other").await.unwrap().status(), 200);
}

#[tokio::test]
async fn dropping_stops_every_process() {
    let toy = Toy::start().await;
    let process = PathBuf::from(format!("/proc/{}", toy.pid().await));
    assert!(process.exists());
    drop(toy);
    let patience = Instant::now() + Duration::from_secs(5);
    while process.exists() {
        assert!(Instant::now() < patience, "{} survived", process.display());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
