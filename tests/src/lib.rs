//! End-to-end tests through the public command and the public API.
