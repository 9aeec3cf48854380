//! Writes the kernels as every GPU's compiler would get them into a folder, one subfolder a target.
//!
//! ```text
//! cargo run --release -p vigos-kernels --features lowering --example lower -- FOLDER
//! ```

use std::error::Error;
use std::path::PathBuf;
use vigos_kernels::lowering::{Target, lower};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from).ok_or("name the folder to write to")?;
    for target in Target::ALL {
        let place = folder.join(format!("{target:?}").to_lowercase());
        std::fs::create_dir_all(&place)?;
        let kernels = lower(target)?;
        eprintln!("{}: {} kernels", place.display(), kernels.len());
        for kernel in kernels {
            std::fs::write(place.join(kernel.file), kernel.bytes)?;
        }
    }
    Ok(())
}
