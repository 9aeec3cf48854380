//! A judge's part in an evaluation: which answers it is asked about, and what they count for then.

use std::env;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vigos_core::random::{Key, Purpose, draws};
use vigos_data::Rule;
use vigos_grade::{AnswerKind, answer_kind, says_true};
use vigos_judge::{Bill, Case, Judge, Prices, Settings, Template};
use vigos_recipe::{Judge as Section, Recipe};
use vigos_rollout::{RolloutRecord, RunError};

use crate::lines::{Answer, Judged, Line};
use crate::named::Named;
use crate::tables::percent;

/// The folder of verdicts below that of the results.
pub(crate) const VERDICTS: &str = "judge";
/// The wait before a server that failed is asked again.
const PAUSE: Duration = Duration::from_secs(1);
/// An answer is right that has at least so much of what is wanted.
const RIGHT: f64 = 0.5;

/// The judge of a recipe's evaluation.
#[derive(Debug)]
pub(crate) struct Judging {
    judge: Judge,
    /// For answers that are right or wrong, and for those that are so in part.
    prompts: [Template; 2],
    checked: f64,
    seed: u64,
}

impl Judging {
    /// The judge that `eval.judge` names, if it names one; `run_dir` is where the results go. Nothing is asked yet.
    ///
    /// # Errors
    /// As [`Self::check`], and if the folder of verdicts cannot be used.
    pub(crate) fn open(recipe: &Recipe, run_dir: &Path) -> Result<Option<Self>, RunError> {
        let section = &recipe.eval.judge;
        let Some(settings) = settings(recipe, run_dir)? else { return Ok(None) };
        let judge = Judge::open(settings)?;
        Ok(Some(Self { judge, prompts: prompts(section)?, checked: section.checked, seed: recipe.eval.seed }))
    }

    /// Refuses a judge that is set wrongly, and a suite that needs one where there is none.
    ///
    /// # Errors
    /// What is wrong, by key.
    pub(crate) fn check(recipe: &Recipe) -> Result<(), RunError> {
        if let Some(settings) = settings(recipe, Path::new(""))? {
            settings.check()?;
            prompts(&recipe.eval.judge)?;
        }
        Ok(())
    }

    /// Asks about the answers that the grader cannot decide, and of the others about some. False if it was stopped before.
    pub(crate) fn judge(&self, lines: &mut [(Line, Rule)], stop: &AtomicBool) -> Result<bool, RunError> {
        let [whole, graded] = &self.prompts;
        let mut verdicts: Vec<(usize, Judged)> = Vec::new();
        for (prompt, in_part) in [(whole, false), (graded, true)] {
            let (mut asked, mut cases) = (Vec::new(), Vec::new());
            for (at, (line, rule)) in lines.iter().enumerate() {
                let Line::Answer(answer) = line else { continue };
                let Some(said) = &answer.rollout.predicted else { continue };
                let decides = is_undecided(rule, &answer.rollout, said);
                if (*rule == Rule::Judged) == in_part && (decides || self.is_checked(answer)) {
                    asked.push((at, decides));
                    let RolloutRecord { problem, answer: reference, .. } = &answer.rollout;
                    cases.push(Case { problem, reference, answer: said });
                }
            }
            let Some(found) = self.judge.verdicts(prompt, &cases, stop)? else { return Ok(false) };
            let found = found.into_iter().map(|verdict| verdict.map(|verdict| verdict.score));
            verdicts.extend(
                asked.into_iter().zip(found).map(|((at, decides), score)| (at, Judged { score, decides })),
            );
        }
        for (at, judged) in verdicts {
            if let Some((Line::Answer(answer), _)) = lines.get_mut(at) {
                if let Judged { score: Some(score), decides: true } = judged {
                    answer.rollout.correct = score >= RIGHT;
                }
                answer.judged = Some(judged);
            }
        }
        Ok(true)
    }

    /// What was asked, for people.
    pub(crate) fn bill(&self) -> String {
        let Bill { calls, read, written, kept } = self.judge.bill();
        format!(
            "judge: {calls} requests, {read} tokens read and {written} written, spend {:.4}; {kept} verdicts were there \
             already",
            self.judge.spend()
        )
    }

    /// Whether the judge is asked about an answer that the grader decides.
    fn is_checked(&self, answer: &Answer) -> bool {
        let key =
            Key { seed: self.seed, step: 0, sample: answer.item as u64, position: answer.sample as u64 };
        draws(Purpose::Checks, key).uniform() < self.checked
    }
}

/// How to open the judge, if there is one.
fn settings(recipe: &Recipe, run_dir: &Path) -> Result<Option<Settings>, RunError> {
    let section = &recipe.eval.judge;
    let Some(url) = &section.url else {
        let judged = Named::all(&recipe.eval.suites)?.into_iter().find(Named::is_judged);
        return judged.map_or(Ok(None), |suite| {
            Err(RunError::Setting {
                key: "eval.judge.url".into(),
                found: format!("none, with the suite {}", suite.name),
                wanted: "the address of a language model, as its answers are graded by one alone".into(),
            })
        });
    };
    Ok(Some(Settings {
        url: url.clone(),
        model: section.model.clone(),
        key: env::var(&section.key).ok().filter(|key| !key.is_empty()),
        folder: section.cache.clone().unwrap_or_else(|| run_dir.join(VERDICTS)),
        timeout: Duration::from_secs(section.timeout),
        attempts: section.attempts,
        pause: PAUSE,
        max_calls: Some(section.max_calls).filter(|most| *most > 0),
        max_spend: Some(section.max_spend).filter(|most| *most > 0.0),
        prices: Prices { read: section.price_read, written: section.price_written },
    }))
}

/// The prompts that it reads: the recipe's, or the built-in ones.
fn prompts(section: &Section) -> Result<[Template; 2], RunError> {
    Ok(match &section.prompt {
        Some(path) => {
            let prompt = Template::read(path)?;
            [prompt.clone(), prompt]
        }
        None => [Template::answer(), Template::graded()],
    })
}

/// Whether the grader's verdict is none: of words that are not the reference's, another could say the same.
fn is_undecided(rule: &Rule, rollout: &RolloutRecord, said: &str) -> bool {
    let RolloutRecord { problem, answer: reference, correct, .. } = rollout;
    let is_clear =
        |text: &str| says_true(text).is_some() || matches!(text.to_lowercase().trim(), "yes" | "no");
    match rule {
        Rule::Judged => true,
        Rule::Grader | Rule::Says(_) => {
            let is_text = answer_kind(problem, reference) == AnswerKind::Text;
            !correct && is_text && !said.trim().is_empty() && !is_clear(reference)
        }
        Rule::Choice(_) | Rule::Nearest(_) | Rule::Rounded(_) | Rule::Truncated | Rule::Truth => false,
    }
}

/// What a judge was asked, and how far it agrees with the grader.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JudgeReport {
    /// The model.
    pub model: String,
    /// Answers that count for what it said.
    pub decided: usize,
    /// Those of them that it calls right.
    pub right: usize,
    /// Answers of which it said nothing that can be read, so that they stay wrong.
    pub unread: usize,
    /// Answers that the grader decides, and that it was asked about too.
    pub checked: usize,
    /// Those of them of which it says the same.
    pub agreed: usize,
    /// Those that are right for it alone.
    pub judge_alone: usize,
    /// Those that are right for the grader alone.
    pub grader_alone: usize,
}

impl JudgeReport {
    /// An empty one, if there is a judge.
    pub(crate) fn of(section: &Section) -> Option<Self> {
        section.url.as_ref().map(|_| Self { model: section.model.clone(), ..Self::default() })
    }

    /// Counts an answer.
    pub(crate) fn add(&mut self, answer: &Answer) {
        match answer.judged {
            None => {}
            Some(Judged { score: None, .. }) => self.unread += 1,
            Some(Judged { score: Some(score), decides: true }) => {
                self.decided += 1;
                self.right += usize::from(score >= RIGHT);
            }
            Some(Judged { score: Some(score), decides: false }) => {
                self.checked += 1;
                match (score >= RIGHT, answer.rollout.correct) {
                    (true, false) => self.judge_alone += 1,
                    (false, true) => self.grader_alone += 1,
                    _ => self.agreed += 1,
                }
            }
        }
    }

    /// The same for people.
    pub(crate) fn markdown(&self) -> String {
        let Self { model, decided, right, unread, checked, agreed, judge_alone, grader_alone } = self;
        let agreement = match checked {
            0 => "none that the grader decides was put to it".to_owned(),
            _ => format!(
                "of {checked} that the grader decides it says the same in {} % ({judge_alone} right for the judge alone, \
                 {grader_alone} for the grader alone)",
                percent(*agreed as f64 / *checked as f64)
            ),
        };
        format!(
            "Judge `{model}`: {decided} answers count for what it says, {right} of them right; {unread} replies could not be \
             read; {agreement}.\n"
        )
    }
}
