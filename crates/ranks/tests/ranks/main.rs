//! What ranks promise: the same answers on every one, sums that do not depend on who has what, and nobody waits for one
//! that is gone.

use proptest::prelude::*;
use vigos_ranks::{Alone, Part, RanksError, Threads, deal, shared, sum};

#[test]
fn every_rank_gets_what_the_others_handed_to_it_round_after_round() {
    for count in [1, 2, 3, 5] {
        Threads::run(count, |ranks| {
            for round in 0..50_u8 {
                let own = ranks.rank() as u8;
                let parts = (0..count as u8).map(|to| vec![round, own, to]).collect();
                let wanted: Vec<Vec<u8>> = (0..count as u8).map(|from| vec![round, from, own]).collect();
                assert_eq!(ranks.exchange(parts).unwrap(), wanted);
            }
        });
    }
}

#[test]
fn values_are_shared_to_the_bit_whatever_they_are() {
    let values = [f64::NAN, f64::NEG_INFINITY, -0.0, 0.1, f64::MIN_POSITIVE / 3.0];
    let of = |rank: usize| (rank, values.map(|value| value * 1.5), Some(vec![String::from("ü\u{0}")]));
    let got = Threads::run(3, |ranks| shared(ranks, &of(ranks.rank())).unwrap());
    for all in got {
        for (rank, (number, numbers, text)) in all.into_iter().enumerate() {
            let (_, wanted, words) = of(rank);
            assert_eq!((number, text), (rank, words));
            assert_eq!(numbers.map(f64::to_bits), wanted.map(f64::to_bits));
        }
    }
}

#[test]
fn a_rank_that_ends_is_gone_for_those_that_wait_and_has_handed_over_what_it_had() {
    let ended = Threads::run(3, |ranks| {
        ranks.barrier()?;
        if ranks.rank() == 1 { Ok(()) } else { ranks.barrier() }
    });
    let gone = Err(RanksError::Gone { rank: 1, count: 3 });
    assert_eq!(ended, [gone.clone(), Ok(()), gone]);
}

#[test]
fn what_a_rank_cannot_read_is_an_error_that_names_who_sent_it() {
    let got = Threads::run(2, |ranks| match ranks.rank() {
        0 => shared(ranks, &7_u32).map(drop),
        _ => ranks.gather(vec![0xc1]).map(drop),
    });
    assert!(matches!(&got[0], Err(RanksError::Garbled { rank: 1, .. })), "{got:?}");
    let short = sum(&Alone, &[Part { number: 0, values: vec![1.0] }], 2);
    assert!(matches!(short, Err(RanksError::Garbled { rank: 0, .. })), "{short:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// The reference is the plain loop over the parts.
    #[test]
    fn a_sum_is_that_of_the_parts_in_their_order_whoever_has_them(
        count in 1..6_usize,
        length in 0..40_usize,
        parts in 0..9_usize,
        seed in any::<u32>(),
    ) {
        let value = |part: usize, at: usize| {
            let bits = (part as u32 + 1).wrapping_mul(seed | 1).wrapping_mul(at as u32 * 2 + 1).rotate_left(7);
            bits as f32 / 3.0e3 * if bits & 4 == 0 { 1.0 } else { -1.0e-4 }
        };
        let all: Vec<Vec<f32>> = (0..parts).map(|part| (0..length).map(|at| value(part, at)).collect()).collect();
        let mut wanted = all.first().cloned().unwrap_or_else(|| vec![0.0; length]);
        for part in all.iter().skip(1) {
            wanted.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
        }
        let dealt = deal(&vec![u64::from(seed % 3); parts], count);
        let sums = Threads::run(count, |ranks| {
            let own = (0..parts).rev().filter(|part| dealt[*part] == ranks.rank());
            let own: Vec<Part> = own.map(|part| Part { number: part as u64, values: all[part].clone() }).collect();
            sum(ranks, &own, length).unwrap()
        });
        for sum in sums {
            prop_assert_eq!(bits(&sum), bits(&wanted));
        }
    }

    /// Graham's bound, with the mean and the heaviest piece as the least that there can be.
    #[test]
    fn no_share_is_much_heavier_than_the_least_that_it_could_be(
        weights in prop::collection::vec(1..1000_u64, 0..60),
        count in 1..9_usize,
    ) {
        let dealt = deal(&weights, count);
        let load = |rank| weights.iter().zip(&dealt).filter(|(_, r)| **r == rank).map(|(w, _)| w).sum::<u64>();
        let heaviest = (0..count).map(load).max().unwrap_or(0);
        let mean = weights.iter().sum::<u64>().div_ceil(count as u64);
        let single = weights.iter().copied().max().unwrap_or(0);
        prop_assert!(heaviest <= mean + single, "{heaviest} {mean} {single}");
        prop_assert!(dealt.iter().all(|rank| *rank < count));
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}
