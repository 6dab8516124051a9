//! One handler process and the Lambda Runtime API that it polls, with a clock at both.

use crate::side::Side;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, body::Bytes, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    sync::{Mutex, mpsc},
    task::JoinHandle,
};

/// A process that polls or works; it is killed when this is dropped.
pub(crate) struct Instance {
    name: &'static str,
    patience: Duration,
    child: Child,
    spawned: Instant,
    polls: mpsc::UnboundedReceiver<Instant>,
    events: mpsc::UnboundedSender<Bytes>,
    answers: mpsc::UnboundedReceiver<(Instant, Bytes)>,
    server: JoinHandle<()>,
}

/// The other ends of an instance's channels.
struct Api {
    polls: mpsc::UnboundedSender<Instant>,
    events: Mutex<mpsc::UnboundedReceiver<Bytes>>,
    answers: mpsc::UnboundedSender<(Instant, Bytes)>,
    served: AtomicU64,
    patience: Duration,
}

impl Instance {
    /// Starts a process, and waits for its first poll. Returns when that came, counted from just before the start.
    ///
    /// # Errors
    /// It cannot be started, ends, or does not poll.
    pub(crate) async fn start(side: &Side) -> Result<(Self, Duration), String> {
        let failed = |error| format!("starting {}: {error}", side.name);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (polled, polls) = mpsc::unbounded_channel();
        let (events, queue) = mpsc::unbounded_channel();
        let (answered, answers) = mpsc::unbounded_channel();
        let api = Arc::new(Api {
            polls: polled,
            events: Mutex::new(queue),
            answers: answered,
            served: AtomicU64::new(0),
            patience: side.patience,
        });
        let server = tokio::spawn(serve(listener, api));
        let mut command = Command::new(&side.program);
        command
            .args(&side.arguments)
            .current_dir(&side.folder)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "bench")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/bench")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "bench")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("LAMBDA_TASK_ROOT", &side.folder)
            .env("LANG", "en_US.UTF-8")
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("TZ", ":UTC")
            .envs(side.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(side.log()?)
            .stderr(side.log()?)
            .kill_on_drop(true);
        let spawned = Instant::now();
        let child = command.spawn().map_err(failed)?;
        let mut instance =
            Self { name: side.name, patience: side.patience, child, spawned, polls, events, answers, server };
        let polled = instance.poll().await?;
        Ok((instance, polled - spawned))
    }

    /// Hands an event over and waits until the answer is there and the process polls again. Returns the time that the
    /// answer took, the time since the start of the process, and the answer.
    ///
    /// # Errors
    /// The process ends, or gives no answer.
    pub(crate) async fn invoke(&mut self, event: &Bytes) -> Result<(Duration, Duration, Bytes), String> {
        let begin = Instant::now();
        self.events.send(event.clone()).map_err(|_| format!("{}: its Runtime API has ended", self.name))?;
        let (at, answer) = tokio::select! {
            Some(answer) = self.answers.recv() => answer,
            status = self.child.wait() => return Err(self.ended(status)),
            () = tokio::time::sleep(self.patience) => return Err(format!("{}: no answer in {:?}", self.name, self.patience)),
        };
        self.poll().await?;
        Ok((at - begin, at - self.spawned, answer))
    }

    /// The process's id.
    ///
    /// # Errors
    /// The process has ended.
    pub(crate) fn process(&self) -> Result<u32, String> {
        self.child.id().ok_or_else(|| format!("{}: the process has ended", self.name))
    }

    /// Ends the process, and waits until it is gone: the kernel takes CPU to free its memory, which the next start needs.
    ///
    /// # Errors
    /// It cannot be killed.
    pub(crate) async fn stop(mut self) -> Result<(), String> {
        self.child.kill().await.map_err(|error| format!("stopping {}: {error}", self.name))
    }

    async fn poll(&mut self) -> Result<Instant, String> {
        tokio::select! {
            Some(at) = self.polls.recv() => Ok(at),
            status = self.child.wait() => Err(self.ended(status)),
            () = tokio::time::sleep(self.patience) => Err(format!("{}: no poll in {:?}", self.name, self.patience)),
        }
    }

    fn ended(&self, status: std::io::Result<std::process::ExitStatus>) -> String {
        let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        format!("{}: the process ended with {status}", self.name)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, api: Arc<Api>) {
    while let Ok((stream, _)) = listener.accept().await {
        let api = api.clone();
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            let answer = service_fn(|request| answer(&api, request));
            // A process that was killed hangs up.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

async fn answer(api: &Api, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let response = Response::builder();
    if request.method() == Method::GET {
        let now = Instant::now();
        // The instance may have been dropped meanwhile, here and below.
        let _ = api.polls.send(now);
        let Some(event) = api.events.lock().await.recv().await else {
            return Ok(Response::new(Full::default()));
        };
        let number = api.served.fetch_add(1, Ordering::Relaxed);
        let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + api.patience;
        let response = response
            .header("content-type", "application/json")
            .header("lambda-runtime-aws-request-id", format!("00000000-0000-4000-8000-{number:012}"))
            .header("lambda-runtime-deadline-ms", deadline.as_millis().to_string())
            .header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:000000000000:function:bench")
            .header("lambda-runtime-trace-id", "Root=1-00000000-000000000000000000000000;Sampled=0")
            .body(Full::new(event));
        return Ok(response.expect("the headers are printable"));
    }
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let _ = api.answers.send((Instant::now(), body));
    Ok(response.status(202).body(Full::default()).expect("there is no header"))
}
