//! The `tojson` filter as Transformers defines it: Python's `json.dumps`, with its spacing and its numbers, and
//! nothing escaped for HTML.

use std::io::{self, Write};

use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Error, ErrorKind};
use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer};

use super::python;

/// Spaces to a level at most.
const MAX_INDENT: usize = 16;
/// Levels that a value may have.
const MAX_DEPTH: usize = 128;

/// `value` as JSON on one line, or on several with `indent` spaces to a level.
pub(super) fn to_json(value: &Value, options: Kwargs) -> Result<Value, Error> {
    let indent: Option<usize> = options.get("indent")?;
    let separators: Option<Vec<String>> = options.get("separators")?;
    let style = Style {
        indent: indent.map(|width| width.min(MAX_INDENT)),
        separators: match separators.as_deref() {
            Some([item, key]) => [item.clone(), key.clone()],
            Some(_) => return Err(failed("`separators` are two texts")),
            None if indent.is_some() => [",".into(), ": ".into()],
            None => [", ".into(), ": ".into()],
        },
        ascii: options.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false),
        level: 0,
        filled: false,
    };
    let sort_keys = options.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    options.assert_all_used()?;
    let sorted = if sort_keys { sorted(value, 0)? } else { value.clone() };

    let mut bounded = Bounded(Vec::new());
    let written = sorted.serialize(&mut Serializer::with_formatter(&mut bounded, style));
    written.map_err(|error| failed("cannot write JSON").with_source(error))?;
    Ok(Value::from(String::from_utf8_lossy(&bounded.0).into_owned()))
}

fn failed(message: &'static str) -> Error {
    Error::new(ErrorKind::BadSerialization, message)
}

/// The same value with the keys of every map in order.
fn sorted(value: &Value, depth: usize) -> Result<Value, Error> {
    if depth > MAX_DEPTH {
        return Err(failed("the value is nested too deeply"));
    }
    match value.kind() {
        ValueKind::Map => {
            let mut entries = Vec::new();
            for key in value.try_iter()? {
                let inner = sorted(&value.get_item(&key)?, depth + 1)?;
                entries.push((key, inner));
            }
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            Ok(Value::from_pairs(entries))
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let items: Result<Vec<Value>, Error> =
                value.try_iter()?.map(|item| sorted(&item, depth + 1)).collect();
            Ok(Value::from(items?))
        }
        _ => Ok(value.clone()),
    }
}

/// A buffer that refuses to grow without end: a small value that holds itself many times over makes a lot of
/// JSON, and the engine's budget counts a filter's result only once it is there.
struct Bounded(Vec<u8>);

impl Write for Bounded {
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

/// How Python lays JSON out.
struct Style {
    indent: Option<usize>,
    /// After an item, and after a key.
    separators: [String; 2],
    ascii: bool,
    level: usize,
    /// Whether the innermost list or map has an item.
    filled: bool,
}

impl Style {
    fn open<W: ?Sized + Write>(&mut self, writer: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.level += 1;
        self.filled = false;
        writer.write_all(bracket)
    }

    fn close<W: ?Sized + Write>(&mut self, writer: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.level -= 1;
        if self.filled {
            self.line(writer)?;
        }
        self.filled = true;
        writer.write_all(bracket)
    }

    fn item<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if !first {
            writer.write_all(self.separators[0].as_bytes())?;
        }
        self.line(writer)
    }

    fn line<W: ?Sized + Write>(&self, writer: &mut W) -> io::Result<()> {
        match self.indent {
            Some(width) => write!(writer, "\n{:1$}", "", width * self.level),
            None => Ok(()),
        }
    }
}

impl Formatter for Style {
    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(python::float(value).as_bytes())
    }

    fn write_f32<W: ?Sized + Write>(&mut self, writer: &mut W, value: f32) -> io::Result<()> {
        self.write_f64(writer, f64::from(value))
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, text: &str) -> io::Result<()> {
        if !self.ascii {
            return writer.write_all(text.as_bytes());
        }
        let mut units = [0; 2];
        for letter in text.chars() {
            match letter {
                ' '..='~' => write!(writer, "{letter}")?,
                _ => {
                    for unit in letter.encode_utf16(&mut units) {
                        write!(writer, "\\u{unit:04x}")?;
                    }
                }
            }
        }
        Ok(())
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        CompactFormatter.write_char_escape(writer, escape)
    }

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open(writer, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.close(writer, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.item(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, _writer: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open(writer, b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.close(writer, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.item(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(self.separators[1].as_bytes())
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _writer: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }
}
