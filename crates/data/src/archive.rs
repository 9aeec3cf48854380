//! A data set as archives in WebDataset's layout: neighbouring members of one name and several endings are a record.
//!
//! `0001.jpg` and `0001.json` make a record of the JSON's fields with the picture as its image; `0001.question.txt` and
//! `0001.txt` are texts in the fields `question` and `text`. In memory are the places of the members. Nothing is ever
//! unpacked to where a member's name says, and a name that leads out of the archive is refused all the same.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};
use tar::{Archive, EntryType};
use tempfile::TempPath;
use vigos_core::files::{self, FileError, folder_of};
use vigos_core::text::one_line;
use vigos_layouts::{Reader, RowFields};
use vigos_recipe::row::BadRow;

use crate::error::DatasetError;
use crate::packing::unpacked;
use crate::reading::Reading;
use crate::records::{MAX_ROW, object};
use crate::row_result::RowResult;
use crate::stored::{RecordFields, Stored};
use vigos_core::order::RowGroup;

/// What messages call it.
const KIND: &str = "a WebDataset archive";
/// Endings of pictures.
const PICTURES: [&str; 7] = ["jpg", "jpeg", "png", "gif", "webp", "bmp", "ppm"];
/// Endings of texts.
const TEXTS: [&str; 4] = ["txt", "text", "cls", "caption"];
/// Most bytes of a picture, as of one that a file holds.
const MAX_PICTURE: u64 = 256 << 20;
/// Most members of a record.
const MAX_MEMBERS: usize = 256;
/// Most members of an archive.
const MAX_ENTRIES: usize = 1 << 26;

/// Archives as one table.
#[derive(Debug)]
pub(crate) struct Archives {
    files: Vec<ArchiveFile>,
    samples: Vec<Sample>,
    reader: Reader,
    image_root: Option<PathBuf>,
}

#[derive(Debug)]
struct ArchiveFile {
    /// Its name in messages.
    path: PathBuf,
    /// Where its bytes are, if it was compressed.
    unpacked: Option<TempPath>,
}

/// The members of one name.
#[derive(Debug)]
struct Sample {
    file: usize,
    name: String,
    members: Vec<Member>,
}

/// A member by the endings of its name.
#[derive(Debug)]
struct Member {
    endings: String,
    start: u64,
    bytes: u64,
}

impl Archives {
    /// Finds the members of `files`, and of no more files than `limit` records need.
    pub(crate) fn open(
        files: &[PathBuf],
        fields: &RowFields,
        reading: Reading,
    ) -> Result<Self, DatasetError> {
        let limit = reading.limit.unwrap_or(usize::MAX);
        let (reader, image_root) = (reading.reader(fields), reading.image_root.map(Path::to_owned));
        let mut archives = Self { files: Vec::new(), samples: Vec::new(), reader, image_root };
        for path in files {
            if archives.samples.len() >= limit {
                break;
            }
            let unpacked = unpacked(path)?;
            let plain = unpacked.as_deref().unwrap_or(path);
            let file = files::open(plain).map_err(|e| FileError::io("open", path, e))?;
            let number = archives.files.len();
            let found = samples(file, number, limit - archives.samples.len());
            archives.samples.extend(found.map_err(|reason| fault(path, reason))?);
            archives.files.push(ArchiveFile { path: path.clone(), unpacked });
        }
        Ok(archives)
    }

    /// The fields of record `index`, or why there are none, with where it stands and the folder of its archive.
    fn record(&self, index: usize) -> Option<(RecordFields, String, &Sample, &Path)> {
        let sample = self.samples.get(index)?;
        let file = self.files.get(sample.file)?;
        let origin = format!("{}: {}", file.path.display(), one_line(&sample.name, 80));
        let root = self.image_root.as_deref().unwrap_or_else(|| folder_of(&file.path));
        let image = match &self.reader.fields {
            RowFields::Questions(names) => &names.image,
            RowFields::Demonstrations(names) => &names.image,
            RowFields::Benchmark(_) => "image",
        };
        Some((sample.fields(file, image), origin, sample, root))
    }
}

impl Stored for Archives {
    fn records(&self) -> usize {
        self.samples.len()
    }

    fn rows(&self, index: usize) -> Result<Option<Vec<RowResult>>, DatasetError> {
        Ok(self.record(index).map(|(record, origin, sample, root)| match record {
            Ok(record) => self.reader.rows(&record, &origin, index + 1, root),
            Err(reason) => vec![Err(BadRow::new(origin, &sample.name, &reason))],
        }))
    }

    fn groups(&self) -> Option<Vec<RowGroup>> {
        None
    }

    fn fields(&self, index: usize) -> Result<Option<Map<String, Value>>, DatasetError> {
        Ok(self.record(index).and_then(|(record, ..)| record.ok()))
    }
}

fn fault(path: &Path, reason: String) -> DatasetError {
    DatasetError::Container { path: path.to_owned(), kind: KIND, reason }
}

/// The records of an archive, at most `limit`.
fn samples(file: File, number: usize, limit: usize) -> Result<Vec<Sample>, String> {
    let size = file.metadata().map_err(|e| e.to_string())?.len();
    let mut archive = Archive::new(file);
    let mut samples: Vec<Sample> = Vec::new();
    let entries = archive.entries_with_seek().map_err(|e| e.to_string())?;
    for (count, entry) in entries.enumerate() {
        let entry = entry.map_err(|e| {
            format!("member {}: {}; the file may be cut off", count + 1, one_line(&e.to_string(), 200))
        })?;
        if count >= MAX_ENTRIES {
            return Err(format!("it has more than {MAX_ENTRIES} members, wanted fewer"));
        }
        let path = entry.path_bytes();
        let path =
            std::str::from_utf8(&path).map_err(|_| format!("member {}: its name is not UTF-8", count + 1))?;
        let shown = one_line(path, 80).into_owned();
        if path.starts_with('/') || path.split('/').any(|part| part == "..") || path.contains(['\\', '\0']) {
            return Err(format!(
                "member {shown:?}: its name leads out of the archive, wanted one that stays within"
            ));
        }
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => {}
            EntryType::Directory | EntryType::XGlobalHeader => continue,
            other => {
                return Err(format!(
                    "member {shown:?}: found an entry of type {other:?}, wanted plain files"
                ));
            }
        }
        let (start, bytes) = (entry.raw_file_position(), entry.size());
        if start.checked_add(bytes).is_none_or(|end| end > size) {
            return Err(format!("member {shown:?} goes on beyond the end; the file may be cut off"));
        }
        let (folder, base) = path.rsplit_once('/').unwrap_or(("", path));
        // Without an ending, or hidden: what systems leave in archives.
        let Some((stem, endings)) = base.split_once('.').filter(|(stem, _)| !stem.is_empty()) else {
            continue;
        };
        let name = if folder.is_empty() { stem.to_owned() } else { format!("{folder}/{stem}") };
        let member = Member { endings: endings.to_ascii_lowercase(), start, bytes };
        let is_full = samples.len() >= limit;
        match samples.last_mut() {
            Some(sample) if sample.name == name => sample.members.push(member),
            _ if is_full => break,
            _ => samples.push(Sample { file: number, name, members: vec![member] }),
        }
    }
    Ok(samples)
}

impl Sample {
    /// The fields that its members make, the pictures in that of `image` or in `images`.
    fn fields(&self, file: &ArchiveFile, image: &str) -> RecordFields {
        if self.members.len() > MAX_MEMBERS {
            return Err(format!(
                "found {} members of its name, wanted at most {MAX_MEMBERS}",
                self.members.len()
            ));
        }
        let plain = file.unpacked.as_deref().unwrap_or(&file.path);
        let mut source = files::open(plain).map_err(|e| e.to_string())?;
        let (mut fields, mut texts, mut pictures) = (Map::new(), Map::new(), Vec::new());
        for member in &self.members {
            let fault = |reason: String| format!("member .{}: {reason}", one_line(&member.endings, 40));
            let (name, ending) = member.endings.rsplit_once('.').unwrap_or(("", &member.endings));
            match ending {
                "json" => {
                    let text = member.read(&mut source, MAX_ROW as u64).map_err(fault)?;
                    fields.extend(object(&text).map_err(fault)?);
                }
                _ if PICTURES.contains(&ending) => {
                    let data = member.read(&mut source, MAX_PICTURE).map_err(fault)?;
                    let data = Value::String(BASE64_STANDARD.encode(data));
                    pictures.push(Value::Object(Map::from_iter([("bytes".to_owned(), data)])));
                }
                _ if TEXTS.contains(&ending) => {
                    let text = member.read(&mut source, MAX_ROW as u64).map_err(fault)?;
                    let text = String::from_utf8(text).map_err(|_| fault("it is not UTF-8".into()))?;
                    let field = match (name, ending) {
                        ("", "cls") => "label",
                        ("", _) => "text",
                        (name, _) => name,
                    };
                    texts.insert(
                        field.to_owned(),
                        Value::String(text.trim_end_matches(['\r', '\n']).to_owned()),
                    );
                }
                // Features, masks, whatever else somebody keeps beside them.
                _ => {}
            }
        }
        for (field, text) in texts {
            fields.entry(field).or_insert(text);
        }
        if !pictures.is_empty() {
            // What its JSON says of pictures is where they once were.
            let named = if image == "image" && !fields.contains_key("image") { "images" } else { image };
            fields.remove("images");
            fields.insert(named.to_owned(), Value::Array(pictures));
        }
        fields.entry("id").or_insert_with(|| Value::String(self.name.clone()));
        Ok(fields)
    }
}

impl Member {
    fn read(&self, file: &mut File, most: u64) -> Result<Vec<u8>, String> {
        if self.bytes > most {
            return Err(format!("found {} bytes, wanted at most {most}", self.bytes));
        }
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(self.start))
            .and_then(|_| file.take(self.bytes).read_to_end(&mut bytes))
            .map_err(|e| e.to_string())?;
        match bytes.len() as u64 == self.bytes {
            true => Ok(bytes),
            false => Err("it is cut off".into()),
        }
    }
}
