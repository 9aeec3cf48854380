//! The modules that a backward goes through, and which of their tensors are leaves: an adapter's, or all.

use crate::model::Model;
use crate::text::{DecoderLayer, LanguageModel};
use crate::vision::{PatchEmbedding, VisionBlock, VisionPlan, VisionTower};
use burn::tensor::Tensor;
use vigos_models::adapter::{BlockAdapter, BlockLora};
use vigos_models::gradient::{Gradients, vector_jacobian};
use vigos_models::parameters::{COMPLETE, Leaves};
use vigos_models::sites::tensor_names;
use vigos_models::{ActiveAdapter, ModelError, Packed, Parameters};

/// A module that a backward goes through.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Module<'a> {
    FinalNorm,
    Layer(usize, &'a Packed),
    Merger(&'a VisionPlan),
    Deepstack(usize, &'a VisionPlan),
    Block(usize, &'a VisionPlan),
    Patches(&'a VisionPlan),
}

/// A module on the autodiff device: the leaves of what is trained in it, by name, and its forward over them.
pub(crate) struct Tracked<'a> {
    leaves: Vec<(String, Tensor<2>)>,
    forward: Box<dyn Fn(Tensor<2>) -> Tensor<2> + 'a>,
}

/// Says which tensors of a module are leaves.
pub(crate) trait Recompute {
    fn model(&self) -> &Model;

    fn track<'a>(&'a self, module: Module<'a>) -> Tracked<'a>;

    /// Runs a module under autodiff.
    fn run(&self, module: Module, input: Tensor<2>) -> Run {
        let tracked = self.track(module);
        let input = Tensor::from_inner(input).require_grad();
        let output = (tracked.forward)(input.clone());
        let mut leaves = tracked.leaves;
        leaves.push((INPUT.to_owned(), input));
        Run { output, leaves }
    }

    /// Pulls `upstream` back through a module: the gradient of its input. Those of its leaves go to `gradients`.
    fn pull_back(
        &self,
        module: Module,
        kept: Kept,
        upstream: Tensor<2>,
        gradients: &mut Gradients,
    ) -> Tensor<2> {
        let Run { output, leaves } = match kept {
            Kept::Input(input) => self.run(module, input),
            Kept::Run(run) => run,
        };
        vector_jacobian(output, upstream, leaves, gradients);
        gradients.remove(INPUT).expect("its gradient has just been put there")
    }
}

/// A run of a module: the graph of its output, and the graph's leaves by name, its input among them.
#[derive(Debug)]
pub(crate) struct Run {
    output: Tensor<2>,
    leaves: Vec<(String, Tensor<2>)>,
}

impl Run {
    /// Its output, without the graph.
    pub(crate) fn output(&self) -> Tensor<2> {
        self.output.clone().inner()
    }

    /// Its input, without the graph.
    fn input(&self) -> Tensor<2> {
        let (_, input) = self.leaves.last().expect("the input is the last leaf");
        input.clone().inner()
    }
}

/// What a forward keeps of a module.
#[derive(Debug)]
pub(crate) enum Kept {
    /// Its input.
    Input(Tensor<2>),
    /// All of it.
    Run(Run),
}

impl Kept {
    /// The module's input.
    pub(crate) fn input(&self) -> Tensor<2> {
        match self {
            Self::Input(input) => input.clone(),
            Self::Run(run) => run.input(),
        }
    }
}

/// A name that no weight has.
const INPUT: &str = "";

/// An adapter's pairs are leaves.
pub(crate) struct AdapterLeaves<'m> {
    pub(crate) model: &'m Model,
    pub(crate) adapter: ActiveAdapter<'m>,
}

impl AdapterLeaves<'_> {
    /// The pairs of one block as leaves, and the leaves by name.
    fn leaves(lora: BlockLora) -> (BlockAdapter, Vec<(String, Tensor<2>)>) {
        let (mut tracked, mut leaves) = (BlockAdapter::new(), Vec::new());
        let leaf = |t: &Tensor<2>| Tensor::from_inner(t.clone()).require_grad();
        for (&projection, pair) in lora.pairs {
            let pair = pair.map(leaf);
            let names = tensor_names(&pair.path);
            leaves.extend(names.into_iter().zip([pair.a.clone(), pair.b.clone()]));
            tracked.insert(projection, pair);
        }
        (tracked, leaves)
    }
}

impl Recompute for AdapterLeaves<'_> {
    fn model(&self) -> &Model {
        self.model
    }

    fn track<'a>(&'a self, module: Module<'a>) -> Tracked<'a> {
        let model = self.model;
        let frozen = |forward| Tracked { leaves: Vec::new(), forward };
        match module {
            Module::FinalNorm => frozen(Box::new(|x| model.text.norm.forward(x))),
            Module::Layer(i, packed) => {
                let lora = self.adapter.text(i);
                let (tracked, leaves) = Self::leaves(lora);
                let forward = move |x| {
                    let lora = Some(lora.with_pairs(&tracked));
                    model.text.layers[i].forward(x, packed.rotary(), packed.segments(), lora).0
                };
                Tracked { leaves, forward: Box::new(forward) }
            }
            Module::Block(i, plan) => {
                let lora = self.adapter.vision(i);
                let (tracked, leaves) = Self::leaves(lora);
                let forward =
                    move |x| model.vision.blocks[i].forward(x, plan, Some(lora.with_pairs(&tracked)));
                Tracked { leaves, forward: Box::new(forward) }
            }
            Module::Merger(plan) => frozen(Box::new(|x| model.vision.merge(x, plan))),
            Module::Deepstack(..) | Module::Patches(_) => {
                unreachable!("nothing that an adapter trains lies before these")
            }
        }
    }
}

/// Every weight is a leaf.
pub(crate) struct AllLeaves<'m> {
    pub(crate) model: &'m Model,
    pub(crate) parameters: &'m Parameters,
}

impl Recompute for AllLeaves<'_> {
    fn model(&self) -> &Model {
        self.model
    }

    fn track<'a>(&'a self, module: Module<'a>) -> Tracked<'a> {
        let leaves = Leaves::new(self.parameters);
        let (text, vision) = (&self.model.config.text, &self.model.config.vision);
        let forward = (|| -> Result<Box<dyn Fn(Tensor<2>) -> Tensor<2> + 'a>, ModelError> {
            Ok(match module {
                Module::FinalNorm => {
                    let norm = LanguageModel::load_norm(text, &leaves)?;
                    Box::new(move |x| norm.forward(x))
                }
                Module::Layer(i, packed) => {
                    let layer = DecoderLayer::load(text, i, &leaves)?;
                    Box::new(move |x| layer.forward(x, packed.rotary(), packed.segments(), None).0)
                }
                Module::Merger(plan) => {
                    let merger = VisionTower::load_merger(vision, &leaves)?;
                    Box::new(move |x| plan.restore(merger.forward(x)))
                }
                Module::Deepstack(k, plan) => {
                    let merger = VisionTower::load_deepstack(vision, k, &leaves)?;
                    Box::new(move |x| plan.restore(merger.forward(x)))
                }
                Module::Block(i, plan) => {
                    let block = VisionBlock::load(vision, i, &leaves)?;
                    Box::new(move |x| block.forward(x, plan, None))
                }
                Module::Patches(plan) => {
                    let embedding = PatchEmbedding::load(vision, &leaves)?;
                    Box::new(move |x| embedding.forward(x, plan))
                }
            })
        })()
        .expect(COMPLETE);
        Tracked { leaves: leaves.given(), forward }
    }
}
