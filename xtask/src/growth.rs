//! How memory and work of a step grow: one size at a time, three values of each, by `vigos bench`.

use crate::shell::{built_command, emptied, line, root, succeed};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The model's shape, a config.json; random weights of it are made below target/growth.
    #[arg(long)]
    config: PathBuf,
    /// The command to measure, instead of building it.
    #[arg(long)]
    command: Option<PathBuf>,
}

/// The sizes of a step.
#[derive(Clone, Debug, PartialEq)]
struct Sizes {
    batch: usize,
    /// Tokens of the prompt, those of the image among them.
    prompt: usize,
    /// Patches of the image, in rows and columns; four are a token.
    image: [usize; 2],
    completion: usize,
    vocabulary: usize,
}

/// What `vigos bench step` says.
struct Measured {
    peak_bytes: f64,
    tokens: f64,
    seconds: f64,
}

/// Measures and prints a table in Markdown.
pub(crate) fn run(args: &Args) -> Result<()> {
    let command = args.command.clone().map_or_else(built_command, Ok)?;
    let text = fs::read_to_string(&args.config).with_context(|| args.config.display().to_string())?;
    let config: Value = serde_json::from_str(&text).with_context(|| args.config.display().to_string())?;
    let folder = emptied("growth")?;
    let vocabulary = of_text(&config, "vocab_size")?;
    let usual = Sizes { batch: 2, prompt: 486, image: [24, 32], completion: 122, vocabulary };
    println!("| varied | value | block: memory | seconds | none: memory | seconds | tokens |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    let mut models = Vec::new();
    for (name, value, sizes) in cases(&usual) {
        if !models.contains(&sizes.vocabulary) {
            init(&command, &config, &folder, sizes.vocabulary)?;
            models.push(sizes.vocabulary);
        }
        let model = folder.join(sizes.vocabulary.to_string());
        let [block, none] = ["block", "none"].map(|recompute| measure(&command, &model, &sizes, recompute));
        let (block, none) = (block?, none?);
        println!(
            "| {name} | {value} | {:.0} MB | {:.1} | {:.0} MB | {:.1} | {} |",
            block.peak_bytes / 1e6,
            block.seconds,
            none.peak_bytes / 1e6,
            none.seconds,
            none.tokens
        );
    }
    Ok(())
}

/// The usual sizes, then each size by itself smaller and larger.
fn cases(usual: &Sizes) -> Vec<(&'static str, String, Sizes)> {
    let mut cases = vec![("none", "the usual sizes".to_owned(), usual.clone())];
    for batch in [1, 4] {
        cases.push(("batch", batch.to_string(), Sizes { batch, ..usual.clone() }));
    }
    for more in [240, 480] {
        let prompt = usual.prompt + more;
        cases.push(("prompt", prompt.to_string(), Sizes { prompt, ..usual.clone() }));
    }
    for image in [[16, 24], [32, 48]] {
        let tokens = |[rows, columns]: [usize; 2]| rows * columns / 4;
        let prompt = usual.prompt + tokens(image) - tokens(usual.image);
        let value = format!("{} tokens", tokens(image));
        cases.push(("image", value, Sizes { image, prompt, ..usual.clone() }));
    }
    for completion in [61, 488] {
        cases.push(("completion", completion.to_string(), Sizes { completion, ..usual.clone() }));
    }
    for factor in [2, 4] {
        let vocabulary = usual.vocabulary * factor;
        cases.push(("vocabulary", vocabulary.to_string(), Sizes { vocabulary, ..usual.clone() }));
    }
    cases
}

/// A model of the shape with so many words.
fn init(command: &Path, config: &Value, folder: &Path, vocabulary: usize) -> Result<()> {
    let mut config = config.clone();
    let text = if config.get("text_config").is_some() { "text_config" } else { "" };
    let place = if text.is_empty() { &mut config } else { &mut config[text] };
    place["vocab_size"] = vocabulary.into();
    let file = folder.join(format!("{vocabulary}.json"));
    fs::write(&file, config.to_string())?;
    let out = folder.join(vocabulary.to_string());
    succeed(Command::new(command).arg("init").arg(&file).arg("--out").arg(out).args(["--seed", "1"]))
}

fn of_text(config: &Value, key: &str) -> Result<usize> {
    let value = config.get("text_config").unwrap_or(config).get(key).and_then(Value::as_u64);
    value.map(|value| value as usize).with_context(|| format!("the configuration has no {key}"))
}

fn measure(command: &Path, model: &Path, sizes: &Sizes, recompute: &str) -> Result<Measured> {
    let Sizes { batch, prompt, image: [rows, columns], completion, .. } = sizes;
    let mut bench = Command::new(command);
    bench.current_dir(root()).args(["bench", "step", "--json", "--repeat", "1"]);
    bench.args(["--recompute", recompute]).arg("--model").arg(model);
    bench.args(["--batch", &batch.to_string(), "--prompt", &prompt.to_string()]);
    bench.args(["--image", &format!("{rows}x{columns}"), "--completion", &completion.to_string()]);
    let output = bench.output().with_context(|| line(&bench))?;
    if !output.status.success() {
        bail!("{} ended with {}: {}", line(&bench), output.status, String::from_utf8_lossy(&output.stderr));
    }
    let said: Value = serde_json::from_slice(&output.stdout).with_context(|| line(&bench))?;
    let number = |key: &str| said[key].as_f64().with_context(|| format!("{} says no {key}", line(&bench)));
    Ok(Measured {
        peak_bytes: number("peak_bytes")?,
        tokens: number("tokens_computed")?,
        seconds: number("seconds")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_size_is_varied_at_a_time_and_an_image_takes_its_tokens_along() {
        let usual = Sizes { batch: 2, prompt: 486, image: [24, 32], completion: 122, vocabulary: 32_000 };
        let cases = cases(&usual);
        assert_eq!(cases.len(), 11);
        for (name, value, sizes) in &cases[1..] {
            let differs = [
                sizes.batch != usual.batch,
                sizes.prompt != usual.prompt && sizes.image == usual.image,
                sizes.image != usual.image,
                sizes.completion != usual.completion,
                sizes.vocabulary != usual.vocabulary,
            ];
            assert_eq!(differs.iter().filter(|d| **d).count(), 1, "{name} {value}");
        }
        let image = cases.iter().find(|(name, ..)| *name == "image").map(|(_, _, sizes)| sizes.prompt);
        assert_eq!(image, Some(486 + 96 - 192));
    }
}
