//! What a benchmark writes, and how it compares with what another program or build wrote of the same work.

use crate::BenchError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::{self, Display, Write};
use std::path::Path;
use vigos_kernels::Traffic;

/// Most bytes of a report that is read.
const LARGEST: u64 = 1 << 20;

/// What was done. Two reports compare where these are equal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// "step" or "decode".
    pub case: String,
    /// Prompts that were computed together.
    pub batch: usize,
    /// Tokens of a prompt.
    pub prompt: usize,
    /// Patches of its image, down and across.
    pub image: [usize; 2],
    /// Tokens of a completion: learnt from in a step, new in decoding.
    pub completion: usize,
}

impl Display for Work {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { case, batch, prompt, image: [down, across], completion } = self;
        write!(
            out,
            "{case}, batch {batch}, prompts of {prompt} tokens with an image of {down}x{across} patches, completions \
             of {completion}"
        )
    }
}

/// What it took.
#[derive(Debug, Serialize)]
pub struct Report {
    pub(crate) device: String,
    #[serde(flatten)]
    pub(crate) work: Work,
    /// Of a step: tokens of each role's prompt.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) prompts: BTreeMap<String, usize>,
    pub(crate) repeats: usize,
    /// Of a step, or of prefill and decoding: the median.
    pub(crate) seconds: f64,
    /// Seconds of each phase, the mean.
    pub(crate) phases: BTreeMap<&'static str, f64>,
    /// Tokens through the decoder a second; of decoding, new tokens of all rows, prefill included.
    pub(crate) tokens_per_second: f64,
    /// Tokens that went through the decoder, those of a backward not counted.
    pub(crate) tokens_computed: usize,
    /// The same without what is computed twice.
    pub(crate) tokens_needed: usize,
    pub(crate) peak_bytes: Option<u64>,
    pub(crate) model_bytes: u64,
    /// The products' share of what the device multiplies at its best.
    pub(crate) matmul_share: f64,
    /// Where the backend says.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(crate) traffic: Option<Counts>,
    /// Of a step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) loss: Option<f64>,
    /// Beside a baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) against: Option<Ratios>,
}

/// What went between host and device in one run.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Counts {
    /// Kernels.
    launches: u64,
    /// Times that the host waited for numbers, and their bytes.
    syncs: u64,
    read_bytes: u64,
    /// Times that numbers were sent, and their bytes.
    uploads: u64,
    uploaded_bytes: u64,
}

impl From<Traffic> for Counts {
    fn from(traffic: Traffic) -> Self {
        let Traffic { uploads, uploaded_bytes, reads, read_bytes, .. } = traffic;
        Self { launches: traffic.launched(), syncs: reads, read_bytes, uploads, uploaded_bytes }
    }
}

/// This report's figures by a baseline's: below 1 is faster, or smaller.
#[derive(Debug, Serialize)]
pub struct Ratios {
    /// Where the baseline was read.
    file: String,
    seconds: f64,
    peak_bytes: Option<f64>,
}

/// A report to compare with: what `tools/bench_torch.py` or another build of vigos wrote.
#[derive(Clone, Debug, Deserialize)]
pub struct Baseline {
    #[serde(skip)]
    file: String,
    #[serde(flatten)]
    work: Work,
    seconds: f64,
    peak_bytes: Option<u64>,
}

impl Baseline {
    /// Reads one.
    ///
    /// # Errors
    /// If the file cannot be read or is no report.
    pub fn read(path: &Path) -> Result<Self, BenchError> {
        let file = path.display().to_string();
        let wrong = |found: String| BenchError::Baseline {
            file: file.clone(),
            found,
            wanted: "the JSON object that `vigos bench --json` or tools/bench_torch.py writes".into(),
        };
        let size = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
        if size > LARGEST {
            return Err(wrong(format!("{size} bytes")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let baseline: Self = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if !(baseline.seconds.is_finite() && baseline.seconds > 0.0) {
            return Err(wrong(format!("{} seconds", baseline.seconds)));
        }
        Ok(Self { file, ..baseline })
    }

    /// Refuses one of other work.
    ///
    /// # Errors
    /// If its work is not this.
    pub fn is_of(&self, work: &Work) -> Result<(), BenchError> {
        if self.work == *work {
            return Ok(());
        }
        let (file, found, wanted) = (self.file.clone(), self.work.to_string(), work.to_string());
        Err(BenchError::Baseline { file, found, wanted })
    }
}

impl Report {
    /// The same report beside a baseline of the same work.
    #[must_use]
    pub fn against(self, baseline: &Baseline) -> Self {
        let by =
            |ours: Option<u64>, theirs: Option<u64>| Some(ours? as f64 / theirs.filter(|&b| b > 0)? as f64);
        let against = Ratios {
            file: baseline.file.clone(),
            seconds: self.seconds / baseline.seconds,
            peak_bytes: by(self.peak_bytes, baseline.peak_bytes),
        };
        Self { against: Some(against), ..self }
    }

    /// The report for people.
    pub fn text(&self) -> String {
        let Self { device, work, repeats, seconds, tokens_per_second, .. } = self;
        let mut text = format!(
            "{device}, {work}, the median of {repeats}\n\
             {seconds:9.3} s, {tokens_per_second:.1} tokens a second, {} computed of which {} needed\n",
            self.tokens_computed, self.tokens_needed
        );
        for (name, seconds) in &self.phases {
            let _ = writeln!(text, "  {name:<10} {seconds:9.3} s");
        }
        if let Some(peak) = self.peak_bytes {
            let _ = writeln!(text, "{:9.1} MB beyond the model", peak as f64 / 1e6);
        }
        let _ =
            writeln!(text, "{:9.1} % of what the device multiplies at its best", 100.0 * self.matmul_share);
        if let Some(Counts { launches, syncs, read_bytes, uploads, uploaded_bytes }) = self.traffic {
            let _ = writeln!(
                text,
                "{launches:9} launches, {uploads} uploads of {uploaded_bytes} bytes, {syncs} waits for {read_bytes} bytes"
            );
        }
        if let Some(Ratios { file, seconds, peak_bytes }) = &self.against {
            let memory = peak_bytes.map_or(String::new(), |ratio| format!(", {ratio:.2} of its memory"));
            let _ = writeln!(text, "{seconds:9.2} of the time of {file}{memory}");
        }
        text
    }
}
