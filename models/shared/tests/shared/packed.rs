//! Which row of a packed batch is whose, and predicts what.

use burn::tensor::Device;
use vigos_models::packed::{Layout, Packed};
use vigos_models::rotary::Rotary;
use vigos_models::{ModelError, Sequence, Target};
use vigos_processor::{Grid, ImageSlot};

const MERGE: usize = 2;

/// An image of 2 by 3 tokens.
fn image(start: usize) -> ImageSlot {
    ImageSlot { start, grid: Grid { t: 1, h: 2 * MERGE, w: 3 * MERGE } }
}

fn sequence(ids: std::ops::Range<u32>, images: &[ImageSlot]) -> Sequence {
    Sequence { ids: ids.collect(), images: images.to_vec() }
}

/// Packs with positions that count on, twice as fast in a sequence with an image.
fn pack(sequences: &[Sequence]) -> Result<Packed, ModelError> {
    pack_groups(&sequences.iter().map(|sequence| vec![sequence]).collect::<Vec<_>>())
}

fn pack_groups(groups: &[Vec<&Sequence>]) -> Result<Packed, ModelError> {
    let positions = |s: &Sequence| {
        let pace = 1 + s.images.len() as u32;
        (0..s.ids.len() as u32).map(|p| [p, pace * p, p]).collect()
    };
    let rotary = |all: &[[u32; 3]]| Rotary::new(&vec![0.0; all.len()], 1, &Device::flex());
    let layout = Layout { merge: MERGE, vocabulary: 100 };
    Packed::new(groups, layout, positions, rotary)
}

fn batch() -> Packed {
    pack(&[sequence(10..13, &[]), sequence(20..36, &[image(1), image(9)]), sequence(40..42, &[])]).unwrap()
}

#[test]
fn sequences_lie_one_after_another() {
    let packed = batch();
    assert_eq!((packed.sequences(), packed.rows()), (3, 21));
    assert_eq!([0, 1, 2].map(|i| packed.range(i)), [0..3, 3..19, 19..21]);
    assert_eq!(packed.ids[packed.range(1)], (20..36).collect::<Vec<u32>>());
    assert_eq!(packed.segments().rows(), 21);
}

#[test]
fn a_token_is_predicted_by_the_row_of_the_token_before_it() {
    let packed = batch();
    for i in 0..packed.sequences() {
        let own = packed.range(i);
        for token in 1..=own.len() {
            assert_eq!(packed.predicting_row(i, token), own.start + token - 1);
        }
        assert_eq!(packed.last_row(i), own.end - 1);
    }
    let targets: Vec<Target> = packed.targets(1, 14..16).collect();
    assert_eq!(targets, [Target { row: 16, token: 34 }, Target { row: 17, token: 35 }]);
    assert_eq!([0, 1, 2].map(|i| packed.last_position(i)), [2, 45, 1]);
}

#[test]
#[should_panic(expected = "nothing predicts the first token")]
fn no_row_of_another_sequence_predicts_a_first_token() {
    batch().predicting_row(1, 0);
}

#[test]
fn rows_are_an_image_s_or_a_text_s() {
    let packed = batch();
    let rows: Vec<_> = packed.images().iter().map(|image| image.rows.clone()).collect();
    assert_eq!(rows, [4..10, 12..18]);
    assert_eq!(packed.images()[1].source, [1, 1]);
    assert_eq!(packed.image_rows().collect::<Vec<_>>(), (4..10).chain(12..18).collect::<Vec<_>>());
    assert_eq!(packed.text_rows(), [0, 1, 2, 3, 10, 11, 18, 19, 20]);
}

#[test]
fn images_that_overlap_or_reach_beyond_their_sequence_and_unknown_ids_are_refused() {
    for (sequence, named) in [
        (sequence(0..12, &[image(1), image(6)]), "with 7 taken"),
        (sequence(0..12, &[image(7)]), "a sequence of 12 tokens"),
        (sequence(90..101, &[]), "token id 100"),
    ] {
        let error = pack(&[sequence]).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
}

#[test]
fn sequences_of_a_group_share_what_they_begin_with() {
    let with = |ids: &[u32], images: &[ImageSlot]| Sequence { ids: ids.to_vec(), images: images.to_vec() };
    let first = with(&[1, 2, 50, 50, 50, 50, 50, 50, 3, 4, 5], &[image(2)]);
    let second = with(&[1, 2, 50, 50, 50, 50, 50, 50, 3, 7], &[image(2)]);
    let alone = with(&[9, 8], &[]);
    let packed = pack_groups(&[vec![&first, &second], vec![&alone]]).unwrap();
    assert_eq!(packed.ids, [1, 2, 50, 50, 50, 50, 50, 50, 3, 4, 5, 7, 9, 8]);
    assert_eq!([0, 1, 2].map(|i| packed.range(i)), [9..11, 11..12, 12..14]);
    assert_eq!([0, 1, 2].map(|i| packed.length(i)), [11, 10, 2]);
    let rows: Vec<_> = packed.segments().iter().map(|s| (s.rows.clone(), s.before.len())).collect();
    assert_eq!(rows, [(0..9, 0), (9..11, 9), (11..12, 9), (12..14, 0)]);
    assert_eq!(packed.images().len(), 1, "the image is there once");
    for (i, sequence) in [&first, &second, &alone].into_iter().enumerate() {
        let tokens = (1..sequence.ids.len()).map(|t| packed.ids[packed.predicting_row(i, t)]);
        assert_eq!(tokens.collect::<Vec<_>>(), sequence.ids[..sequence.ids.len() - 1]);
        let targets = packed.targets(i, 1..sequence.ids.len()).map(|target| target.token);
        assert_eq!(targets.collect::<Vec<_>>(), sequence.ids[1..]);
    }
}

#[test]
fn neither_an_image_that_differs_nor_a_last_token_is_shared() {
    let with = |images: &[ImageSlot]| sequence(0..20, images);
    let cases = [
        // The same image, then the end: the last token is everybody's own.
        ([with(&[image(3)]), with(&[image(3)])], 19),
        // An image in one of them only.
        ([with(&[image(3)]), with(&[])], 3),
        // An image somewhere else.
        ([with(&[image(3)]), with(&[image(4)])], 3),
        // An image that would be cut by the last token.
        ([with(&[image(14)]), with(&[image(14)])], 14),
    ];
    for ([first, second], shared) in cases {
        let packed = pack_groups(&[vec![&first, &second]]).unwrap();
        assert_eq!(packed.range(1).len(), 20 - shared);
    }
}
