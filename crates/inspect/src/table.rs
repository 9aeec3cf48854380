//! Rows as Parquet in the hub's layout: `id`, `images` with their bytes, `problem` and `answer`.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, ListBuilder, StringBuilder, StructBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Fields};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use tempfile::NamedTempFile;
use vigos_core::files::{FileError, folder_of};
use vigos_data::{Labels, Row};

use crate::error::InspectError;
use crate::pictures::encoded;
use crate::rows::{Converted, Rows, make_folder};

/// Rows of a row group.
const GROUP: usize = 100;

/// Writes all rows to `out`.
///
/// # Errors
/// As [`crate::convert()`]; for a row with something before its question too, which the columns have no place for.
pub(crate) fn write(mut rows: Rows, out: &Path) -> Result<Converted, InspectError> {
    make_folder(folder_of(out))?;
    let fault = |reason: String| InspectError::Table { path: out.to_owned(), reason };
    let io = |e: io::Error| InspectError::from(FileError::io("write", out, e));
    let temporary = NamedTempFile::new_in(folder_of(out)).map_err(io)?;
    let file: File = temporary.as_file().try_clone().map_err(io)?;
    // Pictures are compressed already.
    let properties = WriterProperties::builder()
        .set_compression(Compression::UNCOMPRESSED)
        .set_max_row_group_row_count(Some(GROUP))
        .build();
    let mut group = Group::new();
    let schema = group.finish().map_err(|e| fault(e.to_string()))?.schema();
    let mut writer =
        ArrowWriter::try_new(file, schema, Some(properties)).map_err(|e| fault(e.to_string()))?;
    while let Some((_, row)) = rows.next()? {
        let Labels { place, wrong_answers, .. } = &row.labels;
        let more = [
            ("something before its question, such as a system turn", !row.before.is_empty()),
            ("a demonstration", row.demonstration.is_some()),
            ("a place in a prior suite", place.is_some()),
            ("wrong answers", !wrong_answers.is_empty()),
        ];
        if let Some((what, _)) = more.into_iter().find(|(_, is_there)| *is_there) {
            return Err(InspectError::Out {
                path: out.to_owned(),
                found: format!("{}: a row with {what}", row.origin),
                wanted: "a name that ends with .jsonl, which has a place for it",
            });
        }
        group.add(&row)?;
        if group.rows == GROUP {
            let batch = group.finish().map_err(|e| fault(e.to_string()))?;
            writer.write(&batch).map_err(|e| fault(e.to_string()))?;
        }
    }
    let batch = group.finish().map_err(|e| fault(e.to_string()))?;
    writer.write(&batch).map_err(|e| fault(e.to_string()))?;
    writer.close().map_err(|e| fault(e.to_string()))?;
    let converted = rows.finish()?;
    temporary.as_file().sync_all().map_err(io)?;
    // A temporary file is private by default; this one becomes an ordinary file.
    #[cfg(unix)]
    fs::set_permissions(temporary.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644)).map_err(io)?;
    temporary.persist_noclobber(out).map_err(|e| io(e.error))?;
    Ok(converted)
}

/// The rows of a row group so far.
struct Group {
    rows: usize,
    id: StringBuilder,
    images: ListBuilder<StructBuilder>,
    problem: StringBuilder,
    answer: StringBuilder,
    kind: StringBuilder,
}

impl Group {
    fn new() -> Self {
        let image = Fields::from(vec![
            Field::new("bytes", DataType::Binary, true),
            Field::new("path", DataType::Utf8, true),
        ]);
        let image =
            StructBuilder::new(image, vec![Box::new(BinaryBuilder::new()), Box::new(StringBuilder::new())]);
        Self {
            rows: 0,
            id: StringBuilder::new(),
            images: ListBuilder::new(image),
            problem: StringBuilder::new(),
            answer: StringBuilder::new(),
            kind: StringBuilder::new(),
        }
    }

    fn add(&mut self, row: &Row) -> Result<(), InspectError> {
        for image in &row.images {
            let bytes = encoded(image)?;
            let image = self.images.values();
            if let Some(column) = image.field_builder::<BinaryBuilder>(0) {
                column.append_value(bytes);
            }
            if let Some(column) = image.field_builder::<StringBuilder>(1) {
                column.append_null();
            }
            image.append(true);
        }
        self.images.append(true);
        self.id.append_value(&row.id);
        self.problem.append_value(&row.problem);
        self.answer.append_value(&row.answer);
        self.kind.append_option(row.labels.kind.as_ref());
        self.rows += 1;
        Ok(())
    }

    /// The rows as a batch; there are none afterwards.
    fn finish(&mut self) -> Result<RecordBatch, arrow_schema::ArrowError> {
        self.rows = 0;
        let columns: [(&str, ArrayRef); 5] = [
            ("id", Arc::new(self.id.finish())),
            ("images", Arc::new(self.images.finish())),
            ("problem", Arc::new(self.problem.finish())),
            ("answer", Arc::new(self.answer.finish())),
            ("kind", Arc::new(self.kind.finish())),
        ];
        RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, column)| (name, column, true)),
        )
    }
}
