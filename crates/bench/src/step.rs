//! A step: one of the standard method on drawn rollouts: teachers, student, loss, backward, update.

use crate::report::{Report, Work};
use crate::synthetic::{Bench, Measured};
use crate::{BenchError, On, check_batch};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use vigos_checkpoint::optim::{AdamW, clip_global_norm, global_norm};
use vigos_kernels::Divergences;
use vigos_models::gradient::Keep;
use vigos_models::{ActiveAdapter, Adapter, LoraConfig, Projection, phase};
use vigos_recipe::sample::Sample;
use vigos_recipe::{Method, Optim};
use vigos_rollout::engine::Finish;
use vigos_rollout::spans::{CompletionText, Spans, Verdict};
use vigos_rollout::{RolledOut, RunError};
use vigos_train::distillation::{Teaching, micro_batch};

/// Tokens of the completion between the two spans: the tags.
const TAGS: usize = 6;

/// The sizes, and how it is computed.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Rollouts of the step, all of one micro-batch and all valid.
    pub batch: NonZeroUsize,
    /// Tokens of the question's prompt, those of its image included; the roles' templates add to it.
    pub prompt: usize,
    /// Patches of its image, down and across.
    pub image: [usize; 2],
    /// Tokens of a completion.
    pub completion: usize,
    /// What the student's forward keeps for the backward.
    pub keep: Keep,
}

impl Sizes {
    /// What is done.
    #[must_use]
    pub fn work(&self) -> Work {
        let Self { batch, prompt, image, completion, .. } = *self;
        Work { case: "step".into(), batch: batch.get(), prompt, image, completion }
    }
}

/// Runs the benchmark.
///
/// # Errors
/// If the sizes do not fit the model, or the device fails.
pub fn run(on: On, sizes: Sizes) -> Result<Report, BenchError> {
    check_batch(sizes.batch)?;
    let bench = Bench::open(on)?;
    let keep = sizes.keep;
    // Drawn weights disagree by more than a published clip, and what is clipped has no backward.
    let method = Method { clip: f64::from(f32::MAX), ..Method::default() };
    let lengths = Lengths::of(sizes, &method)?;
    let rollouts: Vec<RolledOut> = (0..sizes.batch.get())
        .map(|i| rollout(&bench, sizes, &lengths, i as u64))
        .collect::<Result<_, _>>()?;
    let divergences = Divergences::default();
    let teaching = Teaching::new(&method, &divergences)?;
    let config = LoraConfig { rank: 16, alpha: 32.0, dropout: 0.0, targets: Projection::ALL.to_vec() };
    let mut adapter = Adapter::init(&config, bench.architecture(), 0, &bench.device);
    let mut optimiser = AdamW::new(&adapter);
    let optim = Optim::default();

    let mut loss = 0.0;
    let Measured { seconds, phases, traffic } = bench.measure(&on, || {
        let active = ActiveAdapter { adapter: &adapter, dropout: None };
        let batch = micro_batch(bench.model.as_ref(), active, &teaching, rollouts.clone(), keep)?;
        let _optimiser = phase!(&bench.device, "optimiser");
        loss = batch.loss;
        let norm = global_norm(&batch.gradient)?;
        let clipped = clip_global_norm(batch.gradient, norm, optim.max_grad_norm);
        adapter = optimiser.update(&adapter, &clipped, optim.lr, &optim);
        Ok::<_, RunError>(())
    })?;
    let tokens = lengths.tokens(sizes, &bench);
    Ok(Report {
        device: on.device_name.to_owned(),
        work: sizes.work(),
        prompts: lengths.named(&method),
        repeats: on.repeats.get(),
        seconds,
        phases,
        tokens_per_second: tokens.all() as f64 / seconds,
        tokens_computed: tokens.all(),
        tokens_needed: tokens.all(),
        peak_bytes: bench.peak_bytes(),
        model_bytes: bench.model_bytes,
        matmul_share: tokens.operations(&bench, sizes) / seconds / bench.product_rate(),
        traffic,
        loss: Some(loss),
        against: None,
    })
}

/// Tokens of each role's prompt and of the spans.
struct Lengths {
    student: usize,
    /// In the order of the teacher table; the last one's rollouts are all valid, so it does not run.
    teachers: Vec<usize>,
    description: usize,
    reasoning: usize,
}

/// Tokens of a step through the decoder.
struct Tokens {
    teachers: usize,
    student: usize,
}

impl Lengths {
    /// Those that the templates of the method have relative to the question's: of a question for which the
    /// student's prompt has three tokens more than `--prompt` says.
    fn of(sizes: Sizes, method: &Method) -> Result<Self, BenchError> {
        if sizes.completion <= TAGS + 2 {
            return Err(BenchError::Size {
                what: "the completion",
                found: format!("{} tokens", sizes.completion),
                wanted: format!("more than {}: it holds a description, tags and reasoning", TAGS + 2),
            });
        }
        let student = sizes.prompt.saturating_add(3);
        // What the templates add or leave out, as measured for the question of the reference.
        let beside = |name: &str| match name {
            "perception" => student.saturating_sub(258),
            "reasoning" => student.saturating_sub(46),
            _ => student.saturating_add(33),
        };
        let spans = sizes.completion - TAGS;
        let description = (spans * 60).div_ceil(116);
        let teachers = method.teachers.iter().map(|teacher| beside(&teacher.name)).collect();
        Ok(Self { student, teachers, description, reasoning: spans - description })
    }

    fn named(&self, method: &Method) -> BTreeMap<String, usize> {
        let names = method.teachers.iter().map(|teacher| teacher.name.clone());
        let mut named: BTreeMap<String, usize> = names.zip(self.teachers.iter().copied()).collect();
        named.insert("student".into(), self.student);
        named
    }

    /// The last token of a span is predicted and not read.
    fn tokens(&self, sizes: Sizes, bench: &Bench) -> Tokens {
        let batch = sizes.batch.get();
        let perception = self.teachers[0] + self.description - 1;
        let reasoning = self.teachers[1] + sizes.completion - 1;
        // What both prompts begin with is there once: tokens are drawn, and the same up to the image's last.
        let teachers = batch * (perception + reasoning - bench.through_image(sizes.image));
        let student = batch * (self.student + sizes.completion);
        Tokens { teachers, student }
    }
}

impl Tokens {
    /// Tokens through the decoder.
    fn all(&self) -> usize {
        self.teachers + self.student
    }

    /// A teacher's products are computed once; the student's forward and backward, and perhaps forward again.
    fn operations(&self, bench: &Bench, sizes: Sizes) -> f64 {
        let products = bench.products();
        let runs = if sizes.keep == Keep::Graphs { 2.0 } else { 3.0 };
        let patches = (sizes.batch.get() * sizes.image[0] * sizes.image[1]) as f64;
        let active = (sizes.batch.get() * (sizes.completion - TAGS)) as f64;
        products.token * (self.teachers as f64 + runs * self.student as f64)
            + products.patch * patches * (1.0 + runs)
            + products.row * active * 3.0
    }
}

/// A valid rollout with prompts of these lengths.
fn rollout(bench: &Bench, sizes: Sizes, lengths: &Lengths, number: u64) -> Result<RolledOut, BenchError> {
    let prompt = |tokens| bench.prompt(tokens, sizes.completion, sizes.image, number);
    let sample = Sample {
        number,
        id: number.to_string(),
        problem: String::new(),
        reference: String::new(),
        kind: None,
        images: vec![bench.image(sizes.image, number)],
        student: prompt(lengths.student)?,
        teachers: lengths.teachers.iter().map(|tokens| prompt(*tokens)).collect::<Result<_, _>>()?,
        completion: Vec::new(),
    };
    let spans = Spans {
        description: (0..lengths.description).collect(),
        reasoning_answer: (sizes.completion - lengths.reasoning..sizes.completion).collect(),
    };
    let tokens = bench.ids(sizes.completion, number + (1 << 32));
    let text = CompletionText::new(&[], |_| [], &[]);
    Ok(RolledOut {
        sample: Arc::new(sample),
        tokens,
        finish: Finish::Stop,
        text,
        verdict: Verdict::Valid(spans),
        foreign: None,
    })
}
