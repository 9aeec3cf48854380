//! Answers of two runs to the same questions.

use super::error::CompareError;
use crate::lines::{Answer, Line};
use crate::statistics::{Mean, paired_interval};
use serde::Serialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use vigos_core::jsonl::{ReadOptions, read_lines};
use vigos_core::text::shortened;

/// The most items of a run that are compared.
const MOST_ITEMS: usize = 1_000_000;
/// The most questions that are told of which two runs answer differently.
const MOST_TOLD: usize = 100;
/// The most characters of a text that is told.
const LONGEST: usize = 300;

/// A run's answers beside those of the first one, over the items that both were asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pair {
    /// Which run, counted from 0.
    pub run: usize,
    /// Items that both were asked. Items are the same by their id and their question.
    pub items: usize,
    /// Items that only one of them was asked.
    pub unpaired: usize,
    /// Avg of the first run over them.
    pub first: Mean,
    /// Avg of this run.
    pub this: Mean,
    /// By how much more this run is right: the mean difference over items.
    pub difference: f64,
    /// 95 % interval of it, by a paired bootstrap over items; none of fewer than two.
    pub interval: Option<(f64, f64)>,
    /// Items that this run is right on more often.
    pub better: usize,
    /// Items that the first run is right on more often.
    pub worse: usize,
    /// The first hundred of both, the largest differences first.
    pub disagreements: Vec<Disagreement>,
}

/// A question that two runs answer differently.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Disagreement {
    /// The item's name.
    pub id: String,
    /// The question.
    pub problem: String,
    /// The reference answer.
    pub answer: String,
    /// What the first run says.
    pub first: Side,
    /// What this run says.
    pub this: Side,
}

/// What a run says of an item.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Side {
    /// Share of its answers that are right.
    pub right: f64,
    /// The content of its first answer's last box.
    pub predicted: Option<String>,
}

/// An item as a run answers it.
struct Item {
    answer: String,
    answers: usize,
    right: usize,
    predicted: Option<String>,
}

/// An item's name and question.
type Name = (String, String);

impl Item {
    fn accuracy(&self) -> f64 {
        self.right as f64 / self.answers.max(1) as f64
    }

    fn side(&self) -> Side {
        Side { right: self.accuracy(), predicted: self.predicted.as_deref().map(short) }
    }
}

/// Each run that has answers beside the first one, if that has some.
pub(super) fn pairs(evaluations: &[Option<PathBuf>]) -> Result<Vec<Pair>, CompareError> {
    let Some((Some(first), others)) = evaluations.split_first() else { return Ok(Vec::new()) };
    let first = items(first)?;
    let known = others.iter().enumerate().filter_map(|(index, folder)| Some((index + 1, folder.as_ref()?)));
    known.map(|(run, folder)| Ok(pair(run, &first, &items(folder)?))).collect()
}

fn pair(run: usize, first: &[(Name, Item)], this: &[(Name, Item)]) -> Pair {
    let of_this: HashMap<&Name, &Item> = this.iter().map(|(name, item)| (name, item)).collect();
    let both: Vec<(&Name, &Item, &Item)> =
        first.iter().filter_map(|(name, item)| Some((name, item, *of_this.get(name)?))).collect();
    let accuracies = |of: fn(&(&Name, &Item, &Item)) -> f64| both.iter().map(of).collect::<Vec<f64>>();
    let (before, after) =
        (accuracies(|(_, first, _)| first.accuracy()), accuracies(|(.., this)| this.accuracy()));
    let differences: Vec<f64> = before.iter().zip(&after).map(|(before, after)| after - before).collect();
    let mut differing: Vec<usize> = (0..both.len()).filter(|item| differences[*item] != 0.0).collect();
    // Stable, so that of equals the order of the first run's items counts.
    differing.sort_by(|a, b| differences[*b].abs().total_cmp(&differences[*a].abs()));
    let told = differing.iter().take(MOST_TOLD).filter_map(|item| both.get(*item));
    Pair {
        run,
        items: both.len(),
        unpaired: first.len() + this.len() - 2 * both.len(),
        difference: Mean::of(&differences).value,
        interval: paired_interval(&differences),
        better: differences.iter().filter(|difference| **difference > 0.0).count(),
        worse: differences.iter().filter(|difference| **difference < 0.0).count(),
        disagreements: told
            .map(|((id, problem), first, this)| Disagreement {
                id: short(id),
                problem: short(problem),
                answer: short(&first.answer),
                first: first.side(),
                this: this.side(),
            })
            .collect(),
        first: Mean::of(&before),
        this: Mean::of(&after),
    }
}

/// The items of an evaluation, in order. A name that is there twice is numbered, so that it pairs with its like.
fn items(folder: &Path) -> Result<Vec<(Name, Item)>, CompareError> {
    let mut items: Vec<(Name, Item)> = Vec::new();
    let mut times: HashMap<Name, usize> = HashMap::new();
    for line in read_lines::<Line>(&folder.join("samples.jsonl"), ReadOptions::default())? {
        let (_, Line::Answer(answer)) = line? else { continue };
        let Answer { sample, rollout, .. } = *answer;
        if sample == 0 {
            if items.len() >= MOST_ITEMS {
                break;
            }
            let mut name = (rollout.id, rollout.problem);
            let seen = times.entry(name.clone()).or_default();
            *seen += 1;
            if *seen > 1 {
                name.0 += &format!(" ({seen})");
            }
            let item = Item { answer: rollout.answer, answers: 0, right: 0, predicted: rollout.predicted };
            items.push((name, item));
        }
        if let Some((_, item)) = items.last_mut() {
            item.answers += 1;
            item.right += usize::from(rollout.correct);
        }
    }
    Ok(items)
}

fn short(text: &str) -> String {
    shortened(text, LONGEST).into_owned()
}
