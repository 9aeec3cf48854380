//! One file from the hub into the cache, resumed where it was cut off, and checked.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::thread::sleep;

use sha2::{Digest, Sha256};
use vigos_core::files::{FileError, Progress};

use crate::cache::{RepoCache, link, make_folder_of};
use crate::error::HubError;
use crate::http::{Client, header};
use crate::settings::Settings;

const BUFFER: usize = 64 << 10;

/// A file to fetch.
pub(crate) struct Wanted<'a> {
    /// Its name in messages.
    pub(crate) what: &'a str,
    /// Where the hub has it.
    pub(crate) url: &'a str,
    /// Where the snapshot has it.
    pub(crate) path: &'a Path,
}

/// What the hub says of a file.
struct Stored {
    etag: String,
    size: u64,
}

/// Fetches a file that the snapshot lacks.
pub(crate) fn fetch(
    client: &Client,
    settings: &Settings,
    cache: &RepoCache,
    wanted: &Wanted,
    progress: &mut Progress,
) -> Result<(), HubError> {
    let stored = stored(client, wanted)?;
    let blob = cache.blob(&stored.etag);
    make_folder_of(&blob)?;
    // Held until the end, so that of several programs only one fetches.
    let _lock = locked(&cache.lock(&stored.etag))?;
    if fs::metadata(&blob).is_ok_and(|found| found.len() == stored.size) {
        return Ok(link(&blob, wanted.path)?);
    }
    let part = blob.with_file_name(format!("{}.incomplete", stored.etag));
    let mut download = Download { client, settings, wanted, part: &part, size: stored.size };
    download.run(progress)?;
    check(wanted.what, &part, &stored.etag)?;
    fs::rename(&part, &blob).map_err(|e| FileError::io("rename", &part, e))?;
    Ok(link(&blob, wanted.path)?)
}

fn stored(client: &Client, wanted: &Wanted) -> Result<Stored, HubError> {
    let headers = client.headers(wanted.url, wanted.what)?;
    let fault = |reason: &str| HubError::Answer { url: wanted.url.to_owned(), reason: reason.to_owned() };
    let etag = header(&headers, "x-linked-etag").or_else(|| header(&headers, "etag"));
    let etag = etag.ok_or_else(|| fault("the answer has no ETag"))?;
    let etag = etag.trim_start_matches("W/").trim_matches('"');
    // It becomes the name of a file.
    let usual = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if etag.is_empty() || etag.len() > 128 || !etag.bytes().all(usual) {
        return Err(fault("the answer's ETag is no hash"));
    }
    let size = header(&headers, "x-linked-size").or_else(|| header(&headers, "content-length"));
    let size = size.and_then(|size| size.parse().ok()).ok_or_else(|| fault("the answer has no size"))?;
    Ok(Stored { etag: etag.to_owned(), size })
}

fn locked(path: &Path) -> Result<File, FileError> {
    make_folder_of(path)?;
    let io = |e| FileError::io("lock", path, e);
    let file = OpenOptions::new().create(true).append(true).open(path).map_err(io)?;
    file.lock().map_err(io)?;
    Ok(file)
}

/// A download under way.
struct Download<'a> {
    client: &'a Client,
    settings: &'a Settings,
    wanted: &'a Wanted<'a>,
    part: &'a Path,
    size: u64,
}

impl Download<'_> {
    /// Goes on until all is there, or nothing more comes.
    fn run(&mut self, progress: &mut Progress) -> Result<(), HubError> {
        let (mut most, mut idle) = (0, 0);
        loop {
            let have = self.have()?;
            if have == self.size {
                return Ok(());
            }
            let result = self.resume(have, progress);
            let now = self.have()?;
            let last = match result {
                Ok(()) if now == self.size => return Ok(()),
                Ok(()) => {
                    HubError::Truncated { file: self.wanted.what.to_owned(), found: now, wanted: self.size }
                }
                Err(error) if error.passes() => error,
                Err(error) => return Err(error),
            };
            idle = if now > most { 0 } else { idle + 1 };
            most = most.max(now);
            if idle >= self.settings.attempts {
                return Err(match last {
                    // The connection was there and broke off.
                    HubError::Connection { .. } if now > 0 => HubError::Truncated {
                        file: self.wanted.what.to_owned(),
                        found: now,
                        wanted: self.size,
                    },
                    other => other,
                });
            }
            sleep(self.settings.timeout / 30 * idle);
        }
    }

    /// Bytes that are there; more than the file has are of another one.
    fn have(&self) -> Result<u64, HubError> {
        match fs::metadata(self.part) {
            Ok(found) if found.len() <= self.size => Ok(found.len()),
            Ok(_) => {
                fs::remove_file(self.part).map_err(|e| FileError::io("remove", self.part, e))?;
                Ok(0)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound && self.size > 0 => Ok(0),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                File::create(self.part).map_err(|e| FileError::io("create", self.part, e))?;
                Ok(0)
            }
            Err(e) => Err(FileError::io("read", self.part, e).into()),
        }
    }

    fn resume(&self, have: u64, progress: &mut Progress) -> Result<(), HubError> {
        let (partial, body) = self.client.content(self.wanted.url, self.wanted.what, have)?;
        let mut at = if partial { have } else { 0 };
        let io = |e| FileError::io("write", self.part, e);
        // Without a part of it in the answer the file starts anew.
        let mut file = OpenOptions::new().create(true).append(true).open(self.part).map_err(io)?;
        file.set_len(at).map_err(io)?;
        let mut body = body.take(self.size - at);
        let mut buffer = vec![0; BUFFER];
        loop {
            match body.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    file.write_all(buffer.get(..count).unwrap_or_default()).map_err(io)?;
                    at += count as u64;
                    progress(self.wanted.what, at, self.size);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.client.interrupted(self.wanted.url, &e)),
            }
        }
    }
}

/// Checks the content of a large file, whose ETag is its SHA-256; small ones are under another hash.
fn check(what: &str, path: &Path, etag: &str) -> Result<(), HubError> {
    if etag.len() != 64 {
        return Ok(());
    }
    let io = |e| FileError::io("read", path, e);
    let mut file = File::open(path).map_err(io)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer).map_err(io)? {
            0 => break,
            count => hash.update(buffer.get(..count).unwrap_or_default()),
        }
    }
    let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if found.eq_ignore_ascii_case(etag) {
        return Ok(());
    }
    fs::remove_file(path).map_err(|e| FileError::io("remove", path, e))?;
    Err(HubError::Damaged { file: what.to_owned(), found, wanted: etag.to_owned() })
}
