//! The cache's folders: content under its hash, snapshots that link to it, names of revisions.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hf_hub::{Cache, Repo, RepoType};
use vigos_core::files::FileError;

use crate::reference::is_commit;

/// Deepest folder of a snapshot that is looked into.
const MAX_DEPTH: usize = 8;

/// The part of the cache that belongs to one model or data set.
#[derive(Debug)]
pub(crate) struct RepoCache {
    cache: Cache,
    repo: Repo,
}

impl RepoCache {
    pub(crate) fn new(cache: &Path, id: &str, kind: RepoType, revision: &str) -> Self {
        let repo = Repo::with_revision(id.to_owned(), kind, revision.to_owned());
        Self { cache: Cache::new(cache.to_owned()), repo }
    }

    /// The snapshot's folder that the revision was last seen at, if there is one.
    pub(crate) fn known_snapshot(&self) -> Option<PathBuf> {
        let revision = self.repo.revision();
        let folder = if is_commit(revision) {
            self.snapshot(revision)
        } else {
            let commit = fs::read_to_string(self.folder().join("refs").join(revision)).ok()?;
            let commit = commit.trim();
            if !is_commit(commit) {
                return None;
            }
            self.snapshot(commit)
        };
        folder.is_dir().then_some(folder)
    }

    /// The folder of a commit's snapshot.
    pub(crate) fn snapshot(&self, commit: &str) -> PathBuf {
        self.cache.repo(self.repo.clone()).pointer_path(commit)
    }

    /// Where content of this hash is kept.
    pub(crate) fn blob(&self, etag: &str) -> PathBuf {
        self.folder().join("blobs").join(etag)
    }

    /// The file whose lock the one holds who fetches content of this hash.
    pub(crate) fn lock(&self, etag: &str) -> PathBuf {
        self.cache.path().join(".locks").join(self.repo.folder_name()).join(format!("{etag}.lock"))
    }

    /// Notes which commit the revision is at.
    pub(crate) fn remember(&self, commit: &str) -> Result<(), FileError> {
        if is_commit(self.repo.revision()) {
            return Ok(());
        }
        let path = self.folder().join("refs").join(self.repo.revision());
        self.cache.repo(self.repo.clone()).create_ref(commit).map_err(|e| FileError::io("write", &path, e))
    }

    fn folder(&self) -> PathBuf {
        self.cache.path().join(self.repo.folder_name())
    }
}

/// Makes `link` stand for `blob`: a relative link, or a copy where there are no links.
pub(crate) fn link(blob: &Path, link: &Path) -> Result<(), FileError> {
    make_folder_of(link)?;
    // A link to content that is gone.
    match fs::remove_file(link) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(FileError::io("replace", link, e)),
        _ => {}
    }
    symlink(blob, link)
        .or_else(|_| fs::copy(blob, link).map(|_| ()))
        .map_err(|e| FileError::io("write", link, e))
}

pub(crate) fn make_folder_of(file: &Path) -> Result<(), FileError> {
    match file.parent() {
        Some(folder) => fs::create_dir_all(folder).map_err(|e| FileError::io("create", folder, e)),
        None => Ok(()),
    }
}

/// The cache may be moved as a whole, so the link goes up to the repository's folder and down again.
#[cfg(unix)]
fn symlink(blob: &Path, link: &Path) -> io::Result<()> {
    let outside = || io::Error::other("not in one folder of the cache");
    let folder = blob.parent().and_then(Path::parent).ok_or_else(outside)?;
    let inside = |path: &Path| path.strip_prefix(folder).map(Path::to_owned).map_err(|_| outside());
    let mut target: PathBuf = inside(link)?.components().skip(1).map(|_| "..").collect();
    target.push(inside(blob)?);
    std::os::unix::fs::symlink(target, link)
}

#[cfg(not(unix))]
fn symlink(_blob: &Path, _link: &Path) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// The files of a snapshot, named with `/` from its folder, sorted.
pub(crate) fn files_of(snapshot: &Path) -> Vec<String> {
    let mut files = Vec::new();
    list(snapshot, "", 0, &mut files);
    files.sort();
    files
}

fn list(folder: &Path, prefix: &str, depth: usize, files: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let (path, name) = (entry.path(), format!("{prefix}{name}"));
        if path.is_file() {
            files.push(name);
        } else if depth < MAX_DEPTH && path.is_dir() {
            list(&path, &format!("{name}/"), depth + 1, files);
        }
    }
}
