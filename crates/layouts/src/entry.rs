//! A record's fields to rows.

use std::path::Path;

use serde_json::{Map, Value};
use vigos_recipe::row::{Demonstration, Labels, Place, Role};
use vigos_recipe::{DataLayout, Fields, IMAGE_MARK, ImageSource, Row, Speaker, Turn, Turns};

use crate::conversation::{Conversation, are_turns, only_answer};
use crate::fields::{DemonstrationFields, RowFields, way_out};
use crate::marked::Marked;
use crate::recognise::{is_usual, recognised};
use crate::said::{self, Said};
use crate::texts::{check_length, check_name, kind, listed, number};
use crate::{picture, places};

/// The fields of a record, to be made rows. What is wrong is said by field, what was found and what was wanted.
pub(crate) struct Entry<'a> {
    pub(crate) object: &'a Map<String, Value>,
    /// The folder that image paths are relative to.
    pub(crate) root: &'a Path,
    pub(crate) fields: &'a RowFields,
}

/// A turn with the images that it shows.
struct Shown {
    speaker: Speaker,
    text: String,
    /// How many of the images come before the text, as no mark is for them.
    unmarked: usize,
    images: Vec<ImageSource>,
}

impl Entry<'_> {
    /// The row's own name.
    pub(crate) fn id(&self) -> Result<Option<String>, String> {
        let field = match self.fields {
            RowFields::Questions(names) => &names.id,
            RowFields::Demonstrations(names) => &names.id,
            RowFields::Benchmark(benchmark) => benchmark.id(),
        };
        let id = match self.get(field) {
            None => return Ok(None),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(found)) => number(field, found)?,
            Some(other) => return Err(wrong(field, other, "a string or a number")),
        };
        check_name(field, &id)?;
        Ok(Some(id))
    }

    /// The rows of the record; their names and origin are the caller's. Each may have a fault of its own.
    pub(crate) fn rows(&self, layout: DataLayout, turns: Turns) -> Result<Vec<Result<Row, String>>, String> {
        let layout = match layout {
            _ if matches!(self.fields, RowFields::Benchmark(_)) => DataLayout::Rows,
            DataLayout::Auto => recognised(self.object, self.fields).unwrap_or(DataLayout::Rows),
            named => named,
        };
        let Said { field, conversation } = match layout {
            DataLayout::Auto | DataLayout::Rows => Said::default(),
            named => said::said(self.object, named)?,
        };
        match self.fields {
            RowFields::Questions(names) => {
                // Of one that lets choose the answer is known already.
                let beside = if layout == DataLayout::Vqa { None } else { self.get(&names.answer) };
                self.questions(names, field, conversation, beside.is_some(), turns)
            }
            RowFields::Demonstrations(names) => self.demonstrations(names, field, conversation, turns),
            RowFields::Benchmark(benchmark) => Ok(vec![benchmark.row(self.object, self.root)]),
        }
    }

    fn questions(
        &self,
        names: &Fields,
        field: &str,
        said: Conversation,
        is_beside: bool,
        turns: Turns,
    ) -> Result<Vec<Result<Row, String>>, String> {
        let is_plain = said.turns.is_empty();
        let field = if is_plain { names.problem.as_str() } else { field };
        let mut said = match is_plain {
            true => self.text(&names.problem)?,
            false => said,
        };
        if is_beside || (is_plain && self.object.contains_key(&names.answer)) {
            said.answer = Some(self.answer(&names.answer)?);
        } else if said.answer.is_none() && is_usual(self.fields) {
            said.answer = said::answer(self.object)?;
        }
        let is_asked = turns == Turns::Last || (turns == Turns::Refuse && said.questions() == 1);
        if said.answer.is_none() && is_asked {
            return Err(self.missing(&names.answer));
        }
        let labels = self.labels()?;
        let exchanges = self.exchanges(said, field, &names.image, turns)?;
        Ok(exchanges
            .into_iter()
            .map(|exchange| {
                let Exchange { before, problem, images, answer } = exchange?;
                let answer = answer.ok_or_else(|| self.missing(&names.answer))?;
                Ok(Row { answer, before, labels: labels.clone(), ..unnamed(problem, images) })
            })
            .collect())
    }

    fn demonstrations(
        &self,
        names: &DemonstrationFields,
        field: &str,
        said: Conversation,
        turns: Turns,
    ) -> Result<Vec<Result<Row, String>>, String> {
        let is_plain = said.turns.is_empty();
        let field = if is_plain { names.prompt.as_str() } else { field };
        let mut said = match (is_plain, self.get(&names.prompt)) {
            (true, Some(_)) => self.text(&names.prompt)?,
            (true, None) => Conversation::question(Marked::default()),
            (false, _) => said,
        };
        if is_plain {
            said.answer = Some(self.filled_text(&names.completion)?);
        }
        let prefill = match self.get(&names.prefill) {
            None => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => return Err(wrong(&names.prefill, other, "a string")),
        };
        let exchanges = self.exchanges(said, field, &names.image, turns)?;
        Ok(exchanges
            .into_iter()
            .map(|exchange| {
                let Exchange { before, problem, images, answer } = exchange?;
                let completion = answer.ok_or_else(|| self.missing(&names.completion))?;
                let demonstration = Some(Demonstration { prefill: prefill.clone(), completion });
                Ok(Row { demonstration, before, ..unnamed(problem, images) })
            })
            .collect())
    }

    /// The questions that are asked of a conversation, each with what came before it and its answer.
    fn exchanges(
        &self,
        said: Conversation,
        field: &str,
        image_field: &str,
        turns: Turns,
    ) -> Result<Vec<Result<Exchange, String>>, String> {
        let questions = said.questions();
        if questions > 1 && turns == Turns::Refuse {
            return Err(format!(
                "field {field:?}: found {questions} questions, wanted one exchange; data.turns = \"last\" asks the last, \
                 \"each\" each of them, with what was said before"
            ));
        }
        let Conversation { turns: marked, answer } = said;
        let shown = self.pictured(marked, image_field, field)?;
        let mut asked = Vec::new();
        for (at, turn) in shown.iter().enumerate().filter(|(_, turn)| turn.speaker == Speaker::User) {
            let is_last = shown.iter().skip(at + 1).all(|turn| turn.speaker != Speaker::User);
            if turns != Turns::Each && !is_last {
                continue;
            }
            let answer = match shown.get(at + 1) {
                Some(next) => Some(next.text.clone()),
                None => answer.clone(),
            };
            asked.push(exchange(shown.get(..at).unwrap_or_default(), turn, answer, field));
        }
        Ok(asked)
    }

    /// The turns with their images: those that they bring at their marks, the row's own at the others. Images that no
    /// mark is for come before the first question.
    fn pictured(
        &self,
        turns: Vec<(Speaker, Marked)>,
        image_field: &str,
        field: &str,
    ) -> Result<Vec<Shown>, String> {
        let fault = |reason: String| format!("field {field:?}: {reason}");
        turns.iter().try_for_each(|(_, said)| check_length(field, &said.text))?;
        let marks = || turns.iter().flat_map(|(_, said)| &said.marks);
        let brought = marks().flatten().count();
        let free = marks().count() - brought;
        let mut own = match brought > 0 && free == 0 && self.has_no_images(image_field) {
            true => Vec::new(),
            false => self.images(image_field)?,
        };
        if brought > 0 && free == 0 {
            // Some list the pictures of the turns a second time.
            if !own.is_empty() && own.len() != brought {
                let own = own.len();
                return Err(fault(format!(
                    "found {brought} images in it and {own} beside it, wanted either"
                )));
            }
            own.clear();
        }
        places::check(free, own.len()).map_err(fault)?;
        let unmarked = if free == 0 { std::mem::take(&mut own) } else { Vec::new() };
        let (mut unmarked, mut own) = (Some(unmarked), own.into_iter());
        turns
            .into_iter()
            .map(|(speaker, said)| {
                let first = match speaker {
                    Speaker::User => unmarked.take().unwrap_or_default(),
                    Speaker::System | Speaker::Assistant => Vec::new(),
                };
                let marked = said.marks.iter().filter_map(|mark| match mark {
                    Some(value) => Some(picture::source(value, self.root).map_err(fault)),
                    None => own.next().map(Ok),
                });
                let marked = marked.collect::<Result<Vec<_>, _>>()?;
                let unmarked = first.len();
                Ok(Shown {
                    speaker,
                    text: said.text,
                    unmarked,
                    images: first.into_iter().chain(marked).collect(),
                })
            })
            .collect()
    }

    fn has_no_images(&self, field: &str) -> bool {
        let none = |name: &str| match self.get(name) {
            None => true,
            Some(Value::Array(items)) => items.is_empty(),
            Some(_) => false,
        };
        none(field) && (field != "image" || none("images"))
    }

    /// The images of a row, at least one.
    fn images(&self, field: &str) -> Result<Vec<ImageSource>, String> {
        let field = match (field, self.get("image"), self.get("images")) {
            ("image", Some(_), Some(other)) => {
                return Err(wrong("images", other, "only one of \"image\" and \"images\" in a row"));
            }
            ("image", None, Some(_)) => "images",
            ("image", None, None)
                if !self.object.contains_key("image") && self.object.contains_key("images") =>
            {
                "images"
            }
            _ => field,
        };
        let value = self.required(field)?;
        let each = match value {
            Value::Array(values) if values.is_empty() => {
                return Err(wrong(field, value, "a path, or a list of them that is not empty"));
            }
            Value::Array(values) => values.as_slice(),
            other => std::slice::from_ref(other),
        };
        let source = |value| picture::source(value, self.root).map_err(|e| format!("field {field:?}: {e}"));
        each.iter().map(source).collect()
    }

    fn labels(&self) -> Result<Labels, String> {
        let text = |field: &str| match self.get(field) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        let place = match self.get("triple") {
            None => None,
            Some(triple) => Some(Place {
                triple: triple.as_u64().ok_or_else(|| wrong("triple", triple, "a whole number"))?,
                role: self.role()?,
                wording: text("wording"),
            }),
        };
        let wanted = "a list of strings that are not blank";
        let wrong_answers = match self.get("wrong_answers") {
            None => Vec::new(),
            Some(Value::Array(answers)) => {
                let each = answers.iter().map(|answer| match answer {
                    Value::String(text) if !text.trim().is_empty() => Ok(text.clone()),
                    Value::Number(found) => number("wrong_answers", found),
                    other => Err(wrong("wrong_answers", other, wanted)),
                });
                each.collect::<Result<_, _>>()?
            }
            Some(other) => return Err(wrong("wrong_answers", other, wanted)),
        };
        Ok(Labels { kind: text("kind"), place, wrong_answers, ..Labels::default() })
    }

    fn role(&self) -> Result<Role, String> {
        let value = self.required("role")?;
        let role = value.as_str().and_then(Role::named);
        role.ok_or_else(|| wrong("role", value, "\"prior\" or \"score\", beside a triple's number"))
    }

    /// A text that has to be there and may be empty, or turns that end with a question.
    fn text(&self, field: &str) -> Result<Conversation, String> {
        let fault = |reason: String| format!("field {field:?}: {reason}");
        match self.required(field)? {
            Value::String(text) => Ok(Conversation::question(Marked::plain(text))),
            Value::Array(turns) if are_turns(turns) => match Conversation::of(turns).map_err(fault)? {
                said if said.answer.is_none() => Ok(said),
                _ => Err(fault("found an answer of the assistant, wanted the question alone".into())),
            },
            other => Err(wrong(field, other, "a string")),
        }
    }

    /// A text that has to be there and says something, or the assistant's turn of a conversation.
    fn filled_text(&self, field: &str) -> Result<String, String> {
        match self.required(field)? {
            Value::String(text) if !text.trim().is_empty() => {
                check_length(field, text)?;
                Ok(text.clone())
            }
            Value::Array(turns) if are_turns(turns) => {
                only_answer(turns).map_err(|reason| format!("field {field:?}: {reason}"))
            }
            other => Err(wrong(field, other, "a string that is not blank")),
        }
    }

    fn answer(&self, field: &str) -> Result<String, String> {
        match self.required(field)? {
            Value::Number(found) => number(field, found),
            Value::Bool(truth) => Ok(truth.to_string()),
            Value::String(text) if text.trim().is_empty() => Err(format!(
                "field {field:?}: found a blank string, wanted one that is not blank, a number, true or false"
            )),
            Value::Array(answers) if answers.len() > 1 && !are_turns(answers) => {
                Err(format!("field {field:?}: found a list of {} answers, wanted one", answers.len()))
            }
            Value::String(_) | Value::Array(_) => self.filled_text(field),
            other => Err(wrong(field, other, "a string that is not blank, a number, true or false")),
        }
    }

    /// A field's value; null counts as absent.
    fn get(&self, field: &str) -> Option<&Value> {
        self.object.get(field).filter(|value| !value.is_null())
    }

    fn required(&self, field: &str) -> Result<&Value, String> {
        match self.object.get(field) {
            None => Err(self.missing(field)),
            Some(Value::Null) => Err(format!("field {field:?}: found null, wanted a value")),
            Some(value) => Ok(value),
        }
    }

    fn missing(&self, field: &str) -> String {
        let names = || self.object.keys().map(String::as_str);
        format!(
            "no field {field:?}; found {}; write the field, or {}",
            listed("fields", names()),
            way_out(field, names())
        )
    }
}

/// A question that is asked, with what came before it.
struct Exchange {
    before: Vec<Turn>,
    problem: String,
    images: Vec<ImageSource>,
    answer: Option<String>,
}

fn exchange(
    before: &[Shown],
    asked: &Shown,
    answer: Option<String>,
    field: &str,
) -> Result<Exchange, String> {
    let fault = |reason: String| format!("field {field:?}: {reason}");
    let images: Vec<ImageSource> =
        before.iter().chain([asked]).flat_map(|turn| turn.images.iter().cloned()).collect();
    if images.is_empty() {
        return Err(fault("found no image up to this question, wanted one at least".into()));
    }
    // Of what comes before, every image has a mark.
    let turn = |turn: &Shown| Turn {
        speaker: turn.speaker,
        text: format!("{}{}", IMAGE_MARK.repeat(turn.unmarked), turn.text),
    };
    let problem = places::unmarked(&asked.text).to_owned();
    Ok(Exchange { before: before.iter().map(turn).collect(), problem, images, answer })
}

fn wrong(field: &str, found: &Value, wanted: &str) -> String {
    format!("field {field:?}: found {}, wanted {wanted}", kind(found))
}

fn unnamed(problem: String, images: Vec<ImageSource>) -> Row {
    Row {
        id: String::new(),
        problem,
        before: Vec::new(),
        answer: String::new(),
        images,
        origin: String::new(),
        labels: Labels::default(),
        demonstration: None,
    }
}
