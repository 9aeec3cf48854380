//! A data set larger than what is kept of it, in a process of its own.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, dead_code, unreachable_pub)] // In helpers too; the writer is shared.

#[path = "data/writer.rs"]
mod writer;

use vigos_data::{Dataset, Fields};
use writer::{bytes, properties, structs, table, texts, write_with};

const MEBIBYTE: usize = 1 << 20;

/// A line of the process's status, in bytes.
fn status(key: &str) -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
}

/// Sixteen row groups of 40 MiB each, 640 in all; on disk they are small, for they are zeros.
#[test]
fn an_epoch_in_shuffled_order_keeps_to_the_memory_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    for file in 0..4 {
        let names: Vec<String> = (0..4).map(|row| format!("{file}{row}")).collect();
        let names = texts(&names.iter().map(|name| Some(name.as_str())).collect::<Vec<_>>());
        let images = structs(&vec![bytes(&vec![0; 40 * MEBIBYTE]); 4]);
        let rows = vec![("image", images), ("problem", names.clone()), ("answer", names)];
        let properties = properties().set_dictionary_enabled(false).set_max_row_group_row_count(Some(1));
        write_with(&dir.path().join(format!("{file}.parquet")), &table(rows), properties);
    }
    let before = status("VmRSS:");
    // The peak begins anew.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let set = Dataset::open(dir.path(), &Fields::default(), None).unwrap();
    let mut order = set.order(3);
    let mut seen: Vec<String> =
        (0..16).map(|place| set.load(order.at(place).1).unwrap().unwrap().problem).collect();
    let grown = status("VmHWM:").saturating_sub(before);
    // 256 MiB of row groups, one that is decoded or handed out, and its page.
    assert!(grown < 400 * MEBIBYTE, "grew by {} MiB", grown / MEBIBYTE);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 16);
}
