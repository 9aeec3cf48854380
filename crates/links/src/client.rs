//! What answers an address, in bounded time and memory.

use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ureq::config::Config;
use ureq::http::{Response, Uri};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Body, Error};
use url::Url;
use vigos_core::text::one_line;

use crate::hosts::{Covered, Hosts, not_public};
use crate::public::is_public;

/// The most bytes of a picture that is fetched: above the largest JPEG of a phone or camera.
const LARGEST: u64 = 64 << 20;
/// The most addresses that one sends on to.
const MAX_REDIRECTS: usize = 5;
/// The longest that a host may take to be reached.
const CONNECT: Duration = Duration::from_secs(10);
/// The longest wait that a host may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How pictures begin: JPEG, PNG, GIF and WebP.
const STARTS: [&[u8]; 4] = [b"\xff\xd8", b"\x89PNG", b"GIF8", b"RIFF"];

/// Why there is no picture.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It may be there later; how long the host says to wait.
    Passing(String, Option<Duration>),
    /// It will not be.
    Lasting(String),
}

/// Asks hosts that are allowed.
#[derive(Debug)]
pub(crate) struct Client {
    agent: Agent,
    hosts: Arc<Hosts>,
}

impl Client {
    /// One that gives an answer so long to be there.
    pub(crate) fn new(hosts: Arc<Hosts>, timeout: Duration) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // Followed here, by the same rule.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("vigos/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(CONNECT.min(timeout)))
            .timeout_connect(Some(CONNECT.min(timeout)))
            .timeout_global(Some(timeout))
            .build();
        let resolver = Guarded { hosts: Arc::clone(&hosts), names: DefaultResolver::default() };
        Self { agent: Agent::with_parts(config, DefaultConnector::default(), resolver), hosts }
    }

    /// The picture at an address.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn picture(&self, link: &Url) -> Result<Vec<u8>, Fault> {
        let mut url = link.clone();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.agent.get(url.as_str()).call().map_err(|error| failed(&error))?;
            let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
            match response.status().as_u16() {
                200 => return body(response),
                301 | 302 | 303 | 307 | 308 => {
                    let next = self.next(&url, header("location").unwrap_or_default());
                    url = next.map_err(Fault::Lasting)?;
                }
                status @ (408 | 425 | 429 | 500..) => {
                    let wait = header("retry-after").and_then(|text| text.trim().parse().ok());
                    let wait = wait.map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT));
                    return Err(Fault::Passing(format!("it answers {status}"), wait));
                }
                status => return Err(Fault::Lasting(format!("it answers {status}"))),
            }
        }
        Err(Fault::Lasting(format!("it sends on more than {MAX_REDIRECTS} times")))
    }

    /// Where an address sends on to, if that may be asked.
    fn next(&self, url: &Url, location: &str) -> Result<Url, String> {
        let shown = || one_line(location.split(['?', '#']).next().unwrap_or_default(), 80);
        let next =
            url.join(location).map_err(|_| format!("it sends on to \"{}\", which is no address", shown()))?;
        if url.scheme() == "https" && next.scheme() != "https" {
            return Err(format!("it sends on to {}, which gives up encryption", shown()));
        }
        self.hosts.admit(next.as_str()).map_err(|reason| format!("it sends on: {reason}"))
    }
}

/// The picture in an answer.
fn body(response: Response<Body>) -> Result<Vec<u8>, Fault> {
    let too_large = || Fault::Lasting(format!("it has more than {LARGEST} bytes"));
    if response.body().content_length().is_some_and(|length| length > LARGEST) {
        return Err(too_large());
    }
    let kind = response.headers().get("content-type").and_then(|value| value.to_str().ok());
    let kind = one_line(kind.unwrap_or("nothing that says its kind"), 60).into_owned();
    let mut bytes = Vec::new();
    let read = response.into_body().into_reader().take(LARGEST + 1).read_to_end(&mut bytes);
    read.map_err(|error| Fault::Passing(one_line(&error.to_string(), 120).into_owned(), None))?;
    if bytes.len() as u64 > LARGEST {
        return Err(too_large());
    }
    // A page that asks for a password must not be kept as the picture.
    match STARTS.iter().any(|start| bytes.starts_with(start)) {
        true => Ok(bytes),
        false => Err(Fault::Lasting(format!("found {kind}, wanted a PNG, JPEG, GIF or WebP picture"))),
    }
}

fn failed(error: &Error) -> Fault {
    match error {
        Error::Other(reason) => Fault::Lasting(reason.to_string()),
        Error::HostNotFound => Fault::Passing("its host has no address".into(), None),
        other => Fault::Passing(one_line(&other.to_string(), 120).into_owned(), None),
    }
}

/// Leads names that are covered loosely to public addresses alone. What it gives is what is connected to.
#[derive(Debug)]
struct Guarded {
    hosts: Arc<Hosts>,
    names: DefaultResolver,
}

impl Resolver for Guarded {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let found = self.names.resolve(uri, config, timeout)?;
        // The system's own proxy, which then says for itself what it reaches.
        let is_proxy = config.proxy().is_some_and(|proxy| Some(proxy.host()) == uri.host());
        let url = Url::parse(&uri.to_string()).ok();
        let covered = url.and_then(|url| self.hosts.covers(&url));
        if is_proxy || covered == Some(Covered::ByName) {
            return Ok(found);
        }
        let mut public = self.empty();
        found
            .iter()
            .filter(|address: &&SocketAddr| is_public(address.ip()))
            .for_each(|address| public.push(*address));
        match public.is_empty() {
            false => Ok(public),
            true => Err(Error::Other(not_public(uri.host().unwrap_or_default()).into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Client, Fault};
    use crate::hosts::Hosts;
    use std::sync::Arc;
    use std::time::Duration;
    use url::Url;

    #[test]
    fn a_name_that_leads_to_this_machine_is_not_asked_unless_it_is_named() {
        let client = Client::new(Arc::new(Hosts::of(&["*".into()]).unwrap()), Duration::from_secs(5));
        let said = client.picture(&Url::parse("http://localhost/").unwrap());
        let Err(Fault::Lasting(reason)) = said else { panic!("{said:?}") };
        assert!(reason.contains("an address of this machine"), "{reason}");
    }
}
