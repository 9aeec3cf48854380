//! Where the server listens: on this machine alone, and asked by its own names alone.

use crate::error::WatchError;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

/// Takes an address such as `127.0.0.1:7878`, `localhost:7878` or `[::1]:7878`.
///
/// # Errors
/// If it is no address of this machine alone, or is taken.
pub(crate) fn listen(text: &str) -> Result<TcpListener, WatchError> {
    let address = parsed(text).ok_or_else(|| WatchError::Address { found: text.into() })?;
    TcpListener::bind(address).map_err(|source| match source.kind() {
        ErrorKind::AddrInUse => WatchError::Taken { address: text.into() },
        _ => WatchError::Failed { address: text.into(), source },
    })
}

fn parsed(text: &str) -> Option<SocketAddr> {
    let address = match text.strip_prefix("localhost:") {
        Some(port) => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port.parse().ok()?),
        None => text.parse().ok()?,
    };
    address.ip().is_loopback().then_some(address)
}

/// Whether a request's `Host` names this machine by a name that only it has: a page of a stranger that had its own name
/// lead here asks by that name.
pub(crate) fn is_own_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    if name.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_this_machine_alone_are_listened_on() {
        for good in ["127.0.0.1:7878", "localhost:0", "[::1]:80", "127.1.2.3:9"] {
            assert!(parsed(good).is_some(), "{good}");
        }
        for bad in
            ["0.0.0.0:7878", "[::]:7878", "192.168.1.2:7878", "example.org:80", "7878", "localhost:99999", ""]
        {
            assert!(parsed(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_name_that_anyone_could_own_is_no_name_of_this_machine() {
        for own in ["127.0.0.1:7878", "localhost", "LOCALHOST:1", "[::1]:7878", "127.0.0.1", "[::1]"] {
            assert!(is_own_name(own), "{own}");
        }
        for strange in [
            "evil.example:7878",
            "localhost.evil.example",
            "127.0.0.1.evil.example:7878",
            "",
            ":7878",
            "0.0.0.0:7878",
        ] {
            assert!(!is_own_name(strange), "{strange}");
        }
    }
}
