//! An estimate of memory for people and programs, held against what there is.

use serde::Serialize;
use std::fmt::Write;
use vigos_models::Architecture;
use vigos_plan::fit::{Change, Forecast};
use vigos_plan::{Estimate, Phase};

/// What a run takes, and what to change if that is too much.
#[derive(Debug, Serialize)]
pub struct Outlook {
    /// Every part.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// Most bytes that are taken at once.
    pub peak_bytes: u64,
    /// The phase in which the peak is.
    pub peak_phase: Phase,
    /// Unknown where the device does not tell.
    pub available_bytes: Option<u64>,
    /// Whether it fits into them.
    pub fits: Option<bool>,
    /// Settings with which it fits; nothing where none help.
    pub changes: Option<Vec<Change>>,
    /// Tokens of the longest prompt with which it fits as it is.
    pub longest_prompt: Option<usize>,
    /// What several ranks of a machine take together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub together: Option<Together>,
}

/// What the ranks of a machine take, each of which has a base of its own; where a CPU keeps the weights as they are stored, the
/// machine has them once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Together {
    /// Ranks.
    pub ranks: usize,
    /// Most bytes of all of them.
    pub bytes: u64,
    /// Those of them that are one base so many times over.
    pub base_bytes: u64,
}

impl Outlook {
    /// The outlook of a run by `plan`, whose prompts may have up to `most` tokens.
    pub fn of_run(plan: &dyn Forecast, model: &Architecture, available: Option<u64>, most: usize) -> Self {
        let mut outlook = Self::new(plan.estimate(model), available);
        if let Some(available) = available {
            outlook.changes = plan.changes(model, available);
            outlook.longest_prompt = plan.longest_prompt(model, available, most);
        }
        outlook
    }

    /// The same of one of several ranks on a machine.
    #[must_use]
    pub fn of_ranks(mut self, ranks: usize) -> Self {
        let weights = self.estimate.parts.iter().filter(|part| part.name == "weights").map(|part| part.bytes);
        let all = |bytes: u64| bytes.saturating_mul(ranks as u64);
        let (bytes, base_bytes) = (all(self.peak_bytes), all(weights.sum()));
        self.together = (ranks > 1).then_some(Together { ranks, bytes, base_bytes });
        self
    }

    /// An estimate beside the memory that there is.
    pub fn new(estimate: Estimate, available: Option<u64>) -> Self {
        let (peak_bytes, peak_phase) = (estimate.peak(), estimate.largest_phase());
        let fits = available.map(|available| peak_bytes <= available);
        let (changes, longest_prompt, together) = (None, None, None);
        let available_bytes = available;
        Self { estimate, peak_bytes, peak_phase, available_bytes, fits, changes, longest_prompt, together }
    }

    /// The sum in a line, and a line for the permanent parts and for every phase.
    pub fn summary(&self) -> String {
        let mut text = format!("memory: {}", self.total());
        for phase in [Phase::Always].into_iter().chain(Phase::IN_TURN) {
            let parts = self.estimate.parts.iter().filter(|part| part.phase == phase && part.bytes > 0);
            let parts: Vec<String> =
                parts.map(|part| format!("{} {}", part.name, bytes(part.bytes))).collect();
            if !parts.is_empty() {
                let _ = write!(text, "\n  {:<10} {}", phase.name(), parts.join(", "));
            }
        }
        if let Some(verdict) = self.verdict() {
            let _ = write!(text, "\n{verdict}");
        }
        text
    }

    /// Every part with its formula.
    pub fn table(&self) -> String {
        let mut text = String::new();
        for part in &self.estimate.parts {
            let (phase, size) = (part.phase.name(), bytes(part.bytes));
            let _ = writeln!(text, "{phase:<10} {:<17} {size:>10}  {}", part.name, part.formula);
        }
        let _ = write!(text, "\n{}", self.total());
        if let Some(verdict) = self.verdict() {
            let _ = write!(text, "\n{verdict}");
        }
        text
    }

    /// The sum, and what it is for.
    pub fn total(&self) -> String {
        let Estimate { prompt_tokens, completion_tokens, .. } = self.estimate;
        let together = self.together.map(|Together { ranks, bytes: all, base_bytes }| {
            let (all, bases) = (bytes(all), bytes(base_bytes));
            format!(
                "; the {ranks} ranks of a machine {all}, of which {bases} are the frozen base of each, which a CPU that \
                 keeps it as it is stored has once"
            )
        });
        format!(
            "about {} with prompts of {prompt_tokens} and completions of {completion_tokens} tokens, at most in the \
             phase `{}`{}",
            bytes(self.peak_bytes),
            self.peak_phase.name(),
            together.unwrap_or_default()
        )
    }

    /// Whether it fits and, if not, what to turn.
    fn verdict(&self) -> Option<String> {
        let available = bytes(self.available_bytes?);
        if self.fits? {
            let prompt = match self.longest_prompt {
                Some(tokens) => format!(", as long as no prompt has more than {tokens} tokens"),
                None => String::new(),
            };
            return Some(format!("it fits into the {available} that are available{prompt}"));
        }
        let way_out = match &self.changes {
            Some(changes) => {
                let settings: Vec<String> =
                    changes.iter().map(|change| format!("--set {}={}", change.key, change.value)).collect();
                format!("it will with {}", settings.join(" "))
            }
            None => {
                "no setting makes it: take shorter prompts (data.max_pixels), a smaller model, or a device \
                     with more memory"
                    .into()
            }
        };
        Some(format!("it does not fit into the {available} that are available; {way_out}"))
    }
}

/// A size in decimal units, three digits.
pub fn bytes(bytes: u64) -> String {
    let scaled = |unit: f64, name: &str| format!("{:.2} {name}", bytes as f64 / unit);
    match bytes {
        0..1_000_000 => scaled(1e3, "kB"),
        1_000_000..1_000_000_000 => scaled(1e6, "MB"),
        _ => scaled(1e9, "GB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_in_decimal_units() {
        assert_eq!(bytes(0), "0.00 kB");
        assert_eq!(bytes(999_999), "1000.00 kB");
        assert_eq!(bytes(1_000_000), "1.00 MB");
        assert_eq!(bytes(7_509_245_952), "7.51 GB");
    }
}
