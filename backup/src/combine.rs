//! The CRC of two pieces behind each other, from the CRC of each.
//!
//! What stands before n bits is multiplied by x^n, modulo the CRC's polynomial. Squaring reaches x^n in as many steps as n has
//! digits: 3 µs for a block of 16 MiB. `crc_fast::checksum_combine` multiplies matrices, and 230 µs for each block were a fiftieth
//! of a large copy.

/// CRC64NVME.
pub(crate) const CRC64_NVME: Crc = Crc { one: 1 << 63, modulus: 0x9A6C_9329_AC4B_C9B5 };
/// CRC-32 as in zip.
pub(crate) const CRC32: Crc = Crc { one: 1 << 31, modulus: 0xEDB8_8320 };
/// CRC-32C.
pub(crate) const CRC32C: Crc = Crc { one: 1 << 31, modulus: 0x82F6_3B78 };

/// A CRC, as the polynomials modulo its own, with the highest power in the lowest bit.
#[derive(Clone, Copy)]
pub(crate) struct Crc {
    /// x^0
    one: u64,
    /// The CRC's polynomial without its highest power.
    modulus: u64,
}

impl Crc {
    /// The CRC of two pieces. `length` is that of the second one, in bytes.
    pub(crate) fn append(self, first: u64, second: u64, length: u64) -> u64 {
        self.multiply(self.power(length * 8), first) ^ second
    }

    fn multiply(self, a: u64, b: u64) -> u64 {
        let (mut product, mut power, mut bit) = (0, b, self.one);
        while bit > 0 {
            if a & bit > 0 {
                product ^= power;
            }
            power = if power & 1 > 0 { power >> 1 ^ self.modulus } else { power >> 1 };
            bit >>= 1;
        }
        product
    }

    /// x^n
    fn power(self, mut n: u64) -> u64 {
        let (mut power, mut square) = (self.one, self.one >> 1);
        while n > 0 {
            if n & 1 > 0 {
                power = self.multiply(power, square);
            }
            square = self.multiply(square, square);
            n >>= 1;
        }
        power
    }
}

#[cfg(test)]
mod tests {
    use crc_fast::CrcAlgorithm;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_what_the_library_computes(first: u64, second: u64, length in 0u64..1 << 60) {
            for (ours, theirs, mask) in [
                (CRC64_NVME, CrcAlgorithm::Crc64Nvme, u64::MAX),
                (CRC32, CrcAlgorithm::Crc32IsoHdlc, u32::MAX.into()),
                (CRC32C, CrcAlgorithm::Crc32Iscsi, u32::MAX.into()),
            ] {
                let (first, second) = (first & mask, second & mask);
                let expected = crc_fast::checksum_combine(theirs, first, second, length);
                prop_assert_eq!(ours.append(first, second, length), expected);
            }
        }
    }
}
