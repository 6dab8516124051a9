//! What may go wrong with a request, by a seed or by a script.

use std::{collections::VecDeque, sync::Mutex, time::Duration};

use axum::{
    body::Body,
    http::{Response as Http, StatusCode},
    response::Response,
};

use super::lock;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// 503 before anything is done.
    Busy,
    /// 500 after it was done.
    FailAfter,
    /// The connection is cut before anything is done.
    Cut,
    /// It is done and the answer is cut.
    CutAfter,
    /// The answer begins and ends too early.
    Truncate,
    /// It takes a while.
    Delay,
    /// No answer comes.
    Hang,
}

pub(crate) const ALL: [Fault; 7] =
    [Fault::Busy, Fault::FailAfter, Fault::Cut, Fault::CutAfter, Fault::Truncate, Fault::Delay, Fault::Hang];

/// Numbers that look random and are the same for the same seed.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ word >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ word >> 31
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

#[derive(Default)]
pub(crate) struct Faults {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    random: Option<(Random, u64)>,
    script: VecDeque<(String, Fault)>,
    count: u64,
}

impl Faults {
    /// From now on this many requests of a thousand go wrong.
    pub(crate) fn random(&self, seed: u64, per_thousand: u64) {
        lock(&self.state).random = Some((Random(seed), per_thousand));
    }

    pub(crate) fn stop(&self) {
        lock(&self.state).random = None;
    }

    /// The next request whose method and path with query contain this goes wrong.
    pub(crate) fn next(&self, part: &str, fault: Fault) {
        lock(&self.state).script.push_back((part.to_owned(), fault));
    }

    /// How many went wrong.
    pub(crate) fn count(&self) -> u64 {
        lock(&self.state).count
    }

    pub(crate) fn draw(&self, request: &str) -> Option<Fault> {
        let mut state = lock(&self.state);
        let scripted = state.script.iter().position(|(part, _)| request.contains(part.as_str()));
        let fault = match scripted {
            Some(at) => state.script.remove(at).map(|(_, fault)| fault),
            None => state.random.as_mut().and_then(|(random, per_thousand)| {
                (random.below(1000) < *per_thousand).then(|| ALL[random.below(ALL.len() as u64) as usize])
            }),
        };
        state.count += u64::from(fault.is_some());
        fault
    }
}

/// Answers through a fault.
pub(crate) async fn through<A: Future<Output = Response>>(fault: Option<Fault>, busy: Response, answer: A) -> Response {
    match fault {
        None => answer.await,
        Some(Fault::Busy) => busy,
        Some(Fault::FailAfter) => {
            drop(answer.await);
            Http::builder().status(StatusCode::INTERNAL_SERVER_ERROR).body(Body::empty()).unwrap()
        }
        Some(Fault::Cut) => cut(StatusCode::OK),
        Some(Fault::CutAfter) => cut(answer.await.status()),
        Some(Fault::Truncate) => {
            let (mut parts, body) = answer.await.into_parts();
            let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
            let half = bytes.slice(..bytes.len() / 2);
            parts.headers.insert("content-length", (bytes.len().max(1)).into());
            let pieces = [Ok(half), Err(std::io::Error::other("cut"))];
            Http::from_parts(parts, Body::from_stream(futures::stream::iter(pieces)))
        }
        Some(Fault::Delay) => {
            tokio::time::sleep(Duration::from_millis(20)).await;
            answer.await
        }
        Some(Fault::Hang) => std::future::pending().await,
    }
}

/// An answer that says more than it has.
fn cut(status: StatusCode) -> Response {
    let nothing = futures::stream::iter([Err::<axum::body::Bytes, _>(std::io::Error::other("cut"))]);
    Http::builder().status(status).header("content-length", 1000).body(Body::from_stream(nothing)).unwrap()
}
