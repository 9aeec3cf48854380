//! The parts that a backward runs again, and which of their tensors are leaves: an adapter's, or all.

use crate::adapter::{ActiveAdapter, BlockAdapter, BlockLora};
use crate::error::ModelError;
use crate::model::{Model, Packed};
use crate::parameters::{COMPLETE, Leaves, Parameters};
use crate::sites::{path, tensor_names};
use crate::text::{DecoderLayer, LanguageModel};
use crate::vision::{PatchEmbedding, VisionBlock, VisionPlan, VisionTower};
use burn::tensor::Tensor;
use std::collections::BTreeMap;

/// Gradients by name.
pub(crate) type Gradients = BTreeMap<String, Tensor<2>>;

/// A place in the model where a backward stops to run a part again.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    FinalNorm,
    Layer(usize, &'a Packed),
    Merger(&'a VisionPlan),
    Deepstack(usize, &'a VisionPlan),
    Block(usize, &'a VisionPlan),
    Patches(&'a VisionPlan),
}

/// A part of the model: the leaves of what is trained in it, by name, and its forward over them.
pub(crate) struct Part<'a> {
    leaves: Vec<(String, Tensor<2>)>,
    forward: Box<dyn Fn(Tensor<2>) -> Tensor<2> + 'a>,
}

/// Says which tensors of a part are leaves.
pub(crate) trait Parts {
    fn model(&self) -> &Model;

    fn part<'a>(&'a self, place: Place<'a>) -> Part<'a>;

    /// Runs a part again under autodiff and pulls `upstream` back through it: the gradient of its input. Those
    /// of its leaves go to `gradients`.
    fn pull(
        &self,
        place: Place,
        input: Tensor<2>,
        upstream: Tensor<2>,
        gradients: &mut Gradients,
    ) -> Tensor<2> {
        let part = self.part(place);
        let input = Tensor::from_inner(input).require_grad();
        let output = (part.forward)(input.clone());
        let mut leaves = part.leaves;
        leaves.push((INPUT.to_owned(), input));
        pull(output, upstream, leaves, gradients);
        gradients.remove(INPUT).expect("its gradient has just been put there")
    }
}

/// A name that no weight has.
const INPUT: &str = "";

/// Pulls `upstream` back through the graph of `output`: the gradients of its leaves go to `gradients`.
pub(crate) fn pull(
    output: Tensor<2>,
    upstream: Tensor<2>,
    leaves: Vec<(String, Tensor<2>)>,
    gradients: &mut Gradients,
) {
    let mut found = (output * Tensor::from_inner(upstream)).sum().backward();
    gradients.extend(leaves.into_iter().map(|(name, leaf)| {
        let gradient = leaf.grad_remove(&mut found).unwrap_or_else(|| leaf.inner().zeros_like());
        (name, gradient)
    }));
}

/// An adapter's pairs are leaves.
pub(crate) struct AdapterParts<'m> {
    pub(crate) model: &'m Model,
    pub(crate) adapter: ActiveAdapter<'m>,
}

impl AdapterParts<'_> {
    /// The pairs of one block as leaves, and the leaves by name.
    fn leaves(lora: BlockLora, vision: bool, block: usize) -> (BlockAdapter, Vec<(String, Tensor<2>)>) {
        let (mut tracked, mut leaves) = (BlockAdapter::new(), Vec::new());
        let leaf = |t: &Tensor<2>| Tensor::from_inner(t.clone()).require_grad();
        for (&projection, pair) in lora.pairs {
            let pair = pair.map(leaf);
            let names = tensor_names(&path(vision, block, projection));
            leaves.extend(names.into_iter().zip([pair.a.clone(), pair.b.clone()]));
            tracked.insert(projection, pair);
        }
        (tracked, leaves)
    }
}

impl Parts for AdapterParts<'_> {
    fn model(&self) -> &Model {
        self.model
    }

    fn part<'a>(&'a self, place: Place<'a>) -> Part<'a> {
        let model = self.model;
        let frozen = |forward| Part { leaves: Vec::new(), forward };
        match place {
            Place::FinalNorm => frozen(Box::new(|x| model.text.norm.forward(x))),
            Place::Layer(i, packed) => {
                let lora = self.adapter.text(i);
                let (tracked, leaves) = Self::leaves(lora, false, i);
                let forward = move |x| {
                    let lora = Some(lora.with_pairs(&tracked));
                    model.text.layers[i].forward(x, &packed.rotary, &packed.segments, lora).0
                };
                Part { leaves, forward: Box::new(forward) }
            }
            Place::Block(i, plan) => {
                let lora = self.adapter.vision(i);
                let (tracked, leaves) = Self::leaves(lora, true, i);
                let forward =
                    move |x| model.vision.blocks[i].forward(x, plan, Some(lora.with_pairs(&tracked)));
                Part { leaves, forward: Box::new(forward) }
            }
            Place::Merger(plan) => frozen(Box::new(|x| model.vision.merge(x, plan))),
            Place::Deepstack(..) | Place::Patches(_) => {
                unreachable!("nothing that an adapter trains lies before these")
            }
        }
    }
}

/// Every weight is a leaf.
pub(crate) struct AllParts<'m> {
    pub(crate) model: &'m Model,
    pub(crate) parameters: &'m Parameters,
}

impl Parts for AllParts<'_> {
    fn model(&self) -> &Model {
        self.model
    }

    fn part<'a>(&'a self, place: Place<'a>) -> Part<'a> {
        let leaves = Leaves::new(self.parameters);
        let (text, vision) = (&self.model.config.text, &self.model.config.vision);
        let forward = (|| -> Result<Box<dyn Fn(Tensor<2>) -> Tensor<2> + 'a>, ModelError> {
            Ok(match place {
                Place::FinalNorm => {
                    let norm = LanguageModel::load_norm(text, &leaves)?;
                    Box::new(move |x| norm.forward(x))
                }
                Place::Layer(i, packed) => {
                    let layer = DecoderLayer::load(text, i, &leaves)?;
                    Box::new(move |x| layer.forward(x, &packed.rotary, &packed.segments, None).0)
                }
                Place::Merger(plan) => {
                    let merger = VisionTower::load_merger(vision, &leaves)?;
                    Box::new(move |x| plan.restore(merger.forward(x)))
                }
                Place::Deepstack(k, plan) => {
                    let merger = VisionTower::load_deepstack(vision, k, &leaves)?;
                    Box::new(move |x| plan.restore(merger.forward(x)))
                }
                Place::Block(i, plan) => {
                    let block = VisionBlock::load(vision, i, &leaves)?;
                    Box::new(move |x| block.forward(x, plan, None))
                }
                Place::Patches(plan) => {
                    let embedding = PatchEmbedding::load(vision, &leaves)?;
                    Box::new(move |x| embedding.forward(x, plan))
                }
            })
        })()
        .expect(COMPLETE);
        Part { leaves: leaves.given(), forward }
    }
}
