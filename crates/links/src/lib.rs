//! Pictures behind web addresses, as rows of data sets name them.
//!
//! A row is a stranger's, and so is what answers an address in it. Nothing is fetched but from hosts that were named;
//! a name that is only covered by `*` leads to public addresses alone, so that no row reads what only this machine can
//! reach; redirects are held to the same rule. What is fetched is a picture of bounded size, in bounded time, and stays in a
//! folder by the hash of its address: it is fetched once, and a run that is gone on with sees the same bytes.
//!
//! ```
//! use vigos_links::Links;
//!
//! let links = Links::to(&["images.example.org".into()])?;
//! assert_eq!(&*links.admit("https://IMAGES.example.org/1.png")?, "https://images.example.org/1.png");
//! assert!(links.admit("https://example.net/1.png").is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod client;
mod hosts;
mod links;
mod public;

pub use hosts::NoHost;
pub use links::{Links, Settings};
