//! From images, messages and text to what a Qwen-VL model reads: patches, grids and token ids.
//!
//! [`Processor`] is the whole of it, loaded from a model's folder. Its parts serve alone too:
//!
//! * [`decode`] takes file bytes to 8-bit RGB, and is guarded against hostile files;
//! * [`resize`] knows the size that a model wants, and the antialiased bicubic filter that gets there;
//! * [`patches`] takes an RGB image to rows of normalised patch values;
//! * [`config`] reads how a model wants its images;
//! * [`template`] renders the chat template of the model's folder;
//! * [`tokenizer`] takes text to ids, and ids to bytes;
//! * [`tokenizer_training`] trains a tokenizer, for a model that starts from nothing.
//!
//! ```
//! use std::path::Path;
//! use vigos_processor::{DecodeLimits, Message, Part, Processor, decode};
//!
//! let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
//! let processor = Processor::from_dir(&root.join("assets/tiny-qwen2_5-vl"))?;
//! let image = decode::open(&root.join("tests/fixtures/images/wide.png"), &DecodeLimits::default())?;
//! let patches = processor.patches(&image)?;
//!
//! let question = Message::user([Part::Image, Part::Text("What is it?".into())]);
//! let sequence = processor.prompt(&[question], "", &[patches.grid])?.sequence;
//! // Every image has its place among the ids.
//! assert_eq!(sequence.images.len(), 1);
//! assert_eq!(sequence.ids[sequence.images[0].start], processor.image_token());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Nothing here knows of tensors, so everything can be checked exactly: pixels to the last bit, ids to the
//! last token.

pub mod config;
pub mod decode;
mod files;
mod orientation;
pub mod patches;
mod processor;
pub mod resize;
mod sequence;
pub mod template;
pub mod tokenizer;
mod tokenizer_config;
pub mod tokenizer_training;

pub use config::ImageConfig;
pub use decode::{DecodeError, DecodeLimits};
pub use files::FileError;
pub use image::RgbImage;
pub use patches::{Grid, ImagePatches};
pub use processor::{Message, Part, ProcessError, Processor, Prompt};
pub use sequence::{ImageSlot, Sequence};
pub use template::ChatTemplate;
pub use tokenizer::Tokenizer;
