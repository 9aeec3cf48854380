//! Whether the processor files of a folder describe the same model as its `config.json`.
//!
//! The two come from different files. Where they disagree, patches would have the wrong width or images the
//! wrong number of tokens.

use crate::architecture::Architecture;
use crate::error::ModelError;
use std::path::Path;
use vigos_processor::Processor;

/// Checks that patches and image tokens made by `processor` are what `model` reads; `folder` is for messages.
///
/// # Errors
/// The first setting in which they differ.
pub fn check_processor(model: &Architecture, processor: &Processor, folder: &Path) -> Result<(), ModelError> {
    let (images, vision) = (processor.image_config(), &model.vision);
    let settings = [
        ("patch_size", images.patch_size as usize, vision.patch_size),
        ("temporal_patch_size", images.temporal_patch_size as usize, vision.temporal_patch_size),
        ("merge_size", images.merge_size as usize, vision.spatial_merge_size),
        // The processor always makes RGB.
        ("vision_config.in_channels", 3, vision.in_channels),
        ("image_token_id", processor.image_token() as usize, model.image_token_id as usize),
    ];
    match settings.into_iter().find(|(_, found, wanted)| found != wanted) {
        None => Ok(()),
        Some((key, found, wanted)) => Err(ModelError::Config {
            path: folder.to_owned(),
            key: key.to_owned(),
            found: format!("{found} in the processor's files and {wanted} in config.json"),
            wanted: "the same in both".into(),
        }),
    }
}
