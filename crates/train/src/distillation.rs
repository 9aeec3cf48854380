//! Self-distillation: the losses of all teachers and the gradient of the adapter (method, equations 18 to 21).
//!
//! ```text
//! base     ── one forward for all passes of all teachers ──── hidden rows ─┐
//! adapter  ── traced forward of the rollouts ─────────────── hidden rows ─┴─ span KL ── backward
//! ```
//!
//! Each loss is the mean over its tokens in the whole step, or in the whole micro-batch as the recipe says; the
//! weighted sum of the losses is what is minimised. What scores a token is the row that predicts it.

use crate::agreed::agreed;
use crate::dealt::{Dealt, Own, part_number};
use crate::dropout::{Dropping, dropout};
use crate::finite::first_not_finite;
use crate::metrics::{Distilled, Outcome};
use crate::objective::{Objective, StepLoss};
use crate::observed::{Probe, Sight};
use crate::observer::Watch;
use crate::pieces::{Piece, put_together, told};
use crate::scored::{Scored, ScoredToken, Term, Work};
use crate::step_gradient::StepGradient;
use burn::tensor::Tensor;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;
use vigos_kernels::{
    ActiveRow, Divergence, Divergences, JensenShannon, LOGITS_BUDGET, TopTokens, chunk_rows,
    divergence_linear,
};
use vigos_models::gradient::Keep;
use vigos_models::rows::indices;
use vigos_models::{ActiveAdapter, Adapter, ModelError, Sequence, Trained, VisionLanguageModel, phase};
use vigos_plan::micro_batches::MicroBatches;
use vigos_processor::ImagePatches;
use vigos_recipe::{Divergence as Named, Log, Method, Normalise, Teacher};
use vigos_rollout::routing::{TeacherPass, route};
use vigos_rollout::{RolledOut, RunError, side_by_side, works_side_by_side};

/// Completions of a piece of a small model's micro-batch. A constant: the pieces, and with them the rounding, must not
/// depend on the machine.
const PIECE: usize = 4;

/// The objective of a method: its teachers, each a context of the frozen base.
pub(crate) struct Distillation<'a> {
    /// The frozen base.
    pub(crate) model: &'a dyn VisionLanguageModel,
    /// Who supervises what, by which divergence.
    pub(crate) teaching: Teaching<'a>,
    /// The training forward's dropout.
    pub(crate) dropping: Dropping,
    /// What the training forward keeps for its backward.
    pub(crate) keep: Keep,
    /// How a step is cut.
    pub(crate) cut: MicroBatches,
    /// What is recorded, and when.
    pub(crate) log: &'a Log,
}

impl Objective for Distillation<'_> {
    type Weights = Adapter;

    fn step(
        &self,
        weights: &Adapter,
        rollouts: Vec<RolledOut>,
        step: u64,
        watch: &mut Watch,
    ) -> Result<StepLoss<Adapter>, RunError> {
        watch.observer.phase("update");
        let (method, divisor) = (self.teaching.method, self.cut.divisor());
        let whole = match self.cut.normalise {
            Normalise::Step => Some(taught_tokens(method, &rollouts)),
            Normalise::MicroBatch => None,
        };
        let mut dealt = Dealt::new(&self.cut, rollouts, watch.ranks);
        let mut gradient = StepGradient::over(divisor, watch.ranks.count());
        let mut learn = |watch: &mut Watch| {
            let mut pieces = Vec::new();
            while let Some(Own { number, first, rollouts }) = dealt.next() {
                watch.go_on()?;
                let own = whole.is_none().then(|| taught_tokens(method, &rollouts));
                let mean_over = whole.as_ref().or(own.as_ref()).map_or(&[][..], Vec::as_slice);
                for (piece, batch) in
                    self.pieces(weights, rollouts, mean_over, step, first)?.into_iter().enumerate()
                {
                    let MicroBatch { loss, terms, scored, gradient: slope, scoring, update } = batch;
                    gradient.add(part_number(number, piece), slope)?;
                    pieces.push(Piece { number, loss, terms, scored, scoring, update });
                }
            }
            Ok(pieces)
        };
        let learnt = learn(watch);
        let (own, others) = agreed(watch, learnt, |own: &Vec<Piece<Scored>>| told(own))?;
        let gradient = watch.waiting(|ranks| gradient.finish(weights, ranks))?;

        let (pieces, [scoring, update]) = put_together(own, others, &mut dealt);
        let (mut loss, mut terms) = (0.0, BTreeMap::<String, Term>::new());
        let mut scored = Vec::new();
        for piece in pieces {
            loss += piece.loss / divisor as f64;
            for (name, term) in &piece.terms {
                terms.entry(name.clone()).or_default().add(term, divisor);
            }
            scored.extend(piece.scored);
        }
        let outcome = Outcome::Distilled(Box::new(Distilled::new(method, terms, &scored)));
        Ok(StepLoss { loss, gradient, outcome, scored, scoring, update })
    }
}

impl Distillation<'_> {
    /// A micro-batch, whose first completion is number `first` of the step, in pieces that are computed side by side where
    /// that is faster.
    fn pieces(
        &self,
        weights: &Adapter,
        mut rollouts: Vec<RolledOut>,
        mean_over: &[usize],
        step: u64,
        first: usize,
    ) -> Result<Vec<MicroBatch>, RunError> {
        let piece = |(first, rollouts): (usize, Vec<RolledOut>)| {
            let dropout = dropout(self.dropping, step, rollouts.iter(), self.model.device());
            let adapter = ActiveAdapter { adapter: weights, dropout: dropout.as_ref() };
            let probe = Probe::of(self.log, step, first);
            part(self.model, adapter, &self.teaching, rollouts, mean_over, self.keep, probe)
        };
        if rollouts.len() <= PIECE || !works_side_by_side(self.model) {
            return Ok(vec![piece((first, rollouts))?]);
        }
        let begin = Instant::now();
        let mut pieces = Vec::new();
        while !rollouts.is_empty() {
            let rest = rollouts.split_off(PIECE.min(rollouts.len()));
            pieces.push((first + pieces.len() * PIECE, std::mem::replace(&mut rollouts, rest)));
        }
        let mut computed: Vec<MicroBatch> =
            side_by_side(pieces, piece).into_iter().collect::<Result<_, _>>()?;
        // Each has the share of the time that passed which it has of all work.
        let works = |batch: &MicroBatch| batch.scoring.seconds + batch.update.seconds;
        let share = begin.elapsed().as_secs_f64() / computed.iter().map(works).sum::<f64>().max(1e-9);
        for batch in &mut computed {
            batch.scoring.seconds *= share;
            batch.update.seconds *= share;
        }
        Ok(computed)
    }
}

/// A method with its divergences found by their names.
#[derive(Clone, Debug)]
pub struct Teaching<'a> {
    method: &'a Method,
    /// Of each teacher of the table.
    divergences: Vec<Arc<dyn Divergence>>,
}

impl<'a> Teaching<'a> {
    /// Looks the divergences of a method's teachers up.
    ///
    /// # Errors
    /// If one is not known; the error names its key in the recipe.
    pub fn new(method: &'a Method, known: &Divergences) -> Result<Self, RunError> {
        let find = |(index, teacher): (usize, &Teacher)| {
            let whole: Arc<dyn Divergence> = match (&teacher.divergence, JensenShannon::new(teacher.beta)) {
                (Named::Jsd, Some(jsd)) => Arc::new(jsd),
                (named, _) => known.get(named.name()).map_err(|unknown| RunError::Setting {
                    key: format!("method.teacher[{index}].divergence"),
                    found: format!("\"{}\"", unknown.found),
                    wanted: format!("one of {}", unknown.known.join(", ")),
                })?,
            };
            Ok::<_, RunError>(match NonZeroUsize::new(teacher.top_k) {
                Some(count) => Arc::new(TopTokens::new(count, whole)) as Arc<dyn Divergence>,
                None => whole,
            })
        };
        let divergences = method.teachers.iter().enumerate().map(find).collect::<Result<_, _>>()?;
        Ok(Self { method, divergences })
    }
}

/// What one micro-batch gives.
#[derive(Debug)]
pub struct MicroBatch {
    /// The weighted sum of the losses.
    pub loss: f64,
    /// Each loss by its teacher's name; those without a token are there with zeros.
    pub terms: BTreeMap<String, Term>,
    /// Every rollout with its supervised tokens.
    pub scored: Vec<Scored>,
    /// Gradient of the loss for every tensor of the adapter.
    pub gradient: Adapter,
    /// The teachers' forward.
    pub scoring: Work,
    /// The student's forward, the loss and the backward.
    pub update: Work,
}

/// A teacher's pass over one of the rollouts.
struct Pass {
    rollout: usize,
    pass: TeacherPass,
}

/// Tokens of some completions that each teacher of the table teaches, those of one name together.
fn taught_tokens(method: &Method, rollouts: &[RolledOut]) -> Vec<usize> {
    let mut tokens: BTreeMap<&str, usize> = BTreeMap::new();
    for Pass { pass, .. } in passes(method, rollouts) {
        *tokens.entry(&method.teachers[pass.teacher].name).or_default() += pass.active.len();
    }
    method.teachers.iter().map(|teacher| tokens.get(teacher.name.as_str()).copied().unwrap_or(0)).collect()
}

/// What every teacher reads of some completions: completion by completion, in the order of the table.
fn passes(method: &Method, rollouts: &[RolledOut]) -> Vec<Pass> {
    let of = |(rollout, r): (usize, &RolledOut)| {
        let passes = route(&method.teachers, &r.tokens, &r.verdict);
        passes.into_iter().map(move |pass| Pass { rollout, pass })
    };
    rollouts.iter().enumerate().flat_map(of).collect()
}

/// Computes losses and gradient of a step of one micro-batch. The adapter's dropout, if any, is the training forward's.
///
/// # Errors
/// If a token is not in the model's vocabulary.
pub fn micro_batch(
    model: &dyn VisionLanguageModel,
    adapter: ActiveAdapter,
    teaching: &Teaching,
    rollouts: Vec<RolledOut>,
    keep: Keep,
) -> Result<MicroBatch, RunError> {
    let mean_over = taught_tokens(teaching.method, &rollouts);
    part(model, adapter, teaching, rollouts, &mean_over, keep, None)
}

/// The part of a micro-batch in a step whose losses are means over so many tokens of each teacher, with what
/// `probe` wants recorded of it.
fn part(
    model: &dyn VisionLanguageModel,
    adapter: ActiveAdapter,
    teaching: &Teaching,
    rollouts: Vec<RolledOut>,
    mean_over: &[usize],
    keep: Keep,
    probe: Option<Probe>,
) -> Result<MicroBatch, RunError> {
    let Teaching { method, divergences } = teaching;
    let passes = passes(method, &rollouts);
    let mut terms: BTreeMap<String, Term> =
        method.teachers.iter().filter(|t| t.runs()).map(|t| (t.name.clone(), Term::default())).collect();
    for Pass { pass, .. } in &passes {
        terms.entry(method.teachers[pass.teacher].name.clone()).or_default().tokens += pass.active.len();
    }
    let unscored = |rollout| Scored { rollout, tokens: Vec::new(), observed: None };
    let mut scored: Vec<Scored> = rollouts.into_iter().map(unscored).collect();
    if passes.is_empty() {
        let gradient = adapter.adapter.zeros();
        let (scoring, update) = (Work::default(), Work::default());
        return Ok(MicroBatch { loss: 0.0, terms, scored, gradient, scoring, update });
    }

    let begin = Instant::now();
    let (teacher_hidden, read) = {
        let _teachers = phase!(model.device(), "teachers");
        score(model, method, &scored, &passes)?
    };
    wait(model);
    let scoring = Work { tokens: read, seconds: begin.elapsed().as_secs_f64() };
    let begin = Instant::now();
    let sequences: Vec<Sequence> =
        scored.iter().map(|s| s.rollout.sample.student.followed_by(&s.rollout.tokens)).collect();
    let packed = model.pack(&sequences.iter().collect::<Vec<_>>())?;
    let images: Vec<&ImagePatches> = scored.iter().flat_map(|s| &s.rollout.sample.images).collect();
    let (hidden, trace) = {
        let _student = phase!(model.device(), "student");
        model.forward_traced(&packed, &images, adapter, keep)
    };

    let mut rows = Vec::new();
    for Pass { rollout, pass } in &passes {
        let first = scored[*rollout].rollout.sample.student.ids.len();
        let teacher = &method.teachers[pass.teacher];
        let weight = teacher.weight / mean_over[pass.teacher] as f64;
        for token in &pass.active {
            rows.push(ActiveRow {
                student: packed.predicting_row(*rollout, first + token.position),
                teacher: rows.len(),
                divergence: divergences[pass.teacher].as_ref(),
                weight: weight * scored[*rollout].rollout.weight(token.position),
                clip: clip(method, token.boundary),
            });
        }
    }
    let chunk = chunk_rows(model.architecture().text.vocab_size, LOGITS_BUDGET);
    let result = {
        let _loss = phase!(model.device(), "loss");
        divergence_linear(&hidden, &teacher_hidden, model.head(), &rows, method.temperature, chunk)?
    };

    if let Some(row) = result.kl.iter().position(|kl| !kl.is_finite()) {
        let states =
            [("a teacher's hidden states", &teacher_hidden), ("the student's hidden states", &hidden)];
        return Err(not_finite(row, first_not_finite(states)?, &scored, method, &passes));
    }

    let mut divergences = rows.iter().zip(&result.kl);
    let mut passing = 0;
    for Pass { rollout, pass } in &passes {
        let term = terms.entry(method.teachers[pass.teacher].name.clone()).or_default();
        for (token, (row, &kl)) in pass.active.iter().zip(divergences.by_ref()) {
            let clipped = row.clips(kl);
            passing += usize::from(!clipped);
            term.kl += kl / term.tokens as f64;
            let counts = scored[*rollout].rollout.weight(token.position);
            term.loss += counts * row.clip.map_or(kl, |c| kl.min(c)) / mean_over[pass.teacher] as f64;
            term.clipped += usize::from(clipped);
            let token = ScoredToken { position: token.position, teacher: pass.teacher, kl, clipped };
            scored[*rollout].tokens.push(token);
        }
    }
    if let Some(probe) = probe {
        let sight = Sight {
            model,
            packed: &packed,
            student: &hidden,
            teachers: &teacher_hidden,
            statistics: &result.rows,
            temperature: method.temperature,
        };
        probe.observe(&sight, &mut scored)?;
    }
    let backward = phase!(model.device(), "backward");
    let gradient = match passing {
        0 => adapter.adapter.zeros(),
        _ => model.backward(trace, result.gradient.cast(hidden.dtype()), &packed, adapter),
    };
    drop(backward);
    wait(model);
    let update = Work { tokens: packed.rows(), seconds: begin.elapsed().as_secs_f64() };
    Ok(MicroBatch { loss: result.loss, terms, scored, gradient, scoring, update })
}

/// That the divergence of a row, counted over all passes, is not finite, and what was so before it.
fn not_finite(
    row: usize,
    first: Option<&str>,
    scored: &[Scored],
    method: &Method,
    passes: &[Pass],
) -> RunError {
    let mut before = 0;
    let found = passes.iter().find_map(|p| {
        let index = row - before;
        before += p.pass.active.len();
        (row < before).then(|| (p, p.pass.active[index].position))
    });
    let place = found.map_or(String::new(), |(p, position)| {
        let teacher = &method.teachers[p.pass.teacher].name;
        format!(" (teacher `{teacher}`, row `{}`, token {position})", scored[p.rollout].rollout.sample.id)
    });
    RunError::NotFinite(format!("{}{place}", first.unwrap_or("the divergence")))
}

/// Hidden states of the frozen base for every supervised token, in the order of the passes, `[R, D]`; and
/// the tokens read for it.
///
/// All contexts are packed into one forward. An image is encoded once and serves all teachers and all completions of its
/// sample, and so does the beginning that their contexts share.
fn score(
    model: &dyn VisionLanguageModel,
    method: &Method,
    scored: &[Scored],
    passes: &[Pass],
) -> Result<(Tensor<2>, usize), ModelError> {
    let prompt = |p: &Pass| &scored[p.rollout].rollout.sample.teachers[p.pass.teacher];
    // The completions of a sample are neighbours, and so are the passes of a completion.
    let samples: Vec<&[Scored]> =
        scored.chunk_by(|a, b| Arc::ptr_eq(&a.rollout.sample, &b.rollout.sample)).collect();
    let images: Vec<&ImagePatches> = samples.iter().flat_map(|s| &s[0].rollout.sample.images).collect();
    let sees = method.teachers.iter().any(|t| t.runs() && t.sees_images());
    let encoded = if sees { model.encode_images(&images, None) } else { Vec::new() };
    let mut rest = encoded.as_slice();
    let own = samples.iter().flat_map(|completions| {
        let (own, others) = rest.split_at(completions[0].rollout.sample.images.len().min(rest.len()));
        rest = others;
        completions.iter().map(move |_| own)
    });
    let features_of: Vec<&[Tensor<2>]> = own.collect();

    let sequences: Vec<Sequence> = passes.iter().map(|p| prompt(p).followed_by(&p.pass.tokens)).collect();
    let sample = |pass: &Pass| &scored[pass.rollout].rollout.sample;
    let mut of_sample = passes.chunk_by(|a, b| Arc::ptr_eq(sample(a), sample(b)));
    let mut rest = sequences.iter();
    let groups = std::iter::from_fn(|| Some(rest.by_ref().take(of_sample.next()?.len()).collect()));
    let groups: Vec<Vec<&Sequence>> = groups.collect();
    let packed = model.pack_groups(&groups)?;
    let features: Vec<Tensor<2>> = packed
        .images()
        .iter()
        .map(|image| {
            let [sequence, number] = image.source;
            features_of[passes[sequence].rollout][number].clone()
        })
        .collect();
    let hidden = model.forward(&packed, &features, None, &mut ());
    let batch = &packed;
    let rows = passes.iter().enumerate().flat_map(|(i, p)| {
        let first = prompt(p).ids.len();
        p.pass.active.iter().map(move |token| batch.predicting_row(i, first + token.read))
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
