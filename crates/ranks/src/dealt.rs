//! Dealing work out.

/// The rank of `count` that each piece of work is for, by the pieces' weights: the heaviest first, each to whoever has
/// least so far. The same on every rank.
///
/// The heaviest share is at most 4/3 of the least that there can be (R. L. Graham, 1969).
///
/// # Panics
/// If there is no rank.
#[must_use]
pub fn deal(weights: &[u64], count: usize) -> Vec<usize> {
    assert!(count > 0, "someone has to do it");
    let mut heaviest: Vec<usize> = (0..weights.len()).collect();
    heaviest.sort_by_key(|&piece| (std::cmp::Reverse(weights[piece]), piece));
    let (mut loads, mut dealt) = (vec![0_u64; count], vec![0; weights.len()]);
    for piece in heaviest {
        let least = (0..count).min_by_key(|&rank| loads[rank]).unwrap_or(0);
        // A piece of no weight is one to do as well.
        loads[least] = loads[least].saturating_add(weights[piece].max(1));
        dealt[piece] = least;
    }
    dealt
}
