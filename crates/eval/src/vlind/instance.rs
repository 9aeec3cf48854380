//! An instance of VLind-Bench: its columns as its authors' `data.json` has them, and what they ask of it.

use std::path::Path;

use serde_json::Value;
use vigos_core::paths::contained;
use vigos_data::ImageSource;

use super::asked::{Asked, Stage};

/// The texts of an instance.
const TEXTS: [&str; 9] = [
    "concept",
    "context_id",
    "context",
    "factual_context",
    "true_statement",
    "false_statement",
    "existent_noun",
    "non-existent_noun",
    "best_img_id",
];
/// How many people found each image good.
const VOTES: &str = "aggregated_human_label_good_images";
/// The image of what is usual.
const USUAL: &str = "0";
/// How a question ends.
const END: &str = "Only respond in True or False.";

/// People, of three, who found an image good.
const LEAST_VOTES: u64 = 2;

/// An instance.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    texts: [String; TEXTS.len()],
    /// The images that are good.
    good: Vec<String>,
}

impl Instance {
    /// The instance that a record is.
    ///
    /// # Errors
    /// The column that is missing.
    pub(super) fn of(record: &Value) -> Result<Self, String> {
        let text = |column: &str| match record.get(column) {
            Some(Value::String(text)) => Ok(text.trim().to_owned()),
            Some(Value::Number(number)) => Ok(number.to_string()),
            _ => Err(format!("a text in the column {column:?}")),
        };
        let mut texts: [String; TEXTS.len()] = Default::default();
        for (held, column) in texts.iter_mut().zip(TEXTS) {
            *held = text(column)?;
        }
        let votes = record.get(VOTES).and_then(Value::as_object);
        let votes =
            votes.ok_or_else(|| format!("an object of image numbers and votes in the column {VOTES:?}"))?;
        let enough = |votes: &Value| votes.as_f64().is_some_and(|votes| votes >= LEAST_VOTES as f64);
        let good = votes.iter().filter(|(_, votes)| enough(votes)).map(|(image, _)| image.clone()).collect();
        Ok(Self { texts, good })
    }

    /// What it is asked, as instance `number`; nothing if none of its images is good.
    pub(super) fn questions(&self, number: usize) -> Vec<Asked> {
        let best = self.text("best_img_id");
        let mut each = match self.good.is_empty() {
            true => Vec::new(),
            false => vec![(Stage::A, USUAL), (Stage::B, best), (Stage::C, best)],
        };
        each.extend(self.good.iter().map(|image| (Stage::D, image.as_str())));
        let both = |(stage, image): (Stage, &str)| {
            [true, false].map(|is_true| Asked { instance: number, stage, is_true, image: image.to_owned() })
        };
        each.into_iter().flat_map(both).collect()
    }

    /// The question of a stage whose answer is true or false. What is usual is asked of the statements the other way round:
    /// the one that is true of the unusual image is usually false.
    pub(super) fn question(&self, stage: Stage, is_true: bool) -> String {
        let usual = if is_true { "false_statement" } else { "true_statement" };
        let unusual = if is_true { "true_statement" } else { "false_statement" };
        let forget = |what: &str| {
            format!("Forget real-world common sense and just follow the information provided in the {what}. ")
        };
        let (context, statement, basis, forget) = match stage {
            Stage::A => (String::new(), self.text(usual).to_owned(), "common sense", String::new()),
            Stage::B => {
                let noun = self.text(if is_true { "existent_noun" } else { "non-existent_noun" });
                (String::new(), format!("There is {noun} in the given image."), "image", String::new())
            }
            Stage::C => {
                let context = format!("Context: {}\n", self.text("context"));
                (context, self.text(unusual).to_owned(), "context", forget("context"))
            }
            Stage::D => (String::new(), self.text(unusual).to_owned(), "image", forget("image")),
        };
        format!(
            "{context}Statement: {statement}\nBased on the {basis}, is the given statement true or false? {forget}{END}"
        )
    }

    /// The file of one of its images, below the benchmark's folder.
    ///
    /// # Errors
    /// If it is nowhere, or would be elsewhere.
    pub(super) fn image(&self, root: &Path, stage: Stage, image: &str) -> Result<ImageSource, String> {
        let (group, context) = match stage {
            Stage::A => ("factual", "factual_context"),
            _ => ("counterfactual", "context"),
        };
        let folder = format!("{}_{}", self.text("context_id"), self.text(context));
        let path = format!("images/{group}/{}/{folder}/{image}.jpg", self.text("concept"));
        let file = contained(root, &path).map_err(|error| error.to_string())?;
        match file.is_file() {
            true => Ok(ImageSource::File(file)),
            false => Err(format!("there is no image file {}", file.display())),
        }
    }

    fn text(&self, column: &str) -> &str {
        let place = TEXTS.iter().position(|known| *known == column);
        place.and_then(|place| self.texts.get(place)).map_or("", String::as_str)
    }
}
