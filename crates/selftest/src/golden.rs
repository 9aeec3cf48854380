//! A training step and a completion of a tiny model of each family, against the numbers that PyTorch and Transformers came
//! to (tests/fixtures/README.md), which are part of this program.

mod completion;
mod files;
mod step;

use crate::check::{Bounds, Check};
use burn::tensor::Device;
use files::{FAMILIES, Family};
use std::path::Path;
use vigos_rollout::Kit;

/// Losses: two implementations in f32 come within 1e-5 of each other.
const LOSS: Bounds = Bounds { exact: 1e-4, reduced: 2e-2 };
/// All gradients as one long vector.
const GRADIENT: Bounds = Bounds { exact: 1e-3, reduced: 5e-2 };
/// Log-probabilities in nats.
const LOGPROBS: Bounds = Bounds { exact: 5e-4, reduced: 5e-2 };

/// A step and a completion of every family, on a device in f32. `kit` has to know the families.
pub fn steps(kit: &Kit, device: &Device) -> Vec<Check> {
    FAMILIES.iter().flat_map(|family| of_family(family, kit, device)).collect()
}

fn of_family(family: &Family, kit: &Kit, device: &Device) -> Vec<Check> {
    let name = family.name;
    let folder = match family.unpacked() {
        Ok(folder) => folder,
        Err(reason) => return vec![Check::run(format!("{name}, files"), LOSS, || Err(reason))],
    };
    let at: &Path = folder.path();
    let mut gradient = None;
    let loss = Check::run(format!("step of {name}: losses"), LOSS, || {
        let found = step::run(family, at, kit, device)?;
        gradient = Some(found.gradient);
        Ok(found.loss)
    });
    let gradient = Check::run(format!("step of {name}: gradients"), GRADIENT, || {
        gradient.ok_or_else(|| "the step failed".to_owned())
    });
    let logprobs =
        Check::run(format!("completion of {name}"), LOGPROBS, || completion::run(family, at, kit, device));
    vec![loss, gradient, logprobs]
}
