//! Reading prompts: the first half of a completion.

use crate::batch::Forward;
use crate::cores::side_by_side;
use crate::engine::{Request, RolloutError};
use crate::prefilled::{Prefilled, host};
use burn::tensor::Tensor;
use vigos_kernels::on_cpu;
use vigos_models::cache::KeyValue;
use vigos_models::phase;
use vigos_processor::{ImagePatches, Sequence};

/// Most tokens of prompts that are read by one forward, which bounds its memory; a longer prompt is read by itself.
pub const PREFILL_TOKENS: usize = 4096;

impl Request<'_> {
    /// Whether this asks for another completion of the same prompt.
    pub(crate) fn is_of(&self, other: &Request) -> bool {
        std::ptr::eq(self.prompt, other.prompt) && std::ptr::eq(self.images, other.images)
    }
}

impl Forward<'_> {
    /// How many of these prompts, one at least, are read together.
    pub fn together<'a>(&self, prompts: impl Iterator<Item = &'a Request<'a>>) -> usize {
        let within = |tokens: &mut usize, prompt: &Request| {
            *tokens += prompt.prompt.ids.len();
            (*tokens <= PREFILL_TOKENS).then_some(())
        };
        let most = if on_cpu(self.model.device()) { rayon::current_num_threads() } else { usize::MAX };
        prompts.scan(0, within).take(most).count().max(1)
    }

    /// Reads prompts: one forward for all, or on a CPU each by itself on a core of its own, so that no other prompt enters
    /// the rounding of its numbers.
    ///
    /// # Errors
    /// If one does not fit the model, or the device fails.
    pub fn prefill(&self, prompts: &[&Request]) -> Result<Vec<Prefilled>, RolloutError> {
        let _prefill = phase!(self.model.device(), "prefill");
        if prompts.len() == 1 || !on_cpu(self.model.device()) {
            return self.read(prompts);
        }
        let read = side_by_side(prompts.to_vec(), |prompt| self.read(&[prompt]));
        Ok(read.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    fn read(&self, prompts: &[&Request]) -> Result<Vec<Prefilled>, RolloutError> {
        let images: Vec<&ImagePatches> = prompts.iter().flat_map(|r| r.images).collect();
        let features = self.model.encode_images(&images, self.adapter);
        let sequences: Vec<&Sequence> = prompts.iter().map(|r| r.prompt).collect();
        let packed = self.model.pack(&sequences)?;
        let mut layers: Vec<KeyValue> = Vec::new();
        let hidden = self.model.forward(&packed, &features, self.adapter, &mut layers);
        let ends: Vec<usize> = (0..prompts.len()).map(|i| packed.last_row(i)).collect();
        let logits = host(self.model.logits_at(&hidden, &ends))?;
        let read = logits.chunks(logits.len() / prompts.len().max(1)).enumerate().map(|(i, logits)| {
            let own = packed.range(i);
            let part = |t: &Tensor<3>| t.clone().narrow(0, own.start, own.len());
            let own = layers.iter().map(|l| KeyValue { key: part(&l.key), value: part(&l.value) });
            Prefilled { layers: own.collect(), position: packed.last_position(i), logits: logits.to_vec() }
        });
        Ok(read.collect())
    }
}
