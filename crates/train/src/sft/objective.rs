//! One micro-batch: the mean cross entropy of what its lessons teach, and its gradient.
//!
//! The micro-batch is computed in parts of a few lessons, side by side on the cores of a CPU; a part's activations
//! are small enough to stay in its cache. Each part weighs its tokens by those of the whole micro-batch, so that
//! the sum of the parts is the micro-batch.

use crate::session::{DroppedSample, dropout};
use crate::sft::learner::{Batch, Learner};
use crate::sft::lesson::Lesson;
use rayon::prelude::*;
use vigos_kernels::chunk_rows;
use vigos_models::{ModelError, Trained, VisionLanguageModel};

/// Memory that the logits of one chunk of rows may take.
const LOGITS_BYTES: usize = 64 << 20;
/// Lessons of a part. A constant: the parts, and with them the rounding, must not depend on the machine.
const PART: usize = 8;

/// What one micro-batch gives.
#[derive(Debug)]
pub struct MicroBatch<W> {
    /// Mean cross entropy of the learnt tokens, in nats.
    pub loss: f64,
    /// Learnt tokens.
    pub tokens: usize,
    /// How many of them are the most probable one.
    pub correct: usize,
    /// Gradient of the loss.
    pub gradient: W,
}

/// Probability of dropping an adapter's input, and what its draws depend on besides the sample.
#[derive(Clone, Copy, Debug)]
pub struct Dropping {
    /// 0 drops nothing.
    pub probability: f64,
    /// The run's seed.
    pub seed: u64,
    /// The step.
    pub step: u64,
}

/// Loss and gradient of some lessons. At least one of them is wanted.
///
/// # Errors
/// If a token is not in the model's vocabulary, or the device fails.
pub fn micro_batch<L: Learner>(
    learner: &L,
    weights: &L::Weights,
    lessons: &[Lesson],
    dropping: Dropping,
) -> Result<MicroBatch<L::Weights>, ModelError> {
    let model = learner.model(weights);
    let tokens: usize = lessons.iter().map(|l| l.learnt).sum();
    let weight = 1.0 / tokens.max(1) as f64;
    // Neighbours of one length are one batched attention.
    let mut sorted: Vec<&Lesson> = lessons.iter().collect();
    sorted.sort_by_key(|lesson| (lesson.sequence.ids.len(), lesson.number));
    let parts: Vec<_> = sorted
        .par_chunks(PART)
        .map(|part| learner.gradient(&*model, weights, &batch(&*model, part, weight, dropping)?))
        .collect::<Result<_, _>>()?;

    let (mut loss, mut correct, mut gradient) = (0.0, 0, None::<L::Weights>);
    for (part, slope) in parts {
        loss += part.loss;
        correct += part.correct;
        gradient = Some(match gradient {
            None => slope,
            Some(sum) => sum.plus(&slope),
        });
    }
    let gradient = gradient.unwrap_or_else(|| weights.zeros());
    Ok(MicroBatch { loss, tokens, correct, gradient })
}

/// Some lessons packed, each learnt token of this weight.
fn batch<'a>(
    model: &dyn VisionLanguageModel,
    lessons: &[&'a Lesson],
    weight: f64,
    dropping: Dropping,
) -> Result<Batch<'a>, ModelError> {
    let packed = model.pack(&lessons.iter().map(|l| &l.sequence).collect::<Vec<_>>())?;
    let mut targets = Vec::new();
    for (i, Lesson { sequence, learnt, .. }) in lessons.iter().enumerate() {
        let end = sequence.ids.len();
        targets.extend(packed.targets(i, end - learnt..end));
    }
    let dropped: Vec<DroppedSample> = lessons
        .iter()
        .map(|l| DroppedSample { number: l.number, tokens: l.sequence.ids.len(), images: &l.images })
        .collect();
    let Dropping { probability, seed, step } = dropping;
    Ok(Batch {
        images: lessons.iter().flat_map(|l| &l.images).collect(),
        targets,
        weight,
        chunk: chunk_rows(model.architecture().text.vocab_size, LOGITS_BYTES).get(),
        dropout: dropout(probability, seed, step, &dropped, model.device()),
        packed,
    })
}
