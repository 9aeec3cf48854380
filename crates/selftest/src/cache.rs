//! That a device passed, so that the next run does not check again what has not changed: the device, its driver, this
//! program.

use crate::report::Report;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use vigos_core::files::{read_limited, write_atomic_bytes};
use vigos_core::host::caches;

/// A report is a few kilobytes.
const LARGEST: u64 = 1 << 20;
/// What a change of shows in a file's own words: the drivers of NVIDIA, AMD and Intel, and the kernel, which has others.
const VERSIONS: [&str; 5] = [
    "/proc/driver/nvidia/version",
    "/sys/module/amdgpu/version",
    "/sys/module/i915/version",
    "/sys/module/xe/version",
    "/proc/sys/kernel/osrelease",
];
/// Folders that say which Vulkan drivers there are; a new one has files of another time or size.
const DRIVERS: [&str; 3] = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d"];

/// Where the report of a device is kept.
#[derive(Clone, Debug)]
pub struct Remembered {
    path: PathBuf,
}

/// What a report is good for.
#[derive(Serialize)]
struct Key<'a> {
    device: &'a str,
    name: &'a str,
    drivers: String,
    program: String,
}

impl Remembered {
    /// The place in the user's cache for a device, by how `--device` and it itself name it, its driver and this program.
    /// None where there is no such cache, or the program cannot be read.
    pub fn of(device: &str, name: &str) -> Option<Self> {
        let program = fs::File::open(std::env::current_exe().ok()?).ok()?;
        Self::within(&caches(|name| std::env::var_os(name).map(PathBuf::from))?, device, name, program)
    }

    fn within(folder: &Path, device: &str, name: &str, mut program: impl std::io::Read) -> Option<Self> {
        let mut hash = Sha256::new();
        let mut block = vec![0; 1 << 20];
        loop {
            match program.read(&mut block).ok()? {
                0 => break,
                read => hash.update(&block[..read]),
            }
        }
        let key = Key { device, name, drivers: drivers(), program: hex(&hash.finalize()) };
        let key = serde_json::to_vec(&key).ok()?;
        let file = format!("{}.json", &hex(&Sha256::digest(&key))[..32]);
        Some(Self { path: folder.join("vigos/selftest").join(file) })
    }
}

/// The report of a device that was checked as it is now, if there is one.
pub fn remembered(at: &Remembered) -> Option<Report> {
    serde_json::from_slice(&read_limited(&at.path, LARGEST).ok()?).ok()
}

/// Keeps a report in which nothing is wrong. That it cannot be kept costs the next run some seconds and nothing else.
pub fn remember(at: &Remembered, report: &Report) {
    if !report.sound {
        return;
    }
    let kept = fs::create_dir_all(vigos_core::files::folder_of(&at.path))
        .map_err(|error| error.to_string())
        .and_then(|()| serde_json::to_vec_pretty(report).map_err(|error| error.to_string()))
        .and_then(|text| write_atomic_bytes(&at.path, &text).map_err(|error| error.to_string()));
    if let Err(reason) = kept {
        tracing::debug!("the self-test is not kept: {reason}");
    }
}

/// What the system says of its drivers.
fn drivers() -> String {
    let mut text = String::new();
    for file in VERSIONS {
        text.push_str(&fs::read_to_string(file).unwrap_or_default());
    }
    for folder in DRIVERS {
        let mut files: Vec<String> = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| {
                let about = entry.metadata().ok();
                let changed = about.as_ref().and_then(|about| about.modified().ok());
                format!("{:?} {:?} {changed:?}\n", entry.path(), about.map(|about| about.len()))
            })
            .collect();
        files.sort();
        text.extend(files);
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Bounds, Check};
    use crate::report::Build;

    fn report(error: f64) -> Report {
        let bounds = Bounds { exact: 1e-4, reduced: 1e-2 };
        let check = Check::run("norm", bounds, || Ok(error));
        let build = Build { fusion: false, autotune: false };
        Report::new("vulkan:0".into(), "a card".into(), build, vec![check])
    }

    #[test]
    fn a_report_is_good_for_the_same_device_and_program_alone_and_never_where_numbers_are_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let of = |device: &str, name: &str, program: &[u8]| {
            Remembered::within(folder.path(), device, name, program).unwrap()
        };
        let here = of("vulkan:0", "a card", b"program");
        assert!(remembered(&here).is_none());
        remember(&here, &report(1.0));
        assert!(remembered(&here).is_none(), "wrong numbers are checked again");
        remember(&here, &report(1e-6));
        assert!(remembered(&here).unwrap().passed(false));
        remember(&here, &report(1e-3));
        assert!(remembered(&here).unwrap().reduced, "what was found of its precision is kept, too");
        for other in [
            of("vulkan:1", "a card", b"program"),
            of("vulkan:0", "another card", b"program"),
            of("vulkan:0", "a card", b"another program"),
        ] {
            assert!(remembered(&other).is_none());
        }
        fs::write(&here.path, "{").unwrap();
        assert!(remembered(&here).is_none(), "what cannot be read is no report");
    }
}
