//! Writing the results: `results.json`, `results.md`, and every picture as SVG and PNG.

use crate::error::ExperimentError;
use crate::figures::pictures;
use crate::plot;
use crate::results::Results;
use crate::tables;
use std::path::Path;
use vigos_core::files::{FileError, write_atomic_bytes};

/// Writes the results to a folder and returns `results.md`. The same results give the same bytes.
///
/// # Errors
/// If a picture cannot be drawn or a file cannot be written.
pub fn report(results: &Results, folder: &Path) -> Result<String, ExperimentError> {
    std::fs::create_dir_all(folder).map_err(|error| FileError::io("create", folder, error))?;
    let pictures = pictures(results);
    for picture in &pictures {
        let failed = |kind: &'static str| {
            let file = folder.join(format!("{}.{kind}", picture.name)).display().to_string();
            move |reason: String| ExperimentError::Drawing { file, reason }
        };
        let svg = plot::svg(&picture.figure).map_err(failed("svg"))?;
        let png = plot::png(&picture.figure).map_err(failed("png"))?;
        write_atomic_bytes(&folder.join(format!("{}.svg", picture.name)), svg.as_bytes())?;
        write_atomic_bytes(&folder.join(format!("{}.png", picture.name)), &png)?;
    }
    let text = tables::markdown(results, &pictures);
    write_atomic_bytes(&folder.join("results.md"), text.as_bytes())?;
    // The training's metrics are long: a number a line would be too much.
    let mut json = serde_json::to_vec(results).unwrap_or_default();
    json.push(b'\n');
    write_atomic_bytes(&folder.join("results.json"), &json)?;
    Ok(text)
}
