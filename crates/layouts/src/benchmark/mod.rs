//! Benchmarks: their columns as the cards of their data sets have them, and what their authors ask.
//!
//! What an author's prompt says of where the answer has to stand is left out: a student has a template that says it.

mod cells;
mod mathematics;
mod scenes;
mod subjects;

use std::path::Path;

use serde_json::{Map, Value};
use vigos_recipe::row::{IMAGE_MARK, Labels, Row};

use crate::places;
use crate::texts::check_length;
use cells::{Asked, Cells};

/// A benchmark whose rows are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Benchmark {
    /// Questions about everyday scenes.
    RealWorldQa,
    /// Counts, places, depths and distances.
    CvBench,
    /// College exams.
    Mmmu,
    /// The same with ten choices, and once more with all of it in the image.
    MmmuPro,
    /// Mathematics with figures, charts and tables.
    MathVista,
    /// Geometry and functions, with more and more of the question in the image.
    MathVerse,
    /// Where things are, told from several images.
    MmsiBench,
    /// Free answers that take several abilities, graded by a language model.
    MmVet,
}

impl Benchmark {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::RealWorldQa,
        Self::CvBench,
        Self::Mmmu,
        Self::MmmuPro,
        Self::MathVista,
        Self::MathVerse,
        Self::MmsiBench,
        Self::MmVet,
    ];

    /// Its name in recipes.
    pub fn name(self) -> &'static str {
        match self {
            Self::RealWorldQa => "realworldqa",
            Self::CvBench => "cv-bench",
            Self::Mmmu => "mmmu",
            Self::MmmuPro => "mmmu-pro",
            Self::MathVista => "mathvista",
            Self::MathVerse => "mathverse",
            Self::MmsiBench => "mmsi-bench",
            Self::MmVet => "mm-vet",
        }
    }

    /// Where its authors have its rows, in order.
    pub fn paths(self) -> &'static [&'static str] {
        match self {
            Self::RealWorldQa => &["hf:xai-org/RealworldQA@test"],
            Self::CvBench => &["hf:nyu-visionx/CV-Bench@test_2d", "hf:nyu-visionx/CV-Bench@test_3d"],
            Self::Mmmu => &["hf:MMMU/MMMU@*/validation"],
            Self::MmmuPro => &["hf:MMMU/MMMU_Pro@standard (10 options)/test", "hf:MMMU/MMMU_Pro@vision/test"],
            Self::MathVista => &["hf:AI4Math/MathVista@testmini"],
            Self::MathVerse => &["hf:AI4Math/MathVerse@testmini"],
            Self::MmsiBench => &["hf:RunsenXu/MMSI-Bench@MMSI_Bench"],
            Self::MmVet => &["hf:lmms-lab/MMVet@test"],
        }
    }

    /// The groups whose accuracies its authors average, each by how its rows' kinds begin, and what it weighs; none where
    /// every row counts the same.
    pub fn weights(self) -> &'static [(&'static str, f64)] {
        match self {
            // Half two dimensions, of two sources, and half three.
            Self::CvBench => &[("ADE20K", 0.25), ("COCO", 0.25), ("Omni3D", 0.5)],
            Self::MmmuPro => &[("standard", 0.5), ("vision", 0.5)],
            _ => &[],
        }
    }

    /// Whether a column is read.
    pub(crate) fn reads(self, column: &str) -> bool {
        let columns: &[&str] = match self {
            Self::RealWorldQa => &["image", "question", "answer"],
            Self::CvBench => &["idx", "task", "image", "choices", "answer", "prompt", "source"],
            Self::Mmmu | Self::MmmuPro => {
                let pictures = column.strip_prefix("image_").is_some_and(|number| number.len() == 1);
                return pictures || subjects::COLUMNS.contains(&column);
            }
            Self::MathVista => &mathematics::VISTA,
            Self::MathVerse => &mathematics::VERSE,
            Self::MmsiBench => &["id", "images", "question_type", "question", "answer"],
            Self::MmVet => &["question_id", "image", "question", "answer", "capability"],
        };
        columns.contains(&column)
    }

    /// The column with a row's name, which may be absent.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::CvBench => "idx",
            Self::MathVista => "pid",
            Self::MathVerse => "sample_index",
            Self::MmVet => "question_id",
            Self::RealWorldQa | Self::Mmmu | Self::MmmuPro | Self::MmsiBench => "id",
        }
    }

    /// The row that a record is, without its name and origin. Image paths are relative to `root`.
    ///
    /// # Errors
    /// What was found and wanted, by field.
    pub(crate) fn row(self, record: &Map<String, Value>, root: &Path) -> Result<Row, String> {
        let cells = Cells { record, root };
        let Asked { text, answer, images, kind, rule } = match self {
            Self::RealWorldQa => scenes::real_world(&cells),
            Self::CvBench => scenes::cv_bench(&cells),
            Self::MmsiBench => scenes::mmsi(&cells),
            Self::MmVet => scenes::mm_vet(&cells),
            Self::Mmmu => subjects::mmmu(&cells),
            Self::MmmuPro => subjects::mmmu_pro(&cells),
            Self::MathVista => mathematics::vista(&cells),
            Self::MathVerse => mathematics::verse(&cells),
        }?;
        check_length("question", &text)?;
        if images.is_empty() {
            return Err("found no image, wanted one at least".into());
        }
        let marks = text.matches(IMAGE_MARK).count();
        Ok(Row {
            id: String::new(),
            problem: places::of_images(&text, marks, images.len())?,
            before: Vec::new(),
            answer,
            images,
            origin: String::new(),
            labels: Labels { kind, rule, ..Labels::default() },
            demonstration: None,
        })
    }
}
