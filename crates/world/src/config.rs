//! The dials of a world: a recipe like any other, a line a dial. `docs/world.md` says where the defaults come from.

use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;
use vigos_recipe::docs::{Make, Part, tables};
use vigos_recipe::{Contradiction, RunRecipe, schema};

use crate::error::WorldError;
use crate::kind::Kind;
use crate::things::{Colour, Thing};

/// Fewer could not ask about two things, neither of them usually small or large, while others are there.
const FEWEST_THINGS: usize = 4;

/// The part of the documentation that lists the dials.
pub const PART: Part =
    Part { page: "docs/world.md", name: "keys", make: || tables(&schema::<WorldConfig>()) };
/// The dials' schema, and its name.
pub const SCHEMA: (&str, Make) = ("world", schema::<WorldConfig>);

/// All dials of a world.
#[derive(Debug, Clone, PartialEq, SmartDefault, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct WorldConfig {
    /// Every draw is a function of it.
    #[default(1)]
    pub seed: u64,
    /// Folder of the prompt templates that warm-up samples are rendered with.
    #[default("configs/prompts/shapes")]
    pub prompts: PathBuf,
    /// How many samples each split has.
    pub splits: Splits,
    /// How pictures are drawn.
    pub image: Image,
    /// What is in a picture.
    pub scene: Contents,
    /// How often each kind of question is asked, relative to the others.
    pub kinds: Kinds,
    /// How questions are asked.
    pub question: Asking,
    /// What the warm-up split teaches.
    pub warmup: Teaching,
    /// What the references of the training split are like.
    pub train: Training,
}

/// Sizes of the splits.
#[derive(Debug, Clone, PartialEq, Eq, SmartDefault, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Splits {
    /// Samples of the supervised warm start.
    #[default(128_000)]
    #[schemars(range(max = 10_000_000))]
    pub warmup: u64,
    /// Questions to train on.
    #[default(2_000)]
    #[schemars(range(max = 10_000_000))]
    pub train: u64,
    /// Questions to evaluate on.
    #[default(500)]
    #[schemars(range(max = 10_000_000))]
    pub test: u64,
    /// Triples of the prior suite; each has three pictures, and is asked in both wordings.
    #[default(120)]
    #[schemars(range(max = 10_000_000))]
    pub prior: u64,
}

/// Dials of the drawing.
#[derive(Debug, Clone, PartialEq, SmartDefault, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Image {
    /// Sizes of pictures in pixels; the first is as frequent as `first` says, the others equally.
    #[default(["84x84", "112x84", "84x112", "112x112", "140x84", "84x140", "140x112", "140x140"].map(str::to_owned).to_vec())]
    #[schemars(schema_with = "sizes")]
    pub sizes: Vec<String>,
    /// Share of pictures of the first size.
    #[default(0.8)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub first: f64,
    /// Largest change of a grain of the picture's noise, in levels of 255.
    #[default(5)]
    #[schemars(range(max = 64))]
    pub noise: u8,
    /// How far a thing may be off the middle of its place, as a share of the room that it has there.
    #[default(0.3)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub jitter: f64,
}

/// Dials of the scenes.
#[derive(Debug, Clone, PartialEq, SmartDefault, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Contents {
    /// Columns of places.
    #[default(2)]
    #[schemars(range(min = 2, max = 3))]
    pub columns: u8,
    /// Rows of places.
    #[default(2)]
    #[schemars(range(min = 2, max = 3))]
    pub rows: u8,
    /// Most things in a picture.
    #[default(4)]
    #[schemars(range(min = 3, max = 4))]
    pub most: usize,
    /// Share of the things that are everyday ones rather than geometric shapes.
    #[default(0.75)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub everyday: f64,
    /// Share of the everyday things, apart from the one asked about, that are not as usual.
    #[default(0.25)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub unusual: f64,
    /// The everyday things.
    #[default(Thing::EVERYDAY.to_vec())]
    #[schemars(schema_with = "everyday")]
    pub things: Vec<Thing>,
    /// The geometric shapes.
    #[default(Thing::SHAPES.to_vec())]
    #[schemars(schema_with = "shapes")]
    pub shapes: Vec<Thing>,
    /// The colours: fewer than four could not fill a chart with different bars, or leave one out of a picture.
    #[default(Colour::ALL.to_vec())]
    #[schemars(schema_with = "colours")]
    pub colours: Vec<Colour>,
}

/// How often each kind of question is asked, relative to the others.
#[derive(Debug, Clone, PartialEq, SmartDefault, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Kinds {
    /// Weight of questions about the colour of a thing, relative to the others.
    #[default(8.0)]
    #[schemars(range(min = 0.0))]
    pub colour: f64,
    /// Of those about the size of a thing.
    #[default(2.0)]
    #[schemars(range(min = 0.0))]
    pub size: f64,
    /// Of those about which thing has a colour.
    #[default(1.0)]
    #[schemars(range(min = 0.0))]
    pub shape: f64,
    /// Of those about how many there are.
    #[default(1.0)]
    #[schemars(range(min = 0.0))]
    pub count: f64,
    /// Of those about which of two is larger.
    #[default(1.0)]
    #[schemars(range(min = 0.0))]
    pub compare: f64,
    /// Of those about where two things are to each other.
    #[default(1.0)]
    #[schemars(range(min = 0.0))]
    pub relation: f64,
    /// Of those about whether something is there.
    #[default(1.0)]
    #[schemars(range(min = 0.0))]
    pub exists: f64,
    /// Of those about which does not belong.
    #[default(1.0)]
    #[schemars(range(min = 0.0))]
    pub odd: f64,
    /// Of those about a bar chart.
    #[default(1.0)]
    #[schemars(range(min = 0.0))]
    pub chart: f64,
    /// Of those about a dial.
    #[default(1.0)]
    #[schemars(range(min = 0.0))]
    pub dial: f64,
}

/// Dials of the wording.
#[derive(Debug, Clone, PartialEq, SmartDefault, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Asking {
    /// Share of the questions about something that has a usual colour or size that say so first.
    #[default(0.7)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub fact: f64,
}

/// Dials of the warm-up split.
#[derive(Debug, Clone, PartialEq, SmartDefault, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Teaching {
    /// Share of samples that describe the image alone.
    #[default(0.4)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub image_only: f64,
    /// Share of samples with a reference in the prompt: half with the reasoning, half with the reference template.
    #[default(0.25)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub reference: f64,
    /// Share of samples that answer without describing: half with the plain template, half with the plain one that
    /// shows a reference.
    #[default(0.1)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub plain: f64,
    /// Share of everyday things that are not as usual in images that are described alone.
    #[default(0.9)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub unusual_alone: f64,
    /// Share of questions about a usual colour or size whose image shows another.
    #[default(0.25)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub unusual_asked: f64,
    /// Share of those samples whose annotator did not look, and wrote what is usual.
    #[default(0.6)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub lazy: f64,
    /// Share of samples in the student's form whose annotator skipped the description and answered from habit: the
    /// output format is lost.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub hurried: f64,
}

/// Dials of the training and test splits.
#[derive(Debug, Clone, PartialEq, SmartDefault, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Training {
    /// Share of rows where what is usual is not the right answer, in training and test.
    #[default(0.25)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub conflict: f64,
    /// Share of these rows in training whose reference is what is usual nevertheless.
    #[default(0.6)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub prior_references: f64,
}

fn sizes(_: &mut SchemaGenerator) -> Schema {
    // Numbers from 84 to 1024.
    const SIDE: &str = "(8[4-9]|9[0-9]|[1-9][0-9]{2}|10[01][0-9]|102[0-4])";
    let size = json_schema!({
        "type": "string", "pattern": format!("^{SIDE}x{SIDE}$"), "title": "`WIDTHxHEIGHT`, both from 84 to 1024",
        "x-several": "sizes, `WIDTHxHEIGHT`, both from 84 to 1024",
    });
    json_schema!({ "type": "array", "items": size, "minItems": 1 })
}

fn everyday(_: &mut SchemaGenerator) -> Schema {
    some_of(Thing::EVERYDAY.map(Thing::word).to_vec(), 0)
}

fn shapes(_: &mut SchemaGenerator) -> Schema {
    some_of(Thing::SHAPES.map(Thing::word).to_vec(), 0)
}

fn colours(_: &mut SchemaGenerator) -> Schema {
    some_of(Colour::ALL.map(Colour::word).to_vec(), 4)
}

/// A list of different words, of which there have to be so many.
fn some_of(words: Vec<&str>, fewest: usize) -> Schema {
    let word = json_schema!({ "type": "string", "enum": words });
    json_schema!({ "type": "array", "items": word, "minItems": fewest, "uniqueItems": true })
}

impl WorldConfig {
    /// The defaults, changed by a TOML file if one is named, then by overrides, each `key=value`.
    ///
    /// # Errors
    /// As [`RunRecipe::load`].
    pub fn load(file: Option<&Path>, overrides: &[String]) -> Result<Self, WorldError> {
        Ok(match file {
            Some(file) => RunRecipe::load(file, overrides),
            None => RunRecipe::parse("", "the defaults", overrides),
        }?)
    }

    /// The sizes of pictures, as width and height.
    pub(crate) fn sizes(&self) -> Vec<(u32, u32)> {
        self.image.sizes.iter().filter_map(|text| parse_size(text)).collect()
    }

    /// The kinds that are asked and how often.
    pub(crate) fn weights(&self) -> Vec<(Kind, f64)> {
        let of = |kind| match kind {
            Kind::Colour => self.kinds.colour,
            Kind::Size => self.kinds.size,
            Kind::Shape => self.kinds.shape,
            Kind::Count => self.kinds.count,
            Kind::Compare => self.kinds.compare,
            Kind::Relation => self.kinds.relation,
            Kind::Exists => self.kinds.exists,
            Kind::Odd => self.kinds.odd,
            Kind::Chart => self.kinds.chart,
            Kind::Dial => self.kinds.dial,
        };
        Kind::ALL.into_iter().map(|kind| (kind, of(kind))).filter(|(_, weight)| *weight > 0.0).collect()
    }

    /// The kinds that what is usual can answer, where there is a thing to ask them about.
    pub(crate) fn prior_weights(&self) -> Vec<(Kind, f64)> {
        let askable = |kind: Kind| self.scene.things.iter().any(|thing| kind.expects(*thing).is_some());
        self.weights().into_iter().filter(|(kind, _)| askable(*kind)).collect()
    }
}

impl RunRecipe for WorldConfig {
    fn agrees(&self) -> Result<(), Contradiction> {
        let forms = self.warmup.image_only + self.warmup.reference + self.warmup.plain;
        if forms > 1.0 {
            return fault(
                "warmup.image_only",
                format!("{forms} together with reference and plain"),
                "at most 1 together; the rest of the samples have the student's form",
            );
        }
        let scene = &self.scene;
        let things = scene.things.len() + scene.shapes.len();
        let sized = scene.things.iter().filter(|thing| thing.usual_size().is_some()).count();
        if things - sized < FEWEST_THINGS {
            let found = format!("{things} with scene.shapes, {sized} of them of a usual size");
            return fault("scene.things", found, "four or more that have no usual size");
        }
        for thing in &scene.things {
            if let Some(colour) = thing.usual_colour().filter(|colour| !scene.colours.contains(colour)) {
                let found = format!("no {}, the usual colour of {}", colour.word(), thing.plural());
                return fault("scene.colours", found, "the usual colours of all scene.things");
            }
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
}

fn fault(key: &str, found: String, wanted: &str) -> Result<(), Contradiction> {
    Err(Contradiction { key: key.to_owned(), found, wanted: wanted.to_owned(), hint: String::new() })
}

/// Width and height of `WIDTHxHEIGHT`.
fn parse_size(text: &str) -> Option<(u32, u32)> {
    let (width, height) = text.split_once('x')?;
    Some((width.parse().ok()?, height.parse().ok()?))
}
