//! What is asked and answered: the list of runs, a run's page, and whether there is a newer one. A run is its number in the
//! list; nothing of a request is a path of the file system.

use crate::error::WatchError;
use crate::listen::is_own_name;
use crate::pages::Pages;
use crate::runs::Runs;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, LOCATION, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, context};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::spawn_blocking;

const LIST: &str = include_str!("page/list.html");
const LIST_STYLE: &str = include_str!("page/list.css");
const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// What comes with every answer. The page's own policy is in it, and stricter.
const HEADERS: [(HeaderName, &str); 5] = [
    (CACHE_CONTROL, "no-store"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (CONTENT_SECURITY_POLICY, "frame-ancestors 'none'"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

struct Server {
    runs: Mutex<Runs>,
    pages: Mutex<Pages>,
}

type Shared = State<Arc<Server>>;

/// The server of some runs.
pub(crate) fn routes(runs: Runs) -> Router {
    let server = Server { runs: Mutex::new(runs), pages: Mutex::default() };
    Router::new()
        .route("/", get(list))
        .route("/list.css", get(async || answer(StatusCode::OK, CSS, LIST_STYLE.into())))
        .route("/runs/{number}", get(page))
        .route("/runs/{number}/version", get(version))
        .fallback(async || {
            answer(StatusCode::NOT_FOUND, TEXT, "there is no such page; / has the list".into())
        })
        .with_state(Arc::new(server))
        .layer(from_fn(guarded))
}

/// Refuses who asks by a name that is not this machine's own, and says with every answer what browsers may do with it.
async fn guarded(request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let mut response = match host.is_some_and(is_own_name) {
        true => next.run(request).await,
        false => answer(
            StatusCode::MISDIRECTED_REQUEST,
            TEXT,
            "asked by a name that is not this machine's own; wanted 127.0.0.1, [::1] or localhost".into(),
        ),
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The list of runs; of a single run its page.
async fn list(State(server): Shared) -> Response {
    let made = spawn_blocking(move || {
        let mut runs = lock(&server.runs);
        (!runs.is_single()).then(|| render(Value::from(Serde(&runs.lines()))))
    });
    match made.await {
        Ok(None) => (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, "/runs/1")]).into_response(),
        Ok(Some(Ok(page))) => answer(StatusCode::OK, HTML, page),
        Ok(Some(Err(error))) => failed(&error),
        Err(error) => failed(&error),
    }
}

fn render(runs: Value) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.add_template("list.html", LIST)?;
    environment.get_template("list.html")?.render(context! { runs, version => env!("CARGO_PKG_VERSION") })
}

async fn page(server: Shared, number: Path<String>) -> Response {
    of_run(server, number, HTML, |pages, run| pages.page(run)).await
}

async fn version(server: Shared, number: Path<String>) -> Response {
    of_run(server, number, TEXT, |pages, run| Ok(pages.version(run))).await
}

/// What `make` says of the run of a number. One page is made at a time.
async fn of_run(
    State(server): Shared,
    Path(number): Path<String>,
    kind: &'static str,
    make: fn(&mut Pages, &std::path::Path) -> Result<String, WatchError>,
) -> Response {
    let made = spawn_blocking(move || {
        let run = lock(&server.runs).folder(number.parse().ok()?)?.to_owned();
        Some(make(&mut lock(&server.pages), &run))
    });
    match made.await {
        Ok(Some(Ok(made))) => answer(StatusCode::OK, kind, made),
        Ok(None) => {
            answer(StatusCode::NOT_FOUND, TEXT, "there is no run of this number; / has the list".into())
        }
        // Its folder may have been moved away.
        Ok(Some(Err(error))) => answer(StatusCode::NOT_FOUND, TEXT, error.to_string()),
        Err(error) => failed(&error),
    }
}

fn answer(status: StatusCode, kind: &'static str, text: String) -> Response {
    (status, [(CONTENT_TYPE, kind)], text).into_response()
}

fn failed(error: &dyn std::fmt::Display) -> Response {
    answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("the page was not made: {error}"))
}

/// What a page that failed has left is whole: it is put in its place when it is made.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
