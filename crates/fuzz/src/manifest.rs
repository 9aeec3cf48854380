//! Manifests of checkpoints.

use vigos_core::files::folder_of;
use vigos_core::manifest::{MANIFEST, Manifest, ManifestError};

use crate::scratch;

/// The files that there are.
const FILES: [(&str, &str); 2] = [("empty", ""), ("three.bin", "abc")];

thread_local! {
    /// What is true of them. It is written once: writing forces the files to disk.
    static TRUE: Manifest = {
        for (name, content) in FILES {
            scratch::write(&format!("checkpoint/{name}"), content.as_bytes());
        }
        Manifest::write(&scratch::folder().join("checkpoint")).expect("a folder of plain files")
    };
}

/// A manifest that holds names files of its folder, with the sizes and hashes that they have.
pub fn manifest(data: &[u8]) {
    let true_one = TRUE.with(Clone::clone);
    let path = scratch::write(&format!("checkpoint/{MANIFEST}"), data);
    let folder = folder_of(&path);
    match Manifest::verify(folder) {
        Ok(found) => {
            for (name, entry) in &found.files {
                assert_eq!(true_one.files.get(name), Some(entry), "{name}");
            }
            let text = serde_json::to_vec(&found).expect("a manifest has a JSON form");
            scratch::write(&format!("checkpoint/{MANIFEST}"), &text);
            assert_eq!(Manifest::verify(folder).ok(), Some(found), "written and read again");
        }
        Err(ManifestError::Mismatches { mismatches, .. }) => {
            let said: Manifest = serde_json::from_slice(data).expect("it was read");
            for (name, mismatch) in mismatches {
                let is_true = said.files.get(&name) == true_one.files.get(&name);
                assert!(!is_true, "{name} is as it should be, not {mismatch}");
            }
        }
        Err(ManifestError::Malformed { .. }) => {
            assert!(serde_json::from_slice::<Manifest>(data).is_err());
        }
        Err(other) => panic!("{other}"),
    }
}
