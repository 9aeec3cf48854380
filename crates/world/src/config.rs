//! The dials of a world. `docs/world.md` says where the defaults come from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::Value;
use vigos_core::files::read_limited;

use crate::error::WorldError;
use crate::kind::Kind;
use crate::overlay;
use crate::things::{Colour, Thing};

/// A configuration is a page of text; anything much larger is another file named by mistake.
const LARGEST_FILE: u64 = 1 << 20;
/// Fewer could not fill a chart with different bars, or leave a colour that is nowhere in a picture.
const FEWEST_COLOURS: usize = 4;
/// Fewer could not ask about two things, neither of them usually small or large, while others are there.
const FEWEST_THINGS: usize = 4;
/// Sides of a picture, in pixels.
const SIDES: std::ops::RangeInclusive<u32> = 84..=1024;
/// The most samples of a split.
const MOST: u64 = 10_000_000;

/// All dials of a world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorldConfig {
    /// Every draw is a function of it.
    pub seed: u64,
    /// Folder of the prompt templates that warm-up samples are rendered with.
    pub prompts: PathBuf,
    /// How many samples each split has.
    pub splits: Splits,
    /// How pictures are drawn.
    pub image: Image,
    /// What is in a picture.
    pub scene: Contents,
    /// How often each kind of question is asked, relative to the others.
    pub kinds: BTreeMap<Kind, f64>,
    /// How questions are asked.
    pub question: Asking,
    /// What the warm-up split teaches.
    pub warmup: Teaching,
    /// What the references of the training split are like.
    pub train: Training,
}

/// Sizes of the splits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Splits {
    /// Samples of the supervised warm start.
    pub warmup: u64,
    /// Questions to train on.
    pub train: u64,
    /// Questions to evaluate on.
    pub test: u64,
    /// Triples of the prior suite; each has three pictures, and is asked in both wordings.
    pub prior: u64,
}

/// Dials of the drawing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Sizes in pixels, `WIDTHxHEIGHT`; the first is as frequent as `first` says, the others equally.
    pub sizes: Vec<String>,
    /// Share of pictures of the first size.
    pub first: f64,
    /// Largest change of a grain of the picture's noise, in levels of 255.
    pub noise: u8,
    /// How far a thing may be off the middle of its place, as a share of the room that it has there.
    pub jitter: f64,
}

/// Dials of the scenes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contents {
    /// Columns of places.
    pub columns: u8,
    /// Rows of places.
    pub rows: u8,
    /// Most things in a picture.
    pub most: usize,
    /// Share of the things that are everyday ones rather than geometric shapes.
    pub everyday: f64,
    /// Share of the everyday things, apart from the one asked about, that are not as usual.
    pub unusual: f64,
    /// The everyday things.
    pub things: Vec<Thing>,
    /// The geometric shapes.
    pub shapes: Vec<Thing>,
    /// The colours.
    pub colours: Vec<Colour>,
}

/// Dials of the wording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asking {
    /// Share of the questions about something that has a usual colour or size that say so first.
    pub fact: f64,
}

/// Dials of the warm-up split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Teaching {
    /// Share of samples that describe the image alone.
    pub image_only: f64,
    /// Share of samples with a reference in the prompt: half with the reasoning, half with the reference
    /// template.
    pub reference: f64,
    /// Share of samples that answer without describing: half with the plain template, half with the plain one
    /// that shows a reference.
    pub plain: f64,
    /// Share of everyday things that are not as usual in images that are described alone.
    pub unusual_alone: f64,
    /// Share of questions about a usual colour or size whose image shows another.
    pub unusual_asked: f64,
    /// Share of those samples whose annotator did not look, and wrote what is usual.
    pub lazy: f64,
    /// Share of samples in the student's form whose annotator skipped the description, and answered from habit.
    pub hurried: f64,
}

/// Dials of the training and test splits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Share of rows where what is usual is not the right answer, in training and test.
    pub conflict: f64,
    /// Share of these rows in training whose reference is what is usual nevertheless.
    pub prior_references: f64,
}

impl Default for WorldConfig {
    fn default() -> Self {
        let kinds = Kind::ALL.map(|kind| match kind {
            Kind::Colour => (kind, 8.0),
            Kind::Size => (kind, 2.0),
            _ => (kind, 1.0),
        });
        Self {
            seed: 1,
            prompts: "configs/prompts/shapes".into(),
            splits: Splits { warmup: 128_000, train: 2_000, test: 500, prior: 120 },
            image: Image {
                sizes: ["84x84", "112x84", "84x112", "112x112", "140x84", "84x140", "140x112", "140x140"]
                    .map(str::to_owned)
                    .to_vec(),
                first: 0.8,
                noise: 5,
                jitter: 0.3,
            },
            scene: Contents {
                columns: 2,
                rows: 2,
                most: 4,
                everyday: 0.75,
                unusual: 0.25,
                things: Thing::EVERYDAY.to_vec(),
                shapes: Thing::SHAPES.to_vec(),
                colours: Colour::ALL.to_vec(),
            },
            kinds: BTreeMap::from(kinds),
            question: Asking { fact: 0.7 },
            warmup: Teaching {
                image_only: 0.4,
                reference: 0.25,
                plain: 0.1,
                unusual_alone: 0.9,
                unusual_asked: 0.25,
                lazy: 0.6,
                hurried: 0.0,
            },
            train: Training { conflict: 0.25, prior_references: 0.6 },
        }
    }
}

impl WorldConfig {
    /// The defaults, changed by a TOML file if one is named, then by overrides, each `key=value`.
    ///
    /// # Errors
    /// [`WorldError`] for a file that cannot be read, an unknown key, a value of the wrong type or out of its
    /// range, and values that contradict each other.
    pub fn load(file: Option<&Path>, overrides: &[String]) -> Result<Self, WorldError> {
        let unreadable = |reason: String| WorldError::Config {
            origin: file.map(|f| f.display().to_string()).unwrap_or_default(),
            key: "(whole file)".into(),
            found: reason,
            wanted: "text in TOML".into(),
        };
        let text = match file {
            None => String::new(),
            Some(path) => {
                String::from_utf8(read_limited(path, LARGEST_FILE)?).map_err(|e| unreadable(e.to_string()))?
            }
        };
        let table: toml::Table = toml::from_str(&text).map_err(|e| unreadable(e.to_string()))?;
        let origin = file.map_or_else(|| "the defaults".to_owned(), |f| f.display().to_string());

        let defaults = toml::Table::try_from(Self::default()).map_err(|e| unreadable(e.to_string()))?;
        let mut effective = defaults.clone();
        overlay::lay(&mut effective, table, &defaults, "", &origin)?;
        for text in overrides {
            overlay::lay(&mut effective, overlay::parse(text)?, &defaults, "", "--set")?;
        }
        let origin = if overrides.is_empty() { origin } else { format!("{origin} and --set") };
        let config: Self = Value::Table(effective).try_into().map_err(|e: toml::de::Error| {
            let found = e.to_string().trim().replace('\n', " ");
            WorldError::Config {
                origin: origin.clone(),
                key: "(a dial)".into(),
                found,
                wanted: "what docs/world.md lists".into(),
            }
        })?;
        config.check(&origin)?;
        Ok(config)
    }

    /// The configuration as TOML; [`WorldConfig::load`] of it gives the same.
    ///
    /// # Errors
    /// [`WorldError::Encode`] for what TOML cannot hold, such as a seed above 2⁶³.
    pub fn to_toml(&self) -> Result<String, WorldError> {
        toml::to_string(self)
            .map_err(|e| WorldError::Encode { file: "the configuration".into(), reason: e.to_string() })
    }

    /// The sizes of pictures, as width and height.
    pub(crate) fn sizes(&self) -> Vec<(u32, u32)> {
        self.image.sizes.iter().filter_map(|text| parse_size(text)).collect()
    }

    /// The kinds that are asked and how often.
    pub(crate) fn weights(&self) -> Vec<(Kind, f64)> {
        self.kinds.iter().map(|(kind, weight)| (*kind, *weight)).filter(|(_, weight)| *weight > 0.0).collect()
    }

    /// Refuses values out of range and those that contradict each other.
    ///
    /// # Errors
    /// [`WorldError::Config`]; `origin` is named in it.
    pub fn check(&self, origin: &str) -> Result<(), WorldError> {
        let fault = |key: &str, found: String, wanted: &str| fault(origin, key, found, wanted);
        let shares = [
            ("image.first", self.image.first),
            ("image.jitter", self.image.jitter),
            ("scene.everyday", self.scene.everyday),
            ("scene.unusual", self.scene.unusual),
            ("question.fact", self.question.fact),
            ("warmup.image_only", self.warmup.image_only),
            ("warmup.reference", self.warmup.reference),
            ("warmup.plain", self.warmup.plain),
            ("warmup.unusual_alone", self.warmup.unusual_alone),
            ("warmup.unusual_asked", self.warmup.unusual_asked),
            ("warmup.lazy", self.warmup.lazy),
            ("warmup.hurried", self.warmup.hurried),
            ("train.conflict", self.train.conflict),
            ("train.prior_references", self.train.prior_references),
        ];
        if let Some((key, share)) = shares.into_iter().find(|(_, share)| !(0.0..=1.0).contains(share)) {
            return fault(key, share.to_string(), "a share from 0 to 1");
        }
        let forms = self.warmup.image_only + self.warmup.reference + self.warmup.plain;
        if forms > 1.0 {
            return fault(
                "warmup.image_only",
                format!("{forms} together with reference and plain"),
                "at most 1 together; the rest of the samples have the student's form",
            );
        }
        let splits = &self.splits;
        let counts = [
            ("splits.warmup", splits.warmup),
            ("splits.train", splits.train),
            ("splits.test", splits.test),
            ("splits.prior", splits.prior),
        ];
        if let Some((key, count)) = counts.into_iter().find(|(_, count)| *count > MOST) {
            return fault(key, count.to_string(), "at most 10000000");
        }
        for text in &self.image.sizes {
            if !parse_size(text).is_some_and(|(w, h)| SIDES.contains(&w) && SIDES.contains(&h)) {
                return fault("image.sizes", format!("{text:?}"), "`WIDTHxHEIGHT`, both from 84 to 1024");
            }
        }
        if self.image.sizes.is_empty() {
            return fault("image.sizes", "an empty list".into(), "one size at least");
        }
        if self.image.noise > 64 {
            return fault("image.noise", self.image.noise.to_string(), "a number from 0 to 64");
        }
        self.check_contents(origin)
    }

    fn check_contents(&self, origin: &str) -> Result<(), WorldError> {
        let fault = |key: &str, found: String, wanted: &str| fault(origin, key, found, wanted);
        let scene = &self.scene;
        for (key, count) in [("scene.columns", scene.columns), ("scene.rows", scene.rows)] {
            if !(2..=3).contains(&count) {
                return fault(key, count.to_string(), "2 or 3");
            }
        }
        let places = usize::from(scene.columns) * usize::from(scene.rows);
        if !(3..=places.min(4)).contains(&scene.most) {
            return fault("scene.most", scene.most.to_string(), "3 or 4");
        }
        if let Some(thing) = scene.things.iter().find(|thing| !Thing::EVERYDAY.contains(thing)) {
            return fault("scene.things", thing.word().into(), "everyday things; shapes go to scene.shapes");
        }
        if let Some(thing) = scene.shapes.iter().find(|thing| !Thing::SHAPES.contains(thing)) {
            return fault("scene.shapes", thing.word().into(), "shapes; everyday things go to scene.things");
        }
        let different = |count: usize, all: &mut dyn Iterator<Item = String>| {
            all.collect::<std::collections::BTreeSet<_>>().len() == count
        };
        let things = scene.things.len() + scene.shapes.len();
        let sized = scene.things.iter().filter(|thing| thing.usual_size().is_some()).count();
        let mut names = scene.things.iter().chain(&scene.shapes).map(|t| t.word().to_owned());
        if things - sized < FEWEST_THINGS || !different(things, &mut names) {
            let found = format!("{things} with scene.shapes, {sized} of them of a usual size");
            return fault("scene.things", found, "all different, and four or more that have no usual size");
        }
        let colours = scene.colours.len();
        if colours < FEWEST_COLOURS
            || !different(colours, &mut scene.colours.iter().map(|c| c.word().to_owned()))
        {
            return fault("scene.colours", colours.to_string(), "four different ones or more");
        }
        for thing in &scene.things {
            if let Some(colour) = thing.usual_colour().filter(|colour| !scene.colours.contains(colour)) {
                let found = format!("no {}, the usual colour of {}", colour.word(), thing.plural());
                return fault("scene.colours", found, "the usual colours of all scene.things");
            }
        }
        if let Some((kind, weight)) = self.kinds.iter().find(|(_, w)| !(w.is_finite() && **w >= 0.0)) {
            return fault(&format!("kinds.{}", kind.word()), weight.to_string(), "a number from 0");
        }
        if self.weights().is_empty() {
            return fault("kinds", "no kind with a weight above 0".into(), "one at least");
        }
        let expects = self.train.conflict > 0.0 || self.splits.prior > 0;
        if expects && self.prior_weights().is_empty() {
            return fault(
                "kinds",
                "no kind of question that anything usual answers".into(),
                "colour or size above 0 with a thing that has a usual one; or train.conflict and \
                 splits.prior 0",
            );
        }
        Ok(())
    }

    /// The kinds that what is usual can answer, where there is a thing to ask them about.
    pub(crate) fn prior_weights(&self) -> Vec<(Kind, f64)> {
        let askable = |kind: Kind| self.scene.things.iter().any(|thing| kind.expects(*thing).is_some());
        self.weights().into_iter().filter(|(kind, _)| askable(*kind)).collect()
    }
}

/// A dial of `origin` that does not take what it says.
fn fault(origin: &str, key: &str, found: String, wanted: &str) -> Result<(), WorldError> {
    Err(WorldError::Config { origin: origin.to_owned(), key: key.into(), found, wanted: wanted.into() })
}

/// Width and height of `WIDTHxHEIGHT`.
fn parse_size(text: &str) -> Option<(u32, u32)> {
    let (width, height) = text.split_once('x')?;
    Some((width.parse().ok()?, height.parse().ok()?))
}
