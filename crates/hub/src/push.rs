//! Files to the hub: a repository is made where there is none, the hub says which files it has, the others are sent, and one
//! commit names them all. Nothing is seen on the hub before the commit, and what is sent of a push that fails is not sent
//! again by the next one.

use std::fmt::{self, Display, Formatter};
use std::thread::sleep;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha1::{Digest, Sha1};
use vigos_core::files::Progress;

use crate::error::HubError;
use crate::http::{Answer, Client};
use crate::parcel::{Item, Parcel, hex};
use crate::reference::Reference;
use crate::settings::Settings;
use crate::store::{Store, answered, post, refused, retried};

const BRANCH: &str = "main";
/// What the repository's history says of a push.
const SUMMARY: &str = "Upload with vigos";
/// Bytes of a file by which the hub tells what it is.
const SAMPLE: u64 = 512;
/// Files that the hub is asked about at once.
const TOGETHER: usize = 256;
/// Largest file that is part of a commit itself.
const LARGEST_TEXT: u64 = 10 << 20;

/// What became of a push.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pushed {
    /// Where it is to be looked at.
    pub url: String,
    /// Whether a repository was made for it, which only its owner sees.
    pub made: bool,
    /// Files that the commit has; none where the hub had them all.
    pub committed: Vec<String>,
    /// Of these, files whose content the hub's store had already, as after a push that was cut off.
    pub stored: usize,
    /// Files that the repository had as they are.
    pub kept: usize,
    /// Files that the repository's `.gitignore` leaves out.
    pub ignored: Vec<String>,
}

impl Display for Pushed {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{} files sent to {}, {} were there already", self.committed.len(), self.url, self.kept)?;
        if !self.ignored.is_empty() {
            write!(out, "\nleft out, as the repository's .gitignore says: {}", self.ignored.join(", "))?;
        }
        if self.made {
            write!(
                out,
                "\nthe repository is new and seen by you alone; its settings on the hub make it public"
            )?;
        }
        Ok(())
    }
}

/// Sends a parcel to the repository `ORG/NAME`, whose other files stay; one that is not there is made, for its owner alone
/// to see. `progress` sees large files go.
///
/// # Errors
/// [`HubError`]. What the repository has is then what it had, unless the answer to the commit itself was lost.
pub fn push(
    settings: &Settings,
    id: &str,
    parcel: &Parcel,
    progress: &mut Progress,
) -> Result<Pushed, HubError> {
    let Reference { id, .. } = Reference::repository(id)?;
    if settings.offline {
        let url = settings.endpoint.clone();
        return Err(HubError::Connection { url, reason: "HF_HUB_OFFLINE is set".into() });
    }
    if settings.token.is_none() {
        return Err(HubError::NoToken { what: id });
    }
    let client = Client::new(settings);
    let push = Push { client: &client, settings, id: &id };
    let mut pushed = Pushed { url: format!("{}/{id}", settings.endpoint), ..Pushed::default() };
    pushed.made = push.make()?;
    let mut failures = 0;
    loop {
        // After a commit whose answer was lost, nothing is left to send here.
        let plan = push.plan(parcel)?;
        pushed.ignored = plan.ignored.iter().map(|file| file.name.clone()).collect();
        let names = plan.texts.iter().chain(&plan.large).map(|file| file.name.clone());
        let committed: Vec<String> = names.collect();
        if committed.is_empty() {
            return Ok(pushed.counted(parcel));
        }
        pushed.stored = Store { client: &client, settings, id: &id }.send(&plan.large, progress)?;
        pushed.committed = committed;
        let sent = push.commit(&plan);
        match sent {
            Ok(()) => return Ok(pushed.counted(parcel)),
            Err(error) if error.passes() && failures + 1 < settings.attempts => {
                failures += 1;
                sleep(settings.timeout / 30 * failures);
            }
            Err(error) => return Err(error),
        }
    }
}

impl Pushed {
    /// With what else was there of the parcel.
    fn counted(self, parcel: &Parcel) -> Self {
        let kept = parcel.files().len().saturating_sub(self.committed.len() + self.ignored.len());
        Self { kept, ..self }
    }
}

/// A push under way.
struct Push<'a> {
    client: &'a Client,
    settings: &'a Settings,
    id: &'a str,
}

/// What is to be sent of a parcel.
struct Plan<'a> {
    /// Files that go with the commit.
    texts: Vec<&'a Item>,
    /// Files that go to the store, and by their hash into the commit.
    large: Vec<&'a Item>,
    /// Files that the repository does not want.
    ignored: Vec<&'a Item>,
}

/// What the hub says of files before they are sent.
#[derive(Deserialize)]
struct Modes {
    files: Vec<ModeOf>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ModeOf {
    path: String,
    upload_mode: Mode,
    #[serde(default)]
    should_ignore: bool,
    /// Of the file that the repository has under this name.
    #[serde(default)]
    oid: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Regular,
    Lfs,
}

impl<'a> Push<'a> {
    fn url(&self, rest: &str) -> String {
        format!("{}/api/models/{}/{rest}", self.settings.endpoint, self.id)
    }

    /// Makes the repository if it is not there; whether it was made.
    fn make(&self) -> Result<bool, HubError> {
        let there = format!("{}/api/models/{}", self.settings.endpoint, self.id);
        match retried(self.settings, || self.client.listing(&there, self.id)) {
            Ok(_) => return Ok(false),
            Err(HubError::NotFound { .. } | HubError::Unauthorised { .. }) => {}
            Err(other) => return Err(other),
        }
        let (organization, name) = self.id.split_once('/').unwrap_or(("", self.id));
        let body = json!({ "type": "model", "organization": organization, "name": name, "private": true })
            .to_string();
        let url = format!("{}/api/repos/create", self.settings.endpoint);
        let sent = || post(self.client, &url, "application/json", self.id, body.as_bytes());
        match retried(self.settings, || sent().and_then(|answer| made(self.id, &answer)))? {
            // Somebody else made it meanwhile.
            409 => Ok(false),
            _ => Ok(true),
        }
    }

    /// Asks which files are to be sent, and how.
    fn plan(&self, parcel: &'a Parcel) -> Result<Plan<'a>, HubError> {
        let url = self.url(&format!("preupload/{BRANCH}"));
        let fault = |reason: String| HubError::Answer { url: url.clone(), reason };
        let mut plan = Plan { texts: vec![], large: vec![], ignored: vec![] };
        for files in parcel.files().chunks(TOGETHER) {
            let mut asked = Vec::new();
            for file in files {
                let sample = STANDARD.encode(file.beginning(SAMPLE)?);
                asked.push(json!({ "path": file.name, "size": file.size, "sample": sample }));
            }
            let body = json!({ "files": asked }).to_string();
            let told: Modes = retried(self.settings, || {
                let answer = post(self.client, &url, "application/json", self.id, body.as_bytes())?;
                answered(&url, self.id, &answer)
            })?;
            for file in files {
                let Some(of) = told.files.iter().find(|of| of.path == file.name) else {
                    return Err(fault(format!("it says nothing of {}", file.name)));
                };
                // The store takes no empty file.
                let mode = if file.size == 0 { Mode::Regular } else { of.upload_mode };
                match mode {
                    _ if of.should_ignore => plan.ignored.push(file),
                    Mode::Lfs if of.oid.as_ref() == Some(&file.sha256) => {}
                    Mode::Lfs => plan.large.push(file),
                    Mode::Regular if file.size > LARGEST_TEXT => {
                        let size = file.size;
                        return Err(fault(format!("it wants {} of {size} bytes as a text", file.name)));
                    }
                    Mode::Regular if of.oid.is_some() && of.oid == Some(git_hash(&file.content()?)) => {}
                    Mode::Regular => plan.texts.push(file),
                }
            }
        }
        Ok(plan)
    }

    /// Names all files at once; the texts go along.
    fn commit(&self, plan: &Plan) -> Result<(), HubError> {
        let mut lines = vec![json!({ "key": "header", "value": { "summary": SUMMARY, "description": "" } })];
        for file in &plan.texts {
            let content = STANDARD.encode(file.content()?);
            lines.push(json!({
                "key": "file",
                "value": { "path": file.name, "content": content, "encoding": "base64" },
            }));
        }
        for file in &plan.large {
            lines.push(json!({
                "key": "lfsFile",
                "value": { "path": file.name, "algo": "sha256", "oid": file.sha256, "size": file.size },
            }));
        }
        let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let url = self.url(&format!("commit/{BRANCH}"));
        let answer = post(self.client, &url, "application/x-ndjson", self.id, body.as_bytes())?;
        if (200..300).contains(&answer.status) { Ok(()) } else { Err(refused(&url, self.id, &answer)) }
    }
}

/// The status of what was answered to making a repository, if there is one now.
fn made(id: &str, answer: &Answer) -> Result<u16, HubError> {
    let busy = || String::from_utf8_lossy(&answer.bytes).contains("conflicting operation");
    match answer.status {
        200..300 => Ok(answer.status),
        409 if busy() => Err(HubError::Status { url: id.to_owned(), status: 409 }),
        409 => Ok(answer.status),
        _ => Err(refused(id, id, answer)),
    }
}

/// The hash by which the hub knows a small file.
fn git_hash(content: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(format!("blob {}\0", content.len()));
    hash.update(content);
    hex(&hash.finalize())
}
