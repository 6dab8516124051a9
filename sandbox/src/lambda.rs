//! Lambda on a laptop: the Invoke API in front, the Runtime API behind, real binaries in between.
//!
//! The rules are Lambda's: an instance serves one invocation at a time and is kept warm; when all are busy a new one
//! starts; a timeout kills the instance; a process that dies answers `Runtime.ExitError` and the next invocation gets a
//! fresh one. Unlike Lambda, an invocation beyond the concurrency limit waits instead of being throttled.

mod instance;

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::future::Future;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path as UrlPath, State};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use uuid::Uuid;

use crate::{process, tools};
use instance::Instance;

/// The largest event of a synchronous invocation, bytes; Lambda's quota.
const LARGEST_EVENT: usize = 6 * 1024 * 1024;
/// How many lines of output are kept for each function.
const KEPT_LINES: usize = 10_000;

/// A function to serve.
#[derive(Clone, Debug)]
pub struct Function {
    /// The name in the invocation's address.
    pub name: String,
    /// The executable that speaks the Runtime API.
    pub bootstrap: PathBuf,
    /// How long one invocation may take.
    pub timeout: Duration,
    /// The environment beside what Lambda itself sets; nothing is inherited.
    pub env: Vec<(String, String)>,
    /// The most instances at a time.
    pub concurrency: usize,
    /// A file that gets what the instances print, too.
    pub log: Option<PathBuf>,
}

impl Function {
    /// A function with a timeout of 60 s, what the CLI's contract allows a handler, and up to 8 instances.
    pub fn new(name: impl Into<String>, bootstrap: impl Into<PathBuf>) -> Self {
        Function {
            name: name.into(),
            bootstrap: bootstrap.into(),
            timeout: Duration::from_secs(60),
            env: Vec::new(),
            concurrency: 8,
            log: None,
        }
    }
}

/// A running Lambda; dropping it stops every instance.
pub struct Lambda {
    address: std::net::SocketAddr,
    functions: Arc<Functions>,
    /// Closing it ends the server and every invocation under way.
    _running: watch::Sender<()>,
}

type Functions = Mutex<HashMap<String, Arc<Served>>>;

struct Served {
    function: Function,
    slots: Arc<Semaphore>,
    warm: Mutex<Vec<Instance>>,
    /// How many answers are still heard before one is not.
    unheard: Mutex<Option<usize>>,
    /// Every invocation at work listens to it.
    kill: watch::Sender<()>,
    log: Arc<Log>,
}

/// What the instances print.
#[derive(Default)]
struct Log {
    lines: Mutex<VecDeque<String>>,
    file: Option<File>,
}

impl Log {
    fn push(&self, line: String) {
        if let Some(mut file) = self.file.as_ref() {
            // The lines are kept all the same when the disk is full.
            let _ = writeln!(file, "{line}");
        }
        let mut lines = lock(&self.lines);
        if lines.len() == KEPT_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

/// What came of an invocation.
enum Answer {
    Success(Bytes),
    /// The function failed, or did not live to answer: HTTP 200 with `X-Amz-Function-Error`.
    Failure(Bytes),
}

impl Answer {
    /// What Lambda says of a process that ended in the middle of an invocation.
    fn exit(request_id: Uuid, how: &str) -> Self {
        Answer::failure("Runtime.ExitError", format!("RequestId: {request_id} Error: Runtime exited with error: {how}"))
    }

    fn failure(kind: &str, message: String) -> Self {
        Answer::Failure(json!({ "errorType": kind, "errorMessage": message }).to_string().into())
    }
}

impl Lambda {
    /// Serves one function on 127.0.0.1; port 0 takes any that is free.
    pub async fn start(port: u16, function: Function) -> io::Result<Lambda> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let functions = Arc::new(Functions::default());
        let (running, stopped) = watch::channel(());
        let router = axum::Router::new()
            .route("/2015-03-31/functions/{name}/invocations", post(invoke))
            .layer(DefaultBodyLimit::max(LARGEST_EVENT))
            .with_state((functions.clone(), stopped.clone()));
        tokio::spawn(until_stopped(stopped, async move { axum::serve(listener, router).await }));
        let lambda = Lambda { address, functions, _running: running };
        lambda.add(function)?;
        Ok(lambda)
    }

    /// Serves another function, or another version of one.
    pub fn add(&self, function: Function) -> io::Result<()> {
        let file = function.log.as_ref().map(File::create).transpose()?;
        let served = Served {
            slots: Arc::new(Semaphore::new(function.concurrency)),
            warm: Mutex::default(),
            unheard: Mutex::default(),
            kill: watch::Sender::new(()),
            log: Arc::new(Log { lines: Mutex::default(), file }),
            function,
        };
        lock(&self.functions).insert(served.function.name.clone(), Arc::new(served));
        Ok(())
    }

    /// The endpoint for Lambda clients: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Kills every instance of `function` that is at work now, and returns how many those are.
    pub fn kill_busy(&self, function: &str) -> usize {
        lock(&self.functions).get(function).map_or(0, |served| {
            let busy = served.kill.receiver_count();
            served.kill.send_replace(());
            busy
        })
    }

    /// Lets an instance of `function` die when it has answered, and nobody hears the answer. The answers of `after`
    /// invocations are heard before.
    pub fn kill_at_answer(&self, function: &str, after: usize) {
        if let Some(served) = lock(&self.functions).get(function) {
            *lock(&served.unheard) = Some(after);
        }
    }

    /// What the instances of `function` have printed, oldest first.
    pub fn log_lines(&self, function: &str) -> Vec<String> {
        let functions = lock(&self.functions);
        functions.get(function).map_or_else(Vec::new, |served| lock(&served.log.lines).iter().cloned().collect())
    }
}

/// Builds binaries of this workspace, in the profile and target folder of the caller's own build: `bootstrap` is that of the
/// Azure types, `cross-region` that of AWS in another region, `backup-lambda` that of the backup.
///
/// Returns the paths of the executables.
pub fn build<const N: usize>(binaries: [&str; N]) -> io::Result<[PathBuf; N]> {
    let (profile, flag) = if cfg!(debug_assertions) { ("debug", None) } else { ("release", Some("--release")) };
    let paths = binaries.map(|binary| tools::target_dir().join(profile).join(binary));
    if let Some(first) = paths.iter().zip(binaries).find_map(|(path, binary)| (!path.exists()).then_some(binary)) {
        eprintln!("building {first} (first run)");
    }
    let mut build = process::guarded(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--quiet"]).args(binaries.iter().flat_map(|binary| ["--bin", binary])).args(flag);
    build.current_dir(tools::root());
    tools::as_from_the_shell(&mut build);
    let build = process::output(&mut build)?;
    if !build.status.success() {
        let said = String::from_utf8_lossy(&build.stderr).into_owned();
        return Err(io::Error::other(format!("cargo build ended with {}:\n{said}", build.status)));
    }
    Ok(paths)
}

async fn invoke(
    State((functions, stopped)): State<(Arc<Functions>, watch::Receiver<()>)>,
    UrlPath(name): UrlPath<String>,
    event: Bytes,
) -> Response {
    let request_id = Uuid::new_v4();
    let named = |header: &'static str, value: String| (HeaderName::from_static(header), value);
    let id = named("x-amzn-requestid", request_id.to_string());
    let found = lock(&functions).get(&name).cloned();
    let Some(served) = found else {
        let error = named("x-amzn-errortype", "ResourceNotFoundException".to_owned());
        let body = json!({ "Type": "User", "Message": format!("Function not found: {}", arn(&name)) });
        return (StatusCode::NOT_FOUND, [id, error], axum::Json(body)).into_response();
    };
    // A task of its own: as in Lambda, an invocation goes on when its caller hangs up.
    let work = tokio::spawn(until_stopped(stopped, async move { served.run(request_id, event).await }));
    let json = named("content-type", "application/json".to_owned());
    let version = named("x-amz-executed-version", "$LATEST".to_owned());
    match work.await {
        Ok(Some(Answer::Success(body))) => ([id, json, version], body).into_response(),
        Ok(Some(Answer::Failure(body))) => {
            ([id, json, version, named("x-amz-function-error", "Unhandled".to_owned())], body).into_response()
        }
        Ok(None) | Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, [id]).into_response(),
    }
}

impl Served {
    async fn run(&self, request_id: Uuid, event: Bytes) -> Answer {
        let _slot = self.slots.acquire().await;
        let unheard = {
            let mut left = lock(&self.unheard);
            let now = *left == Some(0);
            *left = left.and_then(|count| count.checked_sub(1));
            now
        };
        // One that died while idle is not used again.
        let warm = lock(&self.warm).pop().and_then(|mut idle| idle.alive().then_some(idle));
        let mut instance = match warm {
            Some(instance) => instance,
            None => match Instance::start(&self.function, &self.log).await {
                Ok(instance) => instance,
                Err(answer) => return answer,
            },
        };
        let mut order = self.kill.subscribe();
        let killed = async { order.changed().await.unwrap_or_default() };
        match instance.run(request_id, event, &self.function, killed).await {
            Ok(_) if unheard => Answer::exit(request_id, "signal: killed"),
            Ok(answer) => {
                lock(&self.warm).push(instance);
                answer
            }
            Err(death) => death,
        }
    }
}

fn arn(name: &str) -> String {
    format!("arn:aws:lambda:us-east-1:000000000000:function:{name}")
}

async fn until_stopped<T>(mut stopped: watch::Receiver<()>, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        _ = stopped.changed() => None,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
