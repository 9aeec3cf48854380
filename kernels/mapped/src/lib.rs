//! Memory of the process. Files mapped to be read: their bytes are the system's own copy of the file, one for all processes
//! that map it, read from the disk as they are needed and given up when memory is short. And what is freed, kept for the
//! next step.

#![allow(unsafe_code)] // A file may change while it is mapped; the allocator is C's.

use bytes::Bytes;
use memmap2::{Advice, Mmap};
use std::fs::File;
use std::io;

/// The bytes of a file. They live as long as any part of them that was sliced off.
///
/// Another process that writes into the file changes what is read here from then on, and one that makes it shorter ends this
/// process when it reads beyond the new end: replace files by renaming others over them, which leaves the mapped one as it
/// was.
///
/// ```
/// let mut file = tempfile::tempfile().unwrap();
/// std::io::Write::write_all(&mut file, b"weights").unwrap();
/// let bytes = vigos_mapped::map(&file).unwrap();
/// let part = bytes.slice(2..);
/// drop((bytes, file));
/// assert_eq!(&part[..], b"ights");
/// ```
///
/// # Errors
/// If the file cannot be mapped, such as where there is no room among the addresses.
pub fn map(file: &File) -> io::Result<Bytes> {
    // SAFETY: the map is read only and its bytes are handed out as bytes, all of whose values are valid, so a file that
    // changes gives other numbers and no invalid one; callers make no decision on a byte that a later read relies on.
    let map = unsafe { Mmap::map(file) }?;
    // Advice alone: large pages where the system has them for files.
    let _ = map.advise(Advice::HugePage);
    Ok(Bytes::from_owner(map))
}

/// Has the allocator keep what is freed, up to 2 GiB, where it otherwise gives large pieces back to the system and asks for
/// them anew: a step takes what the one before it freed, and no page is cleared twice. For a program to call as it starts;
/// without effect where the allocator is not glibc's.
pub fn keep_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: both calls change numbers that the allocator reads, under its own lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 30);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
    }
}
