//! From a row with an answer to learn to what the model reads and learns.

use crate::row::Row;
use crate::sample::{ImageLimits, Sample, SampleError, Skip, conversation_prompt, load_images, told};
use vigos_processor::Processor;

/// Makes samples of rows that bring their completion.
#[derive(Clone, Copy, Debug)]
pub struct DemonstrationMaker<'a> {
    /// The model's processor.
    pub processor: &'a Processor,
    /// The token that ends an answer.
    pub stop: u32,
    /// Longest sample in tokens, the completion included.
    pub max_tokens: usize,
    /// Shortest image side in pixels.
    pub min_image_side: usize,
    /// Most pixels of an image file.
    pub max_image_pixels: u64,
}

impl DemonstrationMaker<'_> {
    /// The sample of a row with this number in the run: reads the images and encodes the texts. The completion is
    /// encoded on its own, as its tokens are drawn one by one after the prefill; special tokens that it spells are
    /// just characters.
    ///
    /// # Errors
    /// If the template or the tokenizer refuses a text; the error names the row.
    pub fn make(&self, number: u64, row: &Row) -> Result<Result<Sample, Skip>, SampleError> {
        let fail = |field: &str, message: String| SampleError {
            origin: row.origin.clone(),
            id: row.id.clone(),
            field: field.to_owned(),
            message,
        };
        let Some(demonstration) = &row.demonstration else {
            return Err(fail("completion", "found none, wanted the answer to learn".into()));
        };
        let taken = ImageLimits { min_side: self.min_image_side, max_pixels: self.max_image_pixels };
        let images = match load_images(&row.images, self.processor, taken) {
            Ok(images) => images,
            Err(skip) => return Ok(Err(skip)),
        };
        let prompt = conversation_prompt(
            self.processor,
            &row.before,
            &images,
            &row.placed_problem(),
            &demonstration.prefill,
        )
        .map_err(|e| fail("prompt", told(&e)))?;
        let student = prompt.sequence;
        let mut completion = self
            .processor
            .tokenizer()
            .encode_plain(&demonstration.completion)
            .map_err(|e| fail("completion", e.to_string()))?;
        completion.push(self.stop);
        let tokens = student.ids.len() + completion.len();
        if tokens > self.max_tokens {
            return Ok(Err(Skip::LongSample { tokens }));
        }
        Ok(Ok(Sample {
            number,
            id: row.id.clone(),
            problem: row.problem.clone(),
            reference: row.answer.clone(),
            kind: row.labels.kind.clone(),
            images,
            student,
            teachers: Vec::new(),
            completion,
        }))
    }
}
