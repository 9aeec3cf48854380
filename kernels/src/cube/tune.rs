//! The choice of a launch's shape by trial, once for each device, vocabulary, precision and size class.

use super::launch::Problem;
use burn::backend::TensorMetadata;
use burn::backend::ops::FloatTensorOps;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeBackend, CubeTuneId};
use cubecl::tune::{LocalTuner, Tunable, TunableSet, local_tuner};

/// Units of a cube, and whether planes reduce. The names are those of the recorded results.
const CANDIDATES: [(&str, u32, bool); 5] = [
    ("planes_256", 256, true),
    ("planes_512", 512, true),
    ("planes_1024", 1024, true),
    ("shared_256", 256, false),
    ("shared_512", 512, false),
];
/// A trial overwrites its logits, so that it has its own: those of so many rows.
const TRIAL_ROWS: usize = 256;

/// Launches the kernel in the shape that is fastest on its device.
pub(super) fn run(problem: Problem) {
    static TUNER: LocalTuner<String, CubeTuneId> = local_tuner!();
    let client = problem.rows.client.clone();
    let id = CubeTuneId::new(&client, &problem.rows.device);
    let candidates = TUNER.init(&id, || {
        let mut set = TunableSet::new(key, trial);
        for (name, units, planes) in CANDIDATES {
            set = set.with(Tunable::new(name, move |problem: Problem| {
                let blueprint = problem.blueprint(units, planes);
                problem.run(blueprint);
                Ok::<(), String>(())
            }));
        }
        set
    });
    TUNER.execute(&id, &client, candidates, problem);
}

fn key(problem: &Problem) -> String {
    let form = if problem.teacher.is_some() { "separate" } else { "stacked" };
    let logits = &problem.logits;
    // Up to the trial's rows each doubling counts: few rows want large cubes.
    let rows = problem.rows.shape()[0].min(TRIAL_ROWS).next_power_of_two();
    format!("{form} {:?} V {} R {rows}", logits.dtype, logits.meta.shape()[1])
}

/// A problem of the same kind that may be overwritten.
fn trial(_: &String, problem: &Problem) -> Problem {
    let count = problem.rows.shape()[0].min(TRIAL_ROWS);
    let read = if problem.teacher.is_some() { count } else { 2 * count };
    let logits = first(&problem.logits, read).copy();
    let teacher = problem.teacher.as_ref().map(|teacher| first(teacher, count));
    Problem {
        logits,
        teacher,
        rows: first(&problem.rows, count),
        statistics: first(&problem.statistics, count).copy(),
        inverse_temperature: problem.inverse_temperature,
    }
}

fn first(tensor: &CubeTensor, rows: usize) -> CubeTensor {
    let columns = tensor.meta.shape()[1];
    CubeBackend::float_slice(tensor.clone(), &[(0..rows).into(), (0..columns).into()])
}
