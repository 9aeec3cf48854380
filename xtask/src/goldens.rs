//! Numbers recorded from other programs, made anew by the scripts in `tools/`.

use crate::shell::{built_command, cargo, root, succeed};
use anyhow::{Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// A script of `tools/` that writes what tests read.
struct Golden {
    name: &'static str,
    /// The script and its arguments.
    script: &'static [&'static str],
    /// Package and example that it compares with on the way.
    example: Option<(&'static str, &'static str)>,
    /// Whether it runs the command too.
    command: bool,
    /// What pip has to install for it.
    needs: &'static str,
    writes: &'static str,
}

const GOLDENS: [Golden; 5] = [
    Golden {
        name: "sft",
        script: &["tools/sft_reference.py"],
        example: None,
        command: false,
        needs: "torch==2.9.1 torchvision==0.24.1 transformers==4.57.1 pillow",
        writes: "tests/fixtures/sft",
    },
    Golden {
        name: "templates",
        script: &["tools/template_check.py", "target/release/examples/render"],
        example: Some(("vigos-processor", "render")),
        command: false,
        needs: "-r tools/requirements.txt",
        writes: "models/processor/tests/fixtures/templates.json",
    },
    Golden {
        name: "layouts",
        script: &["tools/layout_prompts.py"],
        example: None,
        command: false,
        needs: "transformers==4.57.1 pillow numpy jinja2",
        writes: "tests/fixtures/layouts/prompts.json",
    },
    Golden {
        name: "adapters",
        script: &["tools/interop_check.py", "--fixtures"],
        example: Some(("vigos-qwen", "logits")),
        command: true,
        needs: "-r tools/requirements.txt",
        writes: "models/qwen/tests/fixtures/peft",
    },
    Golden {
        name: "grader",
        script: &["tools/mathruler_table.py"],
        example: None,
        command: false,
        needs: "mathruler==0.1.0 sympy==1.13.3 pylatexenc==2.10 tqdm",
        writes: "crates/grade/tests/mathruler.jsonl and the list in docs/grader.md",
    },
];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which ones; without any they are listed with what each needs.
    names: Vec<String>,
    /// The Python that has the packages.
    #[arg(long, value_name = "FILE", default_value = "python3")]
    python: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if args.names.is_empty() {
        for golden in &GOLDENS {
            println!("{:<10} writes {}", golden.name, golden.writes);
            println!("{:<10} needs  pip install {}", "", golden.needs);
        }
        println!("\nMake a virtual environment for each, and name its Python: --python /tmp/venv/bin/python");
    }
    for name in &args.names {
        let Some(golden) = GOLDENS.iter().find(|golden| golden.name == name) else {
            bail!("{name}: not one of {}", GOLDENS.map(|golden| golden.name).join(", "));
        };
        if let Some((package, example)) = golden.example {
            succeed(cargo().args(["build", "--release", "--package", package, "--example", example]))?;
        }
        if golden.command {
            built_command()?;
        }
        succeed(Command::new(&args.python).args(golden.script).current_dir(root()))?;
        println!("written: {}", golden.writes);
    }
    Ok(())
}
