//! Checksums: what S3 stored, what Azure is sent, and what we compute on the way.
//!
//! S3's CRC64NVME and Azure's CRC64 are one polynomial. S3 writes it big-endian, Azure little-endian, both in base64.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use crc_fast::{CrcAlgorithm, Digest as Crc};
use sha2::{Digest as _, Sha256};

use crate::combine::{CRC32, CRC32C, CRC64_NVME};

/// An algorithm that S3 stores checksums of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// The one that Azure also has.
    Crc64Nvme,
    /// CRC-32 as in zip.
    Crc32,
    /// CRC-32C.
    Crc32C,
    /// SHA-256.
    Sha256,
    /// SHA-1, which we do not compute.
    Sha1,
}

impl Algorithm {
    /// All, in the order in which a stored one is looked for.
    pub const ALL: [Self; 5] = [Self::Crc64Nvme, Self::Crc32C, Self::Crc32, Self::Sha256, Self::Sha1];

    /// As the end of S3's header has it, and a blob's metadata.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc64Nvme => "crc64nvme",
            Self::Crc32 => "crc32",
            Self::Crc32C => "crc32c",
            Self::Sha256 => "sha256",
            Self::Sha1 => "sha1",
        }
    }

    /// The header that S3 has one in.
    pub fn header(self) -> &'static str {
        match self {
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32C => "x-amz-checksum-crc32c",
            Self::Sha256 => "x-amz-checksum-sha256",
            Self::Sha1 => "x-amz-checksum-sha1",
        }
    }

    fn crc32(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32C => Some(CrcAlgorithm::Crc32Iscsi),
            _ => None,
        }
    }
}

/// A checksum that S3 stored with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// How it was computed.
    pub algorithm: Algorithm,
    /// Its value, in base64. Of a composite one, with `-` and the number of parts.
    pub value: String,
    /// Whether it is that of all bytes, not of the checksums of the parts.
    pub full_object: bool,
}

/// The checksums of a piece of an object; pieces are appended to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum {
    /// CRC64NVME.
    pub crc64: u64,
    /// The CRC-32 that S3 stored one of; 0 where it did not.
    pub crc32: u32,
    /// Bytes.
    pub length: u64,
}

impl Sum {
    /// That of nothing.
    pub const EMPTY: Self = Self { crc64: 0, crc32: 0, length: 0 };

    /// That of this piece with another one behind it. `stored` tells which CRC-32 it has.
    pub fn append(self, next: Self, stored: Option<&Stored>) -> Self {
        let crc32 = match stored.map(|stored| stored.algorithm) {
            Some(Algorithm::Crc32) => CRC32.append(self.crc32.into(), next.crc32.into(), next.length),
            Some(Algorithm::Crc32C) => CRC32C.append(self.crc32.into(), next.crc32.into(), next.length),
            _ => 0,
        };
        Self {
            crc64: CRC64_NVME.append(self.crc64, next.crc64, next.length),
            crc32: u32::try_from(crc32).unwrap_or_default(),
            length: self.length + next.length,
        }
    }
}

/// Computes checksums of bytes as they pass.
pub struct Summer {
    crc64: Crc,
    crc32: Option<Crc>,
    sha256: Option<Sha256>,
}

impl Summer {
    /// One that computes what the stored checksum can be compared with. `whole`: it will see every byte of the object.
    pub fn new(stored: Option<&Stored>, whole: bool) -> Self {
        let comparable = stored.filter(|stored| stored.full_object);
        Self {
            crc64: Crc::new(CrcAlgorithm::Crc64Nvme),
            crc32: comparable.and_then(|stored| stored.algorithm.crc32()).map(Crc::new),
            sha256: comparable.filter(|stored| whole && stored.algorithm == Algorithm::Sha256).map(|_| Sha256::new()),
        }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.crc64.update(bytes);
        if let Some(crc32) = &mut self.crc32 {
            crc32.update(bytes);
        }
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(bytes);
        }
    }

    /// The checksums of all bytes taken, and the SHA-256 where one was asked for.
    pub fn finish(self) -> (Sum, Option<[u8; 32]>) {
        let crc32 = self.crc32.map_or(0, |crc32| u32::try_from(crc32.finalize()).unwrap_or_default());
        let sum = Sum { crc64: self.crc64.finalize(), crc32, length: self.crc64.get_amount() };
        (sum, self.sha256.map(|sha256| sha256.finalize().into()))
    }
}

/// What is known of the bytes that were copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// They are those that S3 has this checksum of.
    Against(Algorithm),
    /// S3 has no checksum: ours was computed on the way, over what S3 sent.
    Computed,
    /// S3 has one that we cannot compare: SHA-1, SHA-256 of a large object, or one of parts.
    NotComparable,
}

impl Checked {
    /// As the blob's metadata says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Against(algorithm) => algorithm.name(),
            Self::Computed => "computed",
            Self::NotComparable => "not comparable",
        }
    }

    /// The way back from [`Checked::name`].
    pub fn parse(name: &str) -> Option<Self> {
        let algorithms = Algorithm::ALL.into_iter().map(Self::Against);
        algorithms.chain([Self::Computed, Self::NotComparable]).find(|checked| checked.name() == name)
    }
}

/// Compares what was copied with what S3 stored.
///
/// # Errors
/// The computed value, in S3's form, if the two differ.
pub fn check(stored: Option<&Stored>, sum: &Sum, sha256: Option<[u8; 32]>) -> Result<Checked, String> {
    let Some(stored) = stored else { return Ok(Checked::Computed) };
    let computed = match stored.algorithm {
        _ if !stored.full_object => None,
        Algorithm::Crc64Nvme => Some(to_s3(sum.crc64)),
        Algorithm::Crc32 | Algorithm::Crc32C => Some(STANDARD.encode(sum.crc32.to_be_bytes())),
        Algorithm::Sha256 => sha256.map(|hash| STANDARD.encode(hash)),
        Algorithm::Sha1 => None,
    };
    match computed {
        None => Ok(Checked::NotComparable),
        Some(computed) if computed == stored.value => Ok(Checked::Against(stored.algorithm)),
        Some(computed) => Err(computed),
    }
}

/// CRC64NVME as S3 writes it.
pub fn to_s3(crc64: u64) -> String {
    STANDARD.encode(crc64.to_be_bytes())
}

/// The way back from [`to_s3`].
pub fn from_s3(text: &str) -> Option<u64> {
    Some(u64::from_be_bytes(STANDARD.decode(text).ok()?.try_into().ok()?))
}

/// CRC64 as Azure sends and takes it.
pub fn to_azure(crc64: u64) -> String {
    STANDARD.encode(crc64.to_le_bytes())
}

/// The way back from [`to_azure`].
pub fn from_azure(text: &str) -> Option<u64> {
    Some(u64::from_le_bytes(STANDARD.decode(text).ok()?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(bytes: &[u8], stored: Option<&Stored>) -> (Sum, Option<[u8; 32]>) {
        let mut summer = Summer::new(stored, true);
        summer.update(bytes);
        summer.finish()
    }

    fn stored(algorithm: Algorithm, value: &str, full_object: bool) -> Stored {
        Stored { algorithm, value: value.to_owned(), full_object }
    }

    #[test]
    fn both_clouds_write_the_same_number() {
        let crc64 = sum(b"Hello world", None).0.crc64;
        assert_eq!(to_s3(crc64), "OOJZ0D8xKts=");
        assert_eq!(from_s3("OOJZ0D8xKts="), Some(crc64));
        let crc64 = sum(b"Hello World", None).0.crc64;
        assert_eq!(to_azure(crc64), "YeJLfssylmU=");
        assert_eq!(from_azure("YeJLfssylmU="), Some(crc64));
        assert_eq!((from_s3("x"), from_azure("AQ==")), (None, None));
    }

    #[test]
    fn stored_checksums_are_compared_where_that_is_possible() {
        use Algorithm::*;
        let bytes = b"123456789";
        for (checksum, expected) in [
            (stored(Crc64Nvme, "rosUhgp5mIg=", true), Checked::Against(Crc64Nvme)),
            (stored(Crc32, "y/Q5Jg==", true), Checked::Against(Crc32)),
            (stored(Crc32C, "4waSgw==", true), Checked::Against(Crc32C)),
            (stored(Sha1, "98O8HYCOBHMqAygwPuDFBxoeKg8=", true), Checked::NotComparable),
            (stored(Crc32, "AAAAAA==-3", false), Checked::NotComparable),
        ] {
            let (sum, sha256) = sum(bytes, Some(&checksum));
            assert_eq!(check(Some(&checksum), &sum, sha256), Ok(expected), "{checksum:?}");
            assert_eq!(Checked::parse(expected.name()), Some(expected));
            let mut wrong = bytes.to_vec();
            wrong[0] ^= 1;
            let (wrong, sha256) = self::sum(&wrong, Some(&checksum));
            assert_eq!(check(Some(&checksum), &wrong, sha256).is_err(), matches!(expected, Checked::Against(_)));
        }
        assert_eq!(check(None, &sum(bytes, None).0, None), Ok(Checked::Computed));
        let large = stored(Sha256, "x", true);
        assert_eq!(check(Some(&large), &Sum::EMPTY, None), Ok(Checked::NotComparable), "seen in pieces");
    }

    #[test]
    fn sha256_of_the_whole() {
        let value = STANDARD.encode(Sha256::digest(b"abc"));
        let checksum = stored(Algorithm::Sha256, &value, true);
        let (sum, sha256) = sum(b"abc", Some(&checksum));
        assert_eq!(check(Some(&checksum), &sum, sha256), Ok(Checked::Against(Algorithm::Sha256)));
    }

    proptest! {
        #[test]
        fn pieces_add_up(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..8)) {
            for algorithm in [Algorithm::Crc32, Algorithm::Crc32C, Algorithm::Crc64Nvme] {
                let stored = stored(algorithm, "", true);
                let added = pieces.iter().fold(Sum::EMPTY, |all, piece| all.append(sum(piece, Some(&stored)).0, Some(&stored)));
                prop_assert_eq!(added, sum(&pieces.concat(), Some(&stored)).0);
            }
        }
    }
}
