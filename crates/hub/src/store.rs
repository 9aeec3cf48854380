//! Large files into the hub's store, each under its hash: whole, or in parts where the hub wants parts.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::thread::sleep;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use vigos_core::files::Progress;
use vigos_core::text::one_line;

use crate::error::HubError;
use crate::http::{Answer, Client, Length, Sent, Verb, header, may_follow, place};
use crate::parcel::Item;
use crate::settings::Settings;

const LFS: &str = "application/vnd.git-lfs+json";
/// Files that the store is asked about at once.
const TOGETHER: usize = 256;
/// Parts of a file; the hub's store takes no more.
const MOST_PARTS: u64 = 10_000;
/// Characters of what the hub says is wrong.
const LONGEST: usize = 200;

/// The store of a repository.
pub(crate) struct Store<'a> {
    pub(crate) client: &'a Client,
    pub(crate) settings: &'a Settings,
    pub(crate) id: &'a str,
}

/// What the store says of files.
#[derive(Deserialize)]
struct Batch {
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    oid: String,
    /// Absent where the store has the file.
    #[serde(default)]
    actions: Option<Actions>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Actions {
    #[serde(default)]
    upload: Option<Action>,
    #[serde(default)]
    verify: Option<Action>,
}

#[derive(Deserialize)]
struct Action {
    href: String,
    /// Of an upload in parts: `chunk_size`, and the address of each part under its number.
    #[serde(default)]
    header: BTreeMap<String, Value>,
}

impl Store<'_> {
    /// Sends what the store does not have; of how many files it had the content.
    pub(crate) fn send(&self, files: &[&Item], progress: &mut Progress) -> Result<usize, HubError> {
        let url = format!("{}/{}.git/info/lfs/objects/batch", self.settings.endpoint, self.id);
        let mut stored = 0;
        for files in files.chunks(TOGETHER) {
            let objects: Vec<Value> =
                files.iter().map(|file| json!({ "oid": file.sha256, "size": file.size })).collect();
            let body = json!({
                "operation": "upload",
                "transfers": ["basic", "multipart"],
                "objects": objects,
                "hash_algo": "sha256",
                "ref": { "name": "main" },
            })
            .to_string();
            let batch: Batch = retried(self.settings, || {
                let answer = post(self.client, &url, LFS, self.id, body.as_bytes())?;
                answered(&url, self.id, &answer)
            })?;
            for file in files {
                let Some(object) = batch.objects.iter().find(|object| object.oid == file.sha256) else {
                    return Err(fault(&url, format!("it says nothing of {}", file.name)));
                };
                if let Some(error) = &object.error {
                    let message = said(error);
                    return Err(HubError::Refused { what: file.name.clone(), status: 422, message });
                }
                match &object.actions {
                    Some(Actions { upload: Some(upload), verify }) => {
                        self.upload(file, upload, progress)?;
                        if let Some(verify) = verify {
                            self.verify(file, verify)?;
                        }
                    }
                    _ => stored += 1,
                }
            }
        }
        Ok(stored)
    }

    /// Sends one file.
    fn upload(&self, file: &Item, upload: &Action, progress: &mut Progress) -> Result<(), HubError> {
        self.allowed(&upload.href)?;
        progress(&file.name, 0, file.size);
        let Some(size) = upload.header.get("chunk_size") else {
            self.put(file, &upload.href, 0, file.size)?;
            progress(&file.name, file.size, file.size);
            return Ok(());
        };
        let size = size.as_u64().or_else(|| size.as_str()?.parse().ok()).filter(|size| *size > 0);
        let parts =
            size.map(|size| (size, file.size.div_ceil(size))).filter(|(_, parts)| *parts <= MOST_PARTS);
        let Some((size, parts)) = parts else {
            return Err(fault(
                &upload.href,
                format!("parts of {} are of no size that can be sent", file.name),
            ));
        };
        let mut done = Vec::new();
        for number in 1..=parts {
            // The hub writes numbers with zeros before them.
            let is_it = |(key, _): &(&String, &Value)| {
                key.bytes().all(|b| b.is_ascii_digit()) && key.parse() == Ok(number)
            };
            let address = upload.header.iter().find(is_it).and_then(|(_, value)| value.as_str());
            let Some(address) = address else {
                let reason = format!("there is no address for part {number} of {} of {}", parts, file.name);
                return Err(fault(&upload.href, reason));
            };
            self.allowed(address)?;
            let start = (number - 1) * size;
            let length = size.min(file.size - start);
            let answer = self.put(file, address, start, length)?;
            let Some(etag) = header(&answer.headers, "etag").filter(|etag| !etag.is_empty()) else {
                return Err(fault(address, format!("the answer to part {number} has no ETag")));
            };
            done.push(json!({ "partNumber": number, "etag": etag }));
            progress(&file.name, start + length, file.size);
        }
        let body = json!({ "oid": file.sha256, "parts": done }).to_string();
        self.done(file, &upload.href, &body)
    }

    /// Asks the hub whether it has what was sent.
    fn verify(&self, file: &Item, verify: &Action) -> Result<(), HubError> {
        self.allowed(&verify.href)?;
        self.done(file, &verify.href, &json!({ "oid": file.sha256, "size": file.size }).to_string())
    }

    /// Says that a file was sent.
    fn done(&self, file: &Item, url: &str, body: &str) -> Result<(), HubError> {
        retried(self.settings, || {
            let answer = post(self.client, url, LFS, &file.name, body.as_bytes())?;
            is_taken(url, &file.name, answer).map(|_| ())
        })
    }

    /// Sends a part of a file, again from its start where that was cut off.
    fn put(&self, file: &Item, url: &str, start: u64, length: u64) -> Result<Answer, HubError> {
        let sent = Sent { verb: Verb::Put, url, kind: "application/octet-stream", what: &file.name };
        retried(self.settings, || {
            let body = || Ok(Length { size: length, reader: file.part(start, length)? });
            is_taken(url, &file.name, self.client.send(&sent, body)?)
        })
    }

    fn allowed(&self, url: &str) -> Result<(), HubError> {
        if may_follow(&self.settings.endpoint, url) {
            return Ok(());
        }
        Err(fault(url, "files are not sent to such an address".into()))
    }
}

fn fault(url: &str, reason: String) -> HubError {
    HubError::Answer { url: place(url), reason }
}

/// Sends a body at hand.
pub(crate) fn post(
    client: &Client,
    url: &str,
    kind: &'static str,
    what: &str,
    body: &[u8],
) -> Result<Answer, HubError> {
    let reader = || -> Box<dyn Read> { Box::new(Cursor::new(body.to_vec())) };
    client.send(&Sent { verb: Verb::Post, url, kind, what }, || {
        Ok(Length { size: body.len() as u64, reader: reader() })
    })
}

/// Does it again where waiting may help.
pub(crate) fn retried<T>(
    settings: &Settings,
    mut work: impl FnMut() -> Result<T, HubError>,
) -> Result<T, HubError> {
    let mut failures = 0;
    loop {
        match work() {
            Err(error) if error.passes() && failures + 1 < settings.attempts => {
                failures += 1;
                sleep(settings.timeout / 30 * failures);
            }
            other => return other,
        }
    }
}

/// What a good answer says.
pub(crate) fn answered<T: DeserializeOwned>(url: &str, what: &str, answer: &Answer) -> Result<T, HubError> {
    if answer.status != 200 {
        return Err(refused(url, what, answer));
    }
    serde_json::from_slice(&answer.bytes).map_err(|e| fault(url, format!("the answer is damaged: {e}")))
}

fn is_taken(url: &str, what: &str, answer: Answer) -> Result<Answer, HubError> {
    if (200..300).contains(&answer.status) { Ok(answer) } else { Err(refused(url, what, &answer)) }
}

/// What an answer means that is none to go on with.
pub(crate) fn refused(url: &str, what: &str, answer: &Answer) -> HubError {
    match answer.status {
        status @ (401 | 403) => HubError::Unauthorised {
            what: what.to_owned(),
            status,
            hint: "check the name, and that the token of HF_TOKEN may write there",
        },
        status @ (408 | 409 | 429 | 500..=599) => HubError::Status { url: place(url), status },
        status => {
            let told: Option<Value> = serde_json::from_slice(&answer.bytes).ok();
            HubError::Refused {
                what: what.to_owned(),
                status,
                message: told.as_ref().map_or_else(String::new, said),
            }
        }
    }
}

/// What is wrong in the hub's own words, of which a line is shown.
fn said(error: &Value) -> String {
    let text = error.get("error").or_else(|| error.get("message")).and_then(Value::as_str);
    one_line(text.unwrap_or_default(), LONGEST).into_owned()
}
