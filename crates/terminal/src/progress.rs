//! How far a command is: a bar on a terminal, plain lines otherwise.

use crate::memory::Outlook;
use crate::output::note;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, stderr};
use std::path::Path;
use std::time::{Duration, Instant};
use vigos_models::Architecture;
use vigos_plan::fit::Forecast;
use vigos_report::Live;
use vigos_train::Observer;
use vigos_train::metrics::{Metrics, Outcome, Pace};

/// Least time between two plain lines of a counter.
const INTERVAL: Duration = Duration::from_secs(10);

/// Counts things that are done one after another.
pub struct Counter {
    bar: Option<ProgressBar>,
    unit: &'static str,
    /// Done before it began to count.
    first: usize,
    total: usize,
    done: usize,
    begin: Instant,
    told: Instant,
}

impl Counter {
    /// A counter up to `total` of `unit`, a plural noun.
    pub fn new(unit: &'static str, total: usize) -> Self {
        Self::after(0, unit, total)
    }

    /// The same after the first so many.
    fn after(first: usize, unit: &'static str, total: usize) -> Self {
        let now = Instant::now();
        let bar = bar(unit, total);
        if let Some(bar) = &bar {
            bar.set_position(first as u64);
            // The rest is as fast as what is done from here on.
            bar.reset_eta();
        }
        Self { bar, unit, first, total, done: first, begin: now, told: now }
    }

    /// So many are done now.
    pub fn set(&mut self, done: usize) {
        self.done = done;
        match &self.bar {
            Some(bar) => bar.set_position(done as u64),
            None if self.told.elapsed() >= INTERVAL => {
                self.told = Instant::now();
                let (rate, eta) = pace(done - self.first, self.total - self.first, self.begin.elapsed());
                note(&format!("{done}/{} {}, {rate} a second, {eta} left", self.total, self.unit));
            }
            None => {}
        }
    }

    /// All is done that will be.
    pub fn finish(&self) {
        match &self.bar {
            Some(bar) => bar.finish_and_clear(),
            None => {
                let (rate, _) = pace(self.done - self.first, self.total, self.begin.elapsed());
                note(&format!("{} {} done, {rate} a second", self.done, self.unit));
            }
        }
    }
}

/// Shows a file come, from the hub unless said otherwise.
pub struct Transfer {
    verb: &'static str,
    bar: Option<ProgressBar>,
    file: String,
    told: Option<Instant>,
}

impl Default for Transfer {
    fn default() -> Self {
        Self { verb: "fetching", bar: None, file: String::new(), told: None }
    }
}

impl Transfer {
    /// Shows a file that something is done with here, such as "making"; a small one is not worth a line.
    pub fn working(verb: &'static str) -> Self {
        Self { verb, told: Some(Instant::now()), ..Self::default() }
    }

    /// So many of the file's bytes are there.
    pub fn set(&mut self, file: &str, bytes: u64, size: u64) {
        if self.file != file {
            self.finish();
            self.file = file.to_owned();
            self.bar = bar("bytes", usize::try_from(size).unwrap_or(usize::MAX));
            if let Some(bar) = &self.bar {
                bar.set_message(file.to_owned());
            }
        }
        match &self.bar {
            Some(bar) => bar.set_position(bytes),
            None if self.told.is_none_or(|told| told.elapsed() >= INTERVAL) => {
                self.told = Some(Instant::now());
                note(&format!("{} {file}: {} of {} MB", self.verb, bytes / 1_000_000, size / 1_000_000));
            }
            None => {}
        }
    }

    /// Takes the bar away.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// Shows an evaluation, item by item.
#[derive(Default)]
pub struct Items {
    transfer: Transfer,
    counter: Option<Counter>,
}

impl Items {
    /// One that has not begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(counter) = &self.counter {
            counter.finish();
        }
    }
}

impl vigos_eval::Observer for Items {
    fn fetching(&mut self, file: &str, bytes: u64, size: u64) {
        self.transfer.set(file, bytes, size);
    }

    fn started(&mut self, done: usize, total: usize) {
        self.transfer.finish();
        if done > 0 {
            note(&format!("going on after {done} of {total} items"));
        }
        self.counter = Some(Counter::after(done, "items", total));
    }

    fn items(&mut self, done: usize) {
        if let Some(counter) = &mut self.counter {
            counter.set(done);
        }
    }

    fn tokens(&mut self, drawn: usize) {
        if let Some(bar) = self.counter.as_ref().and_then(|counter| counter.bar.as_ref()) {
            bar.set_message(format!("{drawn} tokens"));
        }
    }

    fn note(&mut self, text: &str) {
        match self.counter.as_ref().and_then(|counter| counter.bar.as_ref()) {
            Some(bar) => bar.suspend(|| note(text)),
            None => note(text),
        }
    }
}

/// Shows a training run: on a terminal a bar with the phase and the last step's numbers, otherwise a line for each step.
pub struct Run {
    available: Option<u64>,
    transfer: Transfer,
    bar: Option<ProgressBar>,
    first: usize,
    total: usize,
    done: usize,
    begin: Instant,
    /// When a step was last told of.
    told: Option<Instant>,
    page: Option<Live>,
    /// Ranks of this machine that share the run.
    ranks: usize,
}

impl Run {
    /// A run that has not begun, on a device with so much memory available.
    pub fn new(available: Option<u64>) -> Self {
        Self {
            available,
            transfer: Transfer::default(),
            bar: None,
            first: 0,
            total: 0,
            done: 0,
            begin: Instant::now(),
            told: None,
            page: None,
            ranks: 1,
        }
    }

    /// The same of a run that so many ranks of this machine share.
    #[must_use]
    pub fn of_ranks(self, ranks: usize) -> Self {
        Self { ranks, ..self }
    }

    /// The same, which keeps the run's page too.
    pub fn with_page(self, page: Live) -> Self {
        Self { page: Some(page), ..self }
    }

    /// Writes down where the run is and what it takes. That this cannot be done stops nothing.
    fn tell_environment(&self) {
        if let Some(Err(error)) = self.page.as_ref().map(Live::environment) {
            tracing::warn!("{error}");
        }
    }

    /// A step is done: the time that the rest will take.
    fn step_done(&mut self, step: usize) -> String {
        self.done = step;
        if let Some(bar) = &self.bar {
            bar.set_position(step as u64);
        }
        let (done, all) = (step.saturating_sub(self.first), self.total.saturating_sub(self.first));
        pace(done, all, self.begin.elapsed()).1
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if self.done > 0 {
            self.tell_environment();
        }
    }

    /// Writes a line above the bar.
    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| note(text)),
            None => note(text),
        }
    }
}

impl Observer for Run {
    fn fetching(&mut self, file: &str, bytes: u64, size: u64) {
        self.transfer.set(file, bytes, size);
    }

    fn memory(&mut self, plan: &dyn Forecast, model: &Architecture, longest_prompt: usize) {
        self.line(
            &Outlook::of_run(plan, model, self.available, longest_prompt).of_ranks(self.ranks).summary(),
        );
    }

    fn started(&mut self, first_step: usize, total_steps: usize) {
        self.transfer.finish();
        self.tell_environment();
        (self.first, self.done, self.total) = (first_step, first_step, total_steps);
        self.begin = Instant::now();
        self.bar = styled(total_steps, "{bar:16} step {pos}/{len}  {wide_msg}  {prefix}  {eta} left");
        if let Some(bar) = &self.bar {
            bar.set_position(first_step as u64);
            // A resumed run is as fast as its own steps.
            bar.reset_eta();
        }
        self.line(&match first_step {
            0 => format!("{total_steps} steps to train"),
            _ => format!("going on after step {first_step} of {total_steps}"),
        });
    }

    fn tokens(&mut self, drawn: usize) {
        if let Some(bar) = &self.bar {
            bar.set_prefix(format!("rollout, {drawn} tokens"));
        }
    }

    fn phase(&mut self, phase: &'static str) {
        if let Some(bar) = &self.bar {
            bar.set_prefix(phase);
        }
    }

    fn step(&mut self, metrics: &Metrics) {
        if let Some(Err(error)) = self.page.as_ref().map(|page| page.step(metrics.step)) {
            self.line(&format!("the report was not written: {error}"));
        }
        let eta = self.step_done(metrics.step);
        let summary = summary(metrics);
        if let Some(bar) = &self.bar {
            bar.set_message(summary);
            return;
        }
        // A small model makes several supervised steps a second: the file of metrics has them all.
        let first_or_last = self.told.is_none() || metrics.step == self.total;
        let often = matches!(metrics.outcome, Outcome::Supervised(_));
        if often && !first_or_last && self.told.is_some_and(|told| told.elapsed() < INTERVAL) {
            return;
        }
        self.told = Some(Instant::now());
        let Metrics { step, grad_norm, lr, .. } = metrics;
        note(&format!("step {step}/{}  {summary}  grad {grad_norm:.3}  lr {lr:.2e}  {eta} left", self.total));
    }

    fn saved(&mut self, checkpoint: &Path) {
        self.line(&format!("saved {}", checkpoint.display()));
    }

    fn note(&mut self, text: &str) {
        self.line(text);
    }
}

/// What a step came to: how far it is off, whether the rollouts are what they should be, how fast it was.
fn summary(metrics: &Metrics) -> String {
    let outcome = match &metrics.outcome {
        Outcome::Distilled(d) => format!("valid {:.2}  accuracy {:.2}", 1.0 - d.fallback_rate, d.accuracy),
        Outcome::Supervised(s) => format!("token accuracy {:.3}", s.token_accuracy),
    };
    let pace = match &metrics.pace {
        // The last step of a run that draws ahead.
        Pace::Phases { tokens_per_second, .. } if tokens_per_second.rollout == 0.0 => "nothing drawn".into(),
        Pace::Phases { tokens_per_second, .. } => format!("{:.0} tokens/s", tokens_per_second.rollout),
        Pace::Whole { samples_per_second, .. } => format!("{samples_per_second:.0} samples/s"),
    };
    format!("loss {:.4}  {outcome}  {pace}", metrics.loss)
}

/// A bar, on a terminal.
fn bar(unit: &str, total: usize) -> Option<ProgressBar> {
    styled(total, &format!("{{wide_bar}} {{pos}}/{{len}} {unit}, {{per_sec}}, {{eta}} left  {{msg}}"))
}

/// A bar of this form, on a terminal.
fn styled(total: usize, template: &str) -> Option<ProgressBar> {
    if !stderr().is_terminal() {
        return None;
    }
    let bar = ProgressBar::new(total as u64);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    Some(bar)
}

/// Rate a second, and the time that the rest will take.
fn pace(done: usize, total: usize, elapsed: Duration) -> (String, String) {
    let rate = done as f64 / elapsed.as_secs_f64().max(1e-9);
    let left = total.saturating_sub(done) as f64 / rate;
    // No rate yet gives no estimate.
    let eta = match Duration::try_from_secs_f64(left) {
        Ok(left) => clock(left.as_secs()),
        Err(_) => "unknown time".into(),
    };
    (format!("{rate:.2}"), eta)
}

/// `75` as `1m15s`.
pub fn clock(seconds: u64) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest:02}s"),
        _ => format!("{hours}h{minutes:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pace_estimates_the_rest_and_admits_when_it_cannot() {
        let seconds = Duration::from_secs;
        assert_eq!(pace(5, 20, seconds(10)), ("0.50".into(), "30s".into()));
        assert_eq!(pace(1, 76, seconds(1)), ("1.00".into(), "1m15s".into()));
        assert_eq!(pace(1, 7201, seconds(1)).1, "2h00m");
        assert_eq!(pace(0, 5, seconds(1)).1, "unknown time");
        assert_eq!(pace(5, 5, seconds(1)).1, "0s");
    }
}
