//! A record's fields to a row.

use std::path::Path;

use serde_json::{Map, Value};

use super::layout::{self, Layout, Question};
use super::{picture, syntax};
use crate::fields::{DemonstrationFields, RowFields, way_out};
use crate::places;
use crate::texts::{check_length, check_name, listed};
use vigos_recipe::Fields;
use vigos_recipe::row::{Demonstration, ImageSource, Labels, Place, Role, Row};

/// The fields of a record, to be made a row. What is wrong is said by field, what was found and what was wanted.
pub(super) struct Entry<'a> {
    pub(super) object: &'a Map<String, Value>,
    /// The folder that image paths are relative to.
    pub(super) root: &'a Path,
}

impl Entry<'_> {
    /// The row's own name.
    pub(super) fn id(&self, fields: &RowFields) -> Result<Option<String>, String> {
        let field = match fields {
            RowFields::Questions(names) => &names.id,
            RowFields::Demonstrations(names) => &names.id,
        };
        let id = match self.get(field) {
            None => return Ok(None),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(other) => return Err(wrong(field, other, "a string or a number")),
        };
        check_name(field, &id)?;
        Ok(Some(id))
    }

    /// The row of a question; its name and origin are the caller's.
    pub(super) fn question(&self, fields: &Fields) -> Result<Row, String> {
        let is_usual =
            *fields == Fields { id: fields.id.clone(), image: fields.image.clone(), ..Fields::default() };
        let has = |field: &str| self.object.contains_key(field);
        let is_plain = has(&fields.problem) && has(&fields.answer);
        let layout = if is_usual && !is_plain { Layout::of(self.object)? } else { Layout::default() };
        let question = match has(&fields.problem) {
            true => self.text(&fields.problem)?,
            false => layout.question.ok_or_else(|| self.missing(&fields.problem))?,
        };
        let answer = match has(&fields.answer) {
            true => self.answer(&fields.answer)?,
            false => layout.answer.ok_or_else(|| self.missing(&fields.answer))?,
        };
        let (problem, images) = self.pictured(question, &fields.image, &fields.problem)?;
        Ok(Row { answer, labels: self.labels()?, ..unnamed(problem, images) })
    }

    /// The row of a demonstration; its name and origin are the caller's.
    pub(super) fn demonstration(&self, fields: &DemonstrationFields) -> Result<Row, String> {
        let usual = DemonstrationFields::default();
        let is_usual = fields.prompt == usual.prompt && fields.completion == usual.completion;
        let is_plain = self.object.contains_key(&fields.completion);
        let layout = if is_usual && !is_plain { Layout::of(self.object)? } else { Layout::default() };
        let question = match (self.get(&fields.prompt), layout.question) {
            (Some(_), _) => self.text(&fields.prompt)?,
            (None, Some(question)) => question,
            (None, None) => Question::default(),
        };
        let completion = match is_plain {
            true => self.filled_text(&fields.completion)?,
            false => layout.answer.ok_or_else(|| self.missing(&fields.completion))?,
        };
        let prefill = match self.get(&fields.prefill) {
            None => String::new(),
            Some(_) => self.text(&fields.prefill)?.text,
        };
        let (problem, images) = self.pictured(question, &fields.image, &fields.prompt)?;
        let demonstration = Some(Demonstration { prefill, completion });
        Ok(Row { demonstration, ..unnamed(problem, images) })
    }

    /// The question's text with its images: those that it brings at their marks, the row's own at the others.
    fn pictured(
        &self,
        question: Question,
        image_field: &str,
        field: &str,
    ) -> Result<(String, Vec<ImageSource>), String> {
        check_length(field, &question.text)?;
        let fault = |reason: String| format!("field {field:?}: {reason}");
        let brought = question.marks.iter().flatten().count();
        let free = question.marks.len() - brought;
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
        let problem = places::of_images(&question.text, free, own.len()).map_err(fault)?;
        if question.marks.is_empty() {
            return Ok((problem, own));
        }
        let mut own = own.into_iter();
        let images = question.marks.iter().filter_map(|mark| match mark {
            Some(value) => Some(picture::source(value, self.root).map_err(fault)),
            None => own.next().map(Ok),
        });
        Ok((problem, images.collect::<Result<_, _>>()?))
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
                    Value::Number(number) => Ok(number.to_string()),
                    other => Err(wrong("wrong_answers", other, wanted)),
                });
                each.collect::<Result<_, _>>()?
            }
            Some(other) => return Err(wrong("wrong_answers", other, wanted)),
        };
        Ok(Labels { kind: text("kind"), place, wrong_answers })
    }

    fn role(&self) -> Result<Role, String> {
        let value = self.required("role")?;
        let role = value.as_str().and_then(Role::named);
        role.ok_or_else(|| wrong("role", value, "\"prior\" or \"score\", beside a triple's number"))
    }

    /// A text that has to be there and may be empty, or the user's turn of a conversation.
    fn text(&self, field: &str) -> Result<Question, String> {
        match self.required(field)? {
            Value::String(text) => Ok(Question::plain(text)),
            Value::Array(turns) if layout::are_turns(turns) => layout::only_question(field, turns),
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
            Value::Array(turns) if layout::are_turns(turns) => layout::only_answer(field, turns),
            other => Err(wrong(field, other, "a string that is not blank")),
        }
    }

    fn answer(&self, field: &str) -> Result<String, String> {
        match self.required(field)? {
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(truth) => Ok(truth.to_string()),
            Value::String(text) if text.trim().is_empty() => Err(format!(
                "field {field:?}: found a blank string, wanted one that is not blank, a number, true or false"
            )),
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

fn wrong(field: &str, found: &Value, wanted: &str) -> String {
    format!("field {field:?}: found {}, wanted {wanted}", syntax::kind(found))
}

fn unnamed(problem: String, images: Vec<ImageSource>) -> Row {
    Row {
        id: String::new(),
        problem,
        answer: String::new(),
        images,
        origin: String::new(),
        labels: Labels::default(),
        demonstration: None,
    }
}
