//! A small drawn world: images, questions, answers, and what people expect before they look.
//!
//! Everyday things have a usual colour or size. Some images show an unusual one, some annotators did not look,
//! and some reference answers follow habit: the shortcut that visually grounded self-distillation is about, in a
//! world that a model of a million parameters learns in minutes. `docs/world.md` says what is in it and why.
//!
//! A sample is a function of the configuration, its split and its number, so samples can be made in any order,
//! on any thread, in memory or on disk, and are the same bytes on every machine:
//!
//! ```
//! use vigos_world::{World, WorldConfig};
//!
//! let world = World::new(WorldConfig::default())?;
//! let sample = world.test(7);
//! println!("{} {}", sample.problem(), sample.truth());
//! let picture = sample.draw();
//! # assert!(picture.width() >= 84);
//! # Ok::<(), vigos_world::WorldError>(())
//! ```
//!
//! What is absent on purpose: prompt templates and tokenizers. [`warmup::Form`] names the template that a
//! warm-up sample is to be rendered with; who trains on it renders it.

mod compose;
pub mod config;
mod describe;
mod dice;
mod draw;
mod error;
mod kind;
mod png;
mod prior;
mod question;
mod row;
mod scene;
mod stage;
mod table;
mod things;
pub mod warmup;
mod world;
mod write;

pub use config::WorldConfig;
pub use error::WorldError;
pub use kind::Kind;
pub use png::png;
pub use prior::{Member, Role, Triple, Wording};
pub use question::{Question, Relation};
pub use scene::{Bar, Chart, Dial, Object, Place, Scene, Stage};
pub use things::{Colour, Size, Thing, Usual};
pub use warmup::{Form, Warmup};
pub use world::{Sample, Split, World};
pub use write::{Format, Writer, sheet};
