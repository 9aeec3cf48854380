//! The files of `fuzz/`, and what becomes of them.

use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};

/// What a change may put in: bytes that parsers look at.
const MARKS: [&[u8]; 14] = [
    b"\0",
    b"\xff",
    b"{",
    b"}",
    b"[",
    b"\"",
    b"\\",
    b"\n",
    b"\r\n",
    b"..",
    b"-1",
    b"1e999",
    b"null",
    b"\xff\xff\xff\x7f",
];

/// The files of a folder of `fuzz/`, none if it is not there.
pub(crate) fn listed(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz").join(folder);
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The name of a file without its ending.
pub(crate) fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_str().unwrap().to_owned()
}

/// The corpus of a target and the inputs that once broke it.
pub(crate) fn given(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let files = ["corpus", "regressions"].into_iter().flat_map(|kind| listed(&format!("{kind}/{name}")));
    files.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// One of the inputs after a few changes: a byte, a mark, a piece of another one, a piece taken out, an end cut off.
pub(crate) fn mutated(inputs: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let place = any::<prop::sample::Index>;
    let changes = prop::collection::vec((0..5, place(), place(), place(), any::<u8>()), 1..6);
    (place(), changes).prop_map(move |(which, changes)| {
        let mut bytes = which.get(&inputs).clone();
        for (kind, at, other, length, byte) in changes {
            let at = at.index(bytes.len() + 1);
            match kind {
                0 => bytes.iter_mut().skip(at).take(1).for_each(|found| *found = byte),
                1 => drop(bytes.splice(at..at, other.get(&MARKS).iter().copied())),
                2 => {
                    let source = other.get(&inputs);
                    let from = length.index(source.len() + 1);
                    let piece = source[from..].iter().take(40).copied().collect::<Vec<u8>>();
                    bytes.splice(at..at, piece);
                }
                3 => drop(bytes.drain(at..(at + length.index(20)).min(bytes.len()))),
                _ if byte < 64 => bytes.truncate(at),
                _ => {}
            }
        }
        bytes
    })
}
