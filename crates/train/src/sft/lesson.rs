//! From a demonstration to what the model reads and learns.

use vigos_data::Demonstration;
use vigos_processor::{ImagePatches, Processor, Sequence};
use vigos_recipe::sample::{SampleError, Skip, load_images, user_prompt};

/// A demonstration ready for the model.
#[derive(Clone, Debug)]
pub struct Lesson {
    /// Its number in the run.
    pub number: u64,
    /// Its images.
    pub images: Vec<ImagePatches>,
    /// Prompt, prefill, completion and the token that ends it.
    pub sequence: Sequence,
    /// How many of the last tokens are learnt: those of the completion and the one that ends it.
    pub learnt: usize,
}

/// Makes lessons.
#[derive(Clone, Copy, Debug)]
pub struct LessonMaker<'a> {
    /// The model's processor.
    pub processor: &'a Processor,
    /// The token that ends an answer.
    pub stop: u32,
    /// Longest lesson in tokens.
    pub max_tokens: usize,
    /// Shortest image side in pixels.
    pub min_image_side: usize,
}

impl LessonMaker<'_> {
    /// Reads the images and encodes the texts. The completion is encoded on its own, as its tokens are drawn one
    /// by one after the prefill; special tokens that it spells are just characters.
    ///
    /// # Errors
    /// If the template or the tokenizer refuses a text; the error names the row.
    pub fn make(&self, number: u64, row: &Demonstration) -> Result<Result<Lesson, Skip>, SampleError> {
        let fail = |field: &str, message: String| SampleError {
            origin: row.origin.clone(),
            id: row.id.clone(),
            field: field.to_owned(),
            message,
        };
        let images = match load_images(&row.images, self.processor, self.min_image_side) {
            Ok(images) => images,
            Err(skip) => return Ok(Err(skip)),
        };
        let prompt = user_prompt(self.processor, &images, row.prompt.clone(), &row.prefill)
            .map_err(|e| fail("prompt", e.to_string()))?;
        let mut sequence = prompt.sequence;
        let completion = self
            .processor
            .tokenizer()
            .encode_plain(&row.completion)
            .map_err(|e| fail("completion", e.to_string()))?;
        let learnt = completion.len() + 1;
        let tokens = sequence.ids.len() + learnt;
        if tokens > self.max_tokens {
            return Ok(Err(Skip::LongSample { tokens }));
        }
        sequence.ids.extend(completion);
        sequence.ids.push(self.stop);
        Ok(Ok(Lesson { number, images, sequence, learnt }))
    }
}
