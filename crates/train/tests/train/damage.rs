//! A checkpoint of which any file was changed or cut off is never taken for one: the one before it is.

use crate::support;

use std::fs;
use std::path::{Path, PathBuf};
use support::Recorded;
use vigos_checkpoint::optim::AdamW;
use vigos_checkpoint::{Checkpoints, State};
use vigos_models::peft;

/// Damages tried; each is a draw of a file, a place in it, and what becomes of it.
const DAMAGES: u64 = 1000;

/// The same numbers in every run.
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// A file with one bit flipped, a byte set, a part overwritten, or its end cut off or grown.
fn damaged(bytes: &[u8], draws: &mut Draws) -> Vec<u8> {
    let (mut bytes, at) = (bytes.to_vec(), draws.below(bytes.len()));
    match draws.below(5) {
        0 => bytes[at] ^= 1 << draws.below(8),
        1 => bytes[at] = bytes[at].wrapping_add(1 + draws.below(255) as u8),
        2 => bytes[at..].iter_mut().take(512).for_each(|byte| *byte = !*byte),
        3 => bytes.truncate(at),
        _ => bytes.push(draws.below(256) as u8),
    }
    bytes
}

fn json(bytes: &[u8]) -> Option<serde_json::Value> {
    serde_json::from_slice(bytes).ok()
}

#[test]
fn none_of_a_thousand_damages_to_a_checkpoint_is_taken_for_one() {
    let recorded = Recorded::load();
    let (adapter, folder) = (&recorded.adapter, tempfile::tempdir().unwrap());
    let checkpoints = Checkpoints::of(folder.path());
    let optimiser = AdamW::new(adapter);
    for step in [1, 2] {
        let state = State { step, ..State::default() };
        checkpoints.save(&state, &optimiser, |folder| Ok(peft::save(adapter, "base", folder)?)).unwrap();
    }
    let read = |path: &Path| Ok(peft::load(path, &recorded.model.architecture, &recorded.model.device)?);
    let newest = checkpoints.path(2);
    let mut files: Vec<(PathBuf, Vec<u8>)> = fs::read_dir(&newest)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    assert_eq!(files.len(), 5, "adapter, its configuration, optimiser, state, manifest");
    let taken = || {
        let mut said = Vec::new();
        let (_, _, state) = checkpoints.load("", read, &mut |text| said.push(text)).unwrap().unwrap();
        (state.step, said)
    };
    assert_eq!(taken(), (2, vec![]), "it is sound");
    let mut draws = Draws(1);
    for number in 0..DAMAGES {
        let (path, sound) = &files[draws.below(files.len())];
        let bytes = damaged(sound, &mut draws);
        // White space of the manifest says nothing.
        if path.ends_with("manifest.json") && json(&bytes) == json(sound) {
            continue;
        }
        fs::write(path, bytes).unwrap();
        let (step, said) = taken();
        let name = path.file_name().unwrap().display();
        assert!(step == 1 && said.len() == 1, "damage {number}, to {name}: step {step} was taken, {said:?}");
        assert!(said[0].contains("step-000002 cannot be used"), "{}", said[0]);
        fs::write(path, sound).unwrap();
    }
    assert_eq!(taken(), (2, vec![]), "mended, it is sound again");
}
