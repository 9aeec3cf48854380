//! The log-probabilities of one rollout's tokens under student, teachers, and teachers who are shown something
//! else.

use super::tokens::{Part, Token};
use burn::tensor::Tensor;
use vigos_kernels::{LOGITS_BUDGET, chunk_rows};
use vigos_models::scoring::score_tokens;
use vigos_models::{ActiveAdapter, ModelError, Target, VisionLanguageModel};
use vigos_processor::{ImagePatches, Sequence};
use vigos_recipe::Method;
use vigos_recipe::context::REFERENCE;
use vigos_recipe::sample::Sample;
use vigos_rollout::routing::{TeacherPass, route};
use vigos_rollout::spans::{Spans, Verdict};

/// A valid rollout and the contexts to score it in.
#[derive(Clone, Copy, Debug)]
pub struct Counterfactuals<'a> {
    /// The sample as it is.
    pub sample: &'a Sample,
    /// The same with each wrong answer for a reference.
    pub wrong: &'a [Sample],
    /// The same with the next item's images.
    pub other: &'a Sample,
    /// The student's tokens.
    pub completion: &'a [u32],
    /// Their spans.
    pub spans: &'a Spans,
}

/// A sequence with the features of its images and the tokens to score.
struct Reader<'a> {
    sequence: Sequence,
    features: &'a [Tensor<2>],
    /// Place of each in the sequence, and its id.
    scored: Vec<(usize, u32)>,
}

/// Every token that has an active teacher, teacher by teacher. The student is `model` with `adapter`, in eval
/// mode; the teachers are `model` alone.
///
/// # Errors
/// If a token is not in the vocabulary, or the device fails.
pub fn score(
    model: &dyn VisionLanguageModel,
    adapter: Option<ActiveAdapter>,
    method: &Method,
    counterfactuals: &Counterfactuals,
) -> Result<Vec<Token>, ModelError> {
    let Counterfactuals { sample, completion, spans, .. } = counterfactuals;
    let verdict = Verdict::Valid((*spans).clone());
    let passes = route(&method.teachers, completion, &verdict);

    let images = encode(model, &sample.images, adapter);
    let all = Reader::new(
        &sample.student,
        &images,
        completion,
        (0..completion.len()).map(|at| (at, at)),
        completion,
    );
    let own = logprobs(model, adapter, &[all])?;
    let own = own.first().map(Vec::as_slice).unwrap_or_default();

    let images = encode(model, &sample.images, None);
    let others = encode(model, &counterfactuals.other.images, None);
    let mut tokens = Vec::new();
    for pass in &passes {
        let Some(teacher) = method.teachers.get(pass.teacher) else { continue };
        let read = |sample: &Sample, features| reader(sample, features, pass, completion);
        let mut readers = vec![read(sample, &images)];
        if teacher.sees_images() {
            readers.push(read(counterfactuals.other, &others));
        }
        if teacher.sees(REFERENCE) {
            readers.extend(counterfactuals.wrong.iter().map(|wrong| read(wrong, &images)));
        }
        let scored = logprobs(model, None, &readers)?;
        let mut scored = scored.iter();
        let active = scored.next().map(Vec::as_slice).unwrap_or_default();
        let image = if teacher.sees_images() { scored.next() } else { None };
        let wrong: Vec<&Vec<f64>> = scored.collect();
        for (order, (at, &active)) in pass.active.iter().zip(active).enumerate() {
            let (Some(&id), Some(&own)) = (completion.get(at.position), own.get(at.position)) else {
                continue;
            };
            let wrong: Vec<f64> = wrong.iter().filter_map(|scores| scores.get(order).copied()).collect();
            let image = image.and_then(|scores| scores.get(order).copied());
            let place = (at.position, id, part(spans, at.position));
            tokens.push(Token::weighed(place, &teacher.name, [own, active], &wrong, image));
        }
    }
    Ok(tokens)
}

/// A teacher's pass of a completion in the context that `sample` gives it.
fn reader<'f>(
    sample: &Sample,
    features: &'f [Tensor<2>],
    pass: &TeacherPass,
    completion: &[u32],
) -> Reader<'f> {
    let prompt = sample.teachers.get(pass.teacher).cloned().unwrap_or_default();
    let features = features.get(..prompt.images.len()).unwrap_or_default();
    let active = pass.active.iter().map(|token| (token.position, token.read));
    Reader::new(&prompt, features, &pass.tokens, active, completion)
}

impl<'a> Reader<'a> {
    /// A prompt followed by `tokens`; to be scored are (position in the completion, tokens read before it).
    fn new(
        prompt: &Sequence,
        features: &'a [Tensor<2>],
        tokens: &[u32],
        scored: impl Iterator<Item = (usize, usize)>,
        completion: &[u32],
    ) -> Self {
        let first = prompt.ids.len();
        let place = |(position, read): (usize, usize)| Some((first + read, *completion.get(position)?));
        let sequence = prompt.followed_by(tokens);
        // Nothing predicts the first token of a sequence.
        let scored = scored.filter_map(place).filter(|(at, _)| *at > 0).collect();
        Self { sequence, features, scored }
    }
}

fn encode(
    model: &dyn VisionLanguageModel,
    images: &[ImagePatches],
    adapter: Option<ActiveAdapter>,
) -> Vec<Tensor<2>> {
    model.encode_images(&images.iter().collect::<Vec<_>>(), adapter)
}

/// Of each reader its targets' log-probabilities, all by one forward.
fn logprobs(
    model: &dyn VisionLanguageModel,
    adapter: Option<ActiveAdapter>,
    readers: &[Reader],
) -> Result<Vec<Vec<f64>>, ModelError> {
    let packed = model.pack(&readers.iter().map(|reader| &reader.sequence).collect::<Vec<_>>())?;
    let features: Vec<Tensor<2>> = readers.iter().flat_map(|reader| reader.features).cloned().collect();
    let hidden = model.forward(&packed, &features, adapter, &mut ());
    let mut targets = Vec::new();
    for (i, reader) in readers.iter().enumerate() {
        let target = |&(at, token): &(usize, u32)| Target { row: packed.predicting_row(i, at), token };
        targets.extend(reader.scored.iter().map(target));
    }
    let chunk = chunk_rows(model.architecture().text.vocab_size, LOGITS_BUDGET);
    let mut scores =
        score_tokens(model, &hidden, &targets, chunk.get())?.into_iter().map(|score| score.logprob);
    Ok(readers.iter().map(|reader| scores.by_ref().take(reader.scored.len()).collect()).collect())
}

fn part(spans: &Spans, position: usize) -> Part {
    if spans.description.contains(&position) {
        Part::Description
    } else if spans.reasoning_answer.contains(&position) {
        Part::ReasoningAnswer
    } else {
        Part::Other
    }
}
