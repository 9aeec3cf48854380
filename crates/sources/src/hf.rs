//! Data sets of the Hugging Face hub: `hf:ORG/NAME@SPLIT`, fetched through its shared cache.

use std::path::Path;
use vigos_core::files::Progress;
use vigos_data::{DataRequest, Dataset, DatasetError, Scheme, SourceError};
use vigos_hub::{Hub, HubError, bare_name};

/// Endings of files with rows.
const FILES: [&str; 11] =
    ["jsonl", "json", "csv", "tsv", "gz", "zst", "parquet", "arrow", "feather", "tar", "tgz"];

/// Opens `hf:ORG/NAME@SPLIT`, from the hub that the environment names.
#[derive(Clone, Copy, Debug)]
pub struct HubDatasets;

impl Scheme for HubDatasets {
    fn name(&self) -> &str {
        "hf"
    }

    fn meant(&self, path: &Path) -> Option<String> {
        // A name of the hub may have a dot, one with a file's ending is a file that is not there.
        let file = path.extension().and_then(|ending| ending.to_str()).is_some_and(|e| FILES.contains(&e));
        let name = bare_name(path).filter(|_| !file)?;
        Some(if name.contains('@') { format!("hf:{name}") } else { format!("hf:{name}@SPLIT") })
    }

    fn open(&self, request: &DataRequest, progress: &mut Progress) -> Result<Dataset, DatasetError> {
        request.names_its_split()?;
        let fault = |error: HubError| {
            let is_input = error.is_input();
            SourceError::new(error, is_input)
        };
        let files = Hub::from_env().and_then(|hub| hub.dataset(request.path, progress)).map_err(fault)?;
        Dataset::open_parquet(request.path, &files, &request.fields, request.reading())
    }
}
