//! What a picture shows, as facts: things at places, a bar chart, or a dial.

use serde::Serialize;

use crate::config::Contents;
use crate::dice::Dice;
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

    /// Draws a chart: two to four bars of different colours, one of them the highest and one the lowest.
    pub(crate) fn draw(contents: &Contents, dice: &mut Dice) -> Self {
        let count = dice.between(2, Self::MOST);
        let colours = dice.some(&contents.colours, count);
        let levels: Vec<u8> = (1..=Self::HIGHEST).collect();
        let heights = dice.some(&levels, count);
        Self {
            bars: colours.into_iter().zip(heights).map(|(colour, height)| Bar { colour, height }).collect(),
        }
    }
}

impl Dial {
    /// The highest number on a dial.
    pub const HIGHEST: u8 = 6;

    /// Draws a dial.
    pub(crate) fn draw(contents: &Contents, dice: &mut Dice) -> Self {
        let value = dice.pick(&[0, 1, 2, 3, 4, 5, Self::HIGHEST]);
        Self { colour: dice.pick(&contents.colours), value }
    }
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

/// Puts things at places. What a question needs is put down first, then others that do not disturb it.
pub(crate) struct Setting<'a> {
    contents: &'a Contents,
    dice: &'a mut Dice,
    free: Vec<Place>,
    objects: Vec<Object>,
    /// Things that nothing else may be.
    kept: Vec<Thing>,
    /// A colour that nothing else may have.
    kept_colour: Option<Colour>,
    /// Share of everyday things that are not as usual.
    unusual: f64,
}

impl<'a> Setting<'a> {
    /// An empty stage with `unusual` as the share of everyday things that are not as usual.
    pub(crate) fn new(contents: &'a Contents, unusual: f64, dice: &'a mut Dice) -> Self {
        let places = (0..contents.rows)
            .flat_map(|row| (0..contents.columns).map(move |column| Place { row, column }))
            .collect::<Vec<_>>();
        let free = dice.some(&places, places.len());
        Self { contents, dice, free, objects: Vec::new(), kept: Vec::new(), kept_colour: None, unusual }
    }

    /// The draws, for what the question itself has to decide.
    pub(crate) fn dice(&mut self) -> &mut Dice {
        self.dice
    }

    /// Nothing put down from now on is this thing.
    pub(crate) fn keep(&mut self, thing: Thing) {
        self.kept.push(thing);
    }

    /// Nothing put down from now on has this colour.
    pub(crate) fn keep_colour(&mut self, colour: Colour) {
        self.kept_colour = Some(colour);
    }

    /// A thing that may be put down: everyday or a shape, in the share that the world has.
    pub(crate) fn thing(&mut self) -> Thing {
        let allowed = |things: &[Thing]| {
            things.iter().copied().filter(|thing| !self.kept.contains(thing)).collect::<Vec<_>>()
        };
        let (everyday, shapes) = (allowed(&self.contents.things), allowed(&self.contents.shapes));
        let is_everyday = self.dice.chance(self.contents.everyday);
        match (is_everyday, everyday.is_empty(), shapes.is_empty()) {
            (true, false, _) | (false, false, true) => self.dice.pick(&everyday),
            _ => self.dice.pick(&shapes),
        }
    }

    /// A colour that may be put down, other than `but`.
    pub(crate) fn colour(&mut self, but: Option<Colour>) -> Colour {
        let allowed: Vec<Colour> = self
            .contents
            .colours
            .iter()
            .copied()
            .filter(|colour| Some(*colour) != self.kept_colour && Some(*colour) != but)
            .collect();
        self.dice.pick(&allowed)
    }

    /// How a thing looks, unusual by chance.
    pub(crate) fn look(&mut self, thing: Thing) -> (Colour, Size) {
        let unusual = thing.usual().is_some() && self.dice.chance(self.unusual);
        self.look_as(thing, unusual)
    }

    /// How a thing looks that is as usual or is not.
    pub(crate) fn look_as(&mut self, thing: Thing, unusual: bool) -> (Colour, Size) {
        let size = match thing.usual_size() {
            Some(size) => {
                if unusual {
                    size.other()
                } else {
                    size
                }
            }
            None => self.dice.pick(&Size::ALL),
        };
        let colour = match thing.usual_colour() {
            Some(colour) if !unusual && self.kept_colour != Some(colour) => colour,
            usual => self.colour(usual),
        };
        (colour, size)
    }

    /// Puts a thing down at a random free place. There are enough of them: no scene has more than four things.
    pub(crate) fn put(&mut self, thing: Thing, (colour, size): (Colour, Size)) -> Object {
        let place = self.free.pop().unwrap_or(Place { row: 0, column: 0 });
        let object = Object { thing, colour, size, place };
        self.objects.push(object);
        object
    }

    /// Puts down others, until there are `total` things.
    pub(crate) fn fill(&mut self, total: usize) {
        while self.objects.len() < total {
            let thing = self.thing();
            let look = self.look(thing);
            self.put(thing, look);
        }
    }

    /// Puts down others, so that there are at least `least` things and at most as many as the world has.
    pub(crate) fn fill_up(&mut self, least: usize) {
        let total = self.dice.between(least.max(self.objects.len()), self.contents.most);
        self.fill(total);
    }

    /// The finished stage.
    pub(crate) fn stage(mut self) -> Stage {
        self.objects.sort_by_key(|object| object.place);
        Stage { columns: self.contents.columns, rows: self.contents.rows, objects: self.objects }
    }
}
