//! MMMU and MMMU-Pro: questions of college exams, with up to seven images in their texts.

use serde_json::Value;
use vigos_recipe::IMAGE_MARK;
use vigos_recipe::row::{ImageSource, Rule};

use super::cells::{Asked, Cells};
use crate::choices;

/// The columns beside `image_1` to `image_7`.
pub(super) const COLUMNS: [&str; 7] =
    ["id", "question", "options", "answer", "question_type", "image", "subject"];
/// The most images of a question.
const IMAGES: usize = 7;
/// The disciplines that results are listed by, with their subjects.
const DISCIPLINES: [(&str, &[&str]); 6] = [
    ("Art and Design", &["Art", "Art_Theory", "Design", "Music"]),
    ("Business", &["Accounting", "Economics", "Finance", "Manage", "Marketing"]),
    ("Science", &["Biology", "Chemistry", "Geography", "Math", "Physics"]),
    (
        "Health and Medicine",
        &[
            "Basic_Medical_Science",
            "Clinical_Medicine",
            "Diagnostics_and_Laboratory_Medicine",
            "Pharmacy",
            "Public_Health",
        ],
    ),
    ("Humanities and Social Science", &["History", "Literature", "Sociology", "Psychology"]),
    (
        "Tech and Engineering",
        &[
            "Agriculture",
            "Architecture_and_Engineering",
            "Computer_Science",
            "Electronics",
            "Energy_and_Power",
            "Materials",
            "Mechanical_Engineering",
        ],
    ),
];

/// A question of MMMU, which lets choose or not.
pub(super) fn mmmu(cells: &Cells) -> Result<Asked, String> {
    let question = cells.text("question")?;
    let is_open = cells.text("question_type")? == "open";
    let (text, answer, rule) = match is_open {
        true => {
            let answers = answers(cells)?;
            let text = format!("{question}\n\nAnswer the question using a single word or phrase.");
            (text, answers.join(" or "), Rule::Says(answers))
        }
        false => {
            let choices = cells.choices("options")?;
            if choices.is_empty() {
                return Err(cells.wrong("options", "two or more choices"));
            }
            let listed = choices::lines(&choices, |letter, choice| format!("({letter}) {choice}"));
            let advice = "Answer with the option's letter from the given choices directly.";
            let text = format!("{question}\n\n{listed}\n\n{advice}");
            (text, cells.letter("answer", &choices)?, Rule::Choice(choices))
        }
    };
    let (text, images) = placed(cells, text)?;
    let id = cells.text("id")?;
    // `validation_Art_Theory_12`.
    let subject = id.split_once('_').and_then(|(_, rest)| rest.rsplit_once('_')).map(|(subject, _)| subject);
    let discipline = |(name, subjects): &(&str, &[&str])| {
        subject.is_some_and(|subject| subjects.contains(&subject)).then(|| (*name).to_owned())
    };
    let kind = DISCIPLINES.iter().find_map(discipline);
    Ok(Asked { text, answer, images, kind, rule })
}

/// A question of MMMU-Pro: as text with its images, or all of it one image.
pub(super) fn mmmu_pro(cells: &Cells) -> Result<Asked, String> {
    const ADVICE: &str = "Answer with the option letter from the given choices directly.";
    let choices = cells.choices("options")?;
    let answer = cells.letter("answer", &choices)?;
    let (kind, text, images) = match cells.optional("question") {
        None => ("vision", ADVICE.to_owned(), cells.images("image")?),
        Some(question) => {
            let listed = choices::lines(&choices, |letter, choice| format!("{letter}. {choice}"));
            let (text, images) = placed(cells, format!("{question}\n{listed}\n\n{ADVICE}"))?;
            ("standard", text, images)
        }
    };
    let rule = Rule::Choice(choices);
    Ok(Asked { text, answer, images, kind: Some(kind.into()), rule })
}

/// The text with a mark where it first shows each `<image N>`, and these images in that order; all of the record's, before
/// the text, where it shows none.
fn placed(cells: &Cells, text: String) -> Result<(String, Vec<ImageSource>), String> {
    let name = |number: usize| format!("<image {number}>");
    let field = |number: usize| format!("image_{number}");
    if text.contains(IMAGE_MARK) {
        return Err(format!("field \"question\": found {IMAGE_MARK}, wanted <image 1> to <image {IMAGES}>"));
    }
    let mut shown: Vec<(usize, usize)> =
        (1..=IMAGES).filter_map(|number| Some((text.find(&name(number))?, number))).collect();
    shown.sort_unstable();
    if shown.is_empty() {
        let all = (1..=IMAGES).filter(|number| cells.held(&field(*number)).is_some());
        let images = all.map(|number| cells.images(&field(number))).collect::<Result<Vec<_>, _>>()?;
        return Ok((text, images.concat()));
    }
    let mut placed = text;
    let mut images = Vec::new();
    for (_, number) in shown {
        placed = placed.replacen(&name(number), IMAGE_MARK, 1);
        images.extend(cells.images(&field(number))?);
    }
    Ok((placed, images))
}

/// The answers that are right: one, or a list of them as text.
fn answers(cells: &Cells) -> Result<Vec<String>, String> {
    let text = cells.text("answer")?;
    let listed = choices::listed(&text).unwrap_or_default();
    let answers: Vec<String> = listed
        .iter()
        .filter_map(|value| match value {
            Value::String(text) => Some(text.trim().to_owned()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
        .filter(|answer| !answer.is_empty())
        .collect();
    Ok(if answers.is_empty() { vec![text] } else { answers })
}
