//! Links to pictures, and the folder that what they lead to stays in.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use url::Url;
use vigos_core::files::{FileError, folder_of, write_atomic_bytes};
use vigos_core::fingerprint::digest;
use vigos_core::host::caches;
use vigos_core::text::one_line;

use crate::client::{Client, Fault};
use crate::hosts::{Hosts, NoHost};

/// How often a host is asked that may answer later.
const ATTEMPTS: u32 = 3;
/// How many pictures are fetched at once.
const AT_ONCE: usize = 8;
/// How many failures are known at most.
const MOST_FAILED: usize = 4096;
/// How long it is asked again at most, and how long it is not asked at all after that.
const PATIENCE: Duration = Duration::from_secs(45);

/// The links that are followed, which none are by default. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Links(Arc<Followed>);

#[derive(Debug, Default)]
struct Followed {
    hosts: Arc<Hosts>,
    settings: Option<Settings>,
    fetcher: OnceLock<Result<Fetcher, String>>,
}

/// Where pictures stay, and how patient to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The folder that they stay in.
    pub folder: PathBuf,
    /// Whether to do without network (`HF_HUB_OFFLINE`, as for files of the hub).
    pub offline: bool,
    /// How long a picture may take to be there.
    pub timeout: Duration,
    /// How long to wait before a host is asked again, which then doubles.
    pub pause: Duration,
}

impl Settings {
    /// What the environment says.
    ///
    /// # Errors
    /// If it names no folder for what can be had again.
    pub fn from_env() -> Result<Self, String> {
        let folder = caches(|name| env::var_os(name).map(PathBuf::from));
        let folder = folder.ok_or("there is no folder for what is fetched: set XDG_CACHE_HOME to one")?;
        let offline = env::var("HF_HUB_OFFLINE").unwrap_or_default().trim().to_uppercase();
        Ok(Self {
            folder: folder.join("vigos/images"),
            offline: ["1", "ON", "YES", "TRUE"].contains(&offline.as_str()),
            timeout: Duration::from_secs(20),
            pause: Duration::from_millis(500),
        })
    }
}

/// Two follow the same links if they name the same hosts.
impl PartialEq for Links {
    fn eq(&self, other: &Self) -> bool {
        self.0.hosts == other.0.hosts
    }
}

impl Eq for Links {}

impl Links {
    /// Those to hosts: `example.org` or `example.org:8080`, `*.example.org` for all below it, `*` for all that are public.
    ///
    /// # Errors
    /// Which entry is no host.
    pub fn to(hosts: &[String]) -> Result<Self, NoHost> {
        Ok(Self(Arc::new(Followed { hosts: Arc::new(Hosts::of(hosts)?), ..Followed::default() })))
    }

    /// The same, kept and waited for otherwise than the environment says.
    #[must_use]
    pub fn with(self, settings: Settings) -> Self {
        let (hosts, settings) = (Arc::clone(&self.0.hosts), Some(settings));
        Self(Arc::new(Followed { hosts, settings, fetcher: OnceLock::new() }))
    }

    /// The address that a link asks, if its host may be asked; nothing is asked yet.
    ///
    /// # Errors
    /// Why it may not be.
    pub fn admit(&self, link: &str) -> Result<Arc<str>, String> {
        self.0.hosts.admit(link).map(|url| url.as_str().into())
    }

    /// Whether none is followed.
    pub fn are_none(&self) -> bool {
        self.0.hosts.are_none()
    }

    /// Fetches what is not there yet, several at a time and on threads of their own: those that compute do not wait for a
    /// network. What fails is told where it is asked for.
    pub fn look_ahead(&self, links: &[Arc<str>]) {
        let next = AtomicUsize::new(0);
        scope(|threads| {
            for _ in 0..links.len().min(AT_ONCE) {
                threads.spawn(|| {
                    while let Some(link) = links.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let _ = self.file(link);
                    }
                });
            }
        });
    }

    /// The file with the picture that a link leads to, fetched if it is not there yet.
    ///
    /// # Errors
    /// Why there is none, in one line.
    pub fn file(&self, link: &str) -> Result<PathBuf, String> {
        let Followed { hosts, settings, fetcher } = &*self.0;
        let url = hosts.admit(link)?;
        let fetcher = fetcher.get_or_init(|| {
            let settings = settings.clone().map_or_else(Settings::from_env, Ok)?;
            let client = Client::new(Arc::clone(hosts), settings.timeout);
            Ok(Fetcher { client, settings, under_way: Default::default(), failed: Mutex::default() })
        });
        fetcher.as_ref().map_err(String::clone)?.file(&url)
    }
}

#[derive(Debug)]
struct Fetcher {
    client: Client,
    settings: Settings,
    /// Held while a link is fetched, one of them for each first digit of its hash: rows are loaded side by side, and two may
    /// have the same.
    under_way: [Mutex<()>; 16],
    /// What could not be fetched, by the name of its file, when and why.
    failed: Mutex<HashMap<String, (Instant, String)>>,
}

impl Fetcher {
    fn file(&self, url: &Url) -> Result<PathBuf, String> {
        let name = digest(url.as_str());
        let (first, rest) = name.split_at(2);
        let file = self.settings.folder.join(first).join(rest);
        let digit = name.chars().next().and_then(|digit| digit.to_digit(16)).unwrap_or_default();
        let _alone = self.under_way[digit as usize % 16].lock().unwrap_or_else(PoisonError::into_inner);
        if file.is_file() {
            return Ok(file);
        }
        // What follows the `?` may be a key.
        let shown = one_line(url.as_str().split('?').next().unwrap_or_default(), 120).into_owned();
        if self.settings.offline {
            return Err(format!("{shown} was not fetched before, and HF_HUB_OFFLINE is set"));
        }
        if let Some(reason) = self.failed_lately(&name) {
            return Err(reason);
        }
        let bytes = self.patiently(url).map_err(|reason| {
            let reason = format!("{shown} cannot be fetched: {reason}");
            self.has_failed(name.clone(), reason.clone());
            reason
        })?;
        let folder = folder_of(&file);
        fs::create_dir_all(folder)
            .map_err(|e| FileError::io("create", folder, e))
            .and_then(|()| write_atomic_bytes(&file, &bytes))
            .map_err(|error| error.to_string())?;
        Ok(file)
    }

    /// Why it could not be fetched a moment ago.
    fn failed_lately(&self, name: &str) -> Option<String> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.get(name).filter(|(when, _)| when.elapsed() < PATIENCE).map(|(_, reason)| reason.clone())
    }

    fn has_failed(&self, name: String, reason: String) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.len() >= MOST_FAILED {
            failed.clear();
        }
        failed.insert(name, (Instant::now(), reason));
    }

    fn patiently(&self, url: &Url) -> Result<Vec<u8>, String> {
        let (begun, mut pause) = (Instant::now(), self.settings.pause);
        for attempt in 1.. {
            let (reason, wait) = match self.client.picture(url) {
                Ok(bytes) => return Ok(bytes),
                Err(Fault::Lasting(reason)) => return Err(reason),
                Err(Fault::Passing(reason, wait)) => (reason, wait.unwrap_or(pause)),
            };
            if attempt == ATTEMPTS || begun.elapsed() + wait > PATIENCE {
                let times = if attempt == 1 { "once".into() } else { format!("{attempt} times") };
                return Err(format!("{reason}; asked {times}"));
            }
            sleep(wait);
            pause = pause.saturating_mul(2);
        }
        Err("it was not asked".into())
    }
}
