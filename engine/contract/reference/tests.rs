use super::distance;
use crate::contract::Metric;

#[test]
fn distances_are_those_of_their_metric() {
    let (east, north, far) = ([1.0, 0.0], [0.0, 1.0], [3.0, 0.0]);
    assert_eq!(distance(Metric::Cosine, &east, &far), 0.0);
    assert_eq!(distance(Metric::Cosine, &east, &north), 1.0);
    assert_eq!(distance(Metric::L2, &east, &far), 4.0);
    assert_eq!(distance(Metric::L2, &east, &north), 2.0);
    assert_eq!(distance(Metric::Ip, &east, &far), -2.0);
}

#[test]
fn no_vector_has_a_distance_that_is_not_a_number() {
    for metric in [Metric::Cosine, Metric::L2, Metric::Ip] {
        for vector in [[0.0, 0.0], [1e30, 1e30], [f32::MIN_POSITIVE / 2.0, 0.0]] {
            assert!(!distance(metric, &vector, &[1.0, 1.0]).is_nan(), "{metric} {vector:?}");
        }
    }
}
