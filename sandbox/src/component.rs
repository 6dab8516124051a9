//! A server of somebody else's that runs as a child process and listens on one loopback port.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::process::{self, Process};

/// How long a server may take until it listens. Node and Python start in about a second; a busy machine is slower.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// A running server; it is killed when this is dropped.
#[derive(Debug)]
pub struct Component {
    name: &'static str,
    port: u16,
    log: PathBuf,
    process: Process,
}

/// A server that did not start or did not stay.
#[derive(Debug, thiserror::Error)]
#[error("{name} {what}{last_words}")]
pub struct Error {
    name: &'static str,
    what: String,
    /// Read when the error arises: the log may be gone when it is shown.
    last_words: String,
}

impl Component {
    /// Starts a [`process::guarded`] command that is going to listen on `port` of 127.0.0.1; its output goes to `log`.
    pub fn spawn(name: &'static str, port: u16, command: &mut Command, log: PathBuf) -> Result<Self, Error> {
        let started = File::create(&log).and_then(|out| {
            let err = out.try_clone()?;
            process::spawn(command.stdout(out).stderr(err))
        });
        match started {
            Ok(process) => Ok(Component { name, port, log, process }),
            Err(e) => Err(Error { name, what: format!("could not be started: {e}"), last_words: String::new() }),
        }
    }

    /// Waits until the server listens.
    pub async fn ready(&mut self) -> Result<(), Error> {
        let start = Instant::now();
        loop {
            self.check()?;
            if TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                return Err(self.error(format!("does not listen after {} s", PATIENCE.as_secs())));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Whether the server still runs.
    pub fn check(&mut self) -> Result<(), Error> {
        match self.process.ended() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.error(format!("ended with {status}"))),
            Err(e) => Err(self.error(format!("cannot be watched: {e}"))),
        }
    }

    fn error(&self, what: String) -> Error {
        Error { name: self.name, what, last_words: last_words(&self.log) }
    }
}

/// A port of 127.0.0.1 that was free a moment ago, for servers that want to be told theirs.
pub fn free_port() -> io::Result<u16> {
    std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr().map(|address| address.port())
}

/// The last line of a log, which is where programs say why they end.
fn last_words(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    match text.lines().rfind(|line| !line.trim().is_empty()) {
        Some(line) => format!(": {}", line.trim()),
        None => String::new(),
    }
}
