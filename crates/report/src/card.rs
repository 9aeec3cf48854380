//! A model card: what a result is, what it was made of, what it came to, and how to load it, as the hub shows it.

use crate::error::ReportError;
use crate::evaluation::{Estimate, Evaluations, Measure};
use crate::facts::Recipe;
use crate::folder::{Run, is_run};
use crate::limits::Limits;
use crate::visible::visible;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;
use vigos_core::files::read_limited;

/// No configuration of an adapter is larger.
const LARGEST: u64 = 1 << 20;
/// Folders above a checkpoint of which one is its run.
const ABOVE: usize = 3;

/// What is loaded, and how.
struct Subject<'a> {
    /// `ORG/NAME`.
    id: &'a str,
    adapter: bool,
    base: Option<Base>,
}

/// What it was trained from.
struct Base {
    name: String,
    /// Whether the hub has it under this name.
    on_hub: bool,
}

impl Base {
    /// As a Python library is told of it: the name, and the revision as an argument of its own.
    fn in_python(&self) -> String {
        match plain(&self.name).split_once('@') {
            Some((name, revision)) if self.on_hub => format!("\"{name}\", revision=\"{revision}\""),
            _ => format!("\"{}\"", plain(&self.name)),
        }
    }
}

/// The card of the model or adapter in `folder`, to be loaded as `ORG/NAME`: Markdown with what the hub reads of it at its
/// head. What ran is known where the folder is a run's. It names no licence: that is for the owner to say.
///
/// # Errors
/// If the run cannot be read.
pub fn card(id: &str, folder: &Path) -> Result<String, ReportError> {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    // A card needs neither rollouts nor items.
    let few = Limits { rollouts: 1, items: 0, ..Limits::default() };
    let run = folder.ancestors().take(ABOVE).find(|folder| is_run(folder));
    let run = run.map(|run| Run::open(run, &few, 1)).transpose()?;
    let adapter = folder.join("adapter_config.json").is_file();
    let base = run.as_ref().and_then(|run| of_recipe(&run.recipe)).or_else(|| of_adapter(&folder));
    let subject = Subject { id, adapter, base };

    let name = id.rsplit('/').next().unwrap_or(id);
    let mut text = format!("{}\n# {}\n\n{}\n", subject.head(), plain(name), subject.about());
    if let Some(run) = &run {
        text += &training(run);
        text += &run.evaluations.as_ref().map_or_else(String::new, results);
    }
    text += &subject.loading();
    if let Some(run) = run.filter(|run| !run.recipe.text.is_empty()) {
        text += &recipe(&run.recipe.text);
    }
    Ok(text)
}

/// The base that a recipe names.
fn of_recipe(recipe: &Recipe) -> Option<Base> {
    let path = recipe.text_of("model.path")?;
    Some(Base { name: named(&path), on_hub: path.starts_with("hf:") })
}

/// The base that an adapter's configuration names.
fn of_adapter(folder: &Path) -> Option<Base> {
    let bytes = read_limited(&folder.join("adapter_config.json"), LARGEST).ok()?;
    let config: Value = serde_json::from_slice(&bytes).ok()?;
    let name = config["base_model_name_or_path"].as_str().filter(|name| !name.is_empty())?;
    Some(Base { name: named(name), on_hub: is_name(name) && !Path::new(name).exists() })
}

impl Subject<'_> {
    /// What the hub reads.
    fn head(&self) -> String {
        let library = if self.adapter { "peft" } else { "transformers" };
        let mut text = format!("---\nlibrary_name: {library}\npipeline_tag: image-text-to-text\n");
        if let Some(base) = self.base.as_ref().filter(|base| base.on_hub) {
            // A revision is no part of the name.
            let name = base.name.split('@').next().unwrap_or_default();
            let relation = if self.adapter { "adapter" } else { "finetune" };
            text += &format!("base_model: {}\nbase_model_relation: {relation}\n", plain(name));
        }
        text += "tags:\n- vigos\n";
        text += "# No licence is stated; those of the base and the data may bind. To state one: `license: NAME`.\n---\n";
        text
    }

    fn about(&self) -> String {
        match (&self.base, self.adapter) {
            (Some(base), true) => format!("A LoRA adapter for {}, trained with vigos.", plain(&base.name)),
            (Some(base), false) => {
                format!("A model that comes of {}, trained with vigos.", plain(&base.name))
            }
            (None, _) => "Trained with vigos.".into(),
        }
    }

    /// How to load it.
    fn loading(&self) -> String {
        let id = plain(self.id);
        let unknown = Base { name: "BASE".into(), on_hub: false };
        let base = self.base.as_ref().unwrap_or(&unknown);
        let (with, python, flags) = if self.adapter {
            let python_base = base.in_python();
            let python = format!(
                "from peft import PeftModel\nfrom transformers import AutoModelForImageTextToText, AutoProcessor\n\n\
                 base = AutoModelForImageTextToText.from_pretrained({python_base}, dtype=\"auto\")\n\
                 model = PeftModel.from_pretrained(base, \"{id}\")\n\
                 processor = AutoProcessor.from_pretrained({python_base})"
            );
            let (prefix, name) = (if base.on_hub { "hf:" } else { "" }, plain(&base.name));
            ("Transformers and PEFT", python, format!("--model '{prefix}{name}' --adapter hf:{id}"))
        } else {
            let python = format!(
                "from transformers import AutoModelForImageTextToText, AutoProcessor\n\n\
                 model = AutoModelForImageTextToText.from_pretrained(\"{id}\", dtype=\"auto\")\n\
                 processor = AutoProcessor.from_pretrained(\"{id}\")"
            );
            ("Transformers", python, format!("--model hf:{id}"))
        };
        format!(
            "\n## Use\n\nWith {with}:\n\n```python\n{python}\n```\n\nWith vigos:\n\n```sh\n\
             vigos generate {flags} \\\n    --image a.png --prompt 'What is in the image?'\n```\n"
        )
    }
}

/// What ran.
fn training(run: &Run) -> String {
    let mut text = "\n## Training\n\n| | |\n| --- | --- |\n".to_owned();
    for fact in &run.facts {
        // Of a machine only what another one can repeat.
        if !["System", "Begun"].contains(&fact.name) {
            let _ = writeln!(text, "| {} | {} |", fact.name, cell(&named(&fact.value)));
        }
    }
    if let Some(steps) = run.curves.as_ref().and_then(|curves| curves.last_step()) {
        let _ = writeln!(text, "| Steps done | {steps} |");
    }
    text
}

/// What was measured.
fn results(found: &Evaluations) -> String {
    let heads: Vec<String> = found.names.iter().map(|name| cell(name)).collect();
    let mut text = format!(
        "\n## Results\n\nOn {}, with standard errors.\n\n| | {} |\n| --- |{}\n",
        plain(&named(&found.data)),
        heads.join(" | "),
        " ---: |".repeat(heads.len())
    );
    for Measure { name, share, values } in &found.rows {
        let values: Vec<String> =
            values.iter().map(|value| value.map_or("".into(), |v| number(v, *share))).collect();
        let _ = writeln!(text, "| {} | {} |", cell(name), values.join(" | "));
    }
    text
}

fn number(Estimate { value, error }: Estimate, share: bool) -> String {
    let (scale, unit) = if share { (100.0, " %") } else { (1.0, "") };
    match error {
        Some(error) => format!("{:.1} ± {:.1}{unit}", value * scale, error * scale),
        None => format!("{:.1}{unit}", value * scale),
    }
}

/// The recipe, without the places of someone's own disk.
fn recipe(text: &str) -> String {
    let shown: Vec<String> = text.lines().map(without_places).collect();
    let shown = shown.join("\n");
    // Longer than any fence within.
    let fence = "`".repeat(3.max(longest_run(&shown) + 1));
    format!(
        "\n## Recipe\n\n<details>\n<summary>config.toml</summary>\n\n{fence}toml\n{}\n{fence}\n\n</details>\n",
        shown.trim_end()
    )
}

/// A line of a recipe whose quoted paths from the root on are their last names alone.
fn without_places(line: &str) -> String {
    let Some((key, value)) = line.split_once('=') else { return line.to_owned() };
    let parts: Vec<String> = value.split('"').map(named).collect();
    format!("{key}={}", parts.join("\""))
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// A name that says nothing of someone's disk: of a path from the root on the last part, of a hub's name what the hub calls it.
fn named(name: &str) -> String {
    if let Some(id) = name.strip_prefix("hf:") {
        return id.to_owned();
    }
    let windows = name.as_bytes().get(1) == Some(&b':') && name.contains('\\');
    if !windows && !name.starts_with(['/', '~', '\\']) {
        return name.to_owned();
    }
    name.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or_default().to_owned()
}

/// Whether a text has the form of the hub's names.
fn is_name(text: &str) -> bool {
    let usual = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let parts: Vec<&str> = text.split('/').collect();
    parts.len() == 2 && parts.iter().all(|part| !part.is_empty() && part.chars().all(usual))
}

/// A text that can be part of a sentence: no line, no mark of Markdown or HTML, no quote.
fn plain(text: &str) -> String {
    visible(text, 200).chars().map(|c| if "\n\r\t<>|`\"'\\[]*$&".contains(c) { ' ' } else { c }).collect()
}

/// The same in a table.
fn cell(text: &str) -> String {
    plain(text).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_of_someone_s_disk_is_its_last_name_and_other_names_stay() {
        assert_eq!(named("/home/someone/models/Qwen2.5-VL"), "Qwen2.5-VL");
        assert_eq!(named("C:\\Users\\someone\\model\\"), "model");
        assert_eq!(named("hf:org/name@v1"), "org/name@v1");
        assert_eq!(named("assets/tiny"), "assets/tiny");
        assert_eq!(without_places("path = \"/home/someone/data.jsonl\""), "path = \"data.jsonl\"");
        assert_eq!(without_places("[data]"), "[data]");
    }

    #[test]
    fn nothing_of_a_name_is_read_as_markdown_or_code() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = serde_json::json!({ "base_model_name_or_path": "x\"); evil(\"" });
        let path = folder.path().join("adapter_config.json");
        std::fs::write(path, config.to_string()).expect("it is written");
        let text = card("org/name", folder.path()).expect("a card");
        assert!(text.contains("from_pretrained(\"x ); evil( \"") && !text.contains("base_model:"), "{text}");
        assert_eq!(cell("a|b\n<script>"), "a b  script");
    }
}
