//! The `tojson` filter as templates expect it: Python's spacing, nothing escaped for HTML.

use std::io;

use minijinja::value::{Kwargs, Value};
use minijinja::{Error, ErrorKind};
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

/// `value` as JSON on one line, or on several with `indent` spaces to a level. Other settings that Python takes
/// (`ensure_ascii`, `sort_keys`, `separators`) are accepted and have no effect.
pub(super) fn to_json(value: &Value, options: Kwargs) -> Result<Value, Error> {
    const MAX_INDENT: usize = 16;
    let indent: Option<usize> = options.get("indent")?;
    for ignored in ["ensure_ascii", "sort_keys", "separators"] {
        let _: Option<Value> = options.get(ignored)?;
    }
    options.assert_all_used()?;
    let text = match indent {
        None => write(value, OneLine),
        Some(width) => {
            write(value, PrettyFormatter::with_indent(" ".repeat(width.min(MAX_INDENT)).as_bytes()))
        }
    };
    let failed = |error| Error::new(ErrorKind::BadSerialization, "cannot write JSON").with_source(error);
    text.map(Value::from).map_err(failed)
}

fn write(value: &Value, formatter: impl Formatter) -> Result<String, serde_json::Error> {
    let mut bounded = Bounded(Vec::new());
    value.serialize(&mut Serializer::with_formatter(&mut bounded, formatter))?;
    Ok(String::from_utf8_lossy(&bounded.0).into_owned())
}

/// A buffer that refuses to grow without end: a small value that holds itself many times over makes a lot of
/// JSON, and the engine's budget counts a filter's result only once it is there.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        const MAX_BYTES: usize = 16 << 20;
        if self.0.len() + bytes.len() > MAX_BYTES {
            return Err(io::Error::other("too much JSON"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A blank after every comma and colon.
struct OneLine;

impl Formatter for OneLine {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        CompactFormatter.begin_object_value(writer)?;
        writer.write_all(b" ")
    }
}
