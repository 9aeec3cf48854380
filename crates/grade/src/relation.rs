//! Equations, inequalities and membership, chains of them too.

/// The signs between the sides of a relation.
const SIGNS: [char; 7] = ['=', '<', '>', '≤', '≥', '≠', '∈'];
/// The most sides; longer chains are compared as text.
const MOST: usize = 8;

/// Sides with a sign between each two.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Relation<'a> {
    sides: Vec<&'a str>,
    signs: Vec<char>,
}

impl<'a> Relation<'a> {
    /// Reads a normalised answer that relates something to something.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let signs: Vec<char> = text.chars().filter(|c| SIGNS.contains(c)).take(MOST).collect();
        let sides: Vec<&str> = text.split(SIGNS).take(MOST + 1).map(str::trim).collect();
        let sound = !signs.is_empty() && signs.len() < MOST && sides.iter().all(|side| !side.is_empty());
        sound.then_some(Self { sides, signs })
    }

    /// Whether the signs are the same and the sides are by `same`, in order or, as `3 > x` says what `x < 3` does, the
    /// other way round.
    pub(super) fn equals(&self, other: &Self, same: impl Fn(&str, &str) -> bool) -> bool {
        let alike = |one: &Self| {
            one.signs == other.signs && one.sides.iter().zip(&other.sides).all(|(a, b)| same(a, b))
        };
        alike(self) || self.turned().is_some_and(|turned| alike(&turned))
    }

    /// The same read from its end, where its signs can be.
    fn turned(&self) -> Option<Self> {
        let signs = self.signs.iter().rev().map(|sign| match sign {
            '<' => Some('>'),
            '>' => Some('<'),
            '≤' => Some('≥'),
            '≥' => Some('≤'),
            '∈' => None,
            other => Some(*other),
        });
        Some(Self { sides: self.sides.iter().rev().copied().collect(), signs: signs.collect::<Option<_>>()? })
    }
}
