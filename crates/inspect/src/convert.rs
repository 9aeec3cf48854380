//! Writes the rows of a data set anew, as JSON Lines with image files or as Parquet with the images inside.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use vigos_data::Dataset;

use crate::error::InspectError;
use crate::rows::{Converted, Rows, unused};
use crate::{jsonl, table};

/// Writes the rows of `dataset` to `out`, a new file that ends with `.jsonl` or `.parquet`. Of all rows the `share` may be
/// unusable and is left out. Images of more than `max_pixels` pixels are not taken. `progress` sees how many of how many
/// rows are done; raising `stop` ends the work. What is not written whole leaves nothing behind.
///
/// # Errors
/// If `out` is there already or is called otherwise, more rows are bad than may be, nothing can be written, or it was
/// stopped.
pub fn convert(
    dataset: &Dataset,
    out: &Path,
    share: f64,
    max_pixels: u64,
    progress: &mut dyn FnMut(usize, usize),
    stop: &AtomicBool,
) -> Result<Converted, InspectError> {
    unused(out)?;
    let rows = Rows { dataset, max_pixels, share, progress, stop, next: 0, converted: Converted::default() };
    let ending = out.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    match ending {
        "jsonl" => jsonl::write(rows, out),
        "parquet" => table::write(rows, out),
        other => Err(InspectError::Out {
            path: out.to_owned(),
            found: match other {
                "" => "a name without an ending".to_owned(),
                other => format!("a name that ends with .{other}"),
            },
            wanted: "one that ends with .jsonl or .parquet",
        }),
    }
}
