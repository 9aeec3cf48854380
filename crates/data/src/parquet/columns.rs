//! Which columns of a Parquet file a row is made of, and the types that they are read as.

use std::path::Path;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields as Children, Schema, SchemaRef};

use crate::error::DatasetError;
use serde_json::{Map, Value};
use vigos_layouts::{Reader, recognised};
use vigos_recipe::{DataLayout, Fields};

/// A column found by its name.
#[derive(Clone, Debug)]
pub(super) struct Column {
    /// Its name.
    pub(super) name: String,
    /// Its place in the file's schema.
    pub(super) index: usize,
}

/// The columns of a row.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    pub(super) problem: Column,
    pub(super) answer: Column,
    pub(super) image: Column,
    pub(super) id: Option<Column>,
    pub(super) kind: Option<Column>,
    pub(super) triple: Option<Column>,
    pub(super) role: Option<Column>,
    pub(super) wording: Option<Column>,
    pub(super) wrong_answers: Option<Column>,
}

const TEXT: &str = "strings";
const SCALAR: &str = "strings, numbers or truth values";
const NAME: &str = "strings or whole numbers";
const IMAGE: &str = "structs of `bytes` and `path`, bytes, or paths, or a list of these";

impl Columns {
    /// Finds the columns that `fields` names in the schema of the file at `path`, and checks their types.
    pub(super) fn find(path: &Path, schema: &Schema, fields: &Fields) -> Result<Self, DatasetError> {
        let of = |name: &str| {
            let index = schema.index_of(name).ok()?;
            Some(Column { name: name.to_owned(), index })
        };
        let required = |name: &str| {
            of(name).ok_or_else(|| DatasetError::MissingColumn {
                path: path.to_owned(),
                column: name.to_owned(),
                found: schema.fields().iter().map(|field| field.name().clone()).collect(),
            })
        };
        let wrong = |column: &Column, found: String, wanted| DatasetError::WrongColumn {
            path: path.to_owned(),
            column: column.name.clone(),
            found,
            wanted,
        };
        let checked = |column: Column, takes: fn(&DataType) -> bool, wanted| {
            let kind = schema.field(column.index).data_type();
            if takes(kind) { Ok(column) } else { Err(wrong(&column, kind.to_string(), wanted)) }
        };
        let image = match (fields.image.as_str(), of("image"), of("images")) {
            ("image", Some(_), Some(other)) => {
                let wanted = "only one of the two; name `images` under data.fields to take that";
                return Err(wrong(&other, "a column `image` beside it".into(), wanted));
            }
            ("image", None, Some(images)) => images,
            (name, ..) => required(name)?,
        };
        // A column of a label's name and another type is another column.
        let label = |name: &str, takes: fn(&DataType) -> bool| {
            of(name).filter(|column| takes(schema.field(column.index).data_type()))
        };
        // As TRL and those who learn by verified rewards have it.
        let solution = || if fields.answer == "answer" { of("solution") } else { None };
        let answer = match of(&fields.answer).or_else(solution) {
            Some(answer) => answer,
            None => required(&fields.answer)?,
        };
        let id = of(&fields.id).or_else(|| if fields.id == "id" { of("problem_id") } else { None });
        Ok(Self {
            problem: checked(required(&fields.problem)?, is_text, TEXT)?,
            answer: checked(answer, is_scalar, SCALAR)?,
            image: checked(image, is_images, IMAGE)?,
            id: id
                .map(|id| checked(id, |kind| is_name(kind) || *kind == DataType::Null, NAME))
                .transpose()?,
            kind: label("kind", is_name),
            triple: label("triple", DataType::is_integer),
            role: label("role", is_text),
            wording: label("wording", is_name),
            wrong_answers: label("wrong_answers", is_texts),
        })
    }

    /// The places of all columns, in the order of the schema.
    pub(super) fn indices(&self) -> Vec<usize> {
        let required = [&self.problem, &self.answer, &self.image];
        let optional = [&self.id, &self.kind, &self.triple, &self.role, &self.wording, &self.wrong_answers];
        let columns = required.into_iter().chain(optional.into_iter().flatten());
        let mut all: Vec<usize> = columns.map(|column| column.index).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// The schema with texts and bytes as views into the pages that they are stored in. A value that a page holds
/// once and that a million rows share is then in memory once.
pub(super) fn with_views(schema: &Schema) -> SchemaRef {
    let fields: Vec<FieldRef> = schema.fields().iter().map(view).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// Whether the rows of a file with these columns are read by a layout that has columns of its own.
pub(super) fn is_laid_out<'a>(names: impl Iterator<Item = &'a str>, reader: &Reader) -> bool {
    let there = |name: &str| (name.to_owned(), Value::Bool(true));
    match reader.layout {
        DataLayout::Rows => false,
        DataLayout::Auto => {
            let found = recognised(&names.map(there).collect::<Map<_, _>>(), &reader.fields);
            found.is_some_and(|layout| layout != DataLayout::Rows)
        }
        _ => true,
    }
}

fn view(field: &FieldRef) -> FieldRef {
    let kind = match field.data_type() {
        DataType::Utf8 => DataType::Utf8View,
        DataType::Binary => DataType::BinaryView,
        DataType::List(item) => DataType::List(view(item)),
        DataType::Struct(children) => DataType::Struct(children.iter().map(view).collect::<Children>()),
        other => other.clone(),
    };
    let new = Field::new(field.name(), kind, field.is_nullable());
    Arc::new(new.with_metadata(field.metadata().clone()))
}

fn is_text(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8View)
}

fn is_texts(kind: &DataType) -> bool {
    matches!(kind, DataType::List(item) if is_text(item.data_type()))
}

fn is_name(kind: &DataType) -> bool {
    is_text(kind) || kind.is_integer()
}

fn is_scalar(kind: &DataType) -> bool {
    is_name(kind) || matches!(kind, DataType::Float32 | DataType::Float64 | DataType::Boolean)
}

fn is_images(kind: &DataType) -> bool {
    match kind {
        DataType::List(item) => is_image(item.data_type()),
        other => is_image(other),
    }
}

fn is_image(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8View | DataType::BinaryView => true,
        DataType::Struct(children) => {
            let child = |name: &str| children.iter().find(|c| c.name() == name).map(|c| c.data_type());
            match (child("bytes"), child("path")) {
                (None, None) => false,
                (bytes, path) => {
                    bytes.is_none_or(|k| matches!(k, DataType::BinaryView | DataType::Null))
                        && path.is_none_or(|k| matches!(k, DataType::Utf8View | DataType::Null))
                }
            }
        }
        _ => false,
    }
}
