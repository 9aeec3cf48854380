//! Writes the table of `docs/metrics.md`.

use std::error::Error;
use std::path::Path;
use vigos_recipe::docs::{Part, pages, write};
use vigos_report::glossary;

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let parts = [Part { page: glossary::PAGE, name: "metrics", make: glossary::table }];
    Ok(write(&root, &pages(&root, &parts, &[])?)?)
}
