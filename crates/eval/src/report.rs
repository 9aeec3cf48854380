//! The sums of an evaluation, as JSON and Markdown.

use crate::judging::JudgeReport;
use crate::lines::{Answer, Line, Skipped};
use crate::named::Named;
use crate::statistics::{Mean, pass_at};
use crate::tables::{Table, number, percent, percent_mean};
use crate::vlind::{Stages, VlindReport};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use vigos_data::{Place, Role};
use vigos_recipe::Recipe;
use vigos_recipe::sample::Skip;
use vigos_recipe::{Eval, Layout, Sampling};
use vigos_rollout::RunError;
use vigos_rollout::engine::Finish;

/// What an evaluation found. Shares are from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What was asked of whom, and how.
    pub settings: Settings,
    /// Items that were asked, those of prior suites included.
    pub asked: usize,
    /// Items left out, by reason.
    pub skipped: BTreeMap<String, usize>,
    /// The items outside prior suites; of a prior suite alone its items.
    pub overall: Summary,
    /// The same for each kind that rows name.
    pub kinds: BTreeMap<String, Summary>,
    /// The average that the authors of a benchmark report, where it is not that of all items: of groups, each by its
    /// weight. None if one of them was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weighed: Option<Mean>,
    /// Prior suites by the wording of their questions.
    pub prior: BTreeMap<String, PriorSummary>,
    /// The stages of VLind-Bench, if that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlind: Option<VlindReport>,
    /// What a judge was asked, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<JudgeReport>,
}

/// What decides an evaluation's numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The base.
    pub model: PathBuf,
    /// The adapter; none for the base itself.
    pub adapter: Option<PathBuf>,
    /// The data set.
    pub data: PathBuf,
    /// Its layout.
    pub layout: Layout,
    /// The prior suite.
    pub prior: Option<PathBuf>,
    /// Completions for each item.
    pub samples: usize,
    /// The k of Pass@k.
    pub k: usize,
    /// Sampling temperature.
    pub temperature: f64,
    /// Top-k.
    pub top_k: usize,
    /// Top-p.
    pub top_p: f64,
    /// Min-p.
    pub min_p: f64,
    /// Longest completion in tokens.
    pub max_new_tokens: usize,
    /// Seed of the draws.
    pub seed: u64,
}

/// Answers to a group of items.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Pass@k over the items: whether any of k answers is right.
    pub pass: Mean,
    /// Avg over the items: the share of right answers.
    pub average: Mean,
    /// Share of completions in the output format.
    pub valid: f64,
    /// Lengths of the completions.
    pub lengths: Lengths,
}

/// Lengths in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lengths {
    /// Mean of whole completions.
    pub completion: f64,
    /// Mean of the descriptions of those in the output format.
    pub description: f64,
    /// Mean of their reasoning and answers.
    pub reasoning_answer: f64,
    /// The longest completion.
    pub longest: usize,
    /// Share of completions that met the limit.
    pub truncated: f64,
}

/// A prior suite. A triple counts for what it has answers for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PriorSummary {
    /// Accuracy where the guess is wrong: mean over triples of the mean over their two images.
    pub score: Mean,
    /// Accuracy where the guess is right: mean over triples.
    pub prior: Mean,
}

/// What is kept of an item.
struct Item {
    kind: Option<String>,
    place: Option<Place>,
    answers: usize,
    right: usize,
    /// What its answers count for in all.
    score: f64,
}

impl Item {
    fn accuracy(&self) -> f64 {
        self.score / self.answers as f64
    }
}

/// What is summed up over the completions of a group.
#[derive(Clone, Copy, Default)]
struct Tokens {
    completions: usize,
    valid: usize,
    completion: usize,
    description: usize,
    reasoning_answer: usize,
    longest: usize,
    truncated: usize,
}

impl Tokens {
    fn add(&mut self, answer: &Answer) {
        let rollout = &answer.rollout;
        let tokens = rollout.completion_token_ids.len();
        self.completions += 1;
        self.completion += tokens;
        self.longest = self.longest.max(tokens);
        self.truncated += usize::from(rollout.finish_reason == Finish::Length);
        if let Some(spans) = &rollout.spans {
            self.valid += 1;
            self.description += spans.description.len();
            self.reasoning_answer += spans.reasoning_answer.len();
        }
    }
}

/// The group of an item: in a prior suite or not, and its kind.
type Group = (bool, Option<String>);

impl Report {
    /// Sums up the lines of an evaluation by `recipe`.
    ///
    /// # Errors
    /// Those of the lines.
    pub fn new(
        recipe: &Recipe,
        lines: impl Iterator<Item = Result<Line, RunError>>,
    ) -> Result<Self, RunError> {
        let settings = Settings::of(recipe);
        let mut skipped: BTreeMap<String, usize> = BTreeMap::new();
        let mut items: Vec<Item> = Vec::new();
        let mut tokens: BTreeMap<Group, Tokens> = BTreeMap::new();
        let mut judge = JudgeReport::of(&recipe.eval.judge);
        let suites = Named::all(&recipe.eval.suites)?;
        let mut stages = Stages::of(&suites);
        for line in lines {
            let answer = match line? {
                Line::Answer(answer) => answer,
                Line::Skipped(Skipped { skipped: kind, .. }) => {
                    *skipped.entry(kind).or_default() += 1;
                    continue;
                }
            };
            if answer.sample == 0 {
                let (kind, place) = (answer.kind.clone(), answer.place.clone());
                items.push(Item { kind, place, answers: 0, right: 0, score: 0.0 });
            }
            if let Some(item) = items.last_mut() {
                item.answers += 1;
                item.right += usize::from(answer.rollout.correct);
                item.score += answer.score();
            }
            if let Some(judge) = &mut judge {
                judge.add(&answer);
            }
            if let Some(stages) = &mut stages {
                stages.add(&answer);
            }
            tokens.entry((answer.place.is_some(), answer.kind.clone())).or_default().add(&answer);
        }
        // Prior suites have their own measures; they stand for the whole only where there is nothing else.
        let only_prior = items.iter().all(|item| item.place.is_some());
        let counts = |item: &&Item| item.place.is_some() == only_prior;
        let summary = |kind: Option<&String>| {
            let items: Vec<&Item> =
                items.iter().filter(counts).filter(|i| kind.is_none() || i.kind.as_ref() == kind).collect();
            let tokens = tokens
                .iter()
                .filter(|((prior, of), _)| *prior == only_prior && (kind.is_none() || of.as_ref() == kind));
            Summary::new(&items, tokens.map(|(_, tokens)| tokens), settings.k)
        };
        let overall = summary(None);
        let mut kinds: BTreeMap<String, Summary> = BTreeMap::new();
        for kind in items.iter().filter(counts).filter_map(|item| item.kind.as_ref()) {
            if !kinds.contains_key(kind) {
                kinds.insert(kind.clone(), summary(Some(kind)));
            }
        }
        let prior = PriorSummary::by_wording(&items);
        let weighed = match suites.as_slice() {
            [one] => weighed(&items, one.weights()),
            _ => None,
        };
        let vlind = stages.map(|stages| stages.report());
        Ok(Self { settings, asked: items.len(), skipped, overall, kinds, weighed, prior, vlind, judge })
    }

    /// Refuses an evaluation that had to leave out more bad rows than the recipe allows; `lines` is where they
    /// are listed.
    pub(crate) fn check(&self, recipe: &Recipe, lines: &Path) -> Result<(), RunError> {
        let bad = self.skipped.get(Skip::BAD_ROW).copied().unwrap_or(0) as u64;
        let seen = (self.asked + self.skipped.values().sum::<usize>()) as u64;
        let share = recipe.data.rows.max_bad_share;
        if self.asked == 0 {
            return Err(RunError::NothingLeft {
                path: self.settings.data.clone(),
                rows: seen as usize,
                reason: format!("see {}", lines.display()),
            });
        }
        if bad as f64 > share * seen as f64 {
            let last = "the evaluation is done but for its report".to_owned();
            return Err(RunError::BadRows { last, bad, seen, share, quarantine: lines.to_owned() });
        }
        Ok(())
    }

    /// The report for people.
    pub fn markdown(&self) -> String {
        let Settings { model, adapter, data, prior, .. } = &self.settings;
        let adapter = adapter.as_ref().map_or("none".to_owned(), |path| format!("`{}`", path.display()));
        let mut text = format!(
            "# Evaluation\n\nModel `{}`, adapter {adapter}, data `{}`",
            model.display(),
            data.display()
        );
        if let Some(prior) = prior {
            text += &format!(", prior suite `{}`", prior.display());
        }
        let Settings { samples, k, temperature, top_k, top_p, min_p, max_new_tokens, seed, .. } =
            &self.settings;
        text += &format!(
            ".\n{samples} samples an item at temperature {temperature}, top-k {top_k}, top-p {top_p}, min-p {min_p}, \
             at most {max_new_tokens} tokens, seed {seed}. ± is the standard error.\n\n"
        );
        let mut table = Table::new(&[
            "kind".into(),
            "items".into(),
            format!("Pass@{k} %"),
            format!("Avg@{samples} %"),
            "valid format %".into(),
            "tokens".into(),
            "description".into(),
            "reasoning, answer".into(),
            "truncated %".into(),
        ]);
        let mut row = |name: &str, summary: &Summary| {
            let Summary { pass, average, valid, lengths } = summary;
            table.row(&[
                name.to_owned(),
                average.n.to_string(),
                percent_mean(pass),
                percent_mean(average),
                percent(*valid),
                number(lengths.completion),
                number(lengths.description),
                number(lengths.reasoning_answer),
                percent(lengths.truncated),
            ]);
        };
        row("all", &self.overall);
        for (kind, summary) in &self.kinds {
            row(kind, summary);
        }
        text += &table.markdown();
        if let Some(weighed) = &self.weighed {
            text += &format!("\nAverage of groups as the authors weigh them: {} %.\n", percent_mean(weighed));
        }
        if !self.prior.is_empty() {
            let head = ["wording", "triples", "Score %", "Prior %"].map(str::to_owned);
            let mut table = Table::new(&head);
            for (wording, PriorSummary { score, prior }) in &self.prior {
                let triples = score.n.max(prior.n).to_string();
                table.row(&[wording.clone(), triples, percent_mean(score), percent_mean(prior)]);
            }
            text += &format!("\n{}", table.markdown());
        }
        if let Some(vlind) = &self.vlind {
            text += &format!("\n{}", vlind.markdown());
        }
        if let Some(judge) = &self.judge {
            text += &format!("\n{}", judge.markdown());
        }
        if !self.skipped.is_empty() {
            let listed: Vec<String> = self.skipped.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
            text += &format!("\nLeft out: {}.\n", listed.join(", "));
        }
        text
    }
}

/// The mean of the accuracies of groups of items, each by its weight; none if a group has no item.
fn weighed(items: &[Item], weights: &[(&str, f64)]) -> Option<Mean> {
    let of_group = |start: &str| {
        let of_it =
            items.iter().filter(|item| item.kind.as_ref().is_some_and(|kind| kind.starts_with(start)));
        Mean::of(&of_it.map(Item::accuracy).collect::<Vec<_>>())
    };
    let groups: Vec<(Mean, f64)> = weights.iter().map(|(start, weight)| (of_group(start), *weight)).collect();
    if groups.is_empty() || groups.iter().any(|(mean, _)| mean.n == 0) {
        return None;
    }
    // Groups are independent.
    let variance: Option<f64> =
        groups.iter().map(|(mean, weight)| Some((weight * mean.standard_error?).powi(2))).sum();
    Some(Mean {
        value: groups.iter().map(|(mean, weight)| weight * mean.value).sum(),
        standard_error: variance.map(f64::sqrt),
        n: groups.iter().map(|(mean, _)| mean.n).sum(),
    })
}

impl Settings {
    fn of(recipe: &Recipe) -> Self {
        let Eval { layout, samples, k, seed, .. } = recipe.eval;
        let Sampling { temperature, top_k, top_p, min_p, max_new_tokens, .. } = recipe.eval.sampling;
        Self {
            model: recipe.model.path.clone(),
            adapter: recipe.model.adapter.clone(),
            data: match recipe.eval.suites.as_slice() {
                [] => recipe.eval.path.clone().unwrap_or_else(|| recipe.data.path.clone()),
                suites => suites.join(", ").into(),
            },
            layout,
            prior: recipe.eval.prior.clone(),
            samples,
            k: k.unwrap_or(samples),
            temperature,
            top_k,
            top_p,
            min_p,
            max_new_tokens,
            seed,
        }
    }
}

impl Summary {
    fn new<'a>(items: &[&Item], tokens: impl Iterator<Item = &'a Tokens>, k: usize) -> Self {
        let pass: Vec<f64> = items.iter().map(|item| pass_at(k, item.answers, item.right)).collect();
        let average: Vec<f64> = items.iter().map(|item| item.accuracy()).collect();
        let sum = tokens.fold(Tokens::default(), |sum, t| Tokens {
            completions: sum.completions + t.completions,
            valid: sum.valid + t.valid,
            completion: sum.completion + t.completion,
            description: sum.description + t.description,
            reasoning_answer: sum.reasoning_answer + t.reasoning_answer,
            longest: sum.longest.max(t.longest),
            truncated: sum.truncated + t.truncated,
        });
        let over = |total: usize, n: usize| total as f64 / n.max(1) as f64;
        Self {
            pass: Mean::of(&pass),
            average: Mean::of(&average),
            valid: over(sum.valid, sum.completions),
            lengths: Lengths {
                completion: over(sum.completion, sum.completions),
                description: over(sum.description, sum.valid),
                reasoning_answer: over(sum.reasoning_answer, sum.valid),
                longest: sum.longest,
                truncated: over(sum.truncated, sum.completions),
            },
        }
    }
}

impl PriorSummary {
    /// The prior suites among `items`; questions of no named wording are listed as `all`.
    fn by_wording(items: &[Item]) -> BTreeMap<String, Self> {
        /// Accuracy of a triple's items, by role.
        type Triples = BTreeMap<u64, [Vec<f64>; 2]>;
        let mut wordings: BTreeMap<String, Triples> = BTreeMap::new();
        for item in items {
            let Some(Place { triple, role, wording }) = &item.place else { continue };
            let wording = wording.clone().unwrap_or_else(|| "all".into());
            let [score, prior] = wordings.entry(wording).or_default().entry(*triple).or_default();
            let accuracy = item.accuracy();
            match role {
                Role::Score => score.push(accuracy),
                Role::Prior => prior.push(accuracy),
            }
        }
        let over_triples = |triples: &Triples, of: fn(&[Vec<f64>; 2]) -> &Vec<f64>| {
            let means: Vec<f64> =
                triples.values().map(of).filter(|v| !v.is_empty()).map(|v| Mean::of(v).value).collect();
            Mean::of(&means)
        };
        let summed = |triples: Triples| Self {
            score: over_triples(&triples, |[score, _]| score),
            prior: over_triples(&triples, |[_, prior]| prior),
        };
        wordings.into_iter().map(|(wording, triples)| (wording, summed(triples))).collect()
    }
}
