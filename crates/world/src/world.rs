//! The world: a configuration, and samples by number.

use crate::compose::{Asked, compose};
use crate::config::WorldConfig;
use crate::describe;
use crate::dice::{Dice, Stream};
use crate::draw::{self, Picture};
use crate::error::WorldError;
use crate::question::Question;
use crate::scene::Scene;
use crate::things::Usual;
use vigos_recipe::RunRecipe;

/// A world. Samples are functions of it and their number, made one at a time, and cost no memory.
#[derive(Debug, Clone)]
pub struct World {
    config: WorldConfig,
    sizes: Vec<(u32, u32)>,
}

/// The parts of a world. Their samples are drawn independently: none is tuned on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Split {
    /// What the supervised warm start reads.
    Warmup = 0,
    /// What is trained on. Its references may follow habit.
    Train = 1,
    /// What is evaluated on.
    Test = 2,
    /// Triples that tell looking from habit.
    Prior = 3,
}

impl Split {
    /// Every split.
    pub const ALL: [Self; 4] = [Self::Warmup, Self::Train, Self::Test, Self::Prior];

    /// The split of this name.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|split| split.word() == word)
    }

    /// Its name, of files too.
    pub fn word(self) -> &'static str {
        match self {
            Self::Warmup => "warmup",
            Self::Train => "train",
            Self::Test => "test",
            Self::Prior => "prior",
        }
    }
}

/// A question about a picture, with what is true and what was written down.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The split and the number that the sample is a function of.
    pub split: Split,
    /// Its number within the split.
    pub number: u64,
    /// What the picture shows.
    pub scene: Scene,
    /// What is asked.
    pub question: Question,
    /// Whether the question begins with what is usual.
    pub with_fact: bool,
    /// Whether whoever wrote the reference answered from habit.
    pub from_habit: bool,
    /// How the picture is drawn.
    pub(crate) picture: Picture,
}

impl World {
    /// The world of a configuration.
    ///
    /// # Errors
    /// [`WorldError::Config`] for a dial out of range.
    pub fn new(config: WorldConfig) -> Result<Self, WorldError> {
        config.check()?;
        let sizes = config.sizes();
        Ok(Self { config, sizes })
    }

    /// Its configuration.
    pub fn config(&self) -> &WorldConfig {
        &self.config
    }

    /// How many samples a split has; of the prior suite, how many triples.
    pub fn samples(&self, split: Split) -> u64 {
        let splits = &self.config.splits;
        match split {
            Split::Warmup => splits.warmup,
            Split::Train => splits.train,
            Split::Test => splits.test,
            Split::Prior => splits.prior,
        }
    }

    /// Training question `number`. Its reference may follow habit.
    pub fn train(&self, number: u64) -> Sample {
        let mut sample = self.sample(Split::Train, number);
        let mut dice = self.dice(Split::Train, number, Stream::Annotator);
        sample.from_habit = dice.chance(self.config.train.prior_references) && sample.is_conflict();
        sample
    }

    /// Test question `number`. Its reference is the truth.
    pub fn test(&self, number: u64) -> Sample {
        self.sample(Split::Test, number)
    }

    /// A question of the training or test mixture, its reference the truth.
    fn sample(&self, split: Split, number: u64) -> Sample {
        let config = &self.config;
        let mut dice = self.dice(split, number, Stream::Scene);
        let conflict = dice.chance(config.train.conflict);
        let with_fact = dice.chance(config.question.fact);
        let (kinds, asked) = match conflict {
            true => (config.prior_weights(), Asked::Unusual),
            false => (config.weights(), Asked::Usual),
        };
        let kind = dice.weighted(&kinds);
        let (scene, question) = compose(&config.scene, kind, asked, config.scene.unusual, &mut dice);
        self.finish(split, number, scene, question, with_fact)
    }

    /// A sample of what was drawn, with how its picture is drawn.
    pub(crate) fn finish(
        &self,
        split: Split,
        number: u64,
        scene: Scene,
        question: Question,
        with_fact: bool,
    ) -> Sample {
        let mut dice = self.dice(split, number, Stream::Picture);
        let picture = Picture::plan(&self.config.image, &self.sizes, &scene, &mut dice);
        let with_fact = with_fact && question.expectation().is_some();
        Sample { split, number, scene, question, with_fact, from_habit: false, picture }
    }

    pub(crate) fn dice(&self, split: Split, number: u64, stream: Stream) -> Dice {
        Dice::new(self.config.seed, split as u64, number, stream)
    }
}

impl Sample {
    /// A name that no other sample of the world has.
    pub fn id(&self) -> String {
        format!("{}-{:06}", self.split.word(), self.number)
    }

    /// The question as it is put.
    pub fn problem(&self) -> String {
        let fact = if self.with_fact { self.question.fact() } else { None };
        match fact {
            Some(fact) => format!("{fact} {}", self.question.text()),
            None => self.question.text(),
        }
    }

    /// The answer that the picture gives.
    pub fn truth(&self) -> &'static str {
        // A question is made with its scene, so there is one.
        self.question.answer(&self.scene).unwrap_or_default()
    }

    /// The answer that the annotator wrote.
    pub fn answer(&self) -> &'static str {
        self.question.answer(&self.told()).unwrap_or_default()
    }

    /// The description that the annotator wrote.
    pub fn description(&self) -> String {
        describe::scene(&self.told())
    }

    /// The reasoning that the annotator wrote.
    pub fn reasoning(&self) -> String {
        self.question.reasoning(&self.told()).unwrap_or_default()
    }

    /// What people expect as the answer, if they expect anything.
    pub fn expected(&self) -> Option<Usual> {
        self.question.expectation().map(|(_, usual)| usual)
    }

    /// Whether people expect another answer than the picture gives.
    pub fn is_conflict(&self) -> bool {
        self.expected().is_some_and(|usual| usual.word() != self.truth())
    }

    /// The picture.
    pub fn draw(&self) -> image::RgbImage {
        draw::draw(&self.scene, &self.picture)
    }

    /// The scene as the annotator told it.
    fn told(&self) -> Scene {
        match (self.from_habit, self.question.expectation()) {
            (true, Some((thing, _))) => self.scene.from_habit(thing),
            _ => self.scene.clone(),
        }
    }
}
