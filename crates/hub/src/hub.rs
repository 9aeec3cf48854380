//! What a model or a split of a data set consists of, and where it is once it is there.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use vigos_core::files::Progress;

use crate::cache::{RepoCache, files_of};
use crate::content::Content;
use crate::error::HubError;
use crate::fetch::{Wanted, fetch};
use crate::http::Client;
use crate::reference::{Reference, bare_name, is_commit, is_reference};
use crate::settings::Settings;

const MAIN: &str = "main";

/// The folder of the model at `path`: fetched from the hub that the environment names if `path` is of the form
/// `hf:ORG/NAME[@REVISION]`, else `path` itself.
///
/// # Errors
/// As [`Hub::model`].
pub fn model_folder(path: &Path, progress: &mut Progress) -> Result<PathBuf, HubError> {
    if is_reference(path) { Hub::from_env()?.model(path, progress) } else { local(path) }
}

/// The same without the weights: configuration, tokenizer, processor and template.
///
/// # Errors
/// As [`Hub::model`].
pub fn side_files_folder(path: &Path, progress: &mut Progress) -> Result<PathBuf, HubError> {
    if is_reference(path) { Hub::from_env()?.side_files(path, progress) } else { local(path) }
}

/// The same for an adapter.
///
/// # Errors
/// As [`Hub::model`].
pub fn adapter_folder(path: &Path, progress: &mut Progress) -> Result<PathBuf, HubError> {
    if is_reference(path) { Hub::from_env()?.adapter(path, progress) } else { local(path) }
}

/// The same without the adapter's tensors.
///
/// # Errors
/// As [`Hub::model`].
pub fn adapter_config_folder(path: &Path, progress: &mut Progress) -> Result<PathBuf, HubError> {
    if is_reference(path) { Hub::from_env()?.adapter_config(path, progress) } else { local(path) }
}

/// A path, unless nothing is there and it has the form of a name on the hub: that is what was meant.
fn local(path: &Path) -> Result<PathBuf, HubError> {
    match bare_name(path) {
        Some(name) if !path.exists() => Err(HubError::BareName { hint: format!("hf:{name}"), name }),
        _ => Ok(path.to_owned()),
    }
}

/// The hub and its cache.
#[derive(Debug)]
pub struct Hub {
    settings: Settings,
    client: Client,
}

/// What the hub says of a revision.
#[derive(Debug, Deserialize)]
struct Listing {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Debug, Deserialize)]
struct Sibling {
    rfilename: String,
}

/// A model or data set at a revision.
struct Source {
    id: String,
    revision: String,
    content: Content,
    /// As the user wrote it.
    name: String,
}

impl Source {
    /// The files wanted in a snapshot's folder, if all are there.
    fn whole(&self, folder: PathBuf) -> Result<(PathBuf, Vec<String>), HubError> {
        let files = self.content.choose(&self.name, &files_of(&folder))?;
        match self.content.missing(&folder, &files) {
            None => Ok((folder, files)),
            Some(missing) => Err(HubError::Incomplete { what: self.name.clone(), missing }),
        }
    }
}

impl Hub {
    /// The hub that these settings name.
    pub fn new(settings: Settings) -> Self {
        Self { client: Client::new(&settings), settings }
    }

    /// The hub that the environment names.
    ///
    /// # Errors
    /// [`HubError::Setting`].
    pub fn from_env() -> Result<Self, HubError> {
        Ok(Self::new(Settings::from_env()?))
    }

    /// The folder of the model `hf:ORG/NAME[@REVISION]`. Configuration, tokenizer and weights are fetched as far as
    /// the cache lacks them.
    ///
    /// # Errors
    /// [`HubError`].
    pub fn model(&self, path: &Path, progress: &mut Progress) -> Result<PathBuf, HubError> {
        self.folder(path, Content::Model, progress)
    }

    /// The same without the weights.
    ///
    /// # Errors
    /// [`HubError`].
    pub fn side_files(&self, path: &Path, progress: &mut Progress) -> Result<PathBuf, HubError> {
        self.folder(path, Content::SideFiles, progress)
    }

    /// The folder of the PEFT adapter `hf:ORG/NAME[@REVISION]`: its configuration and its tensors.
    ///
    /// # Errors
    /// [`HubError`].
    pub fn adapter(&self, path: &Path, progress: &mut Progress) -> Result<PathBuf, HubError> {
        self.folder(path, Content::Adapter, progress)
    }

    /// The same without the tensors.
    ///
    /// # Errors
    /// [`HubError`].
    pub fn adapter_config(&self, path: &Path, progress: &mut Progress) -> Result<PathBuf, HubError> {
        self.folder(path, Content::AdapterConfig, progress)
    }

    fn folder(&self, path: &Path, content: Content, progress: &mut Progress) -> Result<PathBuf, HubError> {
        let Reference { id, at } = Reference::model(path)?;
        let revision = at.unwrap_or_else(|| MAIN.to_owned());
        let source = Source { id, revision, content, name: path.display().to_string() };
        Ok(self.resolve(&source, progress)?.0)
    }

    /// The Parquet files of `hf:ORG/NAME@SPLIT`, in their order, fetched as far as the cache lacks them.
    ///
    /// # Errors
    /// [`HubError`].
    pub fn dataset(&self, path: &Path, progress: &mut Progress) -> Result<Vec<PathBuf>, HubError> {
        let Reference { id, at } = Reference::dataset(path)?;
        let content = Content::Split(at.unwrap_or_default());
        let source = Source { id, revision: MAIN.to_owned(), content, name: path.display().to_string() };
        let (folder, files) = self.resolve(&source, progress)?;
        Ok(files.iter().map(|file| folder.join(file)).collect())
    }

    /// The snapshot's folder, and in it the files wanted.
    fn resolve(&self, source: &Source, progress: &mut Progress) -> Result<(PathBuf, Vec<String>), HubError> {
        let cache = RepoCache::new(&self.settings.cache, &source.id, source.content.kind(), &source.revision);
        let cached = || cache.known_snapshot().map(|folder| source.whole(folder));
        if self.settings.offline {
            let missing = match cached() {
                Some(Ok(found)) => return Ok(found),
                Some(Err(HubError::Incomplete { missing, .. })) => missing,
                Some(Err(HubError::Split { wanted, .. })) => format!("the split `{wanted}`"),
                Some(Err(other)) => return Err(other),
                None => format!("the revision `{}`", source.revision),
            };
            let cache = self.settings.cache.clone();
            return Err(HubError::NotCached { what: source.name.clone(), missing, cache });
        }
        // A commit stays what it is.
        if let (true, Some(Ok(found))) = (is_commit(&source.revision), cached()) {
            return Ok(found);
        }
        let listing = match self.listing(source) {
            // Without network what is there will do, as far as it is whole.
            Err(error @ (HubError::Connection { .. } | HubError::Timeout { .. })) => {
                return cached().and_then(Result::ok).ok_or(error);
            }
            other => other?,
        };
        let files: Vec<String> = listing.siblings.into_iter().map(|sibling| sibling.rfilename).collect();
        let folder = cache.snapshot(&listing.sha);
        for file in source.content.choose(&source.name, &files)? {
            let path = folder.join(&file);
            if !path.is_file() {
                let url = self.url(source, &listing.sha, &file);
                let what = format!("{file} of {}", source.name);
                let wanted = Wanted { what: &what, url: &url, path: &path };
                fetch(&self.client, &self.settings, &cache, &wanted, progress)?;
            }
        }
        cache.remember(&listing.sha)?;
        source.whole(folder)
    }

    fn listing(&self, source: &Source) -> Result<Listing, HubError> {
        let (endpoint, kind) = (&self.settings.endpoint, source.content.listing());
        let url = format!("{endpoint}/{kind}/{}/revision/{}", source.id, source.revision.replace('/', "%2F"));
        let bytes = self.client.listing(&url, &source.name)?;
        let fault = |reason: String| HubError::Answer { url: url.clone(), reason };
        let listing: Listing =
            serde_json::from_slice(&bytes).map_err(|e| fault(format!("the listing is damaged: {e}")))?;
        if !is_commit(&listing.sha) {
            return Err(fault(format!("the commit is `{}`, wanted 40 hexadecimal digits", listing.sha)));
        }
        match listing.siblings.iter().find(|sibling| !is_inside(&sibling.rfilename)) {
            Some(Sibling { rfilename }) => Err(fault(format!("`{rfilename}` is no name of a file"))),
            None => Ok(listing),
        }
    }

    fn url(&self, source: &Source, commit: &str, file: &str) -> String {
        let (endpoint, prefix) = (&self.settings.endpoint, source.content.prefix());
        format!("{endpoint}/{prefix}{}/resolve/{commit}/{}", source.id, encoded(file))
    }
}

/// Whether a name is a relative path that stays where it starts.
fn is_inside(name: &str) -> bool {
    let part = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\\', ':', '\0']);
    name.split('/').all(part)
}

/// A path for an address: everything but the usual characters in percent form.
fn encoded(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                text.push(byte.into())
            }
            other => text += &format!("%{other:02X}"),
        }
    }
    text
}
