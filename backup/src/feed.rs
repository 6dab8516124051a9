//! A body that is sent while it is still being received, and summed on the way.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use azure_core::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;

use crate::{
    checksum::{Sum, Summer},
    source,
    transport::Payload,
};

/// What passed, once it has passed to its end.
pub(crate) type Passed = Arc<OnceLock<Sum>>;

struct Feed {
    source: source::Body,
    summer: Option<Summer>,
    passed: Passed,
}

/// The body of a request whose bytes are those of an answer. If they end too early, sending fails instead of ending.
pub(crate) fn feed(source: source::Body, summer: Summer) -> (Payload, Passed) {
    let passed = Passed::default();
    let feed = Feed { source, summer: Some(summer), passed: passed.clone() };
    (feed.boxed_unsync(), passed)
}

impl Body for Feed {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let next = self.source.poll_next(context);
        if let (Poll::Ready(Ok(Some(bytes))), Some(summer)) = (&next, &mut self.summer) {
            summer.update(bytes);
        }
        // Whoever sends stops asking once it has as many bytes as it said.
        if self.source.left() == 0
            && let Some(summer) = self.summer.take()
        {
            _ = self.passed.set(summer.finish().0);
        }
        next.map(|next| match next {
            Ok(bytes) => bytes.map(|bytes| Ok(Frame::data(bytes))),
            Err(error) => Some(Err(error.into())),
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.source.left())
    }
}
