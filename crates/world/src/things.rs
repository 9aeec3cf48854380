//! What can be in a picture, how it is called, and what people expect of it.

use serde::{Deserialize, Serialize};

/// A colour that a thing can have. All are easy to tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Colour {
    Red,
    Orange,
    Yellow,
    Green,
    Blue,
    Purple,
    Pink,
    Brown,
    Black,
    White,
}

/// How large a thing is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Size {
    Small,
    Large,
}

/// A thing: an everyday one, which has a usual colour or size, or a geometric shape, which has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Thing {
    Banana,
    Tomato,
    Frog,
    Carrot,
    Eggplant,
    Whale,
    Pig,
    Bear,
    Bat,
    Snowman,
    Elephant,
    Mouse,
    Circle,
    Square,
    Triangle,
    Star,
    Heart,
    Cross,
}

/// What people expect of a thing before they look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usual {
    /// It usually has this colour.
    Colour(Colour),
    /// It usually has this size.
    Size(Size),
}

impl Colour {
    /// Every colour.
    pub const ALL: [Self; 10] = [
        Self::Red,
        Self::Orange,
        Self::Yellow,
        Self::Green,
        Self::Blue,
        Self::Purple,
        Self::Pink,
        Self::Brown,
        Self::Black,
        Self::White,
    ];

    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Orange => "orange",
            Self::Yellow => "yellow",
            Self::Green => "green",
            Self::Blue => "blue",
            Self::Purple => "purple",
            Self::Pink => "pink",
            Self::Brown => "brown",
            Self::Black => "black",
            Self::White => "white",
        }
    }

    /// What is painted, as red, green and blue.
    pub fn rgb(self) -> [u8; 3] {
        match self {
            Self::Red => [214, 36, 40],
            Self::Orange => [247, 135, 22],
            Self::Yellow => [252, 216, 44],
            Self::Green => [52, 160, 60],
            Self::Blue => [40, 98, 216],
            Self::Purple => [132, 52, 170],
            Self::Pink => [250, 150, 190],
            Self::Brown => [124, 76, 40],
            Self::Black => [44, 44, 50],
            Self::White => [252, 252, 252],
        }
    }
}

impl Size {
    /// Both sizes.
    pub const ALL: [Self; 2] = [Self::Small, Self::Large];

    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Large => "large",
        }
    }

    /// Half the side of the square that a thing of this size fills, in pixels.
    pub fn radius(self) -> f32 {
        match self {
            Self::Small => 13.0,
            Self::Large => 18.0,
        }
    }

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::Small => Self::Large,
            Self::Large => Self::Small,
        }
    }
}

impl Thing {
    /// The everyday things.
    pub const EVERYDAY: [Self; 12] = [
        Self::Banana,
        Self::Tomato,
        Self::Frog,
        Self::Carrot,
        Self::Eggplant,
        Self::Whale,
        Self::Pig,
        Self::Bear,
        Self::Bat,
        Self::Snowman,
        Self::Elephant,
        Self::Mouse,
    ];

    /// The geometric shapes.
    pub const SHAPES: [Self; 6] =
        [Self::Circle, Self::Square, Self::Triangle, Self::Star, Self::Heart, Self::Cross];

    /// Its name, for one and for several of it.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Banana => ("banana", "bananas"),
            Self::Tomato => ("tomato", "tomatoes"),
            Self::Frog => ("frog", "frogs"),
            Self::Carrot => ("carrot", "carrots"),
            Self::Eggplant => ("eggplant", "eggplants"),
            Self::Whale => ("whale", "whales"),
            Self::Pig => ("pig", "pigs"),
            Self::Bear => ("bear", "bears"),
            Self::Bat => ("bat", "bats"),
            Self::Snowman => ("snowman", "snowmen"),
            Self::Elephant => ("elephant", "elephants"),
            Self::Mouse => ("mouse", "mice"),
            Self::Circle => ("circle", "circles"),
            Self::Square => ("square", "squares"),
            Self::Triangle => ("triangle", "triangles"),
            Self::Star => ("star", "stars"),
            Self::Heart => ("heart", "hearts"),
            Self::Cross => ("cross", "crosses"),
        }
    }

    /// Its name.
    pub fn word(self) -> &'static str {
        self.words().0
    }

    /// The name of several of it.
    pub fn plural(self) -> &'static str {
        self.words().1
    }

    /// What people expect of it. Shapes have nothing usual about them.
    pub fn usual(self) -> Option<Usual> {
        let colour = match self {
            Self::Banana => Colour::Yellow,
            Self::Tomato => Colour::Red,
            Self::Frog => Colour::Green,
            Self::Carrot => Colour::Orange,
            Self::Eggplant => Colour::Purple,
            Self::Whale => Colour::Blue,
            Self::Pig => Colour::Pink,
            Self::Bear => Colour::Brown,
            Self::Bat => Colour::Black,
            Self::Snowman => Colour::White,
            Self::Elephant => return Some(Usual::Size(Size::Large)),
            Self::Mouse => return Some(Usual::Size(Size::Small)),
            _ => return None,
        };
        Some(Usual::Colour(colour))
    }

    /// Its usual colour, if it has one.
    pub fn usual_colour(self) -> Option<Colour> {
        match self.usual() {
            Some(Usual::Colour(colour)) => Some(colour),
            _ => None,
        }
    }

    /// Its usual size, if it has one.
    pub fn usual_size(self) -> Option<Size> {
        match self.usual() {
            Some(Usual::Size(size)) => Some(size),
            _ => None,
        }
    }
}

impl Usual {
    /// The word that an answer from habit gives.
    pub fn word(self) -> &'static str {
        match self {
            Self::Colour(colour) => colour.word(),
            Self::Size(size) => size.word(),
        }
    }
}
