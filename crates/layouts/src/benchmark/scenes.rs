//! RealWorldQA, CV-Bench, MMSI-Bench and MM-Vet: their rows have the whole question.

use vigos_recipe::row::Rule;

use super::cells::{Asked, Cells};

/// RealWorldQA: choices, if any, stand in the question, which says how to answer.
pub(super) fn real_world(cells: &Cells) -> Result<Asked, String> {
    Ok(Asked {
        text: cells.text("question")?,
        answer: cells.text("answer")?,
        images: cells.images("image")?,
        kind: None,
        rule: Rule::Grader,
    })
}

/// CV-Bench: its column `prompt` is the question with its choices; results are by source and task.
pub(super) fn cv_bench(cells: &Cells) -> Result<Asked, String> {
    let choices = cells.choices("choices")?;
    if choices.is_empty() {
        return Err(cells.wrong("choices", "a list of two or more"));
    }
    Ok(Asked {
        text: cells.text("prompt")?,
        answer: cells.letter("answer", &choices)?,
        images: cells.images("image")?,
        kind: Some(format!("{} {}", cells.text("source")?, cells.text("task")?)),
        rule: Rule::Choice(choices),
    })
}

/// MMSI-Bench: the choices stand in the question; results are by the type of question.
pub(super) fn mmsi(cells: &Cells) -> Result<Asked, String> {
    let text = cells.text("question")?;
    Ok(Asked {
        text: format!("{text}\nAnswer with the option's letter from the given choices directly."),
        answer: cells.letter("answer", &[])?,
        images: cells.images("images")?,
        kind: Some(cells.text("question_type")?),
        rule: Rule::Choice(Vec::new()),
    })
}

/// MM-Vet: a free answer, of which the reference says what has to be in it with `<AND>` and `<OR>`; results are by the
/// abilities that it takes, such as `ocr,math`.
pub(super) fn mm_vet(cells: &Cells) -> Result<Asked, String> {
    // The authors' grader reads the words between spaces.
    let answer = cells.text("answer")?.replace("<AND>", " <AND> ").replace("<OR>", " <OR> ");
    Ok(Asked {
        text: cells.text("question")?,
        answer,
        images: cells.images("image")?,
        kind: Some(cells.text("capability")?),
        rule: Rule::Judged,
    })
}
