//! Scenes made by chance: a stage that is set thing by thing, a chart, a dial.

use crate::config::Contents;
use crate::dice::Dice;
use crate::scene::{Bar, Chart, Dial, Object, Place, Stage};
use crate::things::{Colour, Size, Thing};

/// A chart: two to four bars of different colours, one of them the highest and one the lowest.
pub(crate) fn chart(contents: &Contents, dice: &mut Dice) -> Chart {
    let count = dice.between(2, Chart::MOST);
    let colours = dice.some(&contents.colours, count);
    let levels: Vec<u8> = (1..=Chart::HIGHEST).collect();
    let heights = dice.some(&levels, count);
    Chart { bars: colours.into_iter().zip(heights).map(|(colour, height)| Bar { colour, height }).collect() }
}

/// A dial.
pub(crate) fn dial(contents: &Contents, dice: &mut Dice) -> Dial {
    let value = dice.pick(&[0, 1, 2, 3, 4, 5, Dial::HIGHEST]);
    Dial { colour: dice.pick(&contents.colours), value }
}

/// Puts things at places. What a question needs is put down first, then others that do not disturb it.
pub(crate) struct StageBuilder<'a> {
    contents: &'a Contents,
    dice: &'a mut Dice,
    free: Vec<Place>,
    objects: Vec<Object>,
    /// Things that nothing else may be.
    reserved: Vec<Thing>,
    /// A colour that nothing else may have.
    reserved_colour: Option<Colour>,
    /// Share of everyday things that are not as usual.
    unusual: f64,
}

impl<'a> StageBuilder<'a> {
    /// An empty stage with `unusual` as the share of everyday things that are not as usual.
    pub(crate) fn new(contents: &'a Contents, unusual: f64, dice: &'a mut Dice) -> Self {
        let places = (0..contents.rows)
            .flat_map(|row| (0..contents.columns).map(move |column| Place { row, column }))
            .collect::<Vec<_>>();
        let free = dice.some(&places, places.len());
        Self {
            contents,
            dice,
            free,
            objects: Vec::new(),
            reserved: Vec::new(),
            reserved_colour: None,
            unusual,
        }
    }

    /// The draws, for what the question itself has to decide.
    pub(crate) fn dice(&mut self) -> &mut Dice {
        self.dice
    }

    /// Nothing put down from now on is this thing.
    pub(crate) fn reserve(&mut self, thing: Thing) {
        self.reserved.push(thing);
    }

    /// Nothing put down from now on has this colour.
    pub(crate) fn reserve_colour(&mut self, colour: Colour) {
        self.reserved_colour = Some(colour);
    }

    /// A thing that may be put down: everyday or a shape, in the share that the world has.
    pub(crate) fn thing(&mut self) -> Thing {
        let allowed = |things: &[Thing]| {
            things.iter().copied().filter(|thing| !self.reserved.contains(thing)).collect::<Vec<_>>()
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
            .filter(|colour| Some(*colour) != self.reserved_colour && Some(*colour) != but)
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
            Some(colour) if !unusual && self.reserved_colour != Some(colour) => colour,
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
    pub(crate) fn build(mut self) -> Stage {
        self.objects.sort_by_key(|object| object.place);
        Stage { columns: self.contents.columns, rows: self.contents.rows, objects: self.objects }
    }
}
