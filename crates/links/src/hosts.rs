//! Which hosts may be asked.

use std::net::IpAddr;
use url::{Host, Url};
use vigos_core::text::one_line;

use crate::public::is_public;

/// The most bytes of an address.
const LONGEST: usize = 4096;

/// Hosts that may be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hosts(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    /// `*`: any.
    Any,
    /// `*.example.org`: those below it.
    Below(String),
    /// `example.org` or `example.org:8080`: this one, at its port or the usual one.
    One(Host<String>, Option<u16>),
}

/// How a host is covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Covered {
    /// By a pattern: where its name leads is a stranger's to say.
    Loosely,
    /// By its own name.
    ByName,
}

/// An entry of a list of hosts that is none.
#[derive(Debug, thiserror::Error)]
#[error("found \"{found}\", wanted {}", Self::WANTED)]
pub struct NoHost {
    /// The entry, shortened.
    pub found: String,
}

impl NoHost {
    /// What is wanted in its place.
    pub const WANTED: &str =
        "a host such as \"example.org\", \"example.org:8080\", \"*.example.org\", or \"*\"";
}

impl Hosts {
    /// The hosts of a list.
    ///
    /// # Errors
    /// Which entry is none.
    pub(crate) fn of(list: &[String]) -> Result<Self, NoHost> {
        let entry = |text: &String| {
            Entry::of(text.trim()).ok_or_else(|| NoHost { found: one_line(text, 80).into_owned() })
        };
        list.iter().map(entry).collect::<Result<_, _>>().map(Self)
    }

    /// Whether there is none.
    pub(crate) fn are_none(&self) -> bool {
        self.0.is_empty()
    }

    /// An address that may be asked, as it is asked.
    ///
    /// # Errors
    /// Why it may not be; the words name the key of recipes.
    pub(crate) fn admit(&self, text: &str) -> Result<Url, String> {
        let shown = || one_line(text.split(['?', '#']).next().unwrap_or_default(), 80);
        if text.len() > LONGEST {
            return Err(format!(
                "found a link of {} bytes ({}), wanted at most {LONGEST}",
                text.len(),
                shown()
            ));
        }
        let mut url =
            Url::parse(text.trim()).map_err(|e| format!("found a link that is none ({}): {e}", shown()))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("found the link {}, wanted one of http or https", shown()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(format!("found a link to {host} with a user's name in it, wanted one without"));
        }
        let Some(covered) = self.covers(&url) else {
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            return Err(format!(
                "found a link to {host}{port}, which data.image_links does not name: name it there (`*` is for public \
                 hosts at the usual ports) to have pictures fetched, or give the path of a file"
            ));
        };
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            _ => None,
        };
        if covered == Covered::Loosely && literal.is_some_and(|address| !is_public(address)) {
            return Err(not_public(&host));
        }
        url.set_fragment(None);
        Ok(url)
    }

    /// How the host of an address is covered, if it is.
    pub(crate) fn covers(&self, url: &Url) -> Option<Covered> {
        let (host, port) = (normal(url.host()?.to_owned()), url.port());
        self.0.iter().filter_map(|entry| entry.covers(&host, port)).max()
    }
}

/// That a host leads to what only some can reach.
pub(crate) fn not_public(host: &str) -> String {
    format!(
        "found a link to {host}, which is an address of this machine or its network: data.image_links has to name such a \
         host itself"
    )
}

impl Entry {
    fn of(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        let (is_below, host) = text.strip_prefix("*.").map_or((false, text), |rest| (true, rest));
        // What else an address may have is no part of a host.
        let is_part = |letter: char| "/\\?#@*".contains(letter) || letter.is_whitespace();
        if host.is_empty() || host.contains(is_part) {
            return None;
        }
        if is_below {
            return match normal(Host::parse(host).ok()?) {
                Host::Domain(domain) => Some(Self::Below(domain)),
                _ => None,
            };
        }
        let url = Url::parse(&format!("https://{text}/")).ok()?;
        Some(Self::One(normal(url.host()?.to_owned()), url.port()))
    }

    fn covers(&self, host: &Host<String>, port: Option<u16>) -> Option<Covered> {
        match self {
            Self::Any => port.is_none().then_some(Covered::Loosely),
            Self::Below(domain) => {
                let Host::Domain(host) = host else { return None };
                let is_below =
                    host.strip_suffix(domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'));
                (is_below && port.is_none()).then_some(Covered::Loosely)
            }
            Self::One(one, at) => (one == host && *at == port).then_some(Covered::ByName),
        }
    }
}

/// A host without the dot that may end its name.
fn normal(host: Host<String>) -> Host<String> {
    match host {
        Host::Domain(name) => Host::Domain(name.strip_suffix('.').unwrap_or(&name).to_owned()),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::Hosts;
    use proptest::prelude::*;

    fn hosts(list: &[&str]) -> Hosts {
        Hosts::of(&list.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn only_what_is_named_is_admitted_however_it_is_written() {
        let hosts = hosts(&["example.com", "*.example.org", "localhost:8080", "bücher.example"]);
        for (link, asked) in [
            ("https://example.com/a.png", "https://example.com/a.png"),
            ("HTTP://EXAMPLE.com./a b.png#x", "http://example.com./a%20b.png"),
            ("https://a.b.example.org/?q=1", "https://a.b.example.org/?q=1"),
            ("http://localhost:8080/x", "http://localhost:8080/x"),
            ("https://example.com:443/", "https://example.com/"),
            ("https://bücher.example/ü", "https://xn--bcher-kva.example/%C3%BC"),
        ] {
            assert_eq!(hosts.admit(link).map(String::from).as_deref(), Ok(asked), "{link}");
        }
        for link in [
            "https://evil-example.com/",
            "https://example.com.evil.net/",
            "https://example.org/",
            "https://evilexample.org/",
            "https://.example.org/",
            "https://example.com@evil.net/",
            "https://user:word@example.com/",
            "https://example.com:8080/",
            "http://localhost/",
            "http://localhost:8081/",
            "ftp://example.com/",
            "file:///etc/passwd",
            "https:///a.png",
            "https://[::1]/",
            "http://example.com%2eevil.net/",
            "not a link",
        ] {
            assert!(hosts.admit(link).is_err(), "{link}");
        }
    }

    #[test]
    fn a_star_covers_public_addresses_alone() {
        let hosts = hosts(&["*"]);
        for link in ["https://example.com/", "http://8.8.8.8/", "http://[2606:4700::1111]/"] {
            assert!(hosts.admit(link).is_ok(), "{link}");
        }
        for link in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://169.254.169.254/latest/meta-data",
            "http://[::ffff:10.0.0.1]/",
            "http://[::1]/",
            "http://0/",
            "http://example.com:8080/",
        ] {
            assert!(hosts.admit(link).is_err(), "{link}");
        }
        assert!(super::Hosts::of(&["127.0.0.1:9".into()]).unwrap().admit("http://127.0.0.1:9/").is_ok());
    }

    #[test]
    fn an_entry_that_is_no_host_is_named() {
        for entry in
            ["", "https://example.com", "example.com/a", "a b", "*.*", "*example.com", "a@b", "*.1.2.3.4"]
        {
            let said = Hosts::of(&[entry.to_owned()]).unwrap_err().to_string();
            assert!(said.contains("wanted a host such as"), "{entry}: {said}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_leave_its_hosts(text in any::<String>(), path in "[a-z@:./\\\\]{0,20}") {
            let hosts = hosts(&["example.com"]);
            for link in [text.clone(), format!("https://{text}"), format!("https://example.com{path}"), format!("http://{path}example.com")] {
                if let Ok(url) = hosts.admit(&link) {
                    prop_assert!(matches!(url.host_str(), Some("example.com" | "example.com.")), "{link} is {url}");
                }
            }
            let _ = Hosts::of(&[text]);
        }
    }
}
