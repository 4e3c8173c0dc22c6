//! What a cosine collection makes of a vector: it keeps v/|v| and |v| and gives back their product, in single precision.

/// What the server adds to a length so as not to divide by nothing.
const EPSILON: f32 = 1e-30;
/// How far a component may come back from what was given, in units of the last place; what is compared after a copy allows
/// as much.
const TOLERATED_ULPS: u32 = 4;

/// The vector as it comes back.
pub(super) fn returned(vector: &[f32]) -> impl Iterator<Item = f32> + '_ {
    let length = vector.iter().map(|component| component * component).sum::<f32>().sqrt();
    let inverse = 1.0 / (length + EPSILON);
    vector.iter().map(move |component| component * inverse * length)
}

/// Whether it comes back as it was, but for rounding. Lengths whose square single precision does not hold are lost.
pub(super) fn survives(vector: &[f32]) -> bool {
    returned(vector).zip(vector).all(|(back, given)| place(back).abs_diff(place(*given)) <= TOLERATED_ULPS)
}

/// Numbers in their order, one after the other.
fn place(number: f32) -> i32 {
    let bits = number.to_bits() as i32;
    if bits < 0 { i32::MIN.wrapping_sub(bits) } else { bits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_vectors_come_back_within_rounding() {
        for vector in [[1.0, 2.0, 3.0, 4.0], [0.0; 4], [-0.0, 0.0, 1e15, 0.0], [1e-15, 0.0, 0.0, 0.0]] {
            assert!(survives(&vector), "{vector:?}");
        }
        let back: Vec<f32> = returned(&[1.0, 2.0, 3.0, 4.0]).collect();
        assert_eq!(back, [1.0, 2.0, 3.000_000_2, 4.0], "as chromadb 1.5.9 answers");
    }

    #[test]
    fn what_would_be_lost_is_told() {
        for vector in [[1e30, 1.0, 0.0, 0.0], [f32::MAX; 4], [1e-25, 0.0, 0.0, 0.0], [f32::NAN, 0.0, 0.0, 0.0]] {
            assert!(!survives(&vector), "{vector:?}");
        }
    }
}
