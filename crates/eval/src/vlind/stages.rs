//! The stages of VLind-Bench, as its authors sum them up: an instance has to pass the earlier ones to count in the later.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::asked::{Asked, Stage};
use crate::lines::Answer;
use crate::named::{Named, Rows};
use crate::statistics::Mean;
use crate::tables::{Table, percent_mean};

/// What VLind-Bench found. A stage is passed if both of its questions are answered rightly. `n` counts instances.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VlindReport {
    /// Share of instances that pass commonsense knowledge (S_CK).
    pub commonsense_knowledge: Mean,
    /// Share that pass visual perception (S_VP).
    pub visual_perception: Mean,
    /// Of those that pass commonsense knowledge, the share that pass commonsense bias (S_CB).
    pub commonsense_bias: Mean,
    /// Of those that pass all three, the mean share of images that pass (S_LP).
    pub language_prior: Mean,
    /// Share of all instances that pass commonsense bias.
    pub commonsense_bias_of_all: Mean,
    /// Mean share of images that pass, of all instances.
    pub language_prior_of_all: Mean,
    /// Instances that lack an answer to a question, and count nowhere.
    pub left_out: usize,
}

impl VlindReport {
    /// Its measures by name, in the authors' order.
    pub fn measures(&self) -> [(&'static str, Mean); 6] {
        [
            ("S_CK", self.commonsense_knowledge),
            ("S_VP", self.visual_perception),
            ("S_CB", self.commonsense_bias),
            ("S_LP", self.language_prior),
            ("accuracy CB", self.commonsense_bias_of_all),
            ("accuracy LP", self.language_prior_of_all),
        ]
    }

    /// A table of them.
    pub(crate) fn markdown(&self) -> String {
        let mut table = Table::new(&["VLind-Bench", "instances", "%"].map(str::to_owned));
        for (name, mean) in self.measures() {
            table.row(&[name.to_owned(), mean.n.to_string(), percent_mean(&mean)]);
        }
        table.markdown()
    }
}

/// Answers to the benchmark, as they come.
#[derive(Debug, Default)]
pub(crate) struct Stages {
    /// Of each instance, and of each sample of its answers.
    instances: BTreeMap<usize, BTreeMap<usize, Answers>>,
}

/// By stage and image, whether the true and the false statement were told rightly.
type Answers = BTreeMap<(Stage, String), [Option<bool>; 2]>;

/// What an instance's answers come to.
#[derive(Clone, Copy, Debug, Default)]
struct Passed {
    knowledge: bool,
    perception: bool,
    bias: bool,
    /// Share of its images.
    prior: f64,
}

impl Stages {
    /// Nothing yet; none where another suite is asked.
    pub(crate) fn of(suites: &[Named]) -> Option<Self> {
        matches!(suites, [Named { rows: Rows::Vlind, .. }]).then(Self::default)
    }

    /// Takes an answer.
    pub(crate) fn add(&mut self, answer: &Answer) {
        let Some(Asked { instance, stage, is_true, image }) = Asked::named(&answer.rollout.id) else {
            return;
        };
        let samples = self.instances.entry(instance).or_default();
        let [first, second] = samples.entry(answer.sample).or_default().entry((stage, image)).or_default();
        *(if is_true { first } else { second }) = Some(answer.rollout.correct);
    }

    /// What they come to.
    pub(crate) fn report(&self) -> VlindReport {
        let each: Vec<Option<Vec<Passed>>> =
            self.instances.values().map(|samples| samples.values().map(passed).collect()).collect();
        let whole: Vec<&Vec<Passed>> = each.iter().flatten().collect();
        let share = |of: &dyn Fn(&Passed) -> f64, among: &dyn Fn(&Passed) -> bool| {
            let sums = whole.iter().map(|samples| {
                let counted = || samples.iter().filter(|passed| among(passed));
                (counted().map(of).sum(), counted().count() as f64)
            });
            ratio(&sums.filter(|(_, counted)| *counted > 0.0).collect::<Vec<(f64, f64)>>())
        };
        let one = |passes: bool| f64::from(u8::from(passes));
        VlindReport {
            commonsense_knowledge: share(&|p| one(p.knowledge), &|_| true),
            visual_perception: share(&|p| one(p.perception), &|_| true),
            commonsense_bias: share(&|p| one(p.bias), &|p| p.knowledge),
            language_prior: share(&|p| p.prior, &|p| p.knowledge && p.perception && p.bias),
            commonsense_bias_of_all: share(&|p| one(p.bias), &|_| true),
            language_prior_of_all: share(&|p| p.prior, &|_| true),
            left_out: each.len() - whole.len(),
        }
    }
}

/// What one sample of an instance's answers comes to; none if one is missing.
fn passed(answers: &Answers) -> Option<Passed> {
    let mut images: BTreeMap<Stage, Vec<bool>> = BTreeMap::new();
    for ((stage, _), [first, second]) in answers {
        images.entry(*stage).or_default().push((*first)? && (*second)?);
    }
    let all = |stage: Stage| images.get(&stage).map(|passed| passed.iter().all(|passes| *passes));
    let of_images = images.get(&Stage::D)?;
    Some(Passed {
        knowledge: all(Stage::A)?,
        perception: all(Stage::B)?,
        bias: all(Stage::C)?,
        prior: of_images.iter().filter(|passes| **passes).count() as f64 / of_images.len() as f64,
    })
}

/// The ratio of two sums over independent instances, with its linearised standard error.
fn ratio(sums: &[(f64, f64)]) -> Mean {
    let total = |of: fn(&(f64, f64)) -> f64| sums.iter().map(of).sum::<f64>();
    let (passed, counted) = (total(|sum| sum.0), total(|sum| sum.1));
    let n = sums.len();
    let value = if n == 0 { 0.0 } else { passed / counted };
    let squares: f64 = sums.iter().map(|(passed, counted)| (passed - value * counted).powi(2)).sum();
    let standard_error = (n > 1).then(|| (squares * n as f64 / (n - 1) as f64).sqrt() / counted);
    Mean { value, standard_error, n }
}
