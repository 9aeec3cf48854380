//! A question of VLind-Bench, and its name.

use std::fmt;

/// A stage of an instance, by the letter that the authors give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Commonsense knowledge.
    A,
    /// Visual perception.
    B,
    /// Commonsense bias.
    C,
    /// Language prior.
    D,
}

impl Stage {
    pub(super) const ALL: [Self; 4] = [Self::A, Self::B, Self::C, Self::D];

    /// The letter.
    pub(super) fn letter(self) -> char {
        match self {
            Self::A => 'a',
            Self::B => 'b',
            Self::C => 'c',
            Self::D => 'd',
        }
    }

    /// What it tests.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::A => "commonsense knowledge",
            Self::B => "visual perception",
            Self::C => "commonsense bias",
            Self::D => "language prior",
        }
    }
}

/// One question: `INSTANCE:STAGE1:IMAGE` where the statement is true and `INSTANCE:STAGE2:IMAGE` where it is false.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) instance: usize,
    pub(super) stage: Stage,
    pub(super) is_true: bool,
    pub(super) image: String,
}

impl fmt::Display for Asked {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = if self.is_true { 1 } else { 2 };
        write!(out, "{}:{}{number}:{}", self.instance, self.stage.letter(), self.image)
    }
}

impl Asked {
    /// The question of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        let mut parts = name.splitn(3, ':');
        let (instance, part, image) = (parts.next()?, parts.next()?, parts.next()?);
        let mut letters = part.chars();
        let letter = letters.next()?;
        let is_true = match letters.as_str() {
            "1" => true,
            "2" => false,
            _ => return None,
        };
        let stage = Stage::ALL.into_iter().find(|stage| stage.letter() == letter)?;
        Some(Self { instance: instance.parse().ok()?, stage, is_true, image: image.to_owned() })
    }
}
