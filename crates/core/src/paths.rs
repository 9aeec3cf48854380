//! Relative paths from a file that somebody else wrote, kept below the folder that they belong to.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::text::one_line;

/// Why a relative path was refused.
#[derive(Debug, Error)]
pub enum PathError {
    /// It names nothing below the folder: empty, only dots, or a link to the folder itself.
    #[error("the path {found:?} names no file; give a file below {}", root.display())]
    Empty {
        /// The path as given.
        found: String,
        /// The folder that it is relative to.
        root: PathBuf,
    },
    /// It has a NUL character.
    #[error("the path {found:?} has a NUL character, which no file name can have; check how it was written")]
    Nul {
        /// The path as given.
        found: String,
    },
    /// It starts at a root or a drive.
    #[error("the path {found:?} is absolute; give it relative to {}", root.display())]
    Absolute {
        /// The path as given.
        found: String,
        /// The folder that it should be relative to.
        root: PathBuf,
    },
    /// It has a backslash, which separates folders on one system and is part of a name on another.
    #[error("the path {found:?} has a backslash; write / between folders")]
    Backslash {
        /// The path as given.
        found: String,
    },
    /// It goes up.
    #[error("the path {found:?} has a .. part; files must lie below {}", root.display())]
    Upward {
        /// The path as given.
        found: String,
        /// The folder that it must stay below.
        root: PathBuf,
    },
    /// A symbolic link on the way leads out of the folder.
    #[error(
        "the path {found:?} leads through a symbolic link out of {}; put the file itself there",
        root.display()
    )]
    Outside {
        /// The path as given.
        found: String,
        /// The folder that it must stay below.
        root: PathBuf,
    },
    /// The file system could not tell where the path leads, as for a link to nothing.
    #[error("cannot tell where {} leads: {source}", path.display())]
    Unresolved {
        /// The folder or the part of the path asked about.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// Resolves `relative` below `root`, to an absolute path without symbolic links.
///
/// The file need not exist: the parts that do are resolved, the rest is appended. `root` must exist. The
/// same strings are refused on every system, so that a data set that opens on one opens on all.
///
/// ```
/// use vigos_core::paths::contained;
///
/// let root = std::env::temp_dir();
/// assert!(contained(&root, "images/1.png")?.ends_with("images/1.png"));
/// assert!(contained(&root, "../1.png").is_err());
/// assert!(contained(&root, "/etc/passwd").is_err());
/// # Ok::<(), vigos_core::paths::PathError>(())
/// ```
///
/// # Errors
/// [`PathError`] if `relative` is empty, absolute or prefixed by a drive, has a backslash, a `..` part or a
/// NUL, or if it leaves `root` through a symbolic link. The links of a hub's cache to the files of their repository
/// do not count as leaving.
pub fn contained(root: &Path, relative: &str) -> Result<PathBuf, PathError> {
    check_text(root, relative)?;
    let unresolved = |path: &Path, source| PathError::Unresolved { path: short(path), source };
    let root = root.canonicalize().map_err(|e| unresolved(root, e))?;

    let mut resolved = root.clone();
    let mut exists = true;
    for part in parts(relative) {
        resolved.push(part);
        if !exists {
            continue;
        }
        // Of the entry itself: for a link to nothing `canonicalize` says the same as for no entry at all.
        match fs::symlink_metadata(&resolved) {
            Ok(entry) if entry.is_symlink() => {
                resolved = resolved.canonicalize().map_err(|e| unresolved(&resolved, e))?;
                if !resolved.starts_with(&root) && !is_blob(&root, &resolved) {
                    return Err(PathError::Outside { found: quoted(relative), root });
                }
            }
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => exists = false,
            Err(e) => return Err(unresolved(&resolved, e)),
        }
    }
    if resolved == root {
        return Err(PathError::Empty { found: quoted(relative), root });
    }
    Ok(resolved)
}

/// Whether `file` is one that the hub's cache keeps for the snapshot which `root` is, or is a folder of: it stores a
/// repository's files as `KIND--ORG--NAME/blobs/HASH`, and the folders below `snapshots/COMMIT` hold links to them.
fn is_blob(root: &Path, file: &Path) -> bool {
    let named = |path: &Path, name: &str| path.file_name().is_some_and(|found| found == name);
    let repository = root.ancestors().find(|folder| named(folder, "snapshots")).and_then(Path::parent);
    let Some(repository) = repository else { return false };
    let name = repository.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_cache = ["datasets--", "models--", "spaces--"].iter().any(|kind| name.starts_with(kind));
    is_cache && file.parent() == Some(&repository.join("blobs")) && file.is_file()
}

/// A resolved path as a message shows it.
fn short(path: &Path) -> PathBuf {
    let text = path.to_string_lossy();
    if text.len() < 1024 && !text.contains(char::is_control) {
        return path.to_owned();
    }
    one_line(&text, 200).into_owned().into()
}

/// A path as a message shows it.
fn quoted(relative: &str) -> String {
    const MOST: usize = 120;
    match relative.char_indices().nth(MOST) {
        None => relative.to_owned(),
        Some((end, _)) => format!("{}…", relative.get(..end).unwrap_or_default()),
    }
}

/// Refuses what can be refused without asking the file system.
fn check_text(root: &Path, relative: &str) -> Result<(), PathError> {
    let (found, root) = (quoted(relative), root.to_owned());
    let drive = matches!(relative.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
    if relative.contains('\0') {
        Err(PathError::Nul { found })
    } else if drive || relative.starts_with(['/', '\\']) || Path::new(relative).is_absolute() {
        Err(PathError::Absolute { found, root })
    } else if relative.contains('\\') {
        Err(PathError::Backslash { found })
    } else if parts(relative).any(|part| part == "..") {
        Err(PathError::Upward { found, root })
    } else if parts(relative).next().is_none() {
        Err(PathError::Empty { found, root })
    } else {
        Ok(())
    }
}

/// The names in a path, without those that stay where they are.
fn parts(relative: &str) -> impl Iterator<Item = &str> {
    relative.split('/').filter(|part| !part.is_empty() && *part != ".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_file_below_the_root_resolves_whether_it_exists_or_not() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("images")).unwrap();
        fs::write(dir.path().join("images/1.png"), b"").unwrap();
        let root = dir.path().canonicalize().unwrap();
        assert_eq!(contained(dir.path(), "images/1.png").unwrap(), root.join("images/1.png"));
        assert_eq!(contained(dir.path(), "./images//2.png").unwrap(), root.join("images/2.png"));
        assert_eq!(contained(dir.path(), "a..b/…/ü.png").unwrap(), root.join("a..b/…/ü.png"));
    }

    #[test]
    fn what_is_no_relative_path_is_refused_with_its_reason() {
        let dir = tempfile::tempdir().unwrap();
        let refused = |text: &str| contained(dir.path(), text).unwrap_err();
        for text in ["", ".", "./", ".//."] {
            assert!(matches!(refused(text), PathError::Empty { .. }), "{text:?}");
        }
        for text in ["/etc/passwd", "//host/share", "\\\\host\\share", "\\x", "C:\\x", "c:/x", "z:x"] {
            assert!(matches!(refused(text), PathError::Absolute { .. }), "{text:?}");
        }
        for text in ["..", "../x", "a/../../x", "a/..", "a/../b"] {
            assert!(matches!(refused(text), PathError::Upward { .. }), "{text:?}");
        }
        assert!(matches!(refused("a\\..\\b"), PathError::Backslash { .. }));
        assert!(matches!(refused("a\0b"), PathError::Nul { .. }));
        let message = refused("../x").to_string();
        assert!(message.contains("../x") && message.contains("below"), "{message}");
    }

    #[test]
    fn a_name_that_no_file_can_have_is_told_in_one_line() {
        let name = format!("a\nb{}", "x".repeat(300));
        let message = contained(&std::env::temp_dir(), &name).unwrap_err().to_string();
        assert!(!message.contains('\n'), "{message:?}");
    }

    #[test]
    fn a_root_that_does_not_exist_is_an_error() {
        let error = contained(Path::new("no such folder"), "a").unwrap_err();
        assert!(matches!(error, PathError::Unresolved { .. }), "{error}");
    }

    /// A root with a file, a folder, links that stay inside and links that leave.
    #[cfg(unix)]
    fn tree() -> tempfile::TempDir {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("sub/deep")).unwrap();
        fs::write(dir.path().join("secret"), b"secret").unwrap();
        fs::write(root.join("file"), b"").unwrap();
        symlink("../secret", root.join("out")).unwrap();
        symlink("..", root.join("up")).unwrap();
        symlink("../../absent", root.join("sub/dangling")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        symlink(".", root.join("self")).unwrap();
        symlink("sub", root.join("in")).unwrap();
        symlink(root.join("file"), root.join("sub/deep/file")).unwrap();
        dir
    }

    #[cfg(unix)]
    #[test]
    fn links_may_lead_about_inside_the_root_but_not_out_of_it() {
        let dir = tree();
        let root = dir.path().join("root");
        let real = root.canonicalize().unwrap();
        assert_eq!(contained(&root, "in/deep/file").unwrap(), real.join("file"));
        assert_eq!(contained(&root, "in/new").unwrap(), real.join("sub/new"));
        assert_eq!(contained(&root, "self/self/file").unwrap(), real.join("file"));
        for text in ["self", "self/self"] {
            let error = contained(&root, text).unwrap_err();
            assert!(matches!(error, PathError::Empty { .. }), "{text}: {error}");
        }
        for text in ["out", "up", "up/secret", "up/root/file"] {
            let error = contained(&root, text).unwrap_err();
            assert!(matches!(error, PathError::Outside { .. }), "{text}: {error}");
        }
        for text in ["sub/dangling", "sub/dangling/x", "loop", "file/x"] {
            let error = contained(&root, text).unwrap_err();
            assert!(matches!(error, PathError::Unresolved { .. }), "{text}: {error}");
        }
    }

    #[cfg(unix)]
    proptest! {
        #[test]
        fn no_path_that_is_let_through_escapes(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "/", "..", ".", "", "\\", "C:", "\0", "file", "out", "up", "sub", "deep", "dangling", "loop",
                    "self", "in", "root", "secret", "new", "é",
                ]),
                0..8,
            ),
            slashes in any::<bool>(),
        ) {
            let dir = tree();
            let root = dir.path().join("root").canonicalize().unwrap();
            if let Ok(path) = contained(&root, &parts.join(if slashes { "/" } else { "" })) {
                prop_assert!(path.starts_with(&root) && path != root, "{path:?}");
                prop_assert!(!path.components().any(|c| c == std::path::Component::ParentDir));
                if let Ok(real) = path.canonicalize() {
                    prop_assert!(real.starts_with(&root), "{path:?} is {real:?}");
                }
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = contained(&std::env::temp_dir(), &text);
        }
    }
}
