//! One micro-batch: the losses of all teachers and the gradient of the adapter (method, equations 18 to 21).
//!
//! ```text
//! base     ── one forward for all readings of all teachers ── hidden rows ─┐
//! adapter  ── traced forward of the rollouts ─────────────── hidden rows ─┴─ span KL ── backward
//! ```
//!
//! Each loss is the mean over its tokens in the whole micro-batch; the weighted sum of the losses is what is
//! minimised. Logits of row t−1 score token t.

use burn::tensor::Tensor;
use std::collections::BTreeMap;
use std::time::Instant;
use vigos_kernels::{ActiveRow, chunk_rows, span_kl_linear};
use vigos_models::rows::indices;
use vigos_models::{ActiveAdapter, Adapter, ModelError, VisionLanguageModel};
use vigos_processor::{ImagePatches, Sequence};
use vigos_recipe::Method;
use vigos_recipe::sample::Sample;
use vigos_rollout::RunError;
use vigos_rollout::routing::{Reading, route};
use vigos_rollout::spans::Verdict;

/// Memory that the logits of one chunk of rows may take.
pub(crate) const LOGITS_BYTES: usize = 256 << 20;

/// A sample with its sampled completion.
#[derive(Clone, Debug)]
pub struct Rollout<'a> {
    /// The sample.
    pub sample: &'a Sample,
    /// Sampled tokens.
    pub completion: &'a [u32],
    /// Format and spans.
    pub verdict: &'a Verdict,
}

/// What one micro-batch gives.
#[derive(Debug)]
pub struct MicroBatch {
    /// The weighted sum of the losses.
    pub loss: f64,
    /// Each loss by its teacher's name; those without a token are there with zeros.
    pub terms: BTreeMap<String, Term>,
    /// Every supervised token.
    pub tokens: Vec<TokenKl>,
    /// Gradient of the loss for every tensor of the adapter.
    pub gradient: Adapter,
    /// The teachers' forward.
    pub scoring: Work,
    /// The student's forward, the loss and the backward.
    pub update: Work,
}

/// How much a phase did, and how long it took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work {
    /// Tokens that went through the model.
    pub tokens: usize,
    /// Wall-clock time.
    pub seconds: f64,
}

impl Work {
    /// Tokens per second; zero where nothing was done.
    pub fn rate(&self) -> f64 {
        if self.seconds > 0.0 { self.tokens as f64 / self.seconds } else { 0.0 }
    }
}

impl std::ops::AddAssign for Work {
    fn add_assign(&mut self, other: Self) {
        self.tokens += other.tokens;
        self.seconds += other.seconds;
    }
}

/// One loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Term {
    /// Mean of the clipped divergence.
    pub loss: f64,
    /// Mean of the divergence, unclipped.
    pub kl: f64,
    /// Tokens.
    pub tokens: usize,
    /// Tokens above their clip.
    pub clipped: usize,
}

/// One supervised token.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenKl {
    /// Index of the rollout in the micro-batch.
    pub rollout: usize,
    /// Place in the completion.
    pub position: usize,
    /// Index in the teacher table.
    pub teacher: usize,
    /// Unclipped divergence.
    pub kl: f64,
    /// Whether it is above its clip.
    pub clipped: bool,
}

/// Computes losses and gradient of one micro-batch. The adapter's dropout, if any, is the training forward's.
///
/// # Errors
/// If a token is not in the model's vocabulary.
pub fn micro_batch(
    model: &dyn VisionLanguageModel,
    adapter: ActiveAdapter,
    method: &Method,
    rollouts: &[Rollout],
) -> Result<MicroBatch, RunError> {
    let readings: Vec<(usize, Reading)> = rollouts
        .iter()
        .enumerate()
        .flat_map(|(i, r)| {
            route(&method.teachers, r.completion, r.verdict).into_iter().map(move |read| (i, read))
        })
        .collect();
    let mut terms: BTreeMap<String, Term> =
        method.teachers.iter().filter(|t| t.runs()).map(|t| (t.name.clone(), Term::default())).collect();
    let mut counts = vec![0usize; method.teachers.len()];
    for (_, reading) in &readings {
        let name = &method.teachers[reading.teacher].name;
        terms.entry(name.clone()).or_default().tokens += reading.active.len();
    }
    for (count, teacher) in counts.iter_mut().zip(&method.teachers) {
        *count = terms.get(&teacher.name).map_or(0, |t| t.tokens);
    }
    if readings.is_empty() {
        let gradient = zeros(adapter.adapter);
        let (scoring, update) = (Work::default(), Work::default());
        return Ok(MicroBatch { loss: 0.0, terms, tokens: Vec::new(), gradient, scoring, update });
    }

    let begin = Instant::now();
    let (teacher_hidden, scored) = score(model, method, rollouts, &readings)?;
    wait(model);
    let scoring = Work { tokens: scored, seconds: begin.elapsed().as_secs_f64() };
    let begin = Instant::now();
    let sequences: Vec<Sequence> =
        rollouts.iter().map(|r| r.sample.student.followed_by(r.completion)).collect();
    let packed = model.pack(&sequences.iter().collect::<Vec<_>>())?;
    let images: Vec<&ImagePatches> = rollouts.iter().flat_map(|r| &r.sample.images).collect();
    let (hidden, trace) = model.forward_traced(&packed, &images, adapter);

    let mut tokens = Vec::new();
    let mut rows = Vec::new();
    for (rollout, reading) in &readings {
        let first = rollouts[*rollout].sample.student.ids.len();
        let weight = method.teachers[reading.teacher].weight / counts[reading.teacher] as f64;
        for token in &reading.active {
            rows.push(ActiveRow {
                student: packed.predicting_row(*rollout, first + token.position),
                teacher: rows.len(),
                direction: reading.direction,
                weight,
                clip: clip(method, token.boundary),
            });
            tokens.push(TokenKl {
                rollout: *rollout,
                position: token.position,
                teacher: reading.teacher,
                kl: 0.0,
                clipped: false,
            });
        }
    }
    let chunk = chunk_rows(model.architecture().text.vocab_size, LOGITS_BYTES);
    let result = span_kl_linear(&hidden, &teacher_hidden, model.head(), &rows, method.temperature, chunk)?;

    for ((token, row), &kl) in tokens.iter_mut().zip(&rows).zip(&result.kl) {
        token.kl = kl;
        token.clipped = row.clips(kl);
        let term = terms.entry(method.teachers[token.teacher].name.clone()).or_default();
        term.kl += kl / term.tokens as f64;
        term.loss += row.clip.map_or(kl, |c| kl.min(c)) / term.tokens as f64;
        term.clipped += usize::from(token.clipped);
    }
    let gradient = if tokens.iter().all(|t| t.clipped) {
        zeros(adapter.adapter)
    } else {
        model.backward(trace, result.gradient.cast(hidden.dtype()), &packed, adapter)
    };
    wait(model);
    let update = Work { tokens: packed.rows(), seconds: begin.elapsed().as_secs_f64() };
    Ok(MicroBatch { loss: result.loss, terms, tokens, gradient, scoring, update })
}

/// Hidden states of the frozen base for every supervised token, in the order of the readings, `[R, D]`; and
/// the tokens read for it.
///
/// All contexts are packed into one forward; an image is encoded once and serves all teachers of its sample.
fn score(
    model: &dyn VisionLanguageModel,
    method: &Method,
    rollouts: &[Rollout],
    readings: &[(usize, Reading)],
) -> Result<(Tensor<2>, usize), ModelError> {
    let prompt = |(rollout, reading): &(usize, Reading)| &rollouts[*rollout].sample.teachers[reading.teacher];
    let images: Vec<&ImagePatches> = rollouts.iter().flat_map(|r| &r.sample.images).collect();
    let sees = method.teachers.iter().any(|t| t.runs() && t.sees(vigos_recipe::Input::Image));
    let encoded = if sees { model.encode_images(&images, None) } else { Vec::new() };
    let mut rest = encoded.as_slice();
    let own = rollouts.iter().map(|r| {
        let (own, others) = rest.split_at(r.sample.images.len().min(rest.len()));
        rest = others;
        own
    });
    let features_of: Vec<&[Tensor<2>]> = own.collect();

    let sequences: Vec<Sequence> = readings.iter().map(|r| prompt(r).followed_by(&r.1.tokens)).collect();
    let features: Vec<Tensor<2>> =
        readings.iter().flat_map(|r| features_of[r.0].iter().take(prompt(r).images.len()).cloned()).collect();
    let packed = model.pack(&sequences.iter().collect::<Vec<_>>())?;
    let hidden = model.forward(&packed, &features, None, &mut ());
    let row_of = &packed;
    let rows = readings.iter().enumerate().flat_map(|(i, r)| {
        let first = prompt(r).ids.len();
        r.1.active.iter().map(move |token| row_of.predicting_row(i, first + token.read))
    });
    Ok((hidden.select(0, indices(rows, model.device())), packed.rows()))
}

/// The clip of one token: the method's, tightened on a boundary token if the method says so.
fn clip(method: &Method, boundary: bool) -> Option<f64> {
    let on = |clip: f64| (clip > 0.0).then_some(clip);
    match (on(method.clip), on(method.boundary_clip).filter(|_| boundary)) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Lets the device finish, so that a phase is charged for its own work. Were the device lost, the next read
/// would say so.
fn wait(model: &dyn VisionLanguageModel) {
    let _ = model.device().sync();
}

fn zeros(adapter: &Adapter) -> Adapter {
    adapter.map(|_, t| t.zeros_like())
}
