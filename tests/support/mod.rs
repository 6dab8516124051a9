//! What surrounds a handler in production, in miniature: a Lambda Runtime API and a process that polls it.

pub(crate) mod http;

use http::{Answer, Server};
use serde_json::Value;
use std::{
    io::Read,
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A Lambda function: this test program, run again as the process that serves.
pub(crate) struct Lambda {
    _api: Server,
    process: Child,
    printed: JoinHandle<String>,
    events: Sender<(Duration, Vec<u8>)>,
    answers: Receiver<(String, String)>,
}

impl Lambda {
    /// Starts `serving`, an ignored test of the calling program, with these variables in its environment.
    pub(crate) fn start(serving: &str, environment: &[(&str, &str)]) -> Self {
        let (events, next) = channel::<(Duration, Vec<u8>)>();
        let (answer, answers) = channel();
        let (next, answer, count) = (Mutex::new(next), Mutex::new(answer), AtomicUsize::new(0));
        let api = Server::start(move |request| {
            if request.path.ends_with("/invocation/next") {
                let Ok((time, event)) = next.lock().unwrap().recv() else { return Answer::status(500) };
                let deadline = (SystemTime::now() + time).duration_since(UNIX_EPOCH).unwrap().as_millis();
                let id = count.fetch_add(1, Ordering::Relaxed);
                return Answer::ok(event)
                    .header("lambda-runtime-aws-request-id", &format!("reference-{id}"))
                    .header("lambda-runtime-deadline-ms", &deadline.to_string())
                    .header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-west-1:123456789012:function:f")
                    .header("lambda-runtime-trace-id", "Root=1");
            }
            // `…/invocation/{id}/response` or `…/invocation/{id}/error`
            let kind = request.path.rsplit('/').next().unwrap_or_default().to_owned();
            let _ = answer.lock().unwrap().send((kind, String::from_utf8(request.body).unwrap()));
            Answer::status(202)
        });
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", serving, "--ignored", "--nocapture"])
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", api.address())
            .env("AWS_LAMBDA_FUNCTION_NAME", "f")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_ACCESS_KEY_ID", "AKIALAMBDA")
            .env("AWS_SECRET_ACCESS_KEY", "l4mbda")
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Somebody must read, or the process blocks when the pipe is full.
        let mut output = process.stdout.take().unwrap();
        let printed = thread::spawn(move || {
            let mut printed = String::new();
            output.read_to_string(&mut printed).unwrap();
            printed
        });
        Self { _api: api, process, printed, events, answers }
    }

    /// Invokes with any text; gives how Lambda saw the end (`response` or `error`) and the body.
    pub(crate) fn send(&self, event: &[u8], time: Duration) -> (String, String) {
        self.events.send((time, event.to_vec())).unwrap();
        self.answers.recv_timeout(Duration::from_secs(60)).expect("the process answers")
    }

    /// Invokes with an event that is answered.
    pub(crate) fn invoke(&self, event: &Value) -> Value {
        let (kind, body) = self.send(event.to_string().as_bytes(), Duration::from_secs(60));
        assert_eq!(kind, "response", "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Ends the process and gives what it printed.
    pub(crate) fn stop(mut self) -> String {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.printed.join().unwrap()
    }
}
