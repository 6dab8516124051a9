//! The end that somebody asks for.

use std::time::Duration;

use tokio::{sync::watch, time::Instant};

/// How long what is under way may take after an interruption. What is not done by then goes on in the next run.
const GRACE: Duration = Duration::from_secs(10);
/// The exit code of a program that was interrupted, as shells have it.
pub(crate) const INTERRUPTED: u8 = 130;

/// Whether somebody interrupted, and when.
#[derive(Clone, Debug)]
pub(crate) struct Stop(watch::Receiver<Option<Instant>>);

impl Stop {
    /// Listens for SIGINT and SIGTERM. The second one ends the process at once.
    pub(crate) fn on_signals() -> Self {
        let (sender, receiver) = watch::channel(None);
        tokio::spawn(async move {
            signal().await;
            eprintln!(
                "interrupted: what is under way has {} s to end, and the next run goes on from there; once more ends at once",
                GRACE.as_secs()
            );
            sender.send_replace(Some(Instant::now()));
            signal().await;
            std::process::exit(INTERRUPTED.into());
        });
        Self(receiver)
    }

    /// One that never comes.
    #[cfg(test)]
    pub(crate) fn never() -> Self {
        let (sender, receiver) = watch::channel(None);
        std::mem::forget(sender);
        Self(receiver)
    }

    /// Whether it has come.
    pub(crate) fn is_set(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Waits until it comes.
    pub(crate) async fn set(&self) {
        if self.0.clone().wait_for(Option::is_some).await.is_err() {
            std::future::pending().await
        }
    }

    /// Waits until the time of grace is over.
    pub(crate) async fn over(&self) {
        self.set().await;
        let came = *self.0.borrow();
        if let Some(came) = came {
            tokio::time::sleep_until(came + GRACE).await;
        }
    }
}

async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        }
        _ => std::future::pending().await,
    }
}
