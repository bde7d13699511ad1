//! Percentiles within 1 %, of any number of values, that can be put together.
//!
//! A value is counted in the bucket of its logarithm: bucket `i` holds the values in (γ^(i-1), γ^i], and with
//! γ = (1 + α) / (1 - α) the middle of a bucket, 2γ^i / (γ + 1), is at most α away from each of them,
//! relative to it (Masson, Rim, Lee: DDSketch, 2019). Buckets of two sketches are added one by one, so that
//! putting together loses nothing. Whole numbers below 2⁶⁴ need at most 2,219 buckets, so none need be
//! dropped, and the error holds for all percentiles.

/// The relative error.
pub const ERROR: f64 = 0.01;

const GAMMA: f64 = (1.0 + ERROR) / (1.0 - ERROR);

/// 1 / ln γ.
const BUCKETS_A_FOLD: f64 = 49.998_333_288_886_78;

/// Counts of values by their logarithm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    /// Values that are 0.
    zeros: u64,
    /// The bucket of the first count.
    first: usize,
    counts: Vec<u32>,
    total: u64,
}

impl Sketch {
    /// Counts a value.
    pub fn add(&mut self, value: u64) {
        self.total += 1;
        if value == 0 {
            self.zeros += 1;
            return;
        }
        let bucket = bucket(value);
        let place = bucket.wrapping_sub(self.first);
        if place >= self.counts.len() {
            self.make_room(bucket, bucket);
        }
        let count = &mut self.counts[bucket - self.first];
        *count = count.saturating_add(1);
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: &Self) {
        self.total += other.total;
        self.zeros += other.zeros;
        if other.counts.is_empty() {
            return;
        }
        self.make_room(other.first, other.first + other.counts.len() - 1);
        let offset = other.first - self.first;
        for (count, more) in self.counts[offset..].iter_mut().zip(&other.counts) {
            *count = count.saturating_add(*more);
        }
    }

    /// How many values were counted.
    pub const fn count(&self) -> u64 {
        self.total
    }

    /// The value that `q` of all values are at most, from 0 to 1, by [`nearest_rank`]; `None` where there are none.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let rank = nearest_rank(self.total, q)?;
        let mut below = self.zeros;
        if rank < below {
            return Some(0.0);
        }
        for (place, count) in self.counts.iter().enumerate() {
            below += u64::from(*count);
            if rank < below {
                let bucket = (self.first + place) as i32;
                return Some(2.0 * GAMMA.powi(bucket) / (GAMMA + 1.0));
            }
        }
        None
    }

    /// Makes room for the buckets from one to another.
    fn make_room(&mut self, from: usize, to: usize) {
        if self.counts.is_empty() {
            self.first = from;
        }
        if from < self.first {
            let missing = self.first - from;
            self.counts.splice(0..0, std::iter::repeat_n(0, missing));
            self.first = from;
        }
        let needed = to - self.first + 1;
        if needed > self.counts.len() {
            self.counts.resize(needed, 0);
        }
    }
}

/// The place, from 0 on, of the least of so many values in order that at least `q` of them, from 0 to 1, are at most:
/// the percentile by nearest rank, so that of few values the largest is not left out. `None` where there are none.
pub fn nearest_rank(count: u64, q: f64) -> Option<u64> {
    // 0.07 of 100 is a little more than 7 in binary.
    const SLACK: f64 = 1e-9;
    let last = count.checked_sub(1)?;
    let rank = (q * count as f64 * (1.0 - SLACK)).ceil() as u64;
    Some(rank.saturating_sub(1).min(last))
}

/// The bucket of a value that is not 0.
fn bucket(value: u64) -> usize {
    ((value as f64).ln() * BUCKETS_A_FOLD).ceil() as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Values of every size, as durations are.
    fn values() -> impl Strategy<Value = Vec<u64>> {
        let value = (0..64_u32, any::<u64>()).prop_map(|(shift, value)| value >> shift);
        proptest::collection::vec(value, 0..400)
    }

    fn sketch(values: &[u64]) -> Sketch {
        let mut sketch = Sketch::default();
        for value in values {
            sketch.add(*value);
        }
        sketch
    }

    proptest! {
        #[test]
        fn percentiles_are_within_the_error(mut values in values(), q in 0.0..=1.0_f64) {
            let found = sketch(&values).quantile(q);
            values.sort_unstable();
            let exact = values.iter().enumerate().find(|(place, _)| {
                (place + 1) as f64 >= q * values.len() as f64 * (1.0 - 1e-9)
            });
            let exact = exact.map(|(_, value)| *value as f64);
            match (found, exact) {
                (Some(found), Some(exact)) => {
                    let off = (found - exact).abs();
                    prop_assert!(off <= exact * ERROR * (1.0 + 1e-9), "{found} for {exact}");
                }
                (found, exact) => prop_assert_eq!(found, exact),
            }
        }

        #[test]
        fn parts_put_together_are_the_whole(a in values(), b in values()) {
            let mut merged = sketch(&a);
            merged.merge(&sketch(&b));
            let whole: Vec<u64> = a.into_iter().chain(b).collect();
            prop_assert_eq!(merged, sketch(&whole));
        }
    }

    #[test]
    fn of_few_values_the_largest_is_in_the_last_percentiles() {
        let at = |count, q| nearest_rank(count, q);
        assert_eq!(at(0, 0.5), None);
        assert_eq!([at(1, 0.0), at(1, 0.5), at(1, 1.0)], [Some(0); 3]);
        assert_eq!([at(2, 0.5), at(3, 0.5), at(4, 0.5)], [0, 1, 1].map(Some));
        assert_eq!([at(14, 0.95), at(14, 0.99)], [Some(13); 2]);
        assert_eq!(
            [at(100, 0.07), at(100, 0.99), at(101, 0.99)],
            [6, 98, 99].map(Some)
        );
    }

    #[test]
    fn the_largest_number_has_a_bucket() {
        assert_eq!(bucket(1), 0);
        assert!(bucket(u64::MAX) < 2_219);
        assert!((BUCKETS_A_FOLD * GAMMA.ln() - 1.0).abs() < 1e-12);
    }
}
