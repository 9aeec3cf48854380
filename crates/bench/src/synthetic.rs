//! A model on a device, and prompts and images for it that are drawn: what is measured needs no tokenizer and no data.

use crate::kernels::product_rate;
use crate::measure::Meter;
use crate::report::Counts;
use crate::{BenchError, On};
use burn::tensor::Device;
use std::collections::BTreeMap;
use vigos_core::host::{peak_memory, resident_memory};
use vigos_core::random::{Key, Purpose, draws};
use vigos_kernels::{Traffic, counted};
use vigos_models::memory::Footprint;
use vigos_models::{Architecture, VisionLanguageModel};
use vigos_processor::{Grid, ImagePatches, ImageSlot, Sequence};

/// Text tokens before an image, as in the templates of the Qwen family.
const BEFORE_IMAGE: usize = 11;
/// Token ids are drawn below: vocabularies begin with plain text.
const COMMON: u64 = 900;

/// A loaded model.
pub(crate) struct Bench {
    pub(crate) model: Box<dyn VisionLanguageModel>,
    pub(crate) device: Device,
    /// Memory that is taken with the model loaded.
    loaded: Option<u64>,
    pub(crate) model_bytes: u64,
}

impl Bench {
    /// Loads the model.
    ///
    /// # Errors
    /// If the folder is not one of a model.
    pub(crate) fn open(on: On) -> Result<Self, BenchError> {
        let model = on.families.load(on.folder, on.device, on.kept)?;
        let model_bytes = Footprint::new(model.architecture(), on.kept.on(on.device)).weights();
        Ok(Self { model, loaded: taken(on.device, resident_memory), model_bytes, device: on.device.clone() })
    }

    pub(crate) fn architecture(&self) -> &Architecture {
        self.model.architecture()
    }

    /// A prompt of this many tokens with one image, and the image.
    ///
    /// # Errors
    /// If the image does not fit the model or the prompt, or the prompt the model's context.
    pub(crate) fn prompt(
        &self,
        tokens: usize,
        behind: usize,
        [down, across]: [usize; 2],
        number: u64,
    ) -> Result<Sequence, BenchError> {
        let model = self.architecture();
        let merge = model.vision.spatial_merge_size;
        let grid = Grid { t: 1, h: down, w: across };
        let wrong = |what, found, wanted| Err(BenchError::Size { what, found, wanted });
        if grid.patches() == 0 || !down.is_multiple_of(merge) || !across.is_multiple_of(merge) {
            let wanted = format!("multiples of {merge} patches, which the model merges");
            return wrong("the image", format!("{down}x{across}"), wanted);
        }
        let needed = BEFORE_IMAGE + grid.tokens(merge) + 2;
        if tokens < needed {
            let wanted = format!("at least {needed}, as the image takes {}", grid.tokens(merge));
            return wrong("the prompt", format!("{tokens} tokens"), wanted);
        }
        let context = model.text.max_position_embeddings;
        if tokens.saturating_add(behind) > context {
            let found = format!("{tokens} tokens and {behind} behind them");
            return wrong("the prompt", found, format!("at most {context}, the model's context"));
        }
        let mut ids = self.ids(BEFORE_IMAGE, number);
        ids.resize(BEFORE_IMAGE + grid.tokens(merge), model.image_token_id);
        // Prompts of other lengths share no more than what stands before.
        ids.extend(self.ids(tokens - ids.len(), number ^ ((tokens as u64) << 20)));
        Ok(Sequence { ids, images: vec![ImageSlot { start: BEFORE_IMAGE, grid }] })
    }

    /// Tokens of a prompt through the last one of its image.
    pub(crate) fn through_image(&self, [down, across]: [usize; 2]) -> usize {
        BEFORE_IMAGE + down * across / self.architecture().vision.merge_unit()
    }

    /// The patches of an image of that many.
    pub(crate) fn image(&self, [down, across]: [usize; 2], number: u64) -> ImagePatches {
        let grid = Grid { t: 1, h: down, w: across };
        let count = grid.patches() * self.architecture().vision.patch_values();
        let mut stream = stream(number);
        let values = (0..count).map(|_| (stream.uniform() * 4.0 - 2.0) as f32).collect();
        ImagePatches { grid, values }
    }

    /// Token ids of plain text.
    pub(crate) fn ids(&self, count: usize, number: u64) -> Vec<u32> {
        let common = COMMON.min(self.architecture().text.vocab_size as u64);
        let mut stream = stream(number ^ (1 << 40));
        (0..count).map(|_| stream.below(common) as u32).collect()
    }

    /// Runs the work once to warm up, then as often as is asked for.
    pub(crate) fn measure<E>(&self, on: &On, mut work: impl FnMut() -> Result<(), E>) -> Result<Measured, E> {
        let (mut meter, repeats) = (Meter::new(&self.device, false), on.repeats.get());
        work()?;
        on.times.take();
        let mut traffic = Traffic::default();
        for _ in 0..repeats {
            let done;
            (done, traffic) = counted(|| meter.run(&mut work));
            done?;
        }
        let phases = on.times.take().into_iter().map(|(name, time)| (name, time / repeats as f64)).collect();
        let traffic = (traffic.launched() > 0).then(|| traffic.into());
        Ok(Measured { seconds: meter.cost().seconds, phases, traffic })
    }

    /// The most memory that was taken beyond the loaded model.
    pub(crate) fn peak_bytes(&self) -> Option<u64> {
        Some(taken(&self.device, peak_memory)?.saturating_sub(self.loaded?))
    }

    /// Multiplications and additions of a decoder layer's, the vision tower's and the head's products, for one token,
    /// one patch and one row.
    pub(crate) fn products(&self) -> Products {
        let model = self.architecture();
        let mut found = Products { token: 0.0, patch: 0.0, row: 0.0 };
        let unit = model.vision.merge_unit() as f64;
        for parameter in &model.parameters {
            let [outputs, inputs @ ..] = parameter.shape.as_slice() else { continue };
            if inputs.is_empty() {
                continue;
            }
            let operations = 2.0 * *outputs as f64 * inputs.iter().product::<usize>() as f64;
            if parameter.name.starts_with(model.names.layers) {
                found.token += operations;
            } else if parameter.name == model.names.head {
                found.row += operations;
            } else if parameter.name.contains("merger") {
                found.patch += operations / unit;
            } else if parameter.name.contains("visual") && !parameter.name.contains("pos_embed") {
                found.patch += operations;
            }
        }
        found
    }

    /// Operations a second of a product of squares of 1,024 in the model's precision, the best of four.
    pub(crate) fn product_rate(&self) -> f64 {
        product_rate(&self.device, self.model.dtype())
    }
}

/// What the runs took.
#[derive(Debug)]
pub(crate) struct Measured {
    /// The median.
    pub(crate) seconds: f64,
    /// Seconds of each phase, the mean.
    pub(crate) phases: BTreeMap<&'static str, f64>,
    /// Of the last run, where the backend says.
    pub(crate) traffic: Option<Counts>,
}

/// Operations of a model's products, see [`Bench::products`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Products {
    pub(crate) token: f64,
    pub(crate) patch: f64,
    pub(crate) row: f64,
}

/// What the device's pools have taken, which they keep; of the process where the device has none.
fn taken(device: &Device, by_process: fn() -> Option<u64>) -> Option<u64> {
    device.memory_pool_usage().map_or_else(by_process, |usage| Some(usage.bytes_reserved))
}

fn stream(number: u64) -> vigos_core::random::Draws {
    draws(Purpose::Initialisation, Key { seed: 1, sample: number, ..Key::default() })
}
