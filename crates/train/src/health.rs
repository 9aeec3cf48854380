//! What a person would want to be told while a run goes on: that nothing is learnt, or that a step was unlike the others.

use crate::metrics::{Distilled, Metrics};
use std::collections::BTreeSet;

/// A loss is a spike that is so many times the usual one.
const SPIKE: f64 = 4.0;
/// What a step adds to what is usual.
const SHARE: f64 = 0.05;
/// A mean difference of log-probabilities that is more than the rounding of a number format.
const UNLIKE: f64 = 0.05;
/// Before so many steps nothing is usual.
const STEPS: usize = 20;

/// Sees every step; a state that lasts is told once.
#[derive(Default)]
pub(crate) struct Health {
    lasting: BTreeSet<&'static str>,
}

impl Health {
    /// What there is to say of a step.
    pub(crate) fn of(&mut self, metrics: &Metrics) -> Vec<String> {
        let Some(distilled) = metrics.distilled() else { return Vec::new() };
        let step = metrics.step;
        let said = STATES.iter().filter_map(|(sentence, holds)| match holds(distilled) {
            true => self.lasting.insert(sentence).then(|| format!("step {step}: {sentence}")),
            false => {
                self.lasting.remove(sentence);
                None
            }
        });
        said.collect()
    }
}

/// A sentence, and when it is true.
type State = (&'static str, fn(&Distilled) -> bool);

const STATES: [State; 4] = [
    ("every supervised token is above its clip, so nothing is learnt; method.clip bounds it", |d| {
        let (tokens, clipped) =
            d.terms.values().fold((0, 0), |(t, c), term| (t + term.tokens, c + term.clipped));
        tokens > 0 && clipped == tokens
    }),
    (
        "no completion keeps the output format, so that teachers of its parts have nothing to supervise; `vigos sft` \
         teaches a student the format",
        |d| d.fallback_rate >= 1.0 && d.terms.values().any(|term| term.tokens == 0),
    ),
    (
        "every completion met rollout.max_new_tokens; longer ones may be cut off in the midst of their answers",
        |d| d.lengths.truncated >= 1.0,
    ),
    (
        "the completions' tokens were drawn from other probabilities than the student's, by a twentieth and more in the mean \
         (mismatch/logprob): a server has another base, precision or adapter; with rollout.ahead, updates are large",
        |d| d.mismatch.is_some_and(|mismatch| mismatch.logprob > UNLIKE),
    ),
];

/// How many times the usual loss this one is, if that makes it a spike; `usual` is what [`usual`] gave after the step
/// before, and `step` counts from 1.
pub(crate) fn spike(loss: f64, usual: Option<f64>, step: usize) -> Option<f64> {
    let usual = usual.filter(|usual| *usual > 0.0 && step > STEPS)?;
    Some(loss / usual).filter(|times| *times > SPIKE)
}

/// What is usual after a step of this loss: a mean that forgets.
pub(crate) fn usual(loss: f64, before: Option<f64>) -> f64 {
    before.map_or(loss, |before| before + SHARE * (loss - before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_far_above_the_usual_one_is_a_spike_once_there_is_a_usual_one() {
        let mut mean = None;
        for step in 1..=100 {
            let loss = if step == 60 { 9.0 } else { 1.0 + 0.5 * f64::from(step % 2) };
            let found = spike(loss, mean, step as usize);
            assert_eq!(found.is_some(), step == 60, "step {step}: {found:?}");
            mean = Some(usual(loss, mean));
        }
        assert_eq!(spike(100.0, Some(1.0), 5), None);
        assert_eq!(spike(100.0, Some(0.0), 50), None);
    }
}
