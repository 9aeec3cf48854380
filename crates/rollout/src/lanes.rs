//! Several batches side by side. On a CPU the products of a small model are too small for several cores to share, so each
//! core decodes completions of its own; a completion is the same whatever decodes beside it.

use crate::cores::{alone, works_side_by_side};
use crate::engine::{Completion, Engine, Request, RolloutError};
use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use tracing::dispatcher;

impl Engine<'_> {
    /// The requests in as many parts as are completed side by side. The completions of a prompt stay together.
    pub(crate) fn lanes<'r, 'p>(&self, requests: &'r [Request<'p>]) -> Vec<&'r [Request<'p>]> {
        let prompts: Vec<usize> = requests.chunk_by(|a, b| a.is_of(b)).map(<[Request]>::len).collect();
        let cores = if works_side_by_side(self.model) { rayon::current_num_threads() } else { 1 };
        let lanes = cores.min(self.rows).min(prompts.len());
        let mut rest = requests;
        let part = |prompts: &[usize]| {
            let part;
            (part, rest) = rest.split_at(prompts.iter().sum());
            part
        };
        prompts.chunks(prompts.len().div_ceil(lanes.max(1)).max(1)).map(part).collect()
    }

    /// Completes every lane on a thread of its own; `watch` is called on this one.
    ///
    /// # Errors
    /// As [`Engine::run`], of the first lane that met one.
    pub(crate) fn side_by_side(
        &self,
        lanes: &[&[Request]],
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Vec<Completion>, RolloutError> {
        let (stop, rows) = (AtomicBool::new(false), self.rows.div_ceil(lanes.len()));
        let listens = dispatcher::get_default(Clone::clone);
        let (told, counts) = channel();
        std::thread::scope(|scope| {
            let mut threads = Vec::with_capacity(lanes.len());
            for (lane, &requests) in lanes.iter().enumerate() {
                let (told, stop, listens) = (told.clone(), &stop, &listens);
                let mut tell = move |drawn: usize| {
                    // Who listens may be gone only when all lanes are.
                    let _ = told.send((lane, drawn));
                    if stop.load(Ordering::Relaxed) {
                        ControlFlow::Break(())
                    } else {
                        ControlFlow::Continue(())
                    }
                };
                threads.push(scope.spawn(move || {
                    let completed = alone(listens, || self.lane(requests, rows, &mut tell));
                    // What one lane cannot do the others need not begin.
                    stop.fetch_or(completed.is_err(), Ordering::Relaxed);
                    completed
                }));
            }
            drop(told);
            let mut drawn = vec![0; lanes.len()];
            for (lane, count) in counts {
                drawn[lane] = count;
                // Lanes that were stopped end after the token that they are at.
                if !stop.load(Ordering::Relaxed) && watch(drawn.iter().sum()).is_break() {
                    stop.store(true, Ordering::Relaxed);
                }
            }
            let (mut all, mut failed) = (Vec::new(), None);
            for thread in threads {
                match (thread.join().unwrap_or_else(|panic| resume_unwind(panic)), &failed) {
                    (Ok(completions), _) => all.extend(completions),
                    // Lanes that were stopped for another one's sake have nothing to say.
                    (Err(error), None | Some(RolloutError::Interrupted)) => failed = Some(error),
                    (Err(_), Some(_)) => {}
                }
            }
            failed.map_or(Ok(all), Err)
        })
    }
}
