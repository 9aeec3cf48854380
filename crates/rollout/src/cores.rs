//! Work side by side: each core with pieces of its own, rather than all of them on one operator after the other.

use rayon::ThreadPoolBuilder;
use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use tracing::dispatcher::{self, Dispatch};
use vigos_kernels::on_cpu;
use vigos_models::VisionLanguageModel;

/// The most values of a model that is small: about what the cores' shared cache holds.
const SMALL: u64 = 8 << 20;

/// Whether pieces side by side are faster: on a CPU, with a small model, whose operators are too short for several cores.
pub fn works_side_by_side(model: &dyn VisionLanguageModel) -> bool {
    on_cpu(model.device()) && model.architecture().values() <= SMALL
}

/// What `work` makes of every item, in their order, on as many threads as there are cores.
pub fn side_by_side<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let threads = rayon::current_num_threads().min(items.len());
    if threads <= 1 {
        return items.into_iter().map(work).collect();
    }
    let (queue, listens) = (Mutex::new(items.into_iter().enumerate()), dispatcher::get_default(Clone::clone));
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let mut made: Vec<(usize, R)> = std::thread::scope(|scope| {
        let each = || {
            alone(&listens, || {
                let mut made = Vec::new();
                while let Some((number, item)) = next() {
                    made.push((number, work(item)));
                }
                made
            })
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(each)).collect();
        let joined =
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        joined.flatten().collect()
    });
    made.sort_by_key(|(number, _)| *number);
    made.into_iter().map(|(_, made)| made).collect()
}

/// Runs `work` on a single core, what it says going to who `listens`: operators within do not call on the others, which
/// have work of their own.
pub(crate) fn alone<R: Send>(listens: &Dispatch, work: impl FnOnce() -> R + Send) -> R {
    let work = || dispatcher::with_default(listens, work);
    match ThreadPoolBuilder::new().num_threads(1).build() {
        Ok(pool) => pool.install(work),
        // Slower, and the same.
        Err(_) => work(),
    }
}
