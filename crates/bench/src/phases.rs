//! How long each phase of a step takes: a listener for the spans of `vigos_models::phase`.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};
use tracing::span::Id;
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;
use vigos_models::phase::TARGET;

/// The time spent in each phase so far; that of a phase within another one counts for the inner one only, and threads that
/// work side by side add up.
#[derive(Clone, Debug, Default)]
pub struct PhaseTimes(Arc<Mutex<Times>>);

#[derive(Debug, Default)]
struct Times {
    total: BTreeMap<&'static str, Duration>,
    /// Phases under way on each thread, outermost first: when each began, and what inner ones took of it.
    open: HashMap<ThreadId, Vec<(Instant, Duration)>>,
}

impl PhaseTimes {
    /// A layer of a subscriber that listens for the phases.
    pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> impl Layer<S> + use<S> {
        self.clone().with_filter(Targets::new().with_target(TARGET, Level::TRACE))
    }

    /// Seconds of each phase since the last call.
    pub fn take(&self) -> BTreeMap<&'static str, f64> {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut times.total).into_iter().map(|(name, time)| (name, time.as_secs_f64())).collect()
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for PhaseTimes {
    fn on_enter(&self, _: &Id, _: Context<'_, S>) {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        times.open.entry(thread::current().id()).or_default().push((Instant::now(), Duration::ZERO));
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(span) = context.span(id) else { return };
        let open = times.open.entry(thread::current().id()).or_default();
        let Some((begin, inner)) = open.pop() else { return };
        let whole = begin.elapsed();
        if let Some((_, inner)) = open.last_mut() {
            *inner += whole;
        }
        *times.total.entry(span.name()).or_default() += whole.saturating_sub(inner);
    }
}
