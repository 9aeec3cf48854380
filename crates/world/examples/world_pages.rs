//! Writes what of the documentation is made from the structs of a world's dials, in place.

use std::error::Error;
use std::path::Path;
use vigos_recipe::docs;

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let pages = docs::pages(&root, &[vigos_world::config::PART], &[vigos_world::config::SCHEMA])?;
    Ok(docs::write(&root, &pages)?)
}
