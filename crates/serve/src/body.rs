//! A request's bytes: refused before they are read where they are too many.

use crate::refusal::Refusal;
use crate::shared::Shared;
use crate::ticket::Ticket;
use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use std::time::Instant;
use tokio::time::timeout_at;

/// The body of a request and its place among those under way.
///
/// # Errors
/// If it is no JSON by its type, has too many bytes, comes too slowly, or there is no place.
pub(crate) async fn read(
    request: Request,
    shared: &Shared,
    deadline: Instant,
) -> Result<(Bytes, Ticket), Refusal> {
    let most = shared.limits.body;
    let length = length(request.headers(), most)?;
    // A body of unknown length may come to be as large as one may.
    let ticket = shared.places.take(length.unwrap_or(most))?;
    Ok((bytes(request, most, deadline).await?, ticket))
}

/// A body of up to `most` bytes.
///
/// # Errors
/// As [`read`].
pub(crate) async fn bytes(request: Request, most: usize, deadline: Instant) -> Result<Bytes, Refusal> {
    let length = length(request.headers(), most)?;
    let read = timeout_at(deadline.into(), to_bytes(request.into_body(), most)).await;
    read.map_err(|_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "the request did not come in time"))?.map_err(
        |error| match length {
            None => too_large(most),
            Some(_) => Refusal::bad(format!("the request cannot be read: {error}")),
        },
    )
}

/// How many bytes a request says that it has.
fn length(headers: &HeaderMap, most: usize) -> Result<Option<usize>, Refusal> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    // What a web page may send to another's server without asking has another type.
    let kind = text(header::CONTENT_TYPE).unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let message = "wanted the header Content-Type: application/json";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    match text(header::CONTENT_LENGTH).map(str::parse) {
        None => Ok(None),
        Some(Ok(length)) if length <= most => Ok(Some(length)),
        Some(_) => Err(too_large(most)),
    }
}

fn too_large(most: usize) -> Refusal {
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the request has more than {most} bytes"))
}
