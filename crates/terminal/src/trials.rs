//! How far an experiment is: a line for each run, and within it what its training and evaluations show.

use crate::output::note;
use crate::pages::end_with_page;
use crate::progress::{Items, Run, Transfer, clock};
use std::time::Duration;
use vigos_experiment::Watch;
use vigos_recipe::experiment::Experiment;

/// Shows an experiment.
pub struct Trials<'a> {
    config: &'a Experiment,
    available: Option<u64>,
    transfer: Transfer,
    run: Option<Run>,
    items: Option<Items>,
}

impl<'a> Trials<'a> {
    /// An experiment that has not begun, on a device with so much memory available.
    pub fn new(config: &'a Experiment, available: Option<u64>) -> Self {
        Self { config, available, transfer: Transfer::default(), run: None, items: None }
    }

    fn name(&self, run: &vigos_experiment::Run) -> String {
        let mut name =
            self.config.methods.get(run.method).map_or(String::new(), |method| method.name.clone());
        if let Some(value) = run.value {
            name += &format!(" at {value}");
        }
        if let Some(seed) = run.seed {
            name += &format!(", seed {seed}");
        }
        name
    }
}

impl Watch for Trials<'_> {
    fn fetching(&mut self, file: &str, bytes: u64, size: u64) {
        self.transfer.set(file, bytes, size);
    }

    fn kept(&mut self, done: usize, total: usize) {
        note(&format!("{done} of {total} runs are done already"));
    }

    fn begins(&mut self, run: &vigos_experiment::Run, number: usize, total: usize) {
        self.transfer.finish();
        note(&format!("run {number}/{total}: {} in {}", self.name(run), run.folder.display()));
    }

    fn done(&mut self, run: &vigos_experiment::Run, number: usize, total: usize, left: Duration) {
        end_with_page(&run.folder);
        note(&format!(
            "run {number}/{total} done: {}; about {} left for all",
            self.name(run),
            clock(left.as_secs())
        ));
    }

    fn training(&mut self) -> &mut dyn vigos_train::Observer {
        self.run.insert(Run::new(self.available))
    }

    fn asking(&mut self, what: &str) -> &mut dyn vigos_eval::Observer {
        note(what);
        self.items.insert(Items::new())
    }

    fn ended(&mut self) {
        if let Some(run) = self.run.take() {
            run.finish();
        }
        if let Some(items) = self.items.take() {
            items.finish();
        }
    }
}
