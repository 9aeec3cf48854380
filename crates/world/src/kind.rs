//! Kinds of question: what a world's configuration weighs, and what rows are grouped by.

use serde::{Deserialize, Serialize};

use crate::things::{Thing, Usual};

/// Kinds of question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The colour of a thing.
    Colour,
    /// The size of a thing.
    Size,
    /// Which thing has a colour.
    Shape,
    /// How many there are.
    Count,
    /// Which of two is larger.
    Compare,
    /// Where two things are to each other.
    Relation,
    /// Whether something is there.
    Exists,
    /// Which does not belong.
    Odd,
    /// What a bar chart says.
    Chart,
    /// What a dial shows.
    Dial,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Colour,
        Self::Size,
        Self::Shape,
        Self::Count,
        Self::Compare,
        Self::Relation,
        Self::Exists,
        Self::Odd,
        Self::Chart,
        Self::Dial,
    ];

    /// Its name in a row.
    pub fn word(self) -> &'static str {
        match self {
            Self::Colour => "colour",
            Self::Size => "size",
            Self::Shape => "shape",
            Self::Count => "count",
            Self::Compare => "compare",
            Self::Relation => "relation",
            Self::Exists => "exists",
            Self::Odd => "odd",
            Self::Chart => "chart",
            Self::Dial => "dial",
        }
    }

    /// What people expect as the answer when they are asked this about a thing.
    pub fn expects(self, thing: Thing) -> Option<Usual> {
        match self {
            Self::Colour => thing.usual_colour().map(Usual::Colour),
            Self::Size => thing.usual_size().map(Usual::Size),
            _ => None,
        }
    }
}
