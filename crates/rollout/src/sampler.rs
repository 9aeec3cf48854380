//! Draws one token from a row of logits.
//!
//! The processors run in a fixed order: repetition, presence and frequency penalty, temperature, top-k, top-p, min-p;
//! then comes one multinomial draw. They follow the conventions of Hugging Face's processors of the same names.
//! Everything is computed in f64, and a token is a function of (settings, logits, seen tokens, key) alone.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use vigos_core::random::{Key, Purpose, draws};
use vigos_kernels::Likeliest;

/// Most tokens that are few enough to be sought by the device.
const FEW: usize = 256;

/// How tokens are sampled. Each setting has a neutral value at which it does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// Divides the logits; 1 is neutral, 0 takes the most probable token (the lowest id among equals).
    pub temperature: f64,
    /// Keeps this many of the highest logits, and every one that equals the last of them; 0 is off.
    pub top_k: usize,
    /// Keeps the fewest most probable tokens whose probabilities sum to at least this; 1 is off.
    pub top_p: f64,
    /// Keeps tokens at least this many times as probable as the most probable one; 0 is off.
    pub min_p: f64,
    /// Divides the positive and multiplies the other logits of tokens in the prompt or completion; 1 is off.
    pub repetition_penalty: f64,
    /// Is subtracted from the logits of tokens in the completion; 0 is off.
    pub presence_penalty: f64,
    /// The same, once for every time that the token is there; 0 is off.
    pub frequency_penalty: f64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 1.1,
            top_k: 20,
            top_p: 0.95,
            min_p: 0.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
        }
    }
}

/// A drawn token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampled {
    /// The token's id.
    pub token: u32,
    /// Its log-probability (natural logarithm) under the softmax of the logits as given: no penalty, no
    /// temperature, no truncation.
    pub logprob: f64,
}

/// Why settings cannot be used, or why no token can be drawn.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum SamplingError {
    /// A setting is out of its range.
    #[error("{key}: found {found}, wanted {wanted}")]
    Setting {
        /// The setting's name.
        key: &'static str,
        /// Its value.
        found: f64,
        /// What it may be, with its neutral value as a hint.
        wanted: &'static str,
    },
    /// A logit is NaN or +∞.
    #[error(
        "logits of {vocabulary} tokens: found {found} at token {token}, wanted finite numbers or -inf; the model \
         has diverged or its weights overflow in this precision"
    )]
    Logit {
        /// The first such token.
        token: u32,
        /// The value found there.
        found: f32,
        /// The number of logits.
        vocabulary: usize,
    },
    /// No token has a probability above zero.
    #[error("logits of {vocabulary} tokens: found none that is finite, wanted at least one token to draw")]
    Nothing {
        /// The number of logits.
        vocabulary: usize,
    },
}

/// The tokens that a sequence holds so far, as the penalties need them.
#[derive(Clone, Debug, Default)]
pub struct Seen(BTreeMap<u32, Origin>);

/// Where a seen token occurs; one in both places counts as sampled.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Origin {
    Prompt,
    /// So many times.
    Completion(u32),
}

impl Seen {
    /// A sequence that holds its prompt only.
    pub fn new(prompt: &[u32]) -> Self {
        Self(prompt.iter().map(|&token| (token, Origin::Prompt)).collect())
    }

    /// Appends a token to the completion.
    pub fn push(&mut self, token: u32) {
        let origin = self.0.entry(token).or_insert(Origin::Prompt);
        *origin = match origin {
            Origin::Prompt => Origin::Completion(1),
            Origin::Completion(times) => Origin::Completion(times.saturating_add(1)),
        };
    }
}

/// A token that may still be drawn. `weight` is its score first, its unnormalised probability later.
#[derive(Clone, Copy)]
struct Candidate {
    token: u32,
    weight: f64,
}

impl Sampling {
    /// Checks every setting's range.
    ///
    /// # Errors
    /// [`SamplingError::Setting`] for the first setting that is out of its range.
    pub fn check(&self) -> Result<(), SamplingError> {
        let require = |fine: bool, key, found, wanted| {
            if fine { Ok(()) } else { Err(SamplingError::Setting { key, found, wanted }) }
        };
        let t = self.temperature;
        require(t.is_finite() && t >= 0.0, "temperature", t, "a finite number, at least 0 (0 is greedy)")?;
        let p = self.top_p;
        require(p > 0.0 && p <= 1.0, "top_p", p, "a number above 0 and at most 1 (1 is off)")?;
        let p = self.min_p;
        require((0.0..=1.0).contains(&p), "min_p", p, "a number from 0 to 1 (0 is off)")?;
        let p = self.repetition_penalty;
        // Within these bounds no penalised f32 logit can overflow.
        let wanted = "a number from 0.001 to 1000 (1 is off)";
        require((1e-3..=1e3).contains(&p), "repetition_penalty", p, wanted)?;
        let p = self.presence_penalty;
        require(p.abs() <= 1e3, "presence_penalty", p, "a number from -1000 to 1000 (0 is off)")?;
        let p = self.frequency_penalty;
        require(p.abs() <= 1e3, "frequency_penalty", p, "a number from -1000 to 1000 (0 is off)")
    }

    /// Draws the token that follows a sequence.
    ///
    /// `logits` are the model's, `[vocabulary]`, -∞ for a token that must not be drawn; `seen` is the sequence so
    /// far; `key` names the draw.
    ///
    /// # Errors
    /// [`SamplingError`] if a setting is out of range or the logits hold NaN, +∞ or nothing finite.
    pub fn draw(&self, logits: &[f32], seen: &Seen, key: Key) -> Result<Sampled, SamplingError> {
        let token = drawn(&self.support(logits, seen)?, key)?;
        let logit = logits.get(token as usize).copied().map_or(f64::NEG_INFINITY, f64::from);
        Ok(Sampled { token, logprob: logit - log_sum_exp(logits) })
    }

    /// How many of the highest logits, with those that equal the last of them, decide a draw, where few do.
    pub fn enough(&self) -> Option<usize> {
        let few = match (self.temperature == 0.0, self.top_k) {
            (true, _) => Some(1),
            (false, k @ 1..=FEW) => Some(k),
            (false, _) => None,
        };
        few.filter(|_| self.is_unpenalised())
    }

    /// As [`draw`](Self::draw), from the [`enough`](Self::enough) highest logits: the same token, with a log-probability
    /// whose denominator is the device's.
    ///
    /// # Errors
    /// [`SamplingError`] if a setting is out of range or there is no token.
    pub fn draw_among(&self, likeliest: &Likeliest, key: Key) -> Result<Sampled, SamplingError> {
        self.check()?;
        let scores =
            || likeliest.tokens.iter().map(|&(token, logit)| Candidate { token, weight: logit.into() });
        let token = drawn(&self.distribution(scores(), likeliest.tokens.len())?, key)?;
        let logit = scores().find(|c| c.token == token).map_or(f64::NEG_INFINITY, |c| c.weight);
        Ok(Sampled { token, logprob: logit - f64::from(likeliest.log_sum) })
    }

    /// The distribution that [`draw`](Self::draw) draws from: the tokens of probability above zero after all
    /// processors, by ascending id, with their probabilities.
    ///
    /// # Errors
    /// As [`draw`](Self::draw).
    pub fn support(&self, logits: &[f32], seen: &Seen) -> Result<Vec<(u32, f64)>, SamplingError> {
        self.check()?;
        let vocabulary = logits.len();
        let unusable = |logit: f32| logit.is_nan() || logit == f32::INFINITY;
        // The first look does not stop early, which lets it look at many at once.
        if logits.iter().fold(false, |any, &l| any | unusable(l))
            && let Some((&found, token)) = logits.iter().zip(0u32..).find(|(l, _)| unusable(**l))
        {
            return Err(SamplingError::Logit { token, found, vocabulary });
        }
        self.distribution(self.scores(logits, seen).filter(|c| c.weight > f64::NEG_INFINITY), vocabulary)
    }

    /// The same from the scores after the penalties, by ascending id and none of them -∞.
    fn distribution(
        &self,
        scores: impl Iterator<Item = Candidate>,
        vocabulary: usize,
    ) -> Result<Vec<(u32, f64)>, SamplingError> {
        // Greedy is the limit of a low temperature with ties broken: of equals the first one is kept.
        if self.temperature == 0.0 {
            let best = scores.reduce(|best, c| if c.weight > best.weight { c } else { best });
            return best.map(|c| vec![(c.token, 1.0)]).ok_or(SamplingError::Nothing { vocabulary });
        }

        let mut kept = if self.top_k == 0 { scores.collect() } else { highest(scores, self.top_k) };
        let max = kept.iter().map(|c| c.weight).fold(f64::NEG_INFINITY, f64::max);
        for c in &mut kept {
            // At most 0, so that no temperature, however low, overflows.
            c.weight = ((c.weight - max) / self.temperature).exp();
        }
        if self.top_p < 1.0 {
            keep_top_p(&mut kept, self.top_p);
        }
        // The most probable token has weight 1: this is its share, whatever the weights sum to.
        kept.retain(|c| c.weight > 0.0 && c.weight >= self.min_p);
        if kept.is_empty() {
            return Err(SamplingError::Nothing { vocabulary });
        }

        // One order and one order of summation, whichever processors ran: a neutral one changes no bit.
        kept.sort_unstable_by_key(|c| c.token);
        let total: f64 = kept.iter().map(|c| c.weight).sum();
        Ok(kept.into_iter().map(|c| (c.token, c.weight / total)).collect())
    }

    /// Every token's logit after the penalties, by ascending id.
    fn scores(&self, logits: &[f32], seen: &Seen) -> impl Iterator<Item = Candidate> {
        // Both run through the ids in ascending order, so they are merged, not looked up.
        let mut marks = seen.0.iter().take(if self.is_unpenalised() { 0 } else { usize::MAX });
        let mut next = marks.next();
        logits.iter().zip(0u32..).map(move |(&logit, token)| {
            let mut weight = f64::from(logit);
            if let Some((&seen, &origin)) = next
                && seen == token
            {
                weight = self.penalise(weight, origin);
                next = marks.next();
            }
            Candidate { token, weight }
        })
    }

    fn is_unpenalised(&self) -> bool {
        self.repetition_penalty == 1.0 && self.presence_penalty == 0.0 && self.frequency_penalty == 0.0
    }

    fn penalise(&self, logit: f64, origin: Origin) -> f64 {
        let repeated =
            if logit > 0.0 { logit / self.repetition_penalty } else { logit * self.repetition_penalty };
        match origin {
            Origin::Prompt => repeated,
            Origin::Completion(times) => {
                repeated - self.presence_penalty - f64::from(times) * self.frequency_penalty
            }
        }
    }
}

/// Draws from tokens by ascending id, with their probabilities.
fn drawn(support: &[(u32, f64)], key: Key) -> Result<u32, SamplingError> {
    let uniform = draws(Purpose::Sampling, key).uniform();
    let mut cumulative = 0.0;
    let drawn = support.iter().find(|(_, probability)| {
        cumulative += probability;
        uniform < cumulative
    });
    // The probabilities may sum to just under one; what is missing belongs to the last token.
    drawn.or(support.last()).map(|(token, _)| *token).ok_or(SamplingError::Nothing { vocabulary: 0 })
}

/// The `count` most probable tokens under the softmax of the logits as given, most probable first, with their
/// log-probabilities.
pub fn most_probable(logits: &[f32], count: usize) -> Vec<(u32, f64)> {
    let every = logits.iter().zip(0u32..).map(|(&logit, token)| Candidate { token, weight: logit.into() });
    let mut kept = if count == 0 { Vec::new() } else { highest(every, count) };
    kept.sort_unstable_by(heaviest_first);
    kept.truncate(count);
    let total = log_sum_exp(logits);
    kept.into_iter().map(|c| (c.token, c.weight - total)).collect()
}

/// Heaviest first; of equals the lower id first.
fn heaviest_first(a: &Candidate, b: &Candidate) -> Ordering {
    b.weight.total_cmp(&a.weight).then(a.token.cmp(&b.token))
}

/// The candidates whose score is at least the `k`-th highest, in no particular order.
///
/// One pass that holds few candidates at a time: the vocabulary is neither copied nor sorted.
fn highest(scores: impl Iterator<Item = Candidate>, k: usize) -> Vec<Candidate> {
    let mut kept: Vec<Candidate> = Vec::new();
    let mut threshold = f64::NEG_INFINITY;
    let mut limit = k.saturating_mul(2).saturating_add(256);
    for c in scores {
        if c.weight < threshold {
            continue;
        }
        kept.push(c);
        if kept.len() >= limit {
            threshold = keep_highest(&mut kept, k);
            // Ties may keep more than k: the limit grows with them, so that each pass here pays for itself.
            limit = limit.max(kept.len().saturating_mul(2));
        }
    }
    keep_highest(&mut kept, k);
    kept
}

/// Drops the candidates below the `k`-th highest score, and returns that score (-∞ if there are fewer).
fn keep_highest(kept: &mut Vec<Candidate>, k: usize) -> f64 {
    if k == 0 || kept.len() < k {
        return f64::NEG_INFINITY;
    }
    let (_, last, _) = kept.select_nth_unstable_by(k - 1, heaviest_first);
    let threshold = last.weight;
    kept.retain(|c| c.weight >= threshold);
    threshold
}

/// Keeps the fewest heaviest candidates that hold at least the share `p` of the whole weight; at least one.
fn keep_top_p(kept: &mut Vec<Candidate>, p: f64) {
    let wanted = p * kept.iter().map(|c| c.weight).sum::<f64>();
    let (mut held, mut sorted, mut block) = (0.0, 0, 256);
    // Sorts block by block, so that a peaked distribution over a whole vocabulary is not sorted to its end.
    while let Some(rest) = kept.get_mut(sorted..).filter(|rest| !rest.is_empty()) {
        let head =
            if block < rest.len() { rest.select_nth_unstable_by(block, heaviest_first).0 } else { rest };
        head.sort_unstable_by(heaviest_first);
        for c in head.iter() {
            held += c.weight;
            sorted += 1;
            if held >= wanted {
                kept.truncate(sorted);
                return;
            }
        }
        block *= 8;
    }
}

/// ln Σ exp(logit), in f64.
fn log_sum_exp(logits: &[f32]) -> f64 {
    let max = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    max + logits.iter().map(|&l| (f64::from(l) - max).exp()).sum::<f64>().ln()
}
