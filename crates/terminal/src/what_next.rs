//! What to try with an adapter that is done: commands that can be pasted as they are.

use std::path::{Path, PathBuf};
use vigos_core::files::write_atomic_bytes;
use vigos_data::DataRequest;
use vigos_recipe::prompts::Prompts;
use vigos_recipe::row::ImageSource;
use vigos_recipe::{Precision, Recipe, reference_target};
use vigos_rollout::Kit;

/// Another method to compare with.
const OTHER: &str = "method.preset=opsd-same-prompt";

/// A finished run.
pub struct Done<'a> {
    /// By which it was trained.
    pub recipe: &'a Recipe,
    /// Its folder.
    pub run_dir: &'a Path,
    /// What it trained.
    pub adapter: &'a Path,
    /// The device that it was told to use, as `--device` takes it.
    pub device: Option<&'a str>,
    /// What there is to compute with.
    pub kit: &'a Kit,
}

/// A line for each thing to try. They begin with this program as it was called and name the run's own recipe, which has
/// all overrides that were in force.
pub fn what_next(done: &Done) -> String {
    let Done { recipe, run_dir, adapter, .. } = *done;
    let program = std::env::args_os().next().map_or_else(|| "vigos".into(), PathBuf::from);
    let program = quoted(&program.display().to_string());
    let path = |path: &Path| quoted(&path.display().to_string());
    let (config, model) = (run_dir.join("config.toml"), path(&recipe.model.path));
    let device = done.device.map_or_else(String::new, |device| format!(" --device {device}"));
    let (run, trained) = (path(&config), path(adapter));

    let palr = format!("{program} palr {run} --adapter {trained} --set data.limit=64{device}");
    let mut lines = vec![("how much of it hangs on the answers", palr)];
    // A table of the recipe's own cannot give way to a preset.
    if Recipe::load(&config, &[OTHER.to_owned()]).is_ok() {
        let other = path(&beside(run_dir, "-opsd"));
        lines.push((
            "another method to compare with",
            format!("{program} train {run} --set {OTHER} --run-dir {other}{device}"),
        ));
    }
    if let Some(question) = question(done) {
        let precision = if recipe.train.precision == Precision::Bf16 { " --precision bf16" } else { "" };
        let tokens = recipe.eval.sampling.max_new_tokens;
        lines.push((
            "ask it yourself",
            format!(
                "{program} generate --model {model} --adapter {trained}{question} --max-new-tokens \
                 {tokens}{precision}{device}"
            ),
        ));
    }
    let merged = path(&run_dir.join("merged"));
    let merge = format!("{program} merge --model {model} --adapter {trained} --out {merged}{device}");
    lines.push(("a model that needs no adapter", merge));
    let lines: Vec<String> = lines.into_iter().map(|(what, line)| format!("  {what}\n    {line}")).collect();
    format!("what next:\n{}", lines.join("\n"))
}

/// The first question of the recipe's data as the student is asked it, as arguments: images, prompt, prefill. An image
/// that is no file becomes one in the run's folder.
fn question(done: &Done) -> Option<String> {
    let Done { recipe, run_dir, kit, .. } = *done;
    let data = kit.sources.open(&DataRequest::from(&recipe.data), &mut |_, _, _| {}).ok()?;
    let row = data.load(0).ok()?.ok()?;
    let prompts = Prompts::with_contexts(&recipe.method, kit.contexts.clone()).ok()?;
    let prompt = prompts.turn(&recipe.method.student_prompt, &row, &reference_target(&row.answer)).ok()?;
    let mut arguments = String::new();
    for (number, image) in row.images.iter().enumerate() {
        let file = match image {
            ImageSource::File(file) => file.clone(),
            // A row that was loaded has none.
            ImageSource::Link(_) => return None,
            ImageSource::Bytes(bytes) => {
                let file = run_dir.join(format!("question-{}.{}", number + 1, suffix(bytes)));
                write_atomic_bytes(&file, bytes).ok()?;
                file
            }
        };
        arguments += &format!(" --image {}", quoted(&file.display().to_string()));
    }
    arguments += &format!(" --prompt {}", quoted(&prompt));
    if !recipe.method.student_prefill.is_empty() {
        arguments += &format!(" --prefill {}", quoted(&recipe.method.student_prefill));
    }
    Some(arguments)
}

/// The suffix that files of these bytes usually have.
fn suffix(bytes: &[u8]) -> &'static str {
    match bytes {
        [0xff, 0xd8, ..] => "jpg",
        [b'G', b'I', b'F', ..] => "gif",
        [b'R', b'I', b'F', b'F', ..] => "webp",
        _ => "png",
    }
}

/// The folder of this name with an end.
fn beside(folder: &Path, end: &str) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// A word of a shell's command line.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_a_shell_would_read_otherwise_are_quoted() {
        assert_eq!(quoted("target/release/vigos"), "target/release/vigos");
        assert_eq!(quoted("hf:Qwen/Qwen2.5-VL-3B-Instruct"), "hf:Qwen/Qwen2.5-VL-3B-Instruct");
        assert_eq!(quoted("it's <b>\nnew"), "'it'\\''s <b>\nnew'");
        assert_eq!(quoted(""), "''");
    }
}
