//! Which of two states of an object is the newer one.
//!
//! Events come at least once and in any order. S3's sequencers order the events of one key; what has none (a listing, a batch
//! job) is ordered by the time at which S3 says the object was written, and where that does not tell, S3 is asked.

use std::cmp::Ordering;

use time::OffsetDateTime;

/// Where a state of an object stands among the states of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The sequencer of the event that told of it.
    pub sequencer: Option<String>,
    /// When S3 says that it was written, to the second.
    pub time: OffsetDateTime,
}

impl Position {
    /// Whether this state is older or newer than another one of the same key; None if nothing here tells.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        if let (Some(own), Some(others)) = (&self.sequencer, &other.sequencer) {
            return Some(sequencers(own, others));
        }
        match self.time.unix_timestamp().cmp(&other.time.unix_timestamp()) {
            Ordering::Equal => None,
            order => Some(order),
        }
    }
}

/// Compares two sequencers of one key: as text, the shorter one with zeros behind it.
pub fn sequencers(one: &str, other: &str) -> Ordering {
    let length = one.len().max(other.len());
    let padded = |text: &str| format!("{text:0<length$}").to_ascii_uppercase();
    padded(one).cmp(&padded(other))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn sequencers_are_padded_on_the_right() {
        assert_eq!(sequencers("0062E99A88DC407460", "0062E99A88DC407461"), Ordering::Less);
        assert_eq!(sequencers("0062E99A88", "0062E99A8800"), Ordering::Equal);
        assert_eq!(sequencers("0062E99A88", "0062E99A8801"), Ordering::Less);
        assert_eq!(sequencers("0062E99A89", "0062E99A88FFFF"), Ordering::Greater);
        assert_eq!(sequencers("0062e99a8f", "0062E99A8F"), Ordering::Equal);
    }

    #[test]
    fn the_sequencer_decides_before_the_time() {
        let early = datetime!(2026-01-01 0:00 UTC);
        let late = datetime!(2026-01-01 0:01 UTC);
        let position = |sequencer: Option<&str>, time| Position { sequencer: sequencer.map(str::to_owned), time };
        for (one, other, expected) in [
            (position(Some("2"), early), position(Some("1"), late), Some(Ordering::Greater)),
            (position(None, early), position(Some("1"), late), Some(Ordering::Less)),
            (position(None, late), position(None, early), Some(Ordering::Greater)),
            (position(None, late), position(Some("1"), late), None),
        ] {
            assert_eq!(one.compare(&other), expected, "{one:?} {other:?}");
            assert_eq!(other.compare(&one), expected.map(Ordering::reverse));
        }
    }

    proptest! {
        #[test]
        fn sequencers_are_in_a_total_order(a in "[0-9A-F]{1,6}", b in "[0-9A-F]{1,6}", c in "[0-9A-F]{1,6}") {
            prop_assert_eq!(sequencers(&a, &b), sequencers(&b, &a).reverse());
            if sequencers(&a, &b).is_le() && sequencers(&b, &c).is_le() {
                prop_assert!(sequencers(&a, &c).is_le());
            }
        }
    }
}
