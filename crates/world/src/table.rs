//! Rows as Parquet in the hub's layout: `SPLIT-00000-of-00001.parquet`, images inside.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, RecordBatch, StringArray, StructArray, UInt64Array,
};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use serde_json::{Value, json};
use vigos_core::files::write_atomic_bytes;

use crate::error::WorldError;
use crate::row::Row;

/// Rows of a row group: what a reader decodes together.
const GROUP: usize = 100;
/// The column of images.
const IMAGE: &str = "image";

/// The files of a split, written one after another.
pub(crate) struct Shards {
    folder: PathBuf,
    split: &'static str,
    count: usize,
    rows_each: usize,
    done: usize,
    rows: Vec<(Row, Vec<u8>)>,
}

impl Shards {
    /// Files for `rows` rows in `folder`, `rows_each` in each.
    pub(crate) fn new(folder: PathBuf, split: &'static str, rows: usize, rows_each: usize) -> Self {
        let count = rows.div_ceil(rows_each).max(1);
        Self { folder, split, count, rows_each, done: 0, rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, row: Row, png: &[u8]) -> Result<(), WorldError> {
        self.rows.push((row, png.to_vec()));
        if self.rows.len() < self.rows_each { Ok(()) } else { self.flush() }
    }

    /// Writes what is left.
    pub(crate) fn finish(mut self) -> Result<(), WorldError> {
        if self.rows.is_empty() { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), WorldError> {
        let name = format!("{}-{:05}-of-{:05}.parquet", self.split, self.done, self.count);
        let path = self.folder.join(name);
        let rows = std::mem::take(&mut self.rows);
        let bytes = encode(&rows)
            .map_err(|e| WorldError::Encode { file: path.display().to_string(), reason: e.to_string() })?;
        self.done += 1;
        Ok(write_atomic_bytes(&path, &bytes)?)
    }
}

/// The bytes of a Parquet file.
fn encode(rows: &[(Row, Vec<u8>)]) -> Result<Vec<u8>, ParquetError> {
    let (images, image_field) = images(rows)?;
    let mut fields = vec![image_field];
    let mut arrays: Vec<ArrayRef> = vec![images];
    let mut features = serde_json::Map::from_iter([(IMAGE.to_owned(), json!({ "_type": "Image" }))]);
    for (name, array) in columns(rows)? {
        let kind = match array.data_type() {
            DataType::Boolean => "bool",
            DataType::UInt64 => "uint64",
            _ => "string",
        };
        features.insert(name.clone(), json!({ "dtype": kind, "_type": "Value" }));
        fields.push(Field::new(name, array.data_type().clone(), true));
        arrays.push(array);
    }
    // What the hub's tools read to show images as images.
    let info: Value = json!({ "info": { "features": features } });
    let metadata = HashMap::from([("huggingface".to_owned(), info.to_string())]);
    let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).map_err(arrow)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(GROUP))
        .set_column_dictionary_enabled(ColumnPath::from(vec![IMAGE.into(), "bytes".into()]), false)
        .set_created_by("vigos".into())
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, schema, Some(properties))?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(bytes)
}

/// The column of images: structs of bytes and path.
fn images(rows: &[(Row, Vec<u8>)]) -> Result<(ArrayRef, Field), ParquetError> {
    let bytes = BinaryArray::from_iter_values(rows.iter().map(|(_, png)| png));
    let paths = StringArray::from_iter_values(rows.iter().map(|(row, _)| &row.image));
    let children =
        vec![Field::new("bytes", DataType::Binary, false), Field::new("path", DataType::Utf8, false)];
    let arrays: Vec<ArrayRef> = vec![Arc::new(bytes), Arc::new(paths)];
    let images = StructArray::try_new(children.into(), arrays, None).map_err(arrow)?;
    let field = Field::new(IMAGE, images.data_type().clone(), false);
    Ok((Arc::new(images), field))
}

fn arrow(error: ArrowError) -> ParquetError {
    ParquetError::ArrowError(error.to_string())
}

/// The other columns: the fields of the rows, which are the same in every row of a split.
fn columns(rows: &[(Row, Vec<u8>)]) -> Result<Vec<(String, ArrayRef)>, ParquetError> {
    let object = |row: &Row| match serde_json::to_value(row) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(ParquetError::General("a row is no object".into())),
        Err(error) => Err(ParquetError::General(error.to_string())),
    };
    let objects = rows.iter().map(|(row, _)| object(row)).collect::<Result<Vec<_>, _>>()?;
    let Some(first) = objects.first() else { return Ok(Vec::new()) };
    let names = first.iter().filter(|(name, _)| *name != IMAGE);
    let columns = names.map(|(name, value)| {
        let values = objects.iter().map(|fields| fields.get(name));
        let array: ArrayRef = match value {
            Value::Bool(_) => Arc::new(values.map(|v| v?.as_bool()).collect::<BooleanArray>()),
            Value::Number(_) => Arc::new(values.map(|v| v?.as_u64()).collect::<UInt64Array>()),
            _ => Arc::new(values.map(|v| v?.as_str()).collect::<StringArray>()),
        };
        (name.clone(), array)
    });
    Ok(columns.collect())
}
