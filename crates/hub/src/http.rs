//! Requests to the hub: redirects, tokens, time limits, and what the status codes mean.

use std::io::{self, Read};

use ureq::http::{HeaderMap, Response};
use ureq::{Agent, SendBody};

use crate::error::HubError;
use crate::settings::Settings;

const MAX_REDIRECTS: usize = 10;
/// Most bytes of a listing.
const MAX_LISTING: u64 = 32 << 20;
/// Most bytes of an answer to what is sent: addresses of the parts of many large files.
const MAX_ANSWER: u64 = 32 << 20;

/// Makes requests.
#[derive(Debug)]
pub(crate) struct Client {
    agent: Agent,
    endpoint: String,
    token: Option<String>,
    timeout: std::time::Duration,
}

impl Client {
    pub(crate) fn new(settings: &Settings) -> Self {
        let timeout = Some(settings.timeout);
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // Followed here, as the token must not go along to another host.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("vigos/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(timeout)
            .timeout_connect(timeout)
            .timeout_recv_response(timeout)
            .timeout_per_read(timeout)
            .timeout_per_write(timeout)
            .build();
        Self {
            agent: config.into(),
            endpoint: settings.endpoint.clone(),
            token: settings.token.clone(),
            timeout: settings.timeout,
        }
    }

    /// The body of a listing.
    pub(crate) fn listing(&self, url: &str, what: &str) -> Result<Vec<u8>, HubError> {
        let response =
            self.follow(url, what, |url, token| self.request(Method::Get, url, token, None), |_| true)?;
        let mut bytes = Vec::new();
        let mut reader = response.into_body().into_reader().take(MAX_LISTING + 1);
        reader.read_to_end(&mut bytes).map_err(|e| self.interrupted(url, &e))?;
        if bytes.len() as u64 > MAX_LISTING {
            let reason = format!("the listing has more than {MAX_LISTING} bytes");
            return Err(HubError::Answer { url: url.to_owned(), reason });
        }
        Ok(bytes)
    }

    /// The headers that the hub itself gives for a file, before it sends to where the file is stored.
    pub(crate) fn headers(&self, url: &str, what: &str) -> Result<HeaderMap, HubError> {
        let head = |url: &str, token: Option<&str>| self.request(Method::Head, url, token, None);
        // A renamed repository is a redirect within the hub, a stored file one that leaves it.
        let response = self.follow(url, what, head, |location| location.starts_with('/'))?;
        Ok(response.into_parts().0.headers)
    }

    /// A file's content from byte `start`, and whether the answer starts there: it may start at 0.
    pub(crate) fn content(&self, url: &str, what: &str, start: u64) -> Result<(bool, impl Read), HubError> {
        let range = (start > 0).then(|| format!("bytes={start}-"));
        let get = |url: &str, token: Option<&str>| self.request(Method::Get, url, token, range.as_deref());
        let response = self.follow(url, what, get, |_| true)?;
        let begins = format!("bytes {start}-");
        let partial = response.status().as_u16() == 206;
        let at_start = header(response.headers(), "content-range").is_some_and(|r| r.starts_with(&begins));
        if partial && !at_start {
            let reason = "the part of the file is not the one asked for".to_owned();
            return Err(HubError::Answer { url: url.to_owned(), reason });
        }
        Ok((partial, response.into_body().into_reader()))
    }

    /// What a failed read of a body means.
    pub(crate) fn interrupted(&self, url: &str, error: &io::Error) -> HubError {
        let timeout = error.get_ref().and_then(|e| e.downcast_ref::<ureq::Error>());
        match timeout {
            Some(ureq::Error::Timeout(_)) => self.timed_out(url),
            _ if error.kind() == io::ErrorKind::TimedOut => self.timed_out(url),
            _ => HubError::Connection { url: place(url), reason: error.to_string() },
        }
    }

    /// Sends a body once and gives the status code, the headers and the beginning of what is answered. Redirects are
    /// followed as long as they keep the method.
    pub(crate) fn send(
        &self,
        sent: &Sent,
        body: impl Fn() -> io::Result<Length>,
    ) -> Result<Answer, HubError> {
        let mut url = sent.url.to_owned();
        for _ in 0..MAX_REDIRECTS {
            let Length { size, mut reader } = body().map_err(|e| HubError::Parcel {
                path: sent.what.into(),
                reason: format!("cannot be read: {e}"),
            })?;
            let mut request = match sent.verb {
                Verb::Post => self.agent.post(&url),
                Verb::Put => self.agent.put(&url),
            };
            // A store takes no body of unknown length.
            request = request.header("Content-Length", size).header("Content-Type", sent.kind);
            request = request.header("Accept", "application/json, application/vnd.git-lfs+json");
            if let Some(token) = self.token_for(&url) {
                request = request.header("Authorization", format!("Bearer {token}"));
            }
            let response =
                request.send(SendBody::from_reader(&mut reader)).map_err(|e| self.failed(&url, e))?;
            let status = response.status().as_u16();
            if matches!(status, 307 | 308) {
                let location = header(response.headers(), "location").unwrap_or_default();
                url = target(&url, location).ok_or_else(|| not_followed(&url, location))?;
                continue;
            }
            let (parts, body) = response.into_parts();
            let mut bytes = Vec::new();
            let read = body.into_reader().take(MAX_ANSWER + 1).read_to_end(&mut bytes);
            read.map_err(|e| self.interrupted(&url, &e))?;
            if bytes.len() as u64 > MAX_ANSWER {
                let reason = format!("the answer has more than {MAX_ANSWER} bytes");
                return Err(HubError::Answer { url: place(&url), reason });
            }
            return Ok(Answer { status, headers: parts.headers, bytes });
        }
        Err(HubError::Answer { url: place(&url), reason: format!("more than {MAX_REDIRECTS} redirects") })
    }

    /// The token for an address, which is the hub's own.
    fn token_for(&self, url: &str) -> Option<&str> {
        self.token.as_deref().filter(|_| origin(url) == origin(&self.endpoint))
    }

    fn failed(&self, url: &str, error: ureq::Error) -> HubError {
        match error {
            ureq::Error::Timeout(_) => self.timed_out(url),
            other => HubError::Connection { url: place(url), reason: other.to_string() },
        }
    }

    fn request(
        &self,
        method: Method,
        url: &str,
        token: Option<&str>,
        range: Option<&str>,
    ) -> Result<Response<ureq::Body>, HubError> {
        let mut request = match method {
            Method::Get => self.agent.get(url),
            Method::Head => self.agent.head(url),
        };
        // Sizes are of the file itself.
        request = request.header("Accept-Encoding", "identity");
        if let Some(token) = token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        if let Some(range) = range {
            request = request.header("Range", range);
        }
        request.call().map_err(|error| self.failed(url, error))
    }

    /// Makes a request again and again where redirects that `follows` say.
    fn follow(
        &self,
        url: &str,
        what: &str,
        request: impl Fn(&str, Option<&str>) -> Result<Response<ureq::Body>, HubError>,
        follows: impl Fn(&str) -> bool,
    ) -> Result<Response<ureq::Body>, HubError> {
        let mut url = url.to_owned();
        for _ in 0..MAX_REDIRECTS {
            let response = request(&url, self.token_for(&url))?;
            let status = response.status().as_u16();
            match status {
                301 | 302 | 303 | 307 | 308 => {
                    let location = header(response.headers(), "location").unwrap_or_default();
                    if !follows(location) {
                        return Ok(response);
                    }
                    url = target(&url, location).ok_or_else(|| not_followed(&url, location))?;
                }
                200 | 206 => return Ok(response),
                401 | 403 => {
                    let hint = match &self.token {
                        None => "check the name, and set HF_TOKEN if it is private or has terms to accept",
                        Some(_) => "check the name, the token, and that you accepted its terms on the hub",
                    };
                    return Err(HubError::Unauthorised { what: what.to_owned(), status, hint });
                }
                404 => {
                    let endpoint = self.endpoint.clone();
                    return Err(HubError::NotFound { what: what.to_owned(), endpoint });
                }
                _ => return Err(HubError::Status { url, status }),
            }
        }
        Err(HubError::Answer { url, reason: format!("more than {MAX_REDIRECTS} redirects") })
    }

    fn timed_out(&self, url: &str) -> HubError {
        HubError::Timeout { url: place(url), seconds: self.timeout.as_secs() }
    }
}

/// What is sent, and where to.
pub(crate) struct Sent<'a> {
    pub(crate) verb: Verb,
    pub(crate) url: &'a str,
    /// The type of the body.
    pub(crate) kind: &'static str,
    /// Its name in messages.
    pub(crate) what: &'a str,
}

#[derive(Clone, Copy)]
pub(crate) enum Verb {
    Post,
    Put,
}

/// A body of known length.
pub(crate) struct Length {
    pub(crate) size: u64,
    pub(crate) reader: Box<dyn Read>,
}

/// What is answered to a body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Method {
    Get,
    Head,
}

/// A header's value, if it is text.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Scheme, host and port of an address.
fn origin(url: &str) -> Option<&str> {
    let host = url.find("://")? + 3;
    let end = url.get(host..)?.find(['/', '?', '#']).map_or(url.len(), |at| host + at);
    url.get(..end)
}

/// An address as messages have it: what follows the `?` may be signed, and is a key then.
pub(crate) fn place(url: &str) -> String {
    url.split(['?', '#']).next().unwrap_or(url).to_owned()
}

fn not_followed(url: &str, location: &str) -> HubError {
    HubError::Answer {
        url: place(url),
        reason: format!("it sends to `{}`, which is not followed", place(location)),
    }
}

/// Whether an address that the hub names may be sent to: one that gives up encryption may not.
pub(crate) fn may_follow(endpoint: &str, url: &str) -> bool {
    !url.starts_with('/') && target(endpoint, url).is_some()
}

/// Where a redirect leads; nothing if it would give up encryption.
fn target(url: &str, location: &str) -> Option<String> {
    match location {
        path if path.starts_with('/') && !path.starts_with("//") => Some(format!("{}{path}", origin(url)?)),
        safe if safe.starts_with("https://") => Some(safe.to_owned()),
        plain if plain.starts_with("http://") && url.starts_with("http://") => Some(plain.to_owned()),
        _ => None,
    }
}
