//! What a picture shows, as facts: things at places, a bar chart, or a dial.

use serde::Serialize;

use crate::things::{Colour, Size, Thing, Usual};

/// What a picture shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Scene {
    /// Things at places.
    Stage(Stage),
    /// A bar chart.
    Chart(Chart),
    /// A dial with a needle.
    Dial(Dial),
}

/// Things at places, no two at one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stage {
    /// Columns of places.
    pub columns: u8,
    /// Rows of places.
    pub rows: u8,
    /// The things in reading order.
    pub objects: Vec<Object>,
}

/// A thing at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Object {
    /// What it is.
    pub thing: Thing,
    /// The colour it is shown in.
    pub colour: Colour,
    /// The size it is shown in.
    pub size: Size,
    /// Where it is.
    pub place: Place,
}

/// A place of the grid, counted from 0 at the top left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// Rows from the top.
    pub row: u8,
    /// Columns from the left.
    pub column: u8,
}

/// A bar chart whose bars have different colours, from left to right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Chart {
    /// Two to four bars.
    pub bars: Vec<Bar>,
}

/// A bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bar {
    /// Its colour.
    pub colour: Colour,
    /// Its height in lines of the grid, 1 to [`Chart::HIGHEST`].
    pub height: u8,
}

/// A half-round dial, from zero at the left to [`Dial::HIGHEST`] at the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Dial {
    /// Colour of the needle.
    pub colour: Colour,
    /// What the needle points to.
    pub value: u8,
}

impl Chart {
    /// The highest that a bar can be.
    pub const HIGHEST: u8 = 5;
    /// The most bars that a chart has.
    pub const MOST: usize = 4;
}

impl Dial {
    /// The highest number on a dial.
    pub const HIGHEST: u8 = 6;
}

impl Object {
    /// Whether it has a usual colour or size and shows another.
    pub fn is_unusual(&self) -> bool {
        match self.thing.usual() {
            Some(Usual::Colour(colour)) => self.colour != colour,
            Some(Usual::Size(size)) => self.size != size,
            None => false,
        }
    }

    /// The same with what is usual about it.
    pub fn as_usual(self) -> Self {
        match self.thing.usual() {
            Some(Usual::Colour(colour)) => Self { colour, ..self },
            Some(Usual::Size(size)) => Self { size, ..self },
            None => self,
        }
    }
}

impl Stage {
    /// The objects that are this thing.
    pub fn of(&self, thing: Thing) -> impl Iterator<Item = &Object> {
        self.objects.iter().filter(move |object| object.thing == thing)
    }

    /// The first object that is this thing.
    pub fn the(&self, thing: Thing) -> Option<&Object> {
        self.of(thing).next()
    }
}

impl Scene {
    /// What an annotator tells who knows `thing` and did not look at it.
    pub fn from_habit(&self, thing: Thing) -> Self {
        let mut scene = self.clone();
        if let Self::Stage(stage) = &mut scene {
            for object in stage.objects.iter_mut().filter(|object| object.thing == thing) {
                *object = object.as_usual();
            }
        }
        scene
    }
}
