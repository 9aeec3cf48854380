//! A disk that is full, a folder that cannot be written to.

use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A small file system in memory, there until it is dropped.
pub(super) struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// One of so many bytes at `path`, or nothing where file systems may not be mounted.
    pub(super) fn mount(path: &Path, bytes: u64) -> Result<Option<Self>> {
        std::fs::create_dir_all(path).with_context(|| path.display().to_string())?;
        let size = format!("size={bytes}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(path).stderr(Stdio::null());
        let mounted = mount.status().is_ok_and(|status| status.success());
        Ok(mounted.then(|| Self { path: path.to_owned() }))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.path).status();
    }
}

/// Runs it and checks that it fails as a full disk lets it: exit code 1, a message that says so, no panic.
pub(super) fn fails_for_want_of_room(mut run: Command) -> Result<()> {
    let output = run.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(1), "exit code {:?}: {said}", output.status.code());
    ensure!(said.contains("No space left") && !said.contains("panicked"), "{said}");
    Ok(())
}
