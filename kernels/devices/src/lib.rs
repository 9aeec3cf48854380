//! What goes between host and device.
//!
//! [`send`] and [`read`] are how numbers come and go; [`counted`] says how many did meanwhile, and how many kernels were
//! launched. A device computes after it was asked to, so what went wrong is told by who reads: [`DeviceError`] says whether
//! less at a time would do, and [`in_chunks`] does it.

mod device;
#[cfg(feature = "cube")]
mod launches;
mod traffic;

pub use device::{DeviceError, computed, in_chunks, read};
pub use traffic::{Traffic, count_upload, counted, send};
