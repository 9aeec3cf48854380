//! The prior suite: triples that tell looking from habit.
//!
//! One question about three pictures. On one the answer that people expect is right, on the other two it is not.
//! Who answers from habit gets the first right and the others wrong.

use crate::compose::put_asked;
use crate::dice::Stream;
use crate::kind::Kind;
use crate::question::Question;
use crate::scene::Scene;
use crate::stage::StageBuilder;
use crate::things::Thing;
use crate::world::{Sample, Split, World};

/// What a member of a triple is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// What is expected is right.
    Prior,
    /// What is expected is wrong.
    Score,
}

/// How a question of the suite is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wording {
    /// With a sentence before it that says what is usual.
    Fact,
    /// As it is.
    Plain,
}

/// A picture of a triple.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// What it is for.
    pub role: Role,
    /// The picture and the question.
    pub sample: Sample,
}

/// Three pictures and one question.
#[derive(Debug, Clone, PartialEq)]
pub struct Triple {
    /// Its number.
    pub number: u64,
    /// The one where what is expected is right, then the two where it is not.
    pub members: [Member; Self::MEMBERS],
}

impl Triple {
    /// How many pictures it has.
    pub const MEMBERS: usize = 3;
}

impl Role {
    /// Its name in a row.
    pub fn word(self) -> &'static str {
        match self {
            Self::Prior => "prior",
            Self::Score => "score",
        }
    }
}

impl Wording {
    /// Both wordings.
    pub const ALL: [Self; 2] = [Self::Fact, Self::Plain];

    /// Its name in a row.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fact => "fact",
            Self::Plain => "plain",
        }
    }
}

impl World {
    /// Triple `number` of the prior suite; `None` in a world where nothing is usual.
    pub fn prior(&self, number: u64) -> Option<Triple> {
        let kinds = self.config().prior_weights();
        if kinds.is_empty() {
            return None;
        }
        let first = number * 3;
        let contents = &self.config().scene;
        // The question is drawn once, by the first picture's stream.
        let mut dice = self.dice(Split::Prior, first, Stream::Annotator);
        let kind = dice.weighted(&kinds);
        let askable: Vec<Thing> =
            contents.things.iter().copied().filter(|thing| kind.expects(*thing).is_some()).collect();
        let thing = dice.pick(&askable);
        let question = if kind == Kind::Size { Question::Size(thing) } else { Question::Colour(thing) };
        let but = thing.usual_colour().into_iter().collect::<Vec<_>>();
        let colours: Vec<_> = contents.colours.iter().copied().filter(|c| !but.contains(c)).collect();
        // Two different wrong expectations, where the property has more than two values.
        let unusual = dice.some(&colours, 2);

        let member = |role: Role, offset: u64| {
            let number = first + offset;
            let mut dice = self.dice(Split::Prior, number, Stream::Scene);
            let mut stage = StageBuilder::new(contents, contents.unusual, &mut dice);
            match (role, kind) {
                (Role::Score, Kind::Colour) => {
                    let (_, size) = stage.look(thing);
                    let colour = unusual.get(offset as usize - 1).copied();
                    let colour = colour.unwrap_or_else(|| stage.colour(thing.usual_colour()));
                    stage.put(thing, (colour, size));
                    stage.reserve(thing);
                    stage.fill_up(1);
                }
                (role, _) => put_asked(&mut stage, thing, role == Role::Score),
            }
            let scene = Scene::Stage(stage.build());
            Member { role, sample: self.finish(Split::Prior, number, scene, question, false) }
        };
        let members = [member(Role::Prior, 0), member(Role::Score, 1), member(Role::Score, 2)];
        Some(Triple { number, members })
    }
}

impl Member {
    /// The same picture with the question in this wording.
    pub fn worded(&self, wording: Wording) -> Sample {
        Sample { with_fact: wording == Wording::Fact, ..self.sample.clone() }
    }
}
