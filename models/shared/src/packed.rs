//! Sequences laid one after another, and which row of the stream is whose.
//!
//! A model reads a batch as one stream of tokens, and gives one row for each: the row of a token predicts the next one
//! of its sequence. Sequences that begin with the same tokens and images may share those rows, which are computed once.
//! All arithmetic of rows is here.

use crate::error::ModelError;
use crate::rotary::Rotary;
use std::ops::Range;
use vigos_kernels::{Segment, Segments};
use vigos_processor::{ImageSlot, Sequence};

/// Position of one token in time, height and width; of a token of text, one number three times.
pub type Position = [u32; 3];

/// A packed batch of `T` tokens.
///
/// ```
/// use burn::tensor::Device;
/// use vigos_models::packed::{Layout, Packed};
/// use vigos_models::rotary::Rotary;
/// use vigos_models::Sequence;
///
/// let sequences = [vec![5, 6, 7], vec![8, 9]].map(|ids| Sequence { ids, images: vec![] });
/// let layout = Layout { merge: 2, vocabulary: 10 };
/// let line = |s: &Sequence| (0..s.ids.len() as u32).map(|p| [p; 3]).collect();
/// let groups: Vec<Vec<&Sequence>> = sequences.iter().map(|sequence| vec![sequence]).collect();
/// let packed = Packed::new(&groups, layout, line, |_| Rotary::new(&[0.0; 5], 1, &Device::flex()))?;
///
/// assert_eq!((packed.rows(), packed.range(1)), (5, 3..5));
/// // Token 1 of the second sequence, 9, is predicted where token 0 is read.
/// assert_eq!(packed.ids[packed.predicting_row(1, 1)], 8);
/// # Ok::<(), vigos_models::ModelError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Packed {
    /// Token ids of all sequences. `[T]`
    pub ids: Vec<u32>,
    /// Positions. `[T]`
    pub positions: Vec<Position>,
    /// Where each sequence is.
    places: Vec<Place>,
    /// Every image that is there, in order.
    images: Vec<PackedImage>,
    segments: Segments,
    rotary: Rotary,
}

/// The rows of a sequence.
#[derive(Clone, Debug)]
struct Place {
    /// Those that it shares with others: its beginning.
    shared: Range<usize>,
    /// Its own.
    own: Range<usize>,
}

/// An image of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedImage {
    /// The rows of its tokens.
    pub rows: Range<usize>,
    /// A sequence that it is of, and its number there.
    pub source: [usize; 2],
}

/// What limits a batch.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Side of the square of patches that becomes one token.
    pub merge: usize,
    /// Token ids lie below.
    pub vocabulary: usize,
}

/// A token of a batch, and where it is predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Row of the hidden states that predicts it: that of the token before.
    pub row: usize,
    /// Its id.
    pub token: u32,
}

impl Packed {
    /// Lays sequences one after another, group by group; those of a group share what they all begin with.
    /// `positions` gives the positions of a sequence, `rotary` the table of all.
    ///
    /// # Errors
    /// If a token id is not in the vocabulary, or an image slot does not fit its sequence.
    pub fn new(
        groups: &[Vec<&Sequence>],
        layout: Layout,
        positions: impl Fn(&Sequence) -> Vec<Position>,
        rotary: impl FnOnce(&[Position]) -> Rotary,
    ) -> Result<Self, ModelError> {
        let (mut ids, mut all, mut places, mut images) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut segments = Vec::new();
        for group in groups {
            for sequence in group {
                check_slots(sequence, layout.merge)?;
            }
            let length = shared_beginning(group, layout.merge);
            let shared = ids.len()..ids.len() + length;
            for (number, sequence) in group.iter().enumerate() {
                // What is shared is laid before the first of the group.
                let from = if number == 0 { 0 } else { length };
                let base = ids.len();
                ids.extend_from_slice(&sequence.ids[from..]);
                all.extend_from_slice(&positions(sequence)[from..]);
                let own = ids.len() - (sequence.ids.len() - length)..ids.len();
                if number == 0 {
                    segments.push(Segment { rows: shared.clone(), before: 0..0 });
                }
                segments.push(Segment { rows: own.clone(), before: shared.clone() });
                let slots = sequence.images.iter().enumerate().filter(|(_, slot)| slot.start >= from);
                images.extend(slots.map(|(image, slot)| {
                    let start = base + slot.start - from;
                    let rows = start..start + slot.grid.tokens(layout.merge);
                    PackedImage { rows, source: [places.len(), image] }
                }));
                places.push(Place { shared: shared.clone(), own });
            }
        }
        check_ids(&ids, layout.vocabulary)?;
        let rotary = rotary(&all);
        Ok(Self { ids, positions: all, places, images, segments: Segments::sharing(segments), rotary })
    }

    /// Rows in all, `T`.
    pub fn rows(&self) -> usize {
        self.ids.len()
    }

    /// Number of sequences.
    pub fn sequences(&self) -> usize {
        self.places.len()
    }

    /// Tokens of sequence `sequence`.
    ///
    /// # Panics
    /// If there is no such sequence.
    pub fn length(&self, sequence: usize) -> usize {
        let Place { shared, own } = &self.places[sequence];
        shared.len() + own.len()
    }

    /// The rows of sequence `sequence` that no other one has: all, unless it was packed in a group.
    ///
    /// # Panics
    /// If there is no such sequence.
    pub fn range(&self, sequence: usize) -> Range<usize> {
        self.places[sequence].own.clone()
    }

    /// The row of token `token` of sequence `sequence`.
    fn row(&self, sequence: usize, token: usize) -> usize {
        let Place { shared, own } = &self.places[sequence];
        if token < shared.len() { shared.start + token } else { own.start + token - shared.len() }
    }

    /// The row that predicts token `token` of sequence `sequence`: that of the token before it. The token behind the
    /// last one is predicted as well.
    ///
    /// # Panics
    /// If there is no such sequence, or the token is its first, which nothing predicts.
    pub fn predicting_row(&self, sequence: usize, token: usize) -> usize {
        assert!(token > 0, "nothing predicts the first token of a sequence");
        self.row(sequence, token - 1)
    }

    /// The row that predicts what comes behind sequence `sequence`.
    ///
    /// # Panics
    /// If there is no such sequence, or it is empty.
    pub fn last_row(&self, sequence: usize) -> usize {
        self.predicting_row(sequence, self.length(sequence))
    }

    /// These tokens of sequence `sequence`, each with the row that predicts it.
    ///
    /// # Panics
    /// If there are no such tokens, or the first of the sequence is among them.
    pub fn targets(&self, sequence: usize, tokens: Range<usize>) -> impl Iterator<Item = Target> {
        assert!(tokens.end <= self.length(sequence), "these tokens are there");
        tokens.map(move |at| {
            let token = self.ids[self.row(sequence, at)];
            Target { row: self.predicting_row(sequence, at), token }
        })
    }

    /// The position of the last token of sequence `sequence`; the next one's is one more.
    ///
    /// # Panics
    /// If there is no such sequence, or it is empty.
    pub fn last_position(&self, sequence: usize) -> u32 {
        self.positions[self.last_row(sequence)].into_iter().max().unwrap_or(0)
    }

    /// Every image that is there, in the order of its rows.
    pub fn images(&self) -> &[PackedImage] {
        &self.images
    }

    /// The rows of all images' tokens, in order.
    pub fn image_rows(&self) -> impl Iterator<Item = usize> {
        self.images.iter().flat_map(|image| image.rows.clone())
    }

    /// The rows of all tokens of text, in order.
    pub fn text_rows(&self) -> Vec<usize> {
        let mut is_text = vec![true; self.rows()];
        for image in &self.images {
            is_text[image.rows.clone()].fill(false);
        }
        (0..self.rows()).filter(|row| is_text[*row]).collect()
    }

    /// Which rows attend to each other.
    pub fn segments(&self) -> &Segments {
        &self.segments
    }

    /// The rotary embedding of every row.
    pub fn rotary(&self) -> &Rotary {
        &self.rotary
    }
}

/// Checks that the image slots of a sequence lie one behind another within it.
fn check_slots(sequence: &Sequence, merge: usize) -> Result<(), ModelError> {
    let mut free = 0;
    for image in &sequence.images {
        let rows = image.start..image.start + image.grid.tokens(merge);
        if rows.start < free || rows.end > sequence.ids.len() {
            return Err(ModelError::Prompt(format!(
                "an image needs tokens {rows:?}, found a sequence of {} tokens with {free} taken",
                sequence.ids.len()
            )));
        }
        free = rows.end;
    }
    Ok(())
}

/// How many tokens all sequences of a group begin with, images included; each keeps one of its own. No image is cut.
fn shared_beginning(group: &[&Sequence], merge: usize) -> usize {
    let [first, others @ ..] = group else { return 0 };
    if others.is_empty() {
        return 0;
    }
    let ends = |slot: &ImageSlot| slot.start + slot.grid.tokens(merge);
    let mut length = first.ids.len();
    for other in others {
        let same = first.ids.iter().zip(&other.ids).take_while(|(a, b)| a == b).count();
        length = length.min(same).min(other.ids.len());
    }
    length = length.min(group.iter().map(|sequence| sequence.ids.len()).min().unwrap_or(0).saturating_sub(1));
    // Before the first image that is not the same in all, or that would be cut.
    for sequence in group {
        for (number, slot) in sequence.images.iter().enumerate() {
            let everywhere = group.iter().all(|other| other.images.get(number) == Some(slot));
            if slot.start < length && (!everywhere || ends(slot) > length) {
                length = slot.start;
            }
        }
    }
    length
}

/// Checks that token ids are in a vocabulary of this size.
///
/// # Errors
/// The first that is not.
pub fn check_ids(ids: &[u32], vocabulary: usize) -> Result<(), ModelError> {
    match ids.iter().find(|id| **id as usize >= vocabulary) {
        Some(id) => Err(ModelError::Prompt(format!(
            "token id {id} is not in the model's vocabulary of {vocabulary}: do tokenizer and model belong together?"
        ))),
        None => Ok(()),
    }
}
