//! The bytes of all objects: made as they are sent, the same for every tool, and with a checksum that is known without them.

use crc_fast::{CrcAlgorithm::Crc64Nvme, checksum, checksum_combine};
use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

/// After so many bytes they repeat. A prime: no two blocks of an object begin alike, so one in another's place is noticed.
const PERIOD: u64 = 1_048_573;
/// The most that is handed to the connection at once.
const PIECE: u64 = 64 << 10;

/// What every object begins with.
#[derive(Clone)]
pub(super) struct Content {
    period: Bytes,
}

impl Content {
    /// Computes one period.
    pub(super) fn new() -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let noise = std::iter::repeat_with(|| {
            // xorshift64: nothing that compresses.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        });
        Self { period: noise.take(PERIOD as usize).collect() }
    }

    /// The bytes `begin..end`, as the body of an answer.
    pub(super) fn range(&self, begin: u64, end: u64) -> Reply {
        Reply::Range { content: self.clone(), at: begin, end }
    }

    /// CRC64NVME of the first `size` bytes, for which a period is shifted and not read again.
    pub(super) fn crc64(&self, size: u64) -> u64 {
        let mut all = 0;
        let mut power = (checksum(Crc64Nvme, &self.period), PERIOD);
        let mut periods = size / PERIOD;
        while periods > 0 {
            if periods % 2 == 1 {
                all = checksum_combine(Crc64Nvme, all, power.0, power.1);
            }
            power = (checksum_combine(Crc64Nvme, power.0, power.0, power.1), power.1 * 2);
            periods /= 2;
        }
        let rest = &self.period[..(size % PERIOD) as usize];
        checksum_combine(Crc64Nvme, all, checksum(Crc64Nvme, rest), rest.len() as u64)
    }
}

/// The body of an answer.
pub(super) enum Reply {
    /// Bytes at hand.
    Whole(Bytes),
    /// Bytes of an object.
    Range {
        /// Where they come from.
        content: Content,
        /// The next one.
        at: u64,
        /// Behind the last one.
        end: u64,
    },
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match self.get_mut() {
            Self::Whole(bytes) => std::mem::take(bytes),
            Self::Range { content, at, end } => {
                let begin = *at % PERIOD;
                let length = PIECE.min(*end - *at).min(PERIOD - begin);
                *at += length;
                content.period.slice(begin as usize..(begin + length) as usize)
            }
        };
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Whole(bytes) => bytes.len() as u64,
            Self::Range { at, end, .. } => end - at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn ranges_are_parts_of_one_object_whose_checksum_is_known() {
        let content = Content::new();
        let size = 3 * PERIOD + 12_345;
        let all = content.range(0, size).collect().await.unwrap().to_bytes();
        assert_eq!(all.len() as u64, size);
        let (begin, end) = (PERIOD - 10, 2 * PERIOD + 10);
        let part = content.range(begin, end).collect().await.unwrap().to_bytes();
        assert_eq!(part, all.slice(begin as usize..end as usize));
        for size in [0, 1, PERIOD - 1, PERIOD, 2 * PERIOD, size] {
            let expected = checksum(Crc64Nvme, &all[..size as usize]);
            assert_eq!(content.crc64(size), expected, "{size}");
        }
        assert_ne!(all.slice(..1000), all.slice(PERIOD as usize / 2..PERIOD as usize / 2 + 1000));
    }
}
