//! What is asked about a scene, and what follows from the scene: the answer and the way to it.
//!
//! Everything here is told from the scene that is passed in. An annotator who did not look is one who was given
//! another scene, so that description, reasoning and answer are wrong in the same way.

use crate::describe::{number, place};
use crate::kind::Kind;
use crate::scene::{Object, Place, Scene, Stage};
use crate::things::{Colour, Thing, Usual};

/// Where a thing is, seen from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// In a column further left.
    Left,
    /// In a column further right.
    Right,
    /// In a row further up.
    Above,
    /// In a row further down.
    Below,
}

/// A question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// What colour the only such thing has.
    Colour(Thing),
    /// What size the only such thing has.
    Size(Thing),
    /// What the only thing of this colour is.
    Which(Colour),
    /// How many of a thing there are.
    CountThing(Thing),
    /// How many things of a colour there are.
    CountColour(Colour),
    /// How many things there are.
    CountAll,
    /// Which of the two is larger.
    Larger(Thing, Thing),
    /// Whether the first thing is so from the second.
    Is(Thing, Relation, Thing),
    /// Which thing is so from this one.
    Beside(Relation, Thing),
    /// Whether there is such a thing, or such a thing of a colour.
    Exists(Option<Colour>, Thing),
    /// Which thing is there once while another is there several times.
    OddThing,
    /// Which colour is there once while another is there several times.
    OddColour,
    /// Which bar is the highest.
    Highest,
    /// Which bar is the lowest.
    Lowest,
    /// How high the bar of this colour is.
    Height(Colour),
    /// What the dial shows.
    Reading,
}

impl Relation {
    /// Every relation.
    pub const ALL: [Self; 4] = [Self::Left, Self::Right, Self::Above, Self::Below];

    /// How it is said, between two things.
    pub fn words(self) -> &'static str {
        match self {
            Self::Left => "left of",
            Self::Right => "right of",
            Self::Above => "above",
            Self::Below => "below",
        }
    }

    /// Whether it holds of `a`, seen from `b`.
    pub fn holds(self, a: Place, b: Place) -> bool {
        match self {
            Self::Left => a.column < b.column,
            Self::Right => a.column > b.column,
            Self::Above => a.row < b.row,
            Self::Below => a.row > b.row,
        }
    }
}

impl Question {
    /// Its kind.
    pub fn kind(self) -> Kind {
        match self {
            Self::Colour(_) => Kind::Colour,
            Self::Size(_) => Kind::Size,
            Self::Which(_) => Kind::Shape,
            Self::CountThing(_) | Self::CountColour(_) | Self::CountAll => Kind::Count,
            Self::Larger(..) => Kind::Compare,
            Self::Is(..) | Self::Beside(..) => Kind::Relation,
            Self::Exists(..) => Kind::Exists,
            Self::OddThing | Self::OddColour => Kind::Odd,
            Self::Highest | Self::Lowest | Self::Height(_) => Kind::Chart,
            Self::Reading => Kind::Dial,
        }
    }

    /// The thing that people expect something of, and what.
    pub fn expectation(self) -> Option<(Thing, Usual)> {
        match self {
            Self::Colour(thing) | Self::Size(thing) => Some((thing, self.kind().expects(thing)?)),
            _ => None,
        }
    }

    /// The sentence that says what is usual, for a question that it bears on.
    pub fn fact(self) -> Option<String> {
        let (thing, usual) = self.expectation()?;
        Some(format!("{} are usually {}.", thing.plural(), usual.word()))
    }

    /// The question in words.
    pub fn text(self) -> String {
        match self {
            Self::Colour(thing) => format!("what colour is the {}?", thing.word()),
            Self::Size(thing) => format!("is the {} small or large?", thing.word()),
            Self::Which(colour) => format!("what is the {} thing?", colour.word()),
            Self::CountThing(thing) => format!("how many {} are there?", thing.plural()),
            Self::CountColour(colour) => format!("how many {} things are there?", colour.word()),
            Self::CountAll => "how many things are there?".into(),
            Self::Larger(a, b) => format!("which is larger, the {} or the {}?", a.word(), b.word()),
            Self::Is(a, relation, b) => format!("is the {} {} the {}?", a.word(), relation.words(), b.word()),
            Self::Beside(relation, thing) => format!("what is {} the {}?", relation.words(), thing.word()),
            Self::Exists(None, thing) => format!("is there {}?", one(thing.word())),
            Self::Exists(Some(colour), thing) => {
                format!("is there {} {}?", one(colour.word()), thing.word())
            }
            Self::OddThing => "which thing is the odd one out?".into(),
            Self::OddColour => "which colour is the odd one out?".into(),
            Self::Highest => "which bar is the highest?".into(),
            Self::Lowest => "which bar is the lowest?".into(),
            Self::Height(colour) => format!("how high is the {} bar?", colour.word()),
            Self::Reading => "what does the dial show?".into(),
        }
    }

    /// The answer that the scene gives; `None` for a question that does not fit it.
    pub fn answer(self, scene: &Scene) -> Option<&'static str> {
        Some(match (self, scene) {
            (Self::Colour(thing), Scene::Stage(stage)) => stage.the(thing)?.colour.word(),
            (Self::Size(thing), Scene::Stage(stage)) => stage.the(thing)?.size.word(),
            (Self::Which(colour), Scene::Stage(stage)) => {
                stage.objects.iter().find(|object| object.colour == colour)?.thing.word()
            }
            (Self::CountThing(_) | Self::CountColour(_) | Self::CountAll, Scene::Stage(stage)) => {
                number(self.meant(stage).len())
            }
            (Self::Larger(a, b), Scene::Stage(stage)) => {
                let (a, b) = (stage.the(a)?, stage.the(b)?);
                if a.size > b.size { a.thing.word() } else { b.thing.word() }
            }
            (Self::Is(a, relation, b), Scene::Stage(stage)) => {
                yes_or_no(relation.holds(stage.the(a)?.place, stage.the(b)?.place))
            }
            (Self::Beside(relation, thing), Scene::Stage(stage)) => {
                let from = stage.the(thing)?.place;
                stage.objects.iter().find(|object| relation.holds(object.place, from))?.thing.word()
            }
            (Self::Exists(..), Scene::Stage(stage)) => yes_or_no(!self.meant(stage).is_empty()),
            (Self::OddThing, Scene::Stage(stage)) => odd(stage, |object| object.thing)?.word(),
            (Self::OddColour, Scene::Stage(stage)) => odd(stage, |object| object.colour)?.word(),
            (Self::Highest, Scene::Chart(chart)) => {
                chart.bars.iter().max_by_key(|bar| bar.height)?.colour.word()
            }
            (Self::Lowest, Scene::Chart(chart)) => {
                chart.bars.iter().min_by_key(|bar| bar.height)?.colour.word()
            }
            (Self::Height(colour), Scene::Chart(chart)) => {
                number(chart.bars.iter().find(|bar| bar.colour == colour)?.height.into())
            }
            (Self::Reading, Scene::Dial(dial)) => number(dial.value.into()),
            _ => return None,
        })
    }

    /// The way from the description to the answer, in a sentence; `None` for a question that does not fit.
    pub fn reasoning(self, scene: &Scene) -> Option<String> {
        let answer = self.answer(scene)?;
        Some(match (self, scene) {
            (Self::Colour(thing) | Self::Size(thing), Scene::Stage(stage)) => {
                let at = place(stage.the(thing)?.place, stage);
                format!("the {} at {at} is {answer}.", thing.word())
            }
            (Self::Which(colour), Scene::Stage(stage)) => {
                let at = stage.objects.iter().find(|object| object.colour == colour)?.place;
                format!("the {} thing at {} is {}.", colour.word(), place(at, stage), the(answer))
            }
            (Self::Larger(a, b), Scene::Stage(stage)) => {
                let (a, b) = (stage.the(a)?, stage.the(b)?);
                format!(
                    "the {} is {}, the {} is {}.",
                    a.thing.word(),
                    a.size.word(),
                    b.thing.word(),
                    b.size.word()
                )
            }
            (Self::Is(a, _, b), Scene::Stage(stage)) => {
                let at = |thing: Thing| Some(place(stage.the(thing)?.place, stage));
                format!("the {} is {}, the {} is {}.", a.word(), at(a)?, b.word(), at(b)?)
            }
            (Self::Beside(relation, thing), Scene::Stage(stage)) => {
                let at = place(stage.the(thing)?.place, stage);
                let word = thing.word();
                format!("the {word} is {at}, {} the {word} is {}.", relation.words(), the(answer))
            }
            (Self::OddThing, Scene::Stage(stage)) => {
                let most = stage.objects.iter().find(|object| object.thing.word() != answer)?;
                let count = number(stage.of(most.thing).count());
                format!("{count} {}, one {answer}.", most.thing.plural())
            }
            (Self::OddColour, Scene::Stage(stage)) => {
                let most = stage.objects.iter().find(|object| object.colour.word() != answer)?.colour;
                let count = stage.objects.iter().filter(|object| object.colour == most).count();
                format!("{} {}, one {answer}.", number(count), most.word())
            }
            (Self::CountThing(_) | Self::CountColour(_) | Self::CountAll | Self::Exists(..), _) => {
                let Scene::Stage(stage) = scene else { return None };
                let places: Vec<String> =
                    self.meant(stage).iter().map(|object| place(object.place, stage)).collect();
                let places = if places.is_empty() { "none".into() } else { places.join(", ") };
                format!("{}: {places}.", self.subject())
            }
            (Self::Highest, _) => format!("the highest bar is {answer}."),
            (Self::Lowest, _) => format!("the lowest bar is {answer}."),
            (Self::Height(colour), _) => format!("the {} bar ends at {answer}.", colour.word()),
            (Self::Reading, _) => format!("the needle is at {answer}."),
            _ => return None,
        })
    }

    /// The objects that a question about number or existence is about.
    fn meant(self, stage: &Stage) -> Vec<&Object> {
        let is_meant = |object: &Object| match self {
            Self::CountThing(thing) | Self::Exists(None, thing) => object.thing == thing,
            Self::CountColour(colour) => object.colour == colour,
            Self::Exists(Some(colour), thing) => object.thing == thing && object.colour == colour,
            _ => true,
        };
        stage.objects.iter().filter(|object| is_meant(object)).collect()
    }

    /// What a question about number or existence is about, in words.
    fn subject(self) -> String {
        match self {
            Self::CountThing(thing) | Self::Exists(None, thing) => thing.plural().into(),
            Self::CountColour(colour) => format!("{} things", colour.word()),
            Self::Exists(Some(colour), thing) => format!("{} {}", colour.word(), thing.plural()),
            _ => "things".into(),
        }
    }
}

/// The value that only one object has.
fn odd<T: PartialEq + Copy>(stage: &Stage, of: impl Fn(&Object) -> T) -> Option<T> {
    let count = |value: T| stage.objects.iter().filter(|object| of(object) == value).count();
    stage.objects.iter().map(&of).find(|value| count(*value) == 1)
}

fn yes_or_no(truth: bool) -> &'static str {
    if truth { "yes" } else { "no" }
}

/// A noun with its indefinite article.
fn one(word: &str) -> String {
    let vowel = word.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {word}", if vowel { "an" } else { "a" })
}

/// A noun with its definite article.
fn the(word: &str) -> String {
    format!("the {word}")
}
