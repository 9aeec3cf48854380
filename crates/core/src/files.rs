//! Files that are whole or not there, and reads that cannot fill the memory.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use thiserror::Error;

/// Why a file could not be read or written.
#[derive(Debug, Error)]
pub enum FileError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was being done, such as "read".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is larger than the reader takes.
    #[error(
        "{} is too large: found {size} bytes, at most {limit} are read; check that it is the file meant",
        path.display()
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// The most bytes that are read.
        limit: u64,
    },
    /// A folder, device or pipe is where a file should be.
    #[error("{} is not a regular file; name a file", path.display())]
    NotAFile {
        /// What was named.
        path: PathBuf,
    },
}

/// Sees a file come from elsewhere: its name, the bytes that are there, and the bytes that it has.
pub type Progress<'a> = dyn FnMut(&str, u64, u64) + 'a;

impl FileError {
    /// Whether the user's input is at fault, rather than the machine: what cannot be read was named wrongly, what
    /// cannot be written has no room or no right to be there.
    pub fn is_input(&self) -> bool {
        match self {
            Self::Io { action, .. } => matches!(*action, "open" | "read" | "list"),
            Self::TooLarge { .. } | Self::NotAFile { .. } => true,
        }
    }

    /// An operating system error met while doing `action` (a verb, such as "open") on `path`.
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }
}

/// How the name of a file begins that is being written.
const UNFINISHED: &str = ".writing-";

/// Removes what a process left in `folder`, if there is one, that was killed while it wrote a file there; nobody may be
/// writing to it.
///
/// # Errors
/// [`FileError::Io`] if the folder cannot be listed or a file cannot be removed.
pub fn remove_unfinished(folder: &Path) -> Result<(), FileError> {
    if !folder.is_dir() {
        return Ok(());
    }
    let failed = |e| FileError::io("list", folder, e);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let is_one = entry.file_name().to_str().is_some_and(|name| name.starts_with(UNFINISHED));
        if is_one && entry.file_type().map_err(failed)?.is_file() {
            fs::remove_file(entry.path()).map_err(|e| FileError::io("remove", &entry.path(), e))?;
        }
    }
    Ok(())
}

/// Writes the file at `path` with `fill`, so that a reader or a crash meets the old content or the new one,
/// never a part.
///
/// The content goes to a temporary file in the same folder, which is synced and then renamed over `path`; a
/// symbolic link at `path` is replaced, not followed.
///
/// # Errors
/// [`FileError::Io`] if any step fails, `fill` included. The old file is then whole and the temporary one
/// is gone.
pub fn write_atomic(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), FileError> {
    let mut unfinished = Unfinished::begin(path)?;
    let mut writer = BufWriter::new(&mut unfinished);
    fill(&mut writer).and_then(|()| writer.flush()).map_err(|e| FileError::io("write", path, e))?;
    drop(writer);
    unfinished.finish()
}

/// A file that is written under another name in its folder until it is whole. Dropped before, it is gone.
#[derive(Debug)]
pub struct Unfinished {
    path: PathBuf,
    temporary: NamedTempFile,
}

impl Unfinished {
    /// Begins what is to be at `path`; a file that is there stays as it is until [`Self::finish`].
    ///
    /// # Errors
    /// [`FileError::Io`] if no file can be made in the folder of `path`.
    pub fn begin(path: &Path) -> Result<Self, FileError> {
        let folder = folder_of(path);
        let mut builder = tempfile::Builder::new();
        builder.prefix(UNFINISHED);
        // Temporary files are private by default; this one becomes an ordinary file, so the umask decides.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let temporary =
            builder.tempfile_in(folder).map_err(|e| FileError::io("create a file in", folder, e))?;
        Ok(Self { path: path.to_owned(), temporary })
    }

    /// Gives it its name, on disk; what had the name before is replaced.
    ///
    /// # Errors
    /// [`FileError::Io`] if a step of it fails; what had the name is then whole.
    pub fn finish(self) -> Result<(), FileError> {
        let failed = |e| FileError::io("write", &self.path, e);
        self.temporary.as_file().sync_all().map_err(failed)?;
        self.temporary.persist(&self.path).map_err(|e| failed(e.error))?;
        sync_folder(folder_of(&self.path))
    }
}

impl Write for Unfinished {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.temporary.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temporary.flush()
    }
}

/// [`write_atomic`] of bytes at hand.
///
/// # Errors
/// As for [`write_atomic`].
pub fn write_atomic_bytes(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_atomic(path, |w| w.write_all(bytes))
}

/// Opens a regular file to read it.
///
/// # Errors
/// The system's; [`io::ErrorKind::InvalidInput`] for a folder, a device, or a pipe, which would wait for its writer.
pub fn open(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    File::open(path)
}

/// Reads a regular file of at most `max_bytes` bytes.
///
/// # Errors
/// [`FileError::TooLarge`], [`FileError::NotAFile`], or [`FileError::Io`] such as a missing file.
pub fn read_limited(path: &Path, max_bytes: u64) -> Result<Vec<u8>, FileError> {
    let failed = |e| FileError::io("read", path, e);
    // Asked before opening: opening a pipe would wait for its writer.
    let metadata = fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(FileError::NotAFile { path: path.to_owned() });
    }
    let too_large = |size| FileError::TooLarge { path: path.to_owned(), size, limit: max_bytes };
    if metadata.len() > max_bytes {
        return Err(too_large(metadata.len()));
    }
    let mut bytes = Vec::new();
    // The file may grow between the question and the read, so the read is bounded too.
    let bounded = File::open(path).map_err(failed)?.take(max_bytes.saturating_add(1));
    { bounded }.read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > max_bytes {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}

/// The folder that `path` lies in; "." for a bare file name.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes a rename in `folder` survive a power cut. Only Unix lets a folder be synced, and needs it.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), FileError> {
    #[cfg(unix)]
    File::open(folder).and_then(|f| f.sync_all()).map_err(|e| FileError::io("sync", folder, e))?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_write_replaces_the_file_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.bin");
        write_atomic_bytes(&path, b"old").unwrap();
        write_atomic_bytes(&path, b"new and longer").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new and longer");
        assert_eq!(names(dir.path()), ["state.bin"]);
    }

    #[test]
    fn what_is_no_file_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let kind = |path: &Path| open(path).map_err(|e| e.kind()).err();
        assert_eq!(kind(dir.path()), Some(io::ErrorKind::InvalidInput));
        assert_eq!(kind(&dir.path().join("none")), Some(io::ErrorKind::NotFound));
        #[cfg(unix)]
        assert_eq!(kind(Path::new("/dev/zero")), Some(io::ErrorKind::InvalidInput));
        fs::write(dir.path().join("a"), b"1").unwrap();
        assert_eq!(kind(&dir.path().join("a")), None);
    }

    #[test]
    fn what_a_killed_write_left_is_removed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for name in [".writing-Ab3", "state.bin", ".lock"] {
            fs::write(dir.path().join(name), b"1").unwrap();
        }
        fs::create_dir(dir.path().join(".writing-step-000001")).unwrap();
        remove_unfinished(dir.path()).unwrap();
        let mut left = names(dir.path());
        left.sort();
        assert_eq!(left, [".lock", ".writing-step-000001", "state.bin"]);
    }

    #[test]
    fn a_write_that_fails_half_way_keeps_the_old_file_and_leaves_no_temporary_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.bin");
        write_atomic_bytes(&path, b"old").unwrap();
        let error = write_atomic(&path, |w| {
            w.write_all(&[0; 100_000])?;
            Err(io::Error::other("disk full"))
        });
        let message = error.unwrap_err().to_string();
        assert!(message.contains("state.bin") && message.contains("disk full"), "{message}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["state.bin"]);
    }

    #[test]
    fn a_write_that_panics_half_way_keeps_the_old_file_and_leaves_no_temporary_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.bin");
        write_atomic_bytes(&path, b"old").unwrap();
        let run = std::panic::AssertUnwindSafe(|| write_atomic(&path, |_| panic!("interrupted")));
        assert!(std::panic::catch_unwind(run).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["state.bin"]);
    }

    #[test]
    fn a_write_over_a_folder_or_into_a_missing_one_says_which() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("taken")).unwrap();
        for name in ["taken", "missing/file"] {
            let message = write_atomic_bytes(&dir.path().join(name), b"x").unwrap_err().to_string();
            assert!(message.contains(name.split('/').next().unwrap()), "{message}");
        }
        assert_eq!(names(dir.path()), ["taken"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_written_file_has_the_permissions_of_an_ordinary_one() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (ours, plain) = (dir.path().join("ours"), dir.path().join("plain"));
        write_atomic_bytes(&ours, b"").unwrap();
        fs::write(&plain, b"").unwrap();
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }

    #[test]
    fn a_read_stops_at_its_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("five");
        fs::write(&path, b"12345").unwrap();
        assert_eq!(read_limited(&path, 5).unwrap(), b"12345");
        assert_eq!(read_limited(&path, u64::MAX).unwrap(), b"12345");
        let error = read_limited(&path, 4).unwrap_err();
        assert!(matches!(error, FileError::TooLarge { size: 5, limit: 4, .. }), "{error}");
    }

    #[test]
    fn a_read_of_a_folder_or_of_nothing_is_an_error_with_the_path() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(read_limited(dir.path(), 9), Err(FileError::NotAFile { .. })));
        let message = read_limited(&dir.path().join("absent"), 9).unwrap_err().to_string();
        assert!(message.contains("absent"), "{message}");
    }
}
