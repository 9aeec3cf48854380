//! The page through its public interface: its data, hostile texts, its size, the glossary.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod data;
mod documentation;
mod hostile;
mod sizes;
mod support;
mod verdicts;
