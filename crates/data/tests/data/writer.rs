//! Writes small tables as the hub's tools do.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder, BinaryBuilder, ListBuilder, StringBuilder, StringDictionaryBuilder, StructBuilder,
};
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Fields};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};

/// An image cell: null, or bytes and path.
pub type Image = Option<(Option<Vec<u8>>, Option<String>)>;

pub fn bytes(value: &[u8]) -> Image {
    Some((Some(value.to_vec()), Some("ignored/../name.png".into())))
}

pub fn path(value: &str) -> Image {
    Some((None, Some(value.into())))
}

fn image_fields() -> Fields {
    Fields::from(vec![Field::new("bytes", DataType::Binary, true), Field::new("path", DataType::Utf8, true)])
}

fn struct_builder() -> StructBuilder {
    let children: Vec<Box<dyn ArrayBuilder>> =
        vec![Box::new(BinaryBuilder::new()), Box::new(StringBuilder::new())];
    StructBuilder::new(image_fields(), children)
}

fn append(builder: &mut StructBuilder, image: &Image) {
    let (bytes, path) = image.clone().unwrap_or_default();
    builder.field_builder::<BinaryBuilder>(0).unwrap().append_option(bytes);
    builder.field_builder::<StringBuilder>(1).unwrap().append_option(path);
    builder.append(image.is_some());
}

/// A column of structs.
pub fn structs(cells: &[Image]) -> ArrayRef {
    let mut builder = struct_builder();
    cells.iter().for_each(|cell| append(&mut builder, cell));
    Arc::new(builder.finish())
}

/// A column of lists of structs.
pub fn lists(cells: &[Option<Vec<Image>>]) -> ArrayRef {
    let mut builder = ListBuilder::new(struct_builder());
    for cell in cells {
        cell.iter().flatten().for_each(|image| append(builder.values(), image));
        builder.append(cell.is_some());
    }
    Arc::new(builder.finish())
}

pub fn texts(cells: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(cells.to_vec()))
}

/// Texts that the writer's library keeps in a dictionary, as a table of categories has them.
pub fn categories(cells: &[&str]) -> ArrayRef {
    let mut builder = StringDictionaryBuilder::<Int32Type>::new();
    cells.iter().for_each(|cell| builder.append_value(cell));
    Arc::new(builder.finish())
}

pub fn table(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .unwrap()
}

/// A table of `rows` rows called `PREFIX0`, …, whose images are their names.
pub fn named(prefix: &str, rows: usize) -> RecordBatch {
    let names: Vec<String> = (0..rows).map(|row| format!("{prefix}{row}")).collect();
    let texts = texts(&names.iter().map(|name| Some(name.as_str())).collect::<Vec<_>>());
    let images: Vec<Image> = names.iter().map(|name| bytes(name.as_bytes())).collect();
    table(vec![
        ("problem_id", texts.clone()),
        ("image", structs(&images)),
        ("problem", texts.clone()),
        ("answer", texts),
    ])
}

pub fn properties() -> WriterPropertiesBuilder {
    WriterProperties::builder().set_compression(Compression::SNAPPY)
}

/// Writes the table with so many rows in a row group.
pub fn write(path: &Path, table: &RecordBatch, rows_per_group: usize) {
    write_with(path, table, properties().set_max_row_group_row_count(Some(rows_per_group)));
}

pub fn write_with(path: &Path, table: &RecordBatch, properties: WriterPropertiesBuilder) {
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, table.schema(), Some(properties.build())).unwrap();
    writer.write(table).unwrap();
    writer.close().unwrap();
}
