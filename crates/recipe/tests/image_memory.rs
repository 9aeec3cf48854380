//! Large pictures that are wanted at the same time, in a process of its own.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a helper's panic fails the test that called it")]

use std::path::Path;
use vigos_processor::{Processor, RgbImage};
use vigos_recipe::row::ImageSource;
use vigos_recipe::sample::{ImageLimits, load_images};

const MEBIBYTE: usize = 1 << 20;

/// A line of the process's status, in bytes.
fn status(key: &str) -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
}

/// Six pictures of 20 megapixels, 57 MiB each when they are decoded.
#[test]
fn large_pictures_are_decoded_one_at_a_time() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/tiny-qwen2_5-vl");
    let processor = Processor::from_dir(&model).unwrap().with_max_pixels(28 * 28 * 16).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large.png");
    RgbImage::new(5000, 4000).save(&path).unwrap();
    let source = [ImageSource::File(path)];
    let taken = ImageLimits { min_side: 0, max_pixels: u64::MAX };
    let before = status("VmRSS:");
    // The peak begins anew.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| load_images(&source, &processor, taken).unwrap());
        }
    });
    let grown = status("VmHWM:").saturating_sub(before);
    assert!(grown > 50 * MEBIBYTE, "one was in memory: {} MiB", grown / MEBIBYTE);
    assert!(grown < 200 * MEBIBYTE, "grew by {} MiB", grown / MEBIBYTE);
}
