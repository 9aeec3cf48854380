//! How the tokens of a snapshot look to student and teachers: log-probabilities, ranks, most probable tokens.
//!
//! They come from the very hidden states that the loss was computed from, of the recorded tokens alone. Divergences and
//! the teachers' entropies are the loss's own; the rest takes a second product with the head, a chunk at a time.

use crate::scored::{Observed, Scored, Seen};
use burn::tensor::activation::log_softmax;
use burn::tensor::{DType, IndexingUpdateOp, Int, Tensor, TensorData};
use vigos_kernels::{LOGITS_BUDGET, RowStatistics, chunk_rows, read, send};
use vigos_models::{ModelError, Packed, Target, VisionLanguageModel};
use vigos_recipe::Log;

/// What is recorded of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Probe {
    /// Completions, the first ones.
    rollouts: usize,
    /// Tokens of each, the first ones.
    tokens: usize,
    /// Most probable tokens with each.
    top_k: usize,
}

/// What a micro-batch was computed with.
pub(crate) struct Sight<'a> {
    /// Whose head makes logits.
    pub(crate) model: &'a dyn VisionLanguageModel,
    /// The student's sequences.
    pub(crate) packed: &'a Packed,
    /// `[N, D]`, the student's hidden states.
    pub(crate) student: &'a Tensor<2>,
    /// `[R, D]`, the teachers', a row for each supervised token.
    pub(crate) teachers: &'a Tensor<2>,
    /// Of each supervised token.
    pub(crate) statistics: &'a [RowStatistics],
    /// Of both distributions.
    pub(crate) temperature: f64,
}

impl Probe {
    /// What a recipe wants recorded of step `step`, counted from 0, whose first `done` completions are dealt with;
    /// nothing of most steps.
    pub(crate) fn of(log: &Log, step: u64, done: usize) -> Option<Self> {
        let every = log.rollouts_every as u64;
        let rollouts = log.rollouts_max.saturating_sub(done);
        let wanted = every > 0 && (step + 1).is_multiple_of(every) && log.record.tokens > 0 && rollouts > 0;
        wanted.then_some(Self { rollouts, tokens: log.record.tokens, top_k: log.record.top_k })
    }

    /// Observes the first completions of a micro-batch.
    ///
    /// # Errors
    /// If the device fails.
    pub(crate) fn observe(&self, sight: &Sight, scored: &mut [Scored]) -> Result<(), ModelError> {
        let (mut student, mut teachers) = (Vec::new(), Vec::new());
        let mut entropies = Vec::new();
        let mut row = 0;
        for (i, Scored { rollout, tokens, .. }) in scored.iter().take(self.rollouts).enumerate() {
            let first = rollout.sample.student.ids.len();
            student.extend(rollout.tokens.iter().take(self.tokens).enumerate().map(|(position, &token)| {
                Target { row: sight.packed.predicting_row(i, first + position), token }
            }));
            for (row, token) in (row..).zip(tokens).filter(|(_, token)| token.position < self.tokens) {
                teachers.push(Target { row, token: rollout.tokens[token.position] });
                entropies.push(sight.statistics[row].teacher_entropy);
            }
            row += tokens.len();
        }
        let mut student = self.look(sight, sight.student, &student)?.into_iter();
        let mut teachers = self.look(sight, sight.teachers, &teachers)?.into_iter();
        let mut entropies = entropies.into_iter();
        for scored in scored.iter_mut().take(self.rollouts) {
            let recorded = scored.tokens.iter().filter(|token| token.position < self.tokens).count();
            let own = student.by_ref().take(scored.rollout.tokens.len().min(self.tokens)).collect();
            let others = teachers.by_ref().zip(entropies.by_ref()).take(recorded);
            let others = others.map(|(seen, entropy)| Seen { entropy, ..seen }).collect();
            scored.observed = Some(Observed { student: own, teachers: others });
        }
        Ok(())
    }

    /// What the distributions of these rows of hidden states are at these tokens.
    fn look(&self, sight: &Sight, hidden: &Tensor<2>, targets: &[Target]) -> Result<Vec<Seen>, ModelError> {
        let vocabulary = sight.model.architecture().text.vocab_size;
        // Half the rows of a chunk of the loss, for twice the tensors of its size.
        let chunk = chunk_rows(vocabulary, LOGITS_BUDGET / 2).get();
        let mut seen = Vec::with_capacity(targets.len());
        for targets in targets.chunks(chunk) {
            let rows: Vec<usize> = targets.iter().map(|target| target.row).collect();
            let logits = sight.model.logits_at(hidden, &rows).cast(DType::F32) / sight.temperature;
            seen.extend(rows_of(logits, targets, self.top_k.min(vocabulary))?);
        }
        Ok(seen)
    }
}

/// What rows of logits, `[R, V]` in f32, say of one token each.
fn rows_of(logits: Tensor<2>, targets: &[Target], top_k: usize) -> Result<Vec<Seen>, ModelError> {
    let device = logits.device();
    let ids: Vec<i32> = targets.iter().map(|target| target.token as i32).collect();
    let ids: Tensor<2, Int> = send(TensorData::new(ids, [targets.len(), 1]), &device, DType::I32);
    let mut log_p = log_softmax(logits, 1);
    let own = log_p.clone().gather(1, ids);
    // A count in f32 is exact up to 16 million tokens.
    let above = log_p.clone().greater(own.clone().expand(log_p.dims())).float().sum_dim(1);
    let p = log_p.clone().exp();
    let excluded = p.clone().equal_elem(0.0);
    let entropy = (p * log_p.clone()).mask_fill(excluded, 0.0).sum_dim(1).neg();
    let (mut numbers, mut tops) = (vec![own.clone(), above, entropy], Vec::new());
    for _ in 0..top_k {
        let best = log_p.clone().argmax(1);
        numbers.push(log_p.clone().gather(1, best.clone()));
        let nothing = own.full_like(f32::NEG_INFINITY);
        log_p = log_p.scatter(1, best.clone(), nothing, IndexingUpdateOp::Add);
        tops.push(best);
    }
    let numbers: Vec<f32> = read(Tensor::cat(numbers, 1))?;
    let tops: Vec<i32> = if tops.is_empty() { Vec::new() } else { read(Tensor::cat(tops, 1))? };
    let seen = numbers.chunks_exact(3 + top_k).enumerate().map(|(row, numbers)| {
        let ids = &tops[row * top_k..(row + 1) * top_k];
        Seen {
            logprob: f64::from(numbers[0]),
            rank: numbers[1] as u32 + 1,
            entropy: f64::from(numbers[2]),
            top: ids
                .iter()
                .zip(&numbers[3..])
                .map(|(id, log)| (id.unsigned_abs(), f64::from(*log)))
                .collect(),
        }
    });
    Ok(seen.collect())
}
