//! The benchmarks: the loss operator on its own, a warm start's step, the loss against its baselines.

use crate::shell::{built_command, cargo, root, succeed};
use anyhow::Result;
use std::process::Command;

pub(crate) fn run() -> Result<()> {
    succeed(cargo().args(["bench", "--package", "vigos-kernels", "--features", "bench"]))?;
    succeed(cargo().args(["bench", "--package", "vigos-qwen", "--bench", "warm_start"]))?;
    let command = built_command()?;
    for precision in ["f32", "bf16"] {
        succeed(
            Command::new(&command)
                .args(["bench", "loss", "--rows", "256", "--vocab", "32000", "--hidden", "512"])
                .args(["--dtype", precision])
                .current_dir(root()),
        )?;
    }
    Ok(())
}
