//! ViLP's layout: a row has one question, three images and the answer to each (hub id `ViLP/ViLP`).
//!
//! On the first image the guess that the question suggests is right, on the other two it is not. The question
//! begins with a sentence that states what is usual; ViLP-F keeps it, ViLP-P leaves it out.

use crate::dataset::Dataset;
use crate::error::DatasetError;
use std::path::PathBuf;
use vigos_recipe::Fields;
use vigos_recipe::row::{BadRow, Labels, Place, Role, Row};

/// What the images of a row are called by number, and what each of them is for.
const IMAGES: [(usize, Role); 3] = [(1, Role::Prior), (2, Role::Score), (3, Role::Score)];
/// Set before every question.
const INSTRUCTION: &str = "Answer with one word. ";

/// How the question is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wording {
    /// ViLP-F: as given, the stated fact first.
    Fact,
    /// ViLP-P: without everything up to the first full stop.
    Plain,
}

impl Wording {
    fn name(self) -> &'static str {
        match self {
            Self::Fact => "fact",
            Self::Plain => "plain",
        }
    }

    /// The question in this wording. One without a full stop, or with nothing behind it, stays as it is.
    pub fn of(self, question: &str) -> &str {
        match (self, question.split_once('.')) {
            (Self::Plain, Some((_, rest))) if !rest.trim().is_empty() => rest.trim_start(),
            _ => question,
        }
    }
}

/// The questions of a data set in ViLP's layout, three to a row.
#[derive(Debug)]
pub struct Vilp {
    /// The same rows, each time with another of the three images and answers.
    views: [Dataset; 3],
    wording: Wording,
}

impl Vilp {
    /// Opens a data set with `open`, which is called once for each image with the fields to read.
    ///
    /// # Errors
    /// Whatever `open` returns.
    pub fn open<E>(wording: Wording, mut open: impl FnMut(&Fields) -> Result<Dataset, E>) -> Result<Self, E> {
        let mut view = |number: usize| {
            open(&Fields {
                problem: "question".into(),
                image: format!("image{number}"),
                answer: format!("answer{number}"),
                id: "id".into(),
            })
        };
        let [(first, _), (second, _), (third, _)] = IMAGES;
        Ok(Self { views: [view(first)?, view(second)?, view(third)?], wording })
    }

    /// The files of its rows.
    pub fn files(&self) -> &[PathBuf] {
        let [first, ..] = &self.views;
        first.files()
    }

    /// The number of questions.
    pub fn count(&self) -> usize {
        self.views.iter().map(|view| view.count().get()).sum()
    }

    /// Question `index`, counted from 0: the three of the first row, then those of the second.
    ///
    /// # Errors
    /// As [`Dataset::load`].
    pub fn load(&self, index: usize) -> Result<Result<Row, BadRow>, DatasetError> {
        let (triple, image) = (index / IMAGES.len(), index % IMAGES.len());
        let [first, second, third] = &self.views;
        let (view, (number, role)) = match image {
            0 => (first, IMAGES[0]),
            1 => (second, IMAGES[1]),
            _ => (third, IMAGES[2]),
        };
        let wording = self.wording;
        let labelled = |row: Row| Row {
            id: format!("{}-{number}", row.id),
            problem: format!("{INSTRUCTION}{}", wording.of(&row.problem)),
            labels: Labels {
                place: Some(Place { triple: triple as u64, role, wording: Some(wording.name().into()) }),
                ..row.labels
            },
            ..row
        };
        Ok(view.load(triple)?.map(labelled))
    }
}
