//! MathVista and MathVerse.

use vigos_recipe::row::Rule;

use super::cells::{Asked, Cells};

/// Columns of MathVista.
pub(super) const VISTA: [&str; 10] = [
    "pid",
    "decoded_image",
    "image",
    "choices",
    "precision",
    "answer",
    "question_type",
    "answer_type",
    "metadata",
    "query",
];
/// Columns of MathVerse.
pub(super) const VERSE: [&str; 7] =
    ["sample_index", "problem_version", "image", "answer", "question_type", "query_cot", "query_wo"];
/// The most decimals that answers are rounded to; more than a number has.
const MOST_DECIMALS: f64 = 17.0;

/// MathVista: its column `query` is the question with a hint of the form of its answer; results are by task.
pub(super) fn vista(cells: &Cells) -> Result<Asked, String> {
    let choices = cells.choices("choices")?;
    let answer = cells.text("answer")?;
    let rule = match (cells.text("question_type")?.as_str(), cells.optional("answer_type").as_deref()) {
        ("multi_choice", _) if !choices.contains(&answer) => {
            return Err(cells.wrong("answer", "the text of one of the choices"));
        }
        ("multi_choice", _) => Rule::Nearest(choices),
        (_, Some("integer")) => Rule::Truncated,
        (_, Some("float")) => Rule::Rounded(decimals(cells)?),
        _ => Rule::Grader,
    };
    let image = if cells.held("decoded_image").is_some() { "decoded_image" } else { "image" };
    let task = cells.held("metadata").and_then(|metadata| metadata.get("task")?.as_str());
    Ok(Asked {
        text: cells.text("query")?,
        answer,
        images: cells.images(image)?,
        kind: task.map(str::to_owned),
        rule,
    })
}

/// To how many decimals answers are rounded.
fn decimals(cells: &Cells) -> Result<u8, String> {
    let precision = cells.held("precision").and_then(serde_json::Value::as_f64);
    let is_one = |places: &f64| places.fract() == 0.0 && (0.0..=MOST_DECIMALS).contains(places);
    let places =
        precision.filter(is_one).ok_or_else(|| cells.wrong("precision", "how many decimals, 0 to 17"))?;
    Ok(places as u8)
}

/// MathVerse: its column `query_cot` is the question after a request to reason first; results are by how much of the
/// question is in the image.
pub(super) fn verse(cells: &Cells) -> Result<Asked, String> {
    let query = if cells.held("query_cot").is_some() { "query_cot" } else { "query_wo" };
    let text = cells.text(query)?;
    let (answer, rule) = match cells.text("question_type")?.as_str() {
        "multi-choice" => {
            let choices = listed(&text);
            (cells.letter("answer", &choices)?, Rule::Choice(choices))
        }
        _ => (cells.text("answer")?, Rule::Grader),
    };
    Ok(Asked {
        answer,
        images: cells.images("image")?,
        kind: Some(cells.text("problem_version")?),
        rule,
        text,
    })
}

/// The choices that a question lists, each in a line behind its letter and a colon.
fn listed(question: &str) -> Vec<String> {
    let mut choices = Vec::new();
    for line in question.lines() {
        let letter = char::from(b'A' + (choices.len() % 26) as u8);
        if let Some(text) = line.strip_prefix(letter).and_then(|rest| rest.strip_prefix(':')) {
            choices.push(text.trim().to_owned());
        }
    }
    choices
}
