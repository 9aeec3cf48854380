//! From the cells of a decoded row to the row, or to why it cannot be used.

use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use vigos_core::paths::contained;

use super::columns::{Column, Columns};
use vigos_layouts::of_images;
use vigos_layouts::texts::{check_length, check_name};
use vigos_recipe::row::{BadRow, IMAGE_MARK, ImageSource, Labels, Place, Role, Row};

/// Most images of a row.
const MAX_IMAGES: usize = 256;

/// Makes a row of the cells at `at` of a batch. A row without a name gets `number`; image paths are relative to
/// `folder`.
pub(super) fn row(
    batch: &RecordBatch,
    at: usize,
    columns: &Columns,
    number: usize,
    origin: String,
    folder: &Path,
) -> Result<Row, BadRow> {
    let cells = Cells { batch, at, folder };
    let id = match columns.id.as_ref().map(|column| cells.scalar(column)) {
        Some(Ok(Some(id))) => match check_name("id", &id) {
            Ok(()) => id,
            Err(reason) => return Err(BadRow::new(origin, &number.to_string(), &reason)),
        },
        None | Some(Ok(None)) => number.to_string(),
        Some(Err(reason)) => return Err(BadRow::new(origin, &number.to_string(), &reason)),
    };
    let made = cells.required(&columns.problem).and_then(|problem| {
        let answer = cells.required(&columns.answer)?;
        if answer.trim().is_empty() {
            return Err(format!("column {:?}: found a blank text, wanted an answer", columns.answer.name));
        }
        let images = cells.images(&columns.image)?;
        let problem = of_images(&problem, problem.matches(IMAGE_MARK).count(), images.len())
            .map_err(|reason| format!("column {:?}: {reason}", columns.problem.name))?;
        Ok((problem, answer, images, cells.labels(columns)?))
    });
    match made {
        Ok((problem, answer, images, labels)) => {
            Ok(Row { id, problem, before: Vec::new(), answer, images, origin, labels, demonstration: None })
        }
        Err(reason) => Err(BadRow::new(origin, &id, &reason)),
    }
}

/// The cells of one row.
struct Cells<'a> {
    batch: &'a RecordBatch,
    at: usize,
    folder: &'a Path,
}

impl Cells<'_> {
    fn required(&self, column: &Column) -> Result<String, String> {
        self.scalar(column)?.ok_or_else(|| format!("column {:?}: found null, wanted a value", column.name))
    }

    fn labels(&self, columns: &Columns) -> Result<Labels, String> {
        let text = |column: &Option<Column>| match column {
            Some(column) => self.scalar(column),
            None => Ok(None),
        };
        let place = match text(&columns.triple)? {
            None => None,
            Some(triple) => {
                let triple = triple
                    .parse()
                    .map_err(|_| format!("column \"triple\": found {triple}, wanted 0 or more"))?;
                let role = text(&columns.role)?.unwrap_or_default();
                let role = Role::named(&role).ok_or_else(|| {
                    format!("column \"role\": found {role:?}, wanted \"prior\" or \"score\", beside a triple's number")
                })?;
                Some(Place { triple, role, wording: text(&columns.wording)? })
            }
        };
        let wrong_answers = match &columns.wrong_answers {
            Some(column) => self.texts(column)?,
            None => Vec::new(),
        };
        Ok(Labels { kind: text(&columns.kind)?, place, wrong_answers, ..Labels::default() })
    }

    /// The texts of a list of them; none for null.
    fn texts(&self, column: &Column) -> Result<Vec<String>, String> {
        let array = self.column(column)?;
        let Some(lists) = array.as_list_opt::<i32>().filter(|_| !array.is_null(self.at)) else {
            return Ok(Vec::new());
        };
        let items = lists.value(self.at);
        let texts = items.as_string_view_opt().into_iter().flat_map(|texts| texts.iter()).flatten();
        texts
            .map(|text| {
                check_length(&column.name, text)?;
                match text.trim().is_empty() {
                    true => Err(format!("column {:?}: found a blank text, wanted an answer", column.name)),
                    false => Ok(text.to_owned()),
                }
            })
            .collect()
    }

    /// A text, number or truth value as text; nothing for null.
    fn scalar(&self, column: &Column) -> Result<Option<String>, String> {
        let array = self.column(column)?;
        let at = self.at;
        if array.is_null(at) {
            return Ok(None);
        }
        let text = match array.data_type() {
            // Of a column that never has a value.
            DataType::Null => return Ok(None),
            DataType::Utf8View => {
                let text = array.as_string_view().value(at);
                check_length(&column.name, text)?;
                text.to_owned()
            }
            DataType::Boolean => array.as_boolean().value(at).to_string(),
            DataType::Int8 => array.as_primitive::<Int8Type>().value(at).to_string(),
            DataType::Int16 => array.as_primitive::<Int16Type>().value(at).to_string(),
            DataType::Int32 => array.as_primitive::<Int32Type>().value(at).to_string(),
            DataType::Int64 => array.as_primitive::<Int64Type>().value(at).to_string(),
            DataType::UInt8 => array.as_primitive::<UInt8Type>().value(at).to_string(),
            DataType::UInt16 => array.as_primitive::<UInt16Type>().value(at).to_string(),
            DataType::UInt32 => array.as_primitive::<UInt32Type>().value(at).to_string(),
            DataType::UInt64 => array.as_primitive::<UInt64Type>().value(at).to_string(),
            DataType::Float32 => array.as_primitive::<Float32Type>().value(at).to_string(),
            DataType::Float64 => array.as_primitive::<Float64Type>().value(at).to_string(),
            other => return Err(format!("column {:?}: found {other}, wanted a text or number", column.name)),
        };
        Ok(Some(text))
    }

    fn images(&self, column: &Column) -> Result<Vec<ImageSource>, String> {
        let fault = |reason: String| format!("column {:?}: {reason}", column.name);
        let array = self.column(column)?;
        if array.is_null(self.at) {
            return Err(fault("found null, wanted an image".into()));
        }
        let Some(lists) = array.as_list_opt::<i32>() else {
            return Ok(vec![self.image(array.as_ref(), self.at).map_err(fault)?]);
        };
        let items = lists.value(self.at);
        match items.len() {
            0 => Err(fault("found an empty list, wanted an image".into())),
            1..=MAX_IMAGES => {
                (0..items.len()).map(|at| self.image(items.as_ref(), at).map_err(fault)).collect()
            }
            many => Err(fault(format!("found {many} images, wanted at most {MAX_IMAGES}"))),
        }
    }

    /// The image at `at` of an array of images: its bytes, or without them its file.
    fn image(&self, array: &dyn Array, at: usize) -> Result<ImageSource, String> {
        if array.is_null(at) {
            return Err("found null, wanted an image".into());
        }
        if let Some(bytes) = array.as_binary_view_opt() {
            return Ok(ImageSource::Bytes(Arc::from(bytes.value(at))));
        }
        if let Some(paths) = array.as_string_view_opt() {
            return self.file(paths.value(at));
        }
        let image = array.as_struct_opt().ok_or_else(|| format!("found {}", array.data_type()))?;
        let child = |name: &str| image.column_by_name(name).filter(|child| !child.is_null(at));
        if let Some(bytes) = child("bytes").and_then(|child| child.as_binary_view_opt()) {
            return Ok(ImageSource::Bytes(Arc::from(bytes.value(at))));
        }
        match child("path").and_then(|child| child.as_string_view_opt()) {
            Some(paths) => self.file(paths.value(at)),
            None => Err("found neither bytes nor a path, wanted one of them".into()),
        }
    }

    fn file(&self, relative: &str) -> Result<ImageSource, String> {
        check_length("path", relative)?;
        if relative.starts_with("https://") || relative.starts_with("http://") {
            return Ok(ImageSource::Link(relative.into()));
        }
        contained(self.folder, relative).map(ImageSource::File).map_err(|e| e.to_string())
    }

    fn column(&self, column: &Column) -> Result<&Arc<dyn Array>, String> {
        let array = self.batch.column_by_name(&column.name).filter(|array| self.at < array.len());
        array.ok_or_else(|| format!("column {:?}: found no value, wanted one", column.name))
    }
}
