//! Rows that decode together. Which sequence gets a row, how a token is drawn and when a sequence ends, whoever holds the
//! batch says: an engine with a list of requests that it works off, or a server with a queue.

use crate::prefilled::{Prefilled, host};
use burn::tensor::Tensor;
use std::iter::repeat_n;
use vigos_kernels::{Likeliest, likeliest};
use vigos_models::cache::KvCache;
use vigos_models::{ActiveAdapter, ModelError, VisionLanguageModel, phase};

/// A model as completions are made with it.
#[derive(Clone, Copy, Debug)]
pub struct Forward<'a> {
    /// The frozen base.
    pub model: &'a dyn VisionLanguageModel,
    /// The adapter in eval mode; `None` is the base itself.
    pub adapter: Option<ActiveAdapter<'a>>,
}

/// What a token is drawn from.
#[derive(Clone, Copy, Debug)]
pub enum Logits<'a> {
    /// All of them. `[V]`
    All(&'a [f32]),
    /// The highest, which are enough.
    Likeliest(&'a Likeliest),
}

/// Sequences that decode together, each with what its holder keeps of it.
#[derive(Debug)]
pub struct Batch<T> {
    cache: KvCache,
    /// `None` where a row is free.
    rows: Vec<Option<Row<T>>>,
}

/// A sequence under way.
#[derive(Debug)]
struct Row<T> {
    /// The newest token, and its position.
    newest: (u32, u32),
    held: T,
}

impl<T> Batch<T> {
    /// `rows` free rows for sequences of up to `capacity` tokens, prompts of up to `longest_prompt` among them.
    pub fn new(model: &dyn VisionLanguageModel, rows: usize, longest_prompt: usize, capacity: usize) -> Self {
        Self {
            cache: model.cache(rows, longest_prompt, capacity),
            rows: repeat_n((), rows).map(|()| None).collect(),
        }
    }

    /// All rows, free ones included.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// The rows that are free.
    pub fn free(&self) -> impl Iterator<Item = usize> {
        self.rows.iter().enumerate().filter(|(_, row)| row.is_none()).map(|(row, _)| row)
    }

    /// Whether no sequence is under way.
    pub fn is_empty(&self) -> bool {
        self.rows.iter().all(Option::is_none)
    }

    /// What is held of the sequences under way.
    pub fn held(&self) -> impl Iterator<Item = &T> {
        self.rows.iter().flatten().map(|row| &row.held)
    }

    /// Puts a prompt that was read into a free row; `draw` takes its first token from the logits, `[V]`.
    ///
    /// # Errors
    /// That of `draw`; the row is then free.
    ///
    /// # Panics
    /// If there is no such row, or the prompt has more tokens than the batch has room for.
    pub fn admit<E>(
        &mut self,
        row: usize,
        read: &Prefilled,
        mut held: T,
        draw: impl FnOnce(&mut T, &[f32]) -> Result<u32, E>,
    ) -> Result<(), E> {
        let token = draw(&mut held, &read.logits)?;
        self.cache.admit(row, &read.layers);
        self.rows[row] = Some(Row { newest: (token, read.position + 1), held });
        Ok(())
    }

    /// Feeds the newest token of every sequence; `draw` takes each one's next from its logits, `[V]`. The number of tokens
    /// drawn.
    ///
    /// # Errors
    /// That of `draw`, or if the device fails.
    ///
    /// # Panics
    /// If a sequence has no more room.
    pub fn step<E: From<ModelError>>(
        &mut self,
        forward: Forward,
        draw: impl FnMut(&mut T, &[f32]) -> Result<u32, E>,
    ) -> Result<usize, E> {
        let _decode = phase!(forward.model.device(), "decode");
        let logits = self.feed(forward)?;
        self.draw_each(logits, draw)
    }

    /// As [`Batch::step`] where so many of the highest logits decide a draw: a device that finds them gives no others back.
    ///
    /// # Errors
    /// As [`Batch::step`].
    ///
    /// # Panics
    /// As [`Batch::step`].
    pub fn step_among<E: From<ModelError>>(
        &mut self,
        forward: Forward,
        enough: usize,
        mut draw: impl FnMut(&mut T, Logits) -> Result<u32, E>,
    ) -> Result<usize, E> {
        let _decode = phase!(forward.model.device(), "decode");
        let logits = self.feed(forward)?;
        let Some(rows) = likeliest(&logits, enough).map_err(ModelError::from)? else {
            return self.draw_each(logits, |held, logits| draw(held, Logits::All(logits)));
        };
        for (row, likeliest) in self.rows.iter_mut().flatten().zip(&rows) {
            row.newest = (draw(&mut row.held, Logits::Likeliest(likeliest))?, row.newest.1 + 1);
        }
        Ok(rows.len())
    }

    /// The logits behind the newest token of every sequence, `[sequences, V]`.
    fn feed(&mut self, forward: Forward) -> Result<Tensor<2>, ModelError> {
        self.cache.advance();
        // A free row computes along and is ignored.
        let newest = |row: &Option<Row<T>>| row.as_ref().map_or((0, 0), |row| row.newest);
        let (ids, positions): (Vec<u32>, Vec<[u32; 3]>) =
            self.rows.iter().map(newest).map(|(token, position)| (token, [position; 3])).unzip();
        let hidden = forward.model.decode(&ids, &positions, &mut self.cache, forward.adapter)?;
        let live: Vec<usize> = (0..self.rows.len()).filter(|row| self.rows[*row].is_some()).collect();
        // Where all rows are live, none need be chosen.
        Ok(if live.len() == self.rows.len() {
            forward.model.logits(hidden)
        } else {
            forward.model.logits_at(&hidden, &live)
        })
    }

    fn draw_each<E: From<ModelError>>(
        &mut self,
        logits: Tensor<2>,
        mut draw: impl FnMut(&mut T, &[f32]) -> Result<u32, E>,
    ) -> Result<usize, E> {
        let [count, vocabulary] = logits.dims();
        let logits = host(logits)?;
        for (row, logits) in self.rows.iter_mut().flatten().zip(logits.chunks(vocabulary.max(1))) {
            row.newest = (draw(&mut row.held, logits)?, row.newest.1 + 1);
        }
        Ok(count)
    }

    /// Frees the rows of the sequences that have `ended`, and gives back what was held of them.
    pub fn retire(&mut self, mut ended: impl FnMut(&mut T) -> bool) -> Vec<T> {
        let mut retired = Vec::new();
        for (row, slot) in self.rows.iter_mut().enumerate() {
            if let Some(sequence) = slot.take_if(|sequence| ended(&mut sequence.held)) {
                self.cache.release(row);
                retired.push(sequence.held);
            }
        }
        retired
    }

    /// Drops free rows once at least half of them are.
    pub fn compact(&mut self, model: &dyn VisionLanguageModel) {
        let used: Vec<usize> = (0..self.rows.len()).filter(|row| self.rows[*row].is_some()).collect();
        if used.len() * 2 <= self.rows.len() {
            self.cache.keep(&used, model.device());
            self.rows.retain(Option::is_some);
        }
    }

    /// Adds free rows, up to `rows` of them in all.
    pub fn grow(&mut self, rows: usize, model: &dyn VisionLanguageModel) {
        let (before, rows) = (self.rows.len(), rows.max(self.rows.len()));
        // What a new row has before its first prompt is nobody's: a copy of another's will do.
        let kept: Vec<usize> = (0..before).chain(repeat_n(0, rows - before)).collect();
        self.cache.keep(&kept, model.device());
        (before..rows).for_each(|row| self.cache.release(row));
        self.rows.resize_with(rows, || None);
    }
}
