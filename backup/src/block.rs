//! How an object is cut into blocks, and how a block says what it is.
//!
//! The uncommitted blocks of a blob are the only state of a copy. A block's id has the object's identity, the block's offset and
//! its checksums; so whoever lists them knows what is there and what is missing, after any end of the process before.
//!
//! A block that is sent from memory carries its checksums in its own id. Of one that is streamed they are known only when it
//! has arrived; a second, tiny block that is never committed then notes them. A streamed block without its note does not count.
//! Every attempt at streaming has an id of its own: what was verified is not replaced by what somebody else sends meanwhile.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::{Error, Reason, Result, checksum::Sum, event::Change, source::Object};

/// The most blocks of an object. Azure takes 50,000 in a blob, and 100,000 that are not committed, where a streamed one and its
/// note are two; the rest is for attempts that failed.
pub(crate) const MOST: u64 = 40_000;
/// The largest block.
const LARGEST: u64 = 4_000 * MIB;
pub(crate) const MIB: u64 = 1 << 20;
/// What an id has before base64. Azure takes at most 64, and wants one length for all blocks of a blob.
const ID: usize = 48;
const IDENTITY: usize = 15;
const ATTEMPT: usize = 12;

/// The id of a block, before base64.
pub type Id = [u8; ID];
/// What tells one attempt at streaming from another.
pub type Attempt = [u8; ATTEMPT];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    /// Bytes of the object, checksums in the id.
    Data = b'D',
    /// Bytes of the object, checksums in a note.
    Streamed = b'S',
    /// The checksums of a streamed block.
    Note = b'N',
}

/// An object's blocks.
#[derive(Clone, Debug)]
pub struct Plan {
    identity: [u8; IDENTITY],
    size: u64,
    block: u64,
}

impl Plan {
    /// Cuts an object into blocks of `least` bytes, or larger ones if they would be too many.
    ///
    /// # Errors
    /// `TooLarge`: more than 40,000 blocks of 4,000 MiB.
    pub fn new(change: &Change, object: &Object, least: u64) -> Result<Self> {
        let needed = object.size.div_ceil(MOST);
        let block = match needed <= least {
            true => least,
            false => needed.next_multiple_of(MIB),
        };
        if block > LARGEST {
            let message = format!("the object has {} bytes; at most 152.5 TiB are copied", object.size);
            return Err(Error::new(Reason::TooLarge, message));
        }
        let mut hash = Sha256::new();
        let version = object.version.as_deref().unwrap_or_default();
        for part in [change.bucket.as_str(), &change.key, version, &object.etag] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.update(object.size.to_le_bytes());
        hash.update(block.to_le_bytes());
        let mut identity = [0; IDENTITY];
        identity.copy_from_slice(&hash.finalize()[..IDENTITY]);
        Ok(Self { identity, size: object.size, block })
    }

    /// The offset and the length of every block.
    pub fn blocks(&self) -> impl Iterator<Item = (u64, u64)> + use<> {
        let (size, block) = (self.size, self.block);
        (0..size.div_ceil(block)).map(move |at| (at * block, block.min(size - at * block)))
    }

    /// The largest block, in bytes.
    pub fn block_size(&self) -> u64 {
        self.block.min(self.size)
    }

    /// Whether there is anything to go on from before the last block.
    pub fn is_one_block(&self) -> bool {
        self.size <= self.block
    }

    /// The id of a block that is sent from memory.
    pub fn data(&self, offset: u64, sum: &Sum) -> Id {
        self.id(Kind::Data, offset, Attempt::default(), sum)
    }

    /// The id of a block that is streamed.
    pub fn streamed(&self, offset: u64, attempt: Attempt) -> Id {
        self.id(Kind::Streamed, offset, attempt, &Sum::EMPTY)
    }

    /// The id of the note to a block that was streamed.
    pub fn note(&self, offset: u64, attempt: Attempt, sum: &Sum) -> Id {
        self.id(Kind::Note, offset, attempt, sum)
    }

    fn id(&self, kind: Kind, offset: u64, attempt: Attempt, sum: &Sum) -> Id {
        let mut id = [0; ID];
        id[0] = kind as u8;
        id[1..16].copy_from_slice(&self.identity);
        id[16..24].copy_from_slice(&offset.to_be_bytes());
        id[24..32].copy_from_slice(&sum.crc64.to_be_bytes());
        id[32..36].copy_from_slice(&sum.crc32.to_be_bytes());
        id[36..].copy_from_slice(&attempt);
        id
    }

    /// Which blocks of this object are among the uncommitted ones, by offset: what they are called and their checksums.
    pub fn found(&self, uncommitted: &[(Vec<u8>, u64)]) -> BTreeMap<u64, (Id, Sum)> {
        let mut streamed = BTreeMap::new();
        let mut notes = BTreeMap::new();
        let mut found = BTreeMap::new();
        for (id, length) in uncommitted {
            let Ok(id) = Id::try_from(id.as_slice()) else { continue };
            if id[1..16] != self.identity {
                continue;
            }
            let offset = u64::from_be_bytes(id[16..24].try_into().expect("eight bytes"));
            let crc64 = u64::from_be_bytes(id[24..32].try_into().expect("eight bytes"));
            let crc32 = u32::from_be_bytes(id[32..36].try_into().expect("four bytes"));
            let wanted = self.block.min(self.size.saturating_sub(offset));
            let sum = Sum { crc64, crc32, length: wanted };
            match id[0] {
                b'D' if *length == wanted => _ = found.insert(offset, (id, sum)),
                b'S' if *length == wanted => _ = streamed.insert((offset, id[36..].to_vec()), id),
                b'N' => _ = notes.insert((offset, id[36..].to_vec()), sum),
                _ => {}
            }
        }
        for (attempt, id) in streamed {
            if let Some(sum) = notes.get(&attempt) {
                found.insert(attempt.0, (id, *sum));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::OffsetDateTime;

    use super::*;
    use crate::event::Kind as Happened;

    fn change() -> Change {
        Change {
            bucket: "b".to_owned(),
            key: "k".to_owned(),
            version: None,
            sequencer: None,
            kind: Happened::Created,
            size: None,
            region: None,
            time: None,
        }
    }

    fn object(size: u64, etag: &str) -> Object {
        Object {
            size,
            etag: etag.to_owned(),
            version: None,
            modified: OffsetDateTime::UNIX_EPOCH,
            class: "STANDARD".to_owned(),
            headers: BTreeMap::new(),
            user: BTreeMap::new(),
            tag_count: 0,
            stored: None,
            archived: false,
        }
    }

    fn plan(size: u64) -> Plan {
        Plan::new(&change(), &object(size, "e"), 8 * MIB).unwrap()
    }

    #[test]
    fn sizes() {
        const TIB: u64 = MIB << 20;
        for (size, block, count) in [
            (1, 8 * MIB, 1),
            (8 * MIB, 8 * MIB, 1),
            (8 * MIB + 1, 8 * MIB, 2),
            (40_000 * 8 * MIB, 8 * MIB, 40_000),
            (40_000 * 8 * MIB + 1, 9 * MIB, 35_556),
            (50_000_000_000_000, 1_193 * MIB, 39_970),
            (40_000 * 4_000 * MIB, 4_000 * MIB, 40_000),
        ] {
            let plan = plan(size);
            assert_eq!((plan.block, plan.blocks().count() as u64), (block, count), "{size}");
            assert_eq!(plan.is_one_block(), count == 1);
            assert_eq!(plan.blocks().map(|(_, length)| length).sum::<u64>(), size);
        }
        let refused = Plan::new(&change(), &object(200 * TIB, "e"), MIB).unwrap_err();
        assert_eq!(refused.reason, Reason::TooLarge);
    }

    #[test]
    fn what_is_found_is_only_what_counts() {
        let plan = plan(20 * MIB);
        let sum = |crc64, length| Sum { crc64, crc32: 7, length };
        let other = Plan::new(&change(), &object(20 * MIB, "another"), 8 * MIB).unwrap();
        let uncommitted = [
            (plan.data(0, &sum(1, 8 * MIB)).to_vec(), 8 * MIB),
            (plan.streamed(8 * MIB, [1; 12]).to_vec(), 8 * MIB),
            (plan.note(16 * MIB, [1; 12], &sum(3, 4 * MIB)).to_vec(), 1),
            (other.data(16 * MIB, &sum(4, 4 * MIB)).to_vec(), 4 * MIB),
            (b"somebody else's".to_vec(), 4 * MIB),
        ];
        let found = plan.found(&uncommitted);
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), [0], "no note, no block, another object, not ours");
        assert_eq!(found[&0].1, sum(1, 8 * MIB));

        let noted = [
            (plan.streamed(16 * MIB, [1; 12]).to_vec(), 4 * MIB),
            (plan.note(16 * MIB, [1; 12], &sum(3, 4 * MIB)).to_vec(), 1),
            (plan.data(8 * MIB, &sum(2, 8 * MIB)).to_vec(), 5),
            (plan.streamed(0, [2; 12]).to_vec(), 8 * MIB),
            (plan.note(0, [3; 12], &sum(4, 8 * MIB)).to_vec(), 1),
        ];
        let found = plan.found(&noted);
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), [16 * MIB], "too short, and the note of another attempt");
        assert_eq!(found[&(16 * MIB)], (plan.streamed(16 * MIB, [1; 12]), sum(3, 4 * MIB)));
    }

    proptest! {
        #[test]
        fn blocks_cover_the_object(size in 1u64..200 * MIB) {
            let plan = plan(size);
            let mut end = 0;
            for (offset, length) in plan.blocks() {
                prop_assert_eq!(offset, end);
                prop_assert!(length > 0 && length <= plan.block_size());
                end += length;
            }
            prop_assert_eq!(end, size);
        }
    }
}
