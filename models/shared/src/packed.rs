//! Sequences laid one after another, and which row of the stream is whose.
//!
//! A model reads a batch as one stream of tokens, and gives one row for each: row `r` predicts the token at `r + 1`
//! of its sequence. All arithmetic of rows is here.

use crate::attention::Segments;
use crate::error::ModelError;
use crate::rotary::Rotary;
use std::ops::Range;
use vigos_processor::Sequence;

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
/// let packed = Packed::new(&sequences.each_ref(), layout, line, |_| Rotary::new(&[0.0; 5], 1, &Device::flex()))?;
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
    /// First row of each sequence, and `T`.
    bounds: Vec<usize>,
    /// Rows of each image's tokens, in order.
    image_rows: Vec<Range<usize>>,
    segments: Segments,
    rotary: Rotary,
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
    /// Lays sequences one after another. `positions` gives those of a sequence, `rotary` the table of all.
    ///
    /// # Errors
    /// If a token id is not in the vocabulary, or an image slot does not fit its sequence.
    pub fn new(
        sequences: &[&Sequence],
        layout: Layout,
        positions: impl Fn(&Sequence) -> Vec<Position>,
        rotary: impl FnOnce(&[Position]) -> Rotary,
    ) -> Result<Self, ModelError> {
        let (mut ids, mut all, mut bounds, mut image_rows) = (Vec::new(), Vec::new(), vec![0], Vec::new());
        for sequence in sequences {
            let base = ids.len();
            let mut free = 0;
            for image in &sequence.images {
                let rows = image.start..image.start + image.grid.tokens(layout.merge);
                if rows.start < free || rows.end > sequence.ids.len() {
                    return Err(ModelError::Prompt(format!(
                        "an image needs tokens {rows:?}, found a sequence of {} tokens with {free} taken",
                        sequence.ids.len()
                    )));
                }
                free = rows.end;
                image_rows.push(base + rows.start..base + rows.end);
            }
            all.extend(positions(sequence));
            ids.extend_from_slice(&sequence.ids);
            bounds.push(ids.len());
        }
        check_ids(&ids, layout.vocabulary)?;
        let segments = Segments::new(bounds.windows(2).map(|pair| pair[1] - pair[0]));
        let rotary = rotary(&all);
        Ok(Self { ids, positions: all, bounds, image_rows, segments, rotary })
    }

    /// Rows in all, `T`.
    pub fn rows(&self) -> usize {
        self.ids.len()
    }

    /// Number of sequences.
    pub fn sequences(&self) -> usize {
        self.bounds.len() - 1
    }

    /// The rows of sequence `sequence`.
    ///
    /// # Panics
    /// If there is no such sequence.
    pub fn range(&self, sequence: usize) -> Range<usize> {
        self.bounds[sequence]..self.bounds[sequence + 1]
    }

    /// The row that predicts token `token` of sequence `sequence`: that of the token before it. The token behind the
    /// last one is predicted as well.
    ///
    /// # Panics
    /// If there is no such sequence, or the token is its first, which nothing predicts.
    pub fn predicting_row(&self, sequence: usize, token: usize) -> usize {
        assert!(token > 0, "nothing predicts the first token of a sequence");
        self.bounds[sequence] + token - 1
    }

    /// The row that predicts what comes behind sequence `sequence`.
    ///
    /// # Panics
    /// If there is no such sequence, or it is empty.
    pub fn last_row(&self, sequence: usize) -> usize {
        self.predicting_row(sequence, self.range(sequence).len())
    }

    /// These tokens of sequence `sequence`, each with the row that predicts it.
    ///
    /// # Panics
    /// If there are no such tokens, or the first of the sequence is among them.
    pub fn targets(&self, sequence: usize, tokens: Range<usize>) -> impl Iterator<Item = Target> {
        let ids = &self.ids[self.range(sequence)][tokens.clone()];
        tokens.zip(ids).map(move |(at, &token)| Target { row: self.predicting_row(sequence, at), token })
    }

    /// The position of the last token of sequence `sequence`; the next one's is one more.
    ///
    /// # Panics
    /// If there is no such sequence, or it is empty.
    pub fn last_position(&self, sequence: usize) -> u32 {
        self.positions[self.last_row(sequence)].into_iter().max().unwrap_or(0)
    }

    /// The rows of each image's tokens, in order.
    pub fn images(&self) -> &[Range<usize>] {
        &self.image_rows
    }

    /// The rows of all images' tokens, in order.
    pub fn image_rows(&self) -> impl Iterator<Item = usize> {
        self.image_rows.iter().cloned().flatten()
    }

    /// The rows of all tokens of text, in order.
    pub fn text_rows(&self) -> Vec<usize> {
        let mut is_text = vec![true; self.rows()];
        for rows in &self.image_rows {
            is_text[rows.clone()].fill(false);
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
