//! What a look at a data set came to. The names of its fields are what `vigos data check --json` writes.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

/// What a data set holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// The layout that most of its first rows have, by its name in recipes; `unknown` where none is known.
    pub layout: String,
    /// How many of the first rows have which layout.
    pub layouts: BTreeMap<String, usize>,
    /// What it was read as, such as `jsonl`, `parquet` or `webdataset`, with `.gz` or `.zst` where it is compressed.
    pub format: String,
    /// The fields of its first row.
    pub columns: Vec<String>,
    /// Its rows.
    pub rows: usize,
    /// Those that a run can take.
    pub usable: usize,
    /// Rows that are fine and do not fit, by the reason: a prompt that is too long, an image that is too small.
    pub left_out: BTreeMap<String, usize>,
    /// The images that rows name.
    pub images: Images,
    /// The first rows that cannot be used.
    pub first_bad: Vec<BadOne>,
    /// How long prompts are, where a recipe says for which model.
    pub prompts: Option<Prompts>,
    /// The answers by their kind.
    pub answers: Answers,
    /// What is there more than once.
    pub duplicates: Duplicates,
    /// What training takes, where a recipe says how.
    pub estimate: Option<Plan>,
}

/// The images that rows name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Images {
    /// Those that are there and can be decoded.
    pub found: usize,
    /// Files that are not there.
    pub missing: usize,
    /// Those that are there and cannot be decoded.
    pub broken: usize,
    /// Width and height of the one of fewest pixels.
    pub smallest: Option<[u32; 2]>,
    /// Width and height of the one of most pixels.
    pub largest: Option<[u32; 2]>,
}

/// A row that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BadOne {
    /// Its number in the data set, counted from 0, as `vigos prompts --row` has it.
    pub row: usize,
    /// Its name.
    pub id: String,
    /// Where it stands.
    pub origin: String,
    /// What was found and what was wanted.
    pub reason: String,
}

/// How long the prompts of usable rows are, in tokens with those of the images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Prompts {
    /// The student's.
    pub student: Lengths,
    /// The longest of all roles.
    pub longest: Lengths,
}

/// Numbers of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Lengths {
    /// The fewest.
    pub min: usize,
    /// As many have fewer as have more.
    pub median: usize,
    /// One in twenty has more.
    pub p95: usize,
    /// The most.
    pub max: usize,
    /// All together.
    pub sum: u64,
}

/// Answers by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Answers {
    /// Numbers, quantities and formulas.
    pub number: usize,
    /// Letters of a choice.
    pub choice: usize,
    /// Everything else.
    pub text: usize,
    /// Those that the grader will have trouble with: texts of many words, which only the same words answer.
    pub hard: usize,
    /// The first of these.
    pub first_hard: Vec<HardOne>,
}

/// An answer that the grader will have trouble with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HardOne {
    /// The number of its row, counted from 0.
    pub row: usize,
    /// The answer, shortened.
    pub answer: String,
}

/// What is there more than once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Duplicates {
    /// Rows with the question, the answer and the images of an earlier one.
    pub rows: usize,
    /// Rows with the name of an earlier one.
    pub ids: usize,
}

/// What training takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Optimiser steps.
    pub steps: usize,
    /// Samples of a step.
    pub samples_per_step: usize,
    /// Tokens of the student's prompts over all steps.
    pub prompt_tokens: u64,
    /// Tokens of the completions over all steps, at most.
    pub completion_tokens: u64,
}

impl Plan {
    /// What so many steps of so many samples take of the rows that were looked at, each completed by so many tokens at most;
    /// nothing where no prompt was.
    pub fn of(report: &Report, steps: usize, samples_per_step: usize, completion: u64) -> Option<Self> {
        let prompts = report.prompts.as_ref()?;
        let seen = steps as u64 * samples_per_step as u64;
        let usable = report.usable.max(1) as u64;
        Some(Self {
            steps,
            samples_per_step,
            prompt_tokens: seen.saturating_mul(prompts.student.sum / usable),
            completion_tokens: seen.saturating_mul(completion),
        })
    }
}

impl Lengths {
    /// Of these numbers, in any order; none where there are none.
    pub(crate) fn of(mut all: Vec<usize>) -> Option<Self> {
        all.sort_unstable();
        let at = |share: usize| all.get((all.len().saturating_sub(1)) * share / 100).copied();
        Some(Self {
            min: *all.first()?,
            median: at(50)?,
            p95: at(95)?,
            max: *all.last()?,
            sum: all.iter().map(|tokens| *tokens as u64).sum(),
        })
    }
}

impl Report {
    /// The report for people.
    pub fn text(&self) -> String {
        let Self { layout, layouts, format, columns, rows, usable, images, answers, duplicates, .. } = self;
        let mut text = String::new();
        // Writing to a string does not fail.
        let mixed: Vec<String> = layouts.iter().map(|(name, count)| format!("{name} {count}")).collect();
        let mixed = if layouts.len() > 1 {
            format!(" (of the first rows: {})", mixed.join(", "))
        } else {
            String::new()
        };
        let _ = writeln!(text, "layout     {layout}{mixed}");
        let _ = writeln!(text, "format     {format}");
        let _ = writeln!(text, "columns    {}", columns.join(", "));
        let _ = writeln!(text, "rows       {rows}, {usable} usable");
        for (reason, count) in &self.left_out {
            let _ = writeln!(text, "left out   {count}: {}", reason.replace('_', " "));
        }
        let _ = write!(
            text,
            "images     {} found, {} missing, {} broken",
            images.found, images.missing, images.broken
        );
        if let (Some([w, h]), Some([width, height])) = (images.smallest, images.largest) {
            let _ = write!(text, "; from {w} x {h} to {width} x {height} pixels");
        }
        if let Some(prompts) = &self.prompts {
            let line = |of: &Lengths| {
                format!(
                    "{} to {} tokens, half of them up to {}, 95 % up to {}",
                    of.min, of.max, of.median, of.p95
                )
            };
            let _ = write!(text, "\nprompts    the student's {}", line(&prompts.student));
            let _ = write!(text, "\n           the longest   {}", line(&prompts.longest));
        }
        let _ = write!(
            text,
            "\nanswers    {} numbers, {} choices, {} texts; {} of them hard to grade",
            answers.number, answers.choice, answers.text, answers.hard
        );
        for hard in &answers.first_hard {
            let _ = write!(text, "\n           row {}: {:?}", hard.row, hard.answer);
        }
        let _ = write!(text, "\nduplicates {} rows, {} ids", duplicates.rows, duplicates.ids);
        if let Some(plan) = &self.estimate {
            let _ = write!(
                text,
                "\nestimate   {} steps of {} samples; {} tokens of prompts, at most {} of completions",
                plan.steps, plan.samples_per_step, plan.prompt_tokens, plan.completion_tokens
            );
        }
        for bad in &self.first_bad {
            let _ = write!(
                text,
                "\nbad row    {} (id `{}`, row {}): {}",
                bad.origin, bad.id, bad.row, bad.reason
            );
        }
        text
    }
}
