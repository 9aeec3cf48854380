//! The cells of a row of an Arrow table as a record.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Number, Value};

/// Most values of a record, those in lists counted.
const MAX_VALUES: usize = 1 << 16;
/// Most bytes of a record's texts and pictures.
const MAX_BYTES: usize = 256 << 20;
/// Most lists and structs in each other.
const MAX_DEPTH: usize = 8;

/// The cells of row `at` by the names of their columns. Bytes become base64, as a JSON file has them.
///
/// # Errors
/// What was found and wanted, by column.
pub(crate) fn record(batch: &RecordBatch, at: usize) -> Result<Map<String, Value>, String> {
    let mut room = Room { values: MAX_VALUES, bytes: MAX_BYTES };
    let schema = batch.schema();
    let cells = schema.fields().iter().zip(batch.columns());
    cells
        .map(|(field, column)| {
            let value = value(column.as_ref(), at, &mut room, 0);
            let value = value.map_err(|reason| format!("column {:?}: {reason}", field.name()))?;
            Ok((field.name().clone(), value))
        })
        .collect()
}

/// What a record may still take.
struct Room {
    values: usize,
    bytes: usize,
}

impl Room {
    fn take(&mut self, bytes: usize) -> Result<(), String> {
        self.values = self.values.checked_sub(1).ok_or_else(|| {
            format!("found more than {MAX_VALUES} values in a row, wanted no more; is a list meant for several rows?")
        })?;
        self.bytes = self
            .bytes
            .checked_sub(bytes)
            .ok_or_else(|| format!("found more than {MAX_BYTES} bytes in a row, wanted no more"))?;
        Ok(())
    }
}

fn value(array: &dyn Array, at: usize, room: &mut Room, depth: usize) -> Result<Value, String> {
    if at >= array.len() {
        return Err("found no value, wanted one".into());
    }
    room.take(0)?;
    if array.is_null(at) {
        return Ok(Value::Null);
    }
    if depth > MAX_DEPTH {
        return Err(format!("found more than {MAX_DEPTH} lists and structs in each other, wanted fewer"));
    }
    if let Some(dictionary) = array.as_any_dictionary_opt() {
        let place = value(dictionary.keys(), at, room, depth + 1)?;
        let place = place.as_u64().and_then(|place| usize::try_from(place).ok());
        return value(dictionary.values().as_ref(), place.unwrap_or(usize::MAX), room, depth + 1);
    }
    let whole = |number: i64| Value::Number(number.into());
    let positive = |number: u64| Value::Number(number.into());
    // What is no number is as good as absent.
    let real = |number: f64| Number::from_f64(number).map_or(Value::Null, Value::Number);
    Ok(match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Utf8 => text(array.as_string::<i32>().value(at), room)?,
        DataType::LargeUtf8 => text(array.as_string::<i64>().value(at), room)?,
        DataType::Utf8View => text(array.as_string_view().value(at), room)?,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            let data = bytes(array, at, room)?.unwrap_or_default();
            Value::Object(Map::from_iter([("bytes".to_owned(), Value::String(data))]))
        }
        DataType::Boolean => Value::Bool(array.as_boolean().value(at)),
        DataType::Int8 => whole(array.as_primitive::<Int8Type>().value(at).into()),
        DataType::Int16 => whole(array.as_primitive::<Int16Type>().value(at).into()),
        DataType::Int32 => whole(array.as_primitive::<Int32Type>().value(at).into()),
        DataType::Int64 => whole(array.as_primitive::<Int64Type>().value(at)),
        DataType::UInt8 => positive(array.as_primitive::<UInt8Type>().value(at).into()),
        DataType::UInt16 => positive(array.as_primitive::<UInt16Type>().value(at).into()),
        DataType::UInt32 => positive(array.as_primitive::<UInt32Type>().value(at).into()),
        DataType::UInt64 => positive(array.as_primitive::<UInt64Type>().value(at)),
        // As its own digits, not as those of the nearest number of twice the size.
        DataType::Float32 => {
            let digits = array.as_primitive::<Float32Type>().value(at).to_string();
            digits.parse().map_or(Value::Null, real)
        }
        DataType::Float64 => real(array.as_primitive::<Float64Type>().value(at)),
        DataType::List(_) => items(array.as_list::<i32>().value(at).as_ref(), room, depth)?,
        DataType::LargeList(_) => items(array.as_list::<i64>().value(at).as_ref(), room, depth)?,
        DataType::FixedSizeList(..) => items(array.as_fixed_size_list().value(at).as_ref(), room, depth)?,
        DataType::Struct(children) => {
            let columns = children.iter().zip(array.as_struct().columns());
            let each = columns.map(|(child, column)| {
                let value = match bytes(column.as_ref(), at, room)? {
                    Some(data) => Value::String(data),
                    None => value(column.as_ref(), at, room, depth + 1)?,
                };
                Ok((child.name().clone(), value))
            });
            Value::Object(each.collect::<Result<_, String>>()?)
        }
        other => {
            return Err(format!("found {other}, wanted texts, numbers, bytes, or lists and structs of them"));
        }
    })
}

fn text(text: &str, room: &mut Room) -> Result<Value, String> {
    room.take(text.len())?;
    Ok(Value::String(text.to_owned()))
}

/// Bytes as base64; none where the column has no bytes here.
fn bytes(array: &dyn Array, at: usize, room: &mut Room) -> Result<Option<String>, String> {
    if at >= array.len() || array.is_null(at) {
        return Ok(None);
    }
    let data = match array.data_type() {
        DataType::Binary => array.as_binary::<i32>().value(at),
        DataType::LargeBinary => array.as_binary::<i64>().value(at),
        DataType::BinaryView => array.as_binary_view().value(at),
        _ => return Ok(None),
    };
    room.take(data.len())?;
    Ok(Some(BASE64_STANDARD.encode(data)))
}

fn items(array: &dyn Array, room: &mut Room, depth: usize) -> Result<Value, String> {
    let each = (0..array.len()).map(|at| value(array, at, room, depth + 1));
    each.collect::<Result<_, _>>().map(Value::Array)
}
