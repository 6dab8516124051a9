//! One instance of a function: a child process and the Runtime API that it polls.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path as UrlPath, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use super::{Answer, Function, LARGEST_EVENT, Log, arn, lock, until_stopped};

/// How long a process may take to its first poll; Lambda's limit.
const INIT: Duration = Duration::from_secs(10);

/// A process that is polling or about to; it is killed when this is dropped.
pub(super) struct Instance {
    child: Child,
    events: mpsc::Sender<Event>,
    _running: watch::Sender<()>,
}

/// One invocation on its way to the process.
struct Event {
    request_id: Uuid,
    payload: Bytes,
    deadline: SystemTime,
    arn: String,
    answer: oneshot::Sender<Answer>,
}

/// The state behind the Runtime API.
struct Runtime {
    events: tokio::sync::Mutex<mpsc::Receiver<Event>>,
    /// The invocation that the process has fetched and not answered.
    current: Mutex<Option<(String, oneshot::Sender<Answer>)>>,
    /// Taken by the first poll, or by the report that there will be none.
    init: Mutex<Option<oneshot::Sender<Result<(), Bytes>>>>,
}

impl Instance {
    /// Starts the process and waits for its first poll.
    pub(super) async fn start(function: &Function, log: &Arc<Log>) -> Result<Instance, Answer> {
        let failed = |message: String| Answer::failure("Runtime.InvalidEntrypoint", message);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(|e| failed(format!("runtime API: {e}")))?;
        let address = listener.local_addr().map_err(|e| failed(format!("runtime API: {e}")))?;
        let (events, queue) = mpsc::channel(1);
        let (init, polled) = oneshot::channel();
        let runtime = Arc::new(Runtime {
            events: tokio::sync::Mutex::new(queue),
            current: Mutex::new(None),
            init: Mutex::new(Some(init)),
        });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .layer(DefaultBodyLimit::max(LARGEST_EVENT))
            .with_state(runtime);
        let (running, stopped) = watch::channel(());
        tokio::spawn(until_stopped(stopped, async move { axum::serve(listener, router).await }));

        let child = command(function, address).spawn();
        let mut child = child.map_err(|e| failed(format!("starting {}: {e}", function.bootstrap.display())))?;
        collect(child.stdout.take(), log);
        collect(child.stderr.take(), log);
        let mut instance = Instance { child, events, _running: running };
        tokio::select! {
            biased;
            Ok(first) = polled => match first {
                Ok(()) => Ok(instance),
                Err(report) => Err(Answer::Failure(report)),
            },
            how = instance.child.wait() => {
                Err(Answer::failure("Runtime.ExitError", format!("Error: Runtime exited before its first poll: {}", exit(how))))
            }
            () = tokio::time::sleep(INIT) => {
                Err(Answer::failure("Sandbox.Timedout", format!("Init timed out after {:.2} seconds", INIT.as_secs_f64())))
            }
        }
    }

    /// Whether the process still runs.
    pub(super) fn alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Hands over one event, and kills the process when `killed` is ready first. An `Err` is the answer of an instance
    /// that is no more and must be dropped.
    pub(super) async fn run(
        &mut self,
        request_id: Uuid,
        payload: Bytes,
        function: &Function,
        killed: impl Future<Output = ()>,
    ) -> Result<Answer, Answer> {
        let (answer, answered) = oneshot::channel();
        let deadline = SystemTime::now() + function.timeout;
        let event = Event { request_id, payload, deadline, arn: arn(&function.name), answer };
        if self.events.send(event).await.is_err() {
            return Err(Answer::exit(request_id, "the runtime API is gone"));
        }
        tokio::select! {
            biased;
            () = killed => Err(Answer::exit(request_id, "signal: killed")),
            Ok(answer) = answered => Ok(answer),
            how = self.child.wait() => Err(Answer::exit(request_id, &exit(how))),
            () = tokio::time::sleep(function.timeout) => Err(Answer::failure(
                "Sandbox.Timedout",
                format!("RequestId: {request_id} Error: Task timed out after {:.2} seconds", function.timeout.as_secs_f64()),
            )),
        }
    }
}

fn command(function: &Function, runtime_api: std::net::SocketAddr) -> Command {
    let folder = function.bootstrap.parent().unwrap_or(&function.bootstrap);
    let mut command = Command::new(&function.bootstrap);
    command
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", runtime_api.to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", &function.name)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
        .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", function.name))
        .env("AWS_LAMBDA_LOG_STREAM_NAME", Uuid::new_v4().simple().to_string())
        .env("AWS_REGION", "us-east-1")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("LAMBDA_TASK_ROOT", folder)
        .env("LANG", "en_US.UTF-8")
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("TZ", ":UTC")
        .env("_HANDLER", "bootstrap")
        .envs(function.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Out of the terminal's reach: Ctrl-C is ours to handle. If we are killed outright, the process ends by itself
        // when its Runtime API no longer answers.
        .process_group(0)
        .kill_on_drop(true);
    command
}

fn exit(how: std::io::Result<std::process::ExitStatus>) -> String {
    how.map_or_else(|e| e.to_string(), |status| status.to_string())
}

fn collect(output: Option<impl AsyncRead + Send + Unpin + 'static>, log: &Arc<Log>) {
    let Some(output) = output else { return };
    let log = log.clone();
    tokio::spawn(async move {
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            log.push(line);
        }
    });
}

async fn next(State(runtime): State<Arc<Runtime>>) -> Response {
    if let Some(init) = lock(&runtime.init).take() {
        // Nobody waits any more if the instance is being dropped.
        let _ = init.send(Ok(()));
    }
    let Some(event) = runtime.events.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let id = event.request_id.to_string();
    let deadline = event.deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let headers = [
        ("lambda-runtime-aws-request-id", id.clone()),
        ("lambda-runtime-deadline-ms", deadline.as_millis().to_string()),
        ("lambda-runtime-invoked-function-arn", event.arn),
        ("lambda-runtime-trace-id", trace_id(&event.request_id)),
        ("content-type", "application/json".to_owned()),
    ];
    *lock(&runtime.current) = Some((id, event.answer));
    (headers, event.payload).into_response()
}

/// `Root=1-8 hex digits-24 hex digits;Sampled=0`, from the request id.
fn trace_id(request_id: &Uuid) -> String {
    let digits = request_id.simple().to_string();
    let (epoch, rest) = digits.split_at(8);
    format!("Root=1-{epoch}-{rest};Sampled=0")
}

async fn response(state: State<Arc<Runtime>>, id: UrlPath<String>, body: Bytes) -> Response {
    answer(&state, &id, Answer::Success(body))
}

async fn error(state: State<Arc<Runtime>>, id: UrlPath<String>, body: Bytes) -> Response {
    answer(&state, &id, Answer::Failure(body))
}

fn answer(runtime: &Runtime, id: &str, answer: Answer) -> Response {
    let fetched = lock(&runtime.current).take_if(|(current, _)| current == id);
    match fetched {
        Some((_, caller)) => {
            // After a timeout nobody waits; the process is being killed.
            let _ = caller.send(answer);
            StatusCode::ACCEPTED.into_response()
        }
        None => (StatusCode::BAD_REQUEST, "no such invocation").into_response(),
    }
}

async fn init_error(State(runtime): State<Arc<Runtime>>, body: Bytes) -> StatusCode {
    if let Some(init) = lock(&runtime.init).take() {
        let _ = init.send(Err(body));
    }
    StatusCode::ACCEPTED
}
