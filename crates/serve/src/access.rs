//! Who may ask, and when: a key, if there is one, and not after the server was told to end.

use crate::refusal::Refusal;
use crate::shared::Shared;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Lets a request through that has the key, as long as requests are taken; nothing of its body was read.
pub(crate) async fn checked(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    if let Some(key) = &shared.key
        && !has_key(request.headers(), key)
    {
        let message = "wanted the header Authorization: Bearer with the server's key";
        return Refusal::new(StatusCode::UNAUTHORIZED, message).code("invalid_api_key").into_response();
    }
    if shared.ending.load(Ordering::SeqCst) {
        return Refusal::ending().into_response();
    }
    next.run(request).await
}

/// What is kept of a key.
pub(crate) fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key).into()
}

/// Whether a request has the key. How long it takes to tell depends on neither: digests are compared, and all of them.
fn has_key(headers: &HeaderMap, key: &[u8; 32]) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (scheme, given) = given.and_then(|value| value.split_once(' ')).unwrap_or_default();
    let difference = digest(given.trim()).iter().zip(key).fold(0, |difference, (a, b)| difference | (a ^ b));
    std::hint::black_box(difference) == 0 && scheme.eq_ignore_ascii_case("bearer")
}
