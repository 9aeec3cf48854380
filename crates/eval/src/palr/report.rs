//! `tokens.jsonl`, and the ratios of the diagnostic as JSON and Markdown.

use super::tokens::{Palr, Part, Sums, Token};
use crate::tables::{Table, percent};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use vigos_recipe::Recipe;
use vigos_rollout::RunError;
use vigos_rollout::spans::Reason;

/// A line of `tokens.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    /// An item with its rollout.
    Diagnosed(Box<Diagnosed>),
    /// An item that could not be asked.
    Skipped {
        /// The item, counted from 0.
        item: usize,
        /// The row's name.
        id: String,
        /// Why.
        skipped: String,
    },
}

/// A rollout and, if it is valid, the values of its tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Diagnosed {
    /// The item, counted from 0.
    pub item: usize,
    /// The row's name.
    pub id: String,
    /// What the student wrote.
    pub completion: String,
    /// The sampled tokens.
    pub completion_token_ids: Vec<u32>,
    /// Whether it keeps the output format; only such rollouts count.
    pub valid: bool,
    /// What is wrong with the format.
    pub reason: Option<Reason>,
    /// The wrong answers that stood in for the reference.
    pub wrong_answers: Vec<String>,
    /// The row whose images stood in for its own.
    pub next: Option<String>,
    /// The tokens that have an active teacher.
    pub tokens: Vec<Token>,
}

impl Line {
    /// Its item.
    pub fn item(&self) -> usize {
        match self {
            Self::Diagnosed(diagnosed) => diagnosed.item,
            Self::Skipped { item, .. } => *item,
        }
    }
}

/// What the diagnostic found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PalrReport {
    /// The base.
    pub model: PathBuf,
    /// The student's adapter.
    pub adapter: Option<PathBuf>,
    /// The data set.
    pub data: PathBuf,
    /// Wrong answers an item, at most.
    pub wrong_answers: usize,
    /// Seed of rollouts and wrong answers.
    pub seed: u64,
    /// Teachers that supervise valid rollouts, in the table's order.
    pub teachers: Vec<String>,
    /// Items asked.
    pub items: usize,
    /// Items whose rollout is valid.
    pub valid: usize,
    /// Items left out.
    pub skipped: usize,
    /// PALR over T_d.
    pub description: Palr,
    /// PALR over T_ra.
    pub reasoning_answer: Palr,
    /// PALR over T_y: every token that has a teacher.
    pub completion: Palr,
}

impl PalrReport {
    /// Sums up the lines of a diagnosis by `recipe`.
    ///
    /// # Errors
    /// Those of the lines.
    pub fn new(
        recipe: &Recipe,
        lines: impl Iterator<Item = Result<Line, RunError>>,
    ) -> Result<Self, RunError> {
        let (mut items, mut skipped) = (0, 0);
        let mut sums: [Vec<Sums>; 3] = Default::default();
        for line in lines {
            let Line::Diagnosed(diagnosed) = line? else {
                skipped += 1;
                continue;
            };
            items += 1;
            if !diagnosed.valid {
                continue;
            }
            let of = |wanted: Option<Part>| {
                let mut sums = Sums::default();
                let tokens = diagnosed.tokens.iter();
                tokens.filter(|t| wanted.is_none_or(|part| part == t.part)).for_each(|t| sums.add(t));
                sums
            };
            let parts = [Some(Part::Description), Some(Part::ReasoningAnswer), None];
            sums.iter_mut().zip(parts).for_each(|(sums, part)| sums.push(of(part)));
        }
        let mut teachers: Vec<String> = Vec::new();
        let valid = |when| when != vigos_recipe::When::Invalid;
        for teacher in recipe.method.teachers.iter().filter(|t| t.runs() && valid(t.when)) {
            teachers.push(teacher.name.clone());
        }
        let [description, reasoning_answer, completion] = &sums;
        Ok(Self {
            model: recipe.model.path.clone(),
            adapter: recipe.model.adapter.clone(),
            data: recipe.data.path.clone(),
            wrong_answers: recipe.palr.wrong_answers,
            seed: recipe.palr.seed,
            teachers,
            items,
            valid: completion.len(),
            skipped,
            description: Palr::of(description),
            reasoning_answer: Palr::of(reasoning_answer),
            completion: Palr::of(completion),
        })
    }

    /// The report for people.
    pub fn markdown(&self) -> String {
        let adapter = self.adapter.as_ref().map_or("none".to_owned(), |path| format!("`{}`", path.display()));
        let text = format!(
            "# PALR\n\nModel `{}`, adapter {adapter}, data `{}`, teachers {}.\n{} items, {} valid rollouts, {} left \
             out; up to {} wrong answers an item, seed {}. ± is the standard error over items.\n\n",
            self.model.display(),
            self.data.display(),
            self.teachers.join(", "),
            self.items,
            self.valid,
            self.skipped,
            self.wrong_answers,
            self.seed,
        );
        let head = ["part", "tokens", "PALR %", "Σ s·cA", "Σ s·cI"].map(str::to_owned);
        let mut table = Table::new(&head);
        for (name, palr) in [
            ("T_d, description", &self.description),
            ("T_ra, reasoning and answer", &self.reasoning_answer),
            ("T_y, all", &self.completion),
        ] {
            let Palr { value, standard_error, sums } = palr;
            let value = match standard_error {
                _ if sums.tokens == 0 => "–".into(),
                Some(error) => format!("{} ± {}", percent(*value), percent(*error)),
                None => percent(*value),
            };
            let sum = |value: f64| format!("{value:.4}");
            table.row(&[name.into(), sums.tokens.to_string(), value, sum(sums.answer), sum(sums.image)]);
        }
        text + &table.markdown()
    }
}
