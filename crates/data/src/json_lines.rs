//! A data set as a JSON Lines file with image files beside it.
//!
//! A row is `{"id", "image": "relative path" | "images": [...], "problem", "answer"}`. A demonstration has
//! `"prompt", "prefill", "completion"` in the place of problem and answer; `prompt` and `prefill` may be empty or
//! absent. Other fields are left alone, and each field may have another name. All rows are read and checked when the
//! file is opened, texts stay in memory, images stay on disk.

use std::path::Path;

use serde_json::{Map, Value};
use vigos_core::files::folder_of;
use vigos_core::jsonl::{LastLine, ReadOptions, read_lines};
use vigos_core::paths::contained;

use crate::error::DatasetError;
use crate::fields::{DemonstrationFields, RowFields};
use vigos_recipe::Fields;
use vigos_recipe::row::{Demonstration, ImageSource, Labels, Place, Role, Row};

/// Reads the rows of the file at `path`, the first `limit` of them if given. Blank lines are no rows. Images
/// need not be there yet.
pub(crate) fn read_rows(
    path: &Path,
    fields: &RowFields,
    limit: Option<usize>,
) -> Result<Vec<Row>, DatasetError> {
    // People write these files, often without a line break at the end.
    let options = ReadOptions { last_line: LastLine::Taken, ..ReadOptions::default() };
    read_lines::<Map<String, Value>>(path, options)?
        .take(limit.unwrap_or(usize::MAX))
        .map(|item| {
            let (line, object) = item?;
            let line = Line { path, line, object: &object };
            match fields {
                RowFields::Questions(names) => line.question(names),
                RowFields::Demonstrations(names) => line.demonstration(names),
            }
        })
        .collect()
}

/// A line of the file, to be made a row.
struct Line<'a> {
    path: &'a Path,
    line: usize,
    object: &'a Map<String, Value>,
}

impl Line<'_> {
    fn question(&self, fields: &Fields) -> Result<Row, DatasetError> {
        Ok(Row {
            id: self.id(&fields.id)?,
            problem: self.text(&fields.problem)?,
            answer: self.answer(&fields.answer)?,
            images: self.images(&fields.image)?,
            origin: self.origin(),
            labels: self.labels()?,
            demonstration: None,
        })
    }

    fn demonstration(&self, fields: &DemonstrationFields) -> Result<Row, DatasetError> {
        Ok(Row {
            id: self.id(&fields.id)?,
            images: self.images(&fields.image)?,
            problem: self.optional_text(&fields.prompt)?,
            answer: String::new(),
            demonstration: Some(Demonstration {
                prefill: self.optional_text(&fields.prefill)?,
                completion: self.filled_text(&fields.completion)?,
            }),
            origin: self.origin(),
            labels: Labels::default(),
        })
    }

    fn labels(&self) -> Result<Labels, DatasetError> {
        let text = |field: &str| match self.get(field) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        let place = match self.get("triple") {
            None => None,
            Some(triple) => Some(Place {
                triple: triple.as_u64().ok_or_else(|| self.wrong("triple", triple, "a whole number"))?,
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
                    other => Err(self.wrong("wrong_answers", other, wanted)),
                });
                each.collect::<Result<_, _>>()?
            }
            Some(other) => return Err(self.wrong("wrong_answers", other, wanted)),
        };
        Ok(Labels { kind: text("kind"), place, wrong_answers })
    }

    fn role(&self) -> Result<Role, DatasetError> {
        let value = self.required("role")?;
        let role = value.as_str().and_then(Role::named);
        role.ok_or_else(|| self.wrong("role", value, "\"prior\" or \"score\", beside a triple's number"))
    }

    /// Where the line stands: `FILE:LINE`.
    fn origin(&self) -> String {
        format!("{}:{}", self.path.display(), self.line)
    }

    /// The row's name; without one the line's number.
    fn id(&self, field: &str) -> Result<String, DatasetError> {
        match self.get(field) {
            None => Ok(self.line.to_string()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(Value::Number(number)) => Ok(number.to_string()),
            Some(other) => Err(self.wrong(field, other, "a string or a number")),
        }
    }

    /// A text that has to be there and may be empty.
    fn text(&self, field: &str) -> Result<String, DatasetError> {
        match self.required(field)? {
            Value::String(text) => Ok(text.clone()),
            other => Err(self.wrong(field, other, "a string")),
        }
    }

    /// A text that is empty where it is not there.
    fn optional_text(&self, field: &str) -> Result<String, DatasetError> {
        if self.get(field).is_none() { Ok(String::new()) } else { self.text(field) }
    }

    /// A text that has to be there and says something.
    fn filled_text(&self, field: &str) -> Result<String, DatasetError> {
        match self.required(field)? {
            Value::String(text) if !text.trim().is_empty() => Ok(text.clone()),
            other => Err(self.wrong(field, other, "a string that is not blank")),
        }
    }

    fn answer(&self, field: &str) -> Result<String, DatasetError> {
        match self.required(field)? {
            Value::String(text) if !text.trim().is_empty() => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(truth) => Ok(truth.to_string()),
            other => Err(self.wrong(field, other, "a string that is not blank, a number, true or false")),
        }
    }

    /// The images of a row, at least one.
    fn images(&self, field: &str) -> Result<Vec<ImageSource>, DatasetError> {
        let field = match (field, self.get("image"), self.get("images")) {
            ("image", Some(_), Some(other)) => {
                return Err(self.wrong("images", other, "only one of \"image\" and \"images\" in a row"));
            }
            ("image", None, Some(_)) => "images",
            _ => field,
        };
        let value = self.required(field)?;
        let wanted = "a path relative to the data set's folder, or a list of them that is not empty";
        match value {
            Value::String(path) => Ok(vec![self.image(field, path)?]),
            Value::Array(paths) if !paths.is_empty() => {
                let each = paths.iter().map(|path| match path {
                    Value::String(path) => self.image(field, path),
                    other => Err(self.wrong(field, other, wanted)),
                });
                each.collect()
            }
            other => Err(self.wrong(field, other, wanted)),
        }
    }

    fn image(&self, field: &str, relative: &str) -> Result<ImageSource, DatasetError> {
        let image = contained(folder_of(self.path), relative);
        image.map(ImageSource::File).map_err(|source| DatasetError::ImagePath {
            path: self.path.to_owned(),
            line: self.line,
            field: field.to_owned(),
            source: Box::new(source),
        })
    }

    /// A field's value; null counts as absent.
    fn get(&self, field: &str) -> Option<&Value> {
        self.object.get(field).filter(|value| !value.is_null())
    }

    fn required(&self, field: &str) -> Result<&Value, DatasetError> {
        self.get(field).ok_or_else(|| DatasetError::MissingField {
            path: self.path.to_owned(),
            line: self.line,
            field: field.to_owned(),
            found: self.object.keys().cloned().collect(),
        })
    }

    fn wrong(&self, field: &str, found: &Value, wanted: &'static str) -> DatasetError {
        let found = match found {
            Value::Null => "null".to_owned(),
            Value::Array(items) if items.is_empty() => "an empty list".to_owned(),
            Value::Array(_) => "a list".to_owned(),
            Value::Object(_) => "an object".to_owned(),
            Value::String(text) if text.trim().is_empty() => "a blank string".to_owned(),
            Value::String(_) => "a string".to_owned(),
            scalar => scalar.to_string(),
        };
        DatasetError::WrongValue {
            path: self.path.to_owned(),
            line: self.line,
            field: field.to_owned(),
            found,
            wanted,
        }
    }
}
