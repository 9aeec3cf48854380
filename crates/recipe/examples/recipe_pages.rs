//! Writes what of the documentation is made from the structs of a recipe, in place.

use std::error::Error;
use std::path::Path;
use vigos_recipe::docs;

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let pages = docs::pages(&root, docs::PARTS, docs::SCHEMAS)?;
    Ok(docs::write(&root, &pages)?)
}
