//! Errors in OpenAI's shape: a status, and `{"error": {"message", "type", "param", "code"}}`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use vigos_core::text::one_line;

/// The most characters of a message: it may quote what a client wrote.
const LONGEST: usize = 600;

/// Why a request gets no answer, or not the rest of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    status: StatusCode,
    message: String,
    param: Option<&'static str>,
    code: Option<&'static str>,
}

impl Refusal {
    /// An answer of `status` with these words.
    pub(crate) fn new(status: StatusCode, message: impl AsRef<str>) -> Self {
        let message = one_line(message.as_ref(), LONGEST).into_owned();
        Self { status, message, param: None, code: None }
    }

    /// The client asked for what cannot be.
    pub(crate) fn bad(message: impl AsRef<str>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// A key of the request says what cannot be.
    pub(crate) fn of(param: &'static str, found: impl AsRef<str>, wanted: &str) -> Self {
        let found = one_line(found.as_ref(), 200);
        Self { param: Some(param), ..Self::bad(format!("{param}: found {found}, wanted {wanted}")) }
    }

    /// There is more to do than is taken on.
    pub(crate) fn busy(message: &str) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, message).code("rate_limit_exceeded")
    }

    /// The server ends.
    pub(crate) fn ending() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the server is ending and takes no more requests")
    }

    /// It took longer than a request may.
    pub(crate) fn late() -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "the request took longer than this server lets one take")
            .code("timeout")
    }

    /// The machine failed.
    pub(crate) fn failed(message: impl AsRef<str>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// The same with the word that programs know it by.
    pub(crate) fn code(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }

    /// What the client reads.
    pub(crate) fn body(&self) -> Value {
        let kind = match self.status {
            StatusCode::UNAUTHORIZED => "authentication_error",
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            StatusCode::NOT_FOUND => "not_found_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        };
        json!({"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}})
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let extra = match self.status {
            StatusCode::TOO_MANY_REQUESTS => Some((header::RETRY_AFTER, "1")),
            StatusCode::SERVICE_UNAVAILABLE => Some((header::RETRY_AFTER, "5")),
            StatusCode::UNAUTHORIZED => Some((header::WWW_AUTHENTICATE, "Bearer")),
            // The rest of such a body is not read.
            StatusCode::PAYLOAD_TOO_LARGE => Some((header::CONNECTION, "close")),
            _ => None,
        };
        let mut response = (self.status, Json(self.body())).into_response();
        if let Some((name, value)) = extra {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
