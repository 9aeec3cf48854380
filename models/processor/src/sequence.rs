//! What a model reads: token ids, and which of them are an image's.

use crate::patches::Grid;

/// One token sequence and the places of its images.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sequence {
    /// Token ids, with as many image tokens as each image has.
    pub ids: Vec<u32>,
    /// Where the images are, in order; an image token outside these slots is text.
    pub images: Vec<ImageSlot>,
}

/// The image tokens of one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageSlot {
    /// Index of the first in [`Sequence::ids`]. There are [`Grid::tokens`] of them.
    pub start: usize,
    /// The image's grid.
    pub grid: Grid,
}

impl Sequence {
    /// The same sequence with these tokens of text behind it.
    ///
    /// ```
    /// use vigos_processor::Sequence;
    ///
    /// let prompt = Sequence { ids: vec![7, 8], images: vec![] };
    /// assert_eq!(prompt.followed_by(&[9]).ids, [7, 8, 9]);
    /// ```
    pub fn followed_by(&self, tokens: &[u32]) -> Self {
        let ids = self.ids.iter().chain(tokens).copied().collect();
        Self { ids, images: self.images.clone() }
    }
}
