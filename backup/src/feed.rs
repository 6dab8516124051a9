//! A body that is sent while it is still being received.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use async_trait::async_trait;
use azure_core::{Bytes, stream::SeekableStream};
use futures::io::AsyncRead;
use tokio::sync::mpsc;

/// How many pieces wait between receiving and sending.
const WAITING: usize = 4;

/// The end that is sent.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    length: u64,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    pieces: mpsc::Receiver<Bytes>,
    current: Bytes,
    left: u64,
    begun: bool,
}

/// A body of this length, and where its pieces go in. If they end too early, sending fails instead of ending.
pub(crate) fn feed(length: u64) -> (mpsc::Sender<Bytes>, Feed) {
    let (sender, pieces) = mpsc::channel(WAITING);
    let state = State { pieces, current: Bytes::new(), left: length, begun: false };
    (sender, Feed { length, state: Arc::new(Mutex::new(state)) })
}

impl AsyncRead for Feed {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.begun = true;
        if state.left == 0 {
            return Poll::Ready(Ok(0));
        }
        while state.current.is_empty() {
            match state.pieces.poll_recv(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(bytes)) => state.current = bytes,
                Poll::Ready(None) => {
                    return Poll::Ready(Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the source ended too early",
                    )));
                }
            }
        }
        let count = buffer.len().min(state.current.len());
        buffer[..count].copy_from_slice(&state.current.split_to(count));
        state.left = state.left.saturating_sub(count as u64);
        Poll::Ready(Ok(count))
    }
}

#[async_trait]
impl SeekableStream for Feed {
    async fn reset(&mut self) -> azure_core::Result<()> {
        match self.state.lock().unwrap_or_else(PoisonError::into_inner).begun {
            false => Ok(()),
            true => Err(azure_core::Error::with_message(azure_core::error::ErrorKind::Io, "a stream is sent once")),
        }
    }

    fn len(&self) -> Option<u64> {
        Some(self.length)
    }
}

#[cfg(test)]
mod tests {
    use futures::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn pieces_become_one_body() {
        let (sender, mut feed) = feed(10);
        feed.reset().await.unwrap();
        let send = async move {
            for piece in [&b"hello"[..], b"", b"world"] {
                sender.send(Bytes::from_static(piece)).await.unwrap();
            }
        };
        let mut all = Vec::new();
        let (_, read) = tokio::join!(send, feed.read_to_end(&mut all));
        assert_eq!((read.unwrap(), all.as_slice()), (10, &b"helloworld"[..]));
        assert!(feed.reset().await.is_err(), "it comes once");
    }

    #[tokio::test]
    async fn an_early_end_is_an_error() {
        let (sender, mut feed) = feed(10);
        sender.send(Bytes::from_static(b"hello")).await.unwrap();
        drop(sender);
        let failed = feed.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::UnexpectedEof);
    }
}
