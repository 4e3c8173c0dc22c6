use super::VectorDistance;
use crate::contract::Fidelity;

/// Largest difference of a component, in units of the last place, that a store of `ulp` fidelity may show.
pub const TOLERATED_ULPS: u32 = 4;
/// Least cosine of two vectors that are the same for §8.
pub const SAME_COSINE: f64 = 0.999;

/// When two vectors of a row count as the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Criterion {
    /// Bit for bit: both ends are exact.
    Bits,
    /// Up to [`TOLERATED_ULPS`] units in the last place of each component: an end gives back no more than that.
    Ulps,
    /// A cosine of at least [`SAME_COSINE`], as §8 asks of a sample.
    Cosine,
    /// They are not looked at: the target has embedded the documents anew.
    Unseen,
}

impl Criterion {
    /// What can be asked of a pair of stores.
    pub fn between(source: Fidelity, target: Fidelity) -> Self {
        match (source, target) {
            (Fidelity::Exact, Fidelity::Exact) => Self::Bits,
            _ => Self::Ulps,
        }
    }

    /// Whether two vectors count as the same; what they measure is added to `distance`.
    pub(super) fn accepts(self, (a, b): (&[f32], &[f32]), distance: &mut Distances) -> Likeness {
        if bits_equal(a, b) {
            distance.add_exact(1);
            return Likeness::Exact;
        }
        if a.len() != b.len() {
            return Likeness::Other;
        }
        let (ulps, apart) = (furthest(a, b), cosine_distance(a, b));
        distance.add(ulps, apart);
        let close = match self {
            Self::Bits => false,
            Self::Ulps => ulps.is_some_and(|ulps| ulps <= TOLERATED_ULPS),
            Self::Cosine => 1.0 - apart >= SAME_COSINE,
            Self::Unseen => true,
        };
        if close { Likeness::Close } else { Likeness::Other }
    }
}

/// What two vectors of a row are to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    Exact,
    Close,
    Other,
}

/// Sums up how far vectors are apart.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Distances {
    compared: u64,
    exact: u64,
    /// `None` once a pair had a component that is no number.
    beyond_ulps: bool,
    ulps: u32,
    cosine_most: f64,
    cosine_sum: f64,
}

impl Distances {
    /// Pairs whose bits are equal.
    pub(super) fn add_exact(&mut self, pairs: u64) {
        self.compared += pairs;
        self.exact += pairs;
    }

    fn add(&mut self, ulps: Option<u32>, cosine_distance: f64) {
        self.compared += 1;
        match ulps {
            Some(ulps) => self.ulps = self.ulps.max(ulps),
            None => self.beyond_ulps = true,
        }
        self.cosine_most = self.cosine_most.max(cosine_distance);
        self.cosine_sum += cosine_distance;
    }

    pub(super) fn report(&self) -> VectorDistance {
        VectorDistance {
            compared: self.compared,
            exact: self.exact,
            max_ulps: (!self.beyond_ulps).then_some(self.ulps),
            max_cosine_distance: self.cosine_most,
            mean_cosine_distance: if self.compared == 0 { 0.0 } else { self.cosine_sum / self.compared as f64 },
        }
    }
}

fn bits_equal(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// The largest distance of two components in units of the last place; `None` if one of them is no number.
fn furthest(a: &[f32], b: &[f32]) -> Option<u32> {
    let order = |x: f32| {
        let bits = x.to_bits() as i32;
        if bits < 0 { i32::MIN.wrapping_sub(bits) } else { bits }
    };
    let numbers = a.iter().chain(b).all(|x| !x.is_nan());
    let distances = a.iter().zip(b).map(|(&a, &b)| order(a).abs_diff(order(b)));
    numbers.then(|| distances.max().unwrap_or(0))
}

/// One less the cosine: 0 for two zero vectors, 1 for one, and for what is no number. It is half the square of the chord
/// between the directions, which keeps its digits where the cosine itself is 1 to a double's last one.
fn cosine_distance(a: &[f32], b: &[f32]) -> f64 {
    let length = |vector: &[f32]| vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    let (of_a, of_b) = (length(a), length(b));
    if of_a == 0.0 && of_b == 0.0 {
        return 0.0;
    }
    let chord = a.iter().zip(b).map(|(&a, &b)| (f64::from(a) / of_a - f64::from(b) / of_b).powi(2)).sum::<f64>();
    if chord.is_finite() { (chord / 2.0).min(2.0) } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn likeness(criterion: Criterion, a: &[f32], b: &[f32]) -> (Likeness, VectorDistance) {
        let mut distances = Distances::default();
        (criterion.accepts((a, b), &mut distances), distances.report())
    }

    #[test]
    fn a_few_last_bits_are_tolerated_and_no_more() {
        let next = |x: f32, ulps: u32| f32::from_bits(x.to_bits() + ulps);
        let of = |a: &[f32], b: &[f32]| likeness(Criterion::Ulps, a, b).0;
        assert_eq!(of(&[0.5, -0.5], &[next(0.5, 4), next(-0.5, 4)]), Likeness::Close);
        assert_eq!(of(&[0.5], &[next(0.5, 5)]), Likeness::Other);
        assert_eq!(of(&[0.0], &[-0.0]), Likeness::Close);
        assert_eq!(of(&[0.5], &[-0.5]), Likeness::Other);
        assert_eq!(of(&[0.5], &[0.5, 0.5]), Likeness::Other);
        assert_eq!(of(&[f32::NAN], &[0.5]), Likeness::Other);
        assert_eq!(of(&[f32::NAN], &[f32::NAN]), Likeness::Exact);
    }

    #[test]
    fn one_bit_is_a_difference_between_exact_stores_and_its_distance_is_told() {
        let (a, b) = ([0.5_f32, 0.25], [f32::from_bits(0.5_f32.to_bits() + 1), 0.25]);
        let (likeness, distance) = likeness(Criterion::Bits, &a, &b);
        assert_eq!(likeness, Likeness::Other);
        assert_eq!((distance.compared, distance.exact, distance.max_ulps), (1, 0, Some(1)));
        assert!(distance.max_cosine_distance < 1e-9);
    }

    #[test]
    fn a_sample_asks_for_a_cosine() {
        assert_eq!(likeness(Criterion::Cosine, &[1.0, 0.0], &[1.0, 0.03]).0, Likeness::Close);
        assert_eq!(likeness(Criterion::Cosine, &[1.0, 0.0], &[1.0, 0.05]).0, Likeness::Other);
        assert_eq!(likeness(Criterion::Cosine, &[0.0], &[1.0]).0, Likeness::Other);
        assert_eq!(likeness(Criterion::Unseen, &[0.0], &[1.0]).0, Likeness::Close);
    }
}
