//! The server: its routes, its thread that computes, its beginning and its end.

use crate::access::{checked, digest};
use crate::body;
use crate::connections::Connections;
use crate::decoder::Decoder;
use crate::endpoints::{chat, completions};
use crate::limits::Limits;
use crate::media::Media;
use crate::refusal::Refusal;
use crate::registry::{NamedAdapter, Registry};
use crate::shared::Shared;
use crate::ticket::Places;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use serde_json::{Value, json};
use std::io;
use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{PathBuf, absolute};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::runtime::Builder;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{sleep, timeout};
use vigos_core::text::panic_words;
use vigos_models::VisionLanguageModel;
use vigos_processor::Processor;

/// How often it is looked whether the server is to end.
const GLANCE: Duration = Duration::from_millis(50);
/// How long answers that are whole may take to be read once the server ends.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// What a connection on which nothing moves has beyond the time of a request.
const SLACK: Duration = Duration::from_secs(60);
/// The most bytes of a request about adapters.
const SMALL_BODY: usize = 64 << 10;

/// The model that is served.
#[derive(Debug)]
pub struct Served {
    /// Its name in requests.
    pub name: String,
    /// The frozen base.
    pub model: Arc<dyn VisionLanguageModel>,
    /// Its other files.
    pub processor: Processor,
    /// Tokens that end a completion.
    pub stops: Vec<u32>,
    /// The adapters that it starts with.
    pub adapters: Vec<NamedAdapter>,
}

/// How it is served.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What is taken on, at most.
    pub limits: Limits,
    /// The folder whose images requests may name.
    pub media_root: Option<PathBuf>,
    /// The folder from which adapters may be loaded at run time.
    pub adapter_root: Option<PathBuf>,
    /// The key that requests have to have.
    pub key: Option<String>,
    /// Seed of the draws of requests that have none.
    pub seed: u64,
}

/// Why a server ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The system does not let it listen.
    #[error("the server cannot listen: {0}")]
    Listen(#[from] io::Error),
    /// The thread that computes is gone.
    #[error("the device, or this program, failed: {0}")]
    Model(String),
}

/// Answers requests on `listener` until `stop` is raised; what is under way then ends first, or is given up when its grace
/// is over.
///
/// # Errors
/// If it cannot listen, or the model fails for good.
pub fn serve(
    served: Served,
    options: Options,
    listener: TcpListener,
    stop: &AtomicBool,
) -> Result<(), ServeError> {
    let Served { name, model, processor, stops, adapters } = served;
    let Options { limits, media_root, adapter_root, key, seed } = options;
    let context = limits.context.min(model.architecture().text.max_position_embeddings);
    let (asked, asks) = mpsc::unbounded_channel();
    let root = |root: Option<PathBuf>| root.as_deref().map(absolute).transpose();
    let shared = Arc::new(Shared {
        registry: Registry::new(name, adapters, limits.adapters, root(adapter_root)?),
        media: Media::new(root(media_root)?, &limits),
        places: Places::new(&limits),
        workers: Semaphore::new(thread::available_parallelism().map_or(1, usize::from)),
        tokenizer: Arc::new(processor.tokenizer().clone()),
        processor: Arc::new(processor),
        model: Arc::clone(&model),
        requests: AtomicU64::new(0),
        started: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()),
        ending: AtomicBool::new(false),
        key: key.as_deref().map(digest),
        context,
        seed,
        asked,
        limits,
    });
    let (tokenizer, rows, cut_off) =
        (Arc::clone(&shared.tokenizer), shared.limits.rows, Arc::new(AtomicBool::new(false)));
    let (told, gone) = oneshot::channel();
    let cut = Arc::clone(&cut_off);
    let computing = thread::spawn(move || {
        let decoder = Decoder::new(model.as_ref(), &tokenizer, &stops, rows, context);
        let outcome = catch_unwind(AssertUnwindSafe(|| decoder.run(asks, &cut)));
        let words = outcome.map_err(|panic| panic_words(panic.as_ref()).unwrap_or("it panicked").to_owned());
        // Who listens is gone when all ended well.
        let _ = told.send(words);
    });
    listener.set_nonblocking(true)?;
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(run(shared, listener, stop, &cut_off, gone));
    // Readers that are still at it do not hold the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    if outcome.is_ok() {
        // All that could ask is dropped by now.
        let _ = computing.join();
    }
    outcome
}

/// Serves until the end.
async fn run(
    shared: Arc<Shared>,
    listener: TcpListener,
    stop: &AtomicBool,
    cut_off: &AtomicBool,
    mut gone: oneshot::Receiver<Result<(), String>>,
) -> Result<(), ServeError> {
    let Limits { connections, time, grace, .. } = shared.limits;
    let connections =
        Connections::new(tokio::net::TcpListener::from_std(listener)?, connections, time + SLACK);
    let (end, ended) = oneshot::channel::<()>();
    let serving = axum::serve(connections, routes(&shared)).with_graceful_shutdown(async {
        let _ = ended.await;
    });
    let mut serving = tokio::spawn(serving.into_future());
    let failed = loop {
        tokio::select! {
            words = &mut gone => break words.ok().and_then(Result::err),
            () = sleep(GLANCE) => if stop.load(Ordering::SeqCst) { break None },
        }
    };
    shared.ending.store(true, Ordering::SeqCst);
    if failed.is_none() {
        let until = Instant::now() + grace;
        while !shared.places.are_free() && Instant::now() < until {
            sleep(GLANCE).await;
        }
        cut_off.store(true, Ordering::SeqCst);
    }
    // Nobody listens where the server is gone already.
    let _ = end.send(());
    let _ = timeout(LAST_WORDS, &mut serving).await;
    serving.abort();
    failed.map_or(Ok(()), |words| Err(ServeError::Model(words)))
}

fn routes(shared: &Arc<Shared>) -> Router {
    let api = Router::new()
        .route("/v1/chat/completions", post(chat))
        .route("/v1/completions", post(completions))
        .route("/v1/models", get(models))
        .route("/v1/models/{*name}", get(model))
        .route("/v1/load_lora_adapter", post(load))
        .route("/v1/unload_lora_adapter", post(unload))
        .route_layer(middleware::from_fn_with_state(Arc::clone(shared), checked));
    Router::new()
        .route("/health", get(health))
        .merge(api)
        .fallback(|| async { Refusal::new(StatusCode::NOT_FOUND, "there is no such endpoint") })
        .method_not_allowed_fallback(|| async {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "this endpoint takes another method")
        })
        .with_state(Arc::clone(shared))
}

/// `GET /health`: whether requests are taken.
async fn health(State(shared): State<Arc<Shared>>) -> Response {
    match shared.ending.load(Ordering::SeqCst) {
        true => Refusal::ending().into_response(),
        false => Json(json!({"status": "ok"})).into_response(),
    }
}

/// `GET /v1/models`: the base and its adapters.
async fn models(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({"object": "list", "data": cards(&shared)}))
}

/// `GET /v1/models/NAME`
async fn model(
    State(shared): State<Arc<Shared>>,
    axum::extract::Path(name): axum::extract::Path<String>,
) -> Result<Json<Value>, Refusal> {
    shared.registry.find(&name)?;
    let card = cards(&shared).into_iter().find(|card| card["id"] == json!(name));
    card.map(Json).ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "the model was taken away"))
}

fn cards(shared: &Shared) -> Vec<Value> {
    let base = shared.registry.base();
    let card = |name: &str, parent: Option<&str>| {
        json!({
            "id": name, "object": "model", "created": shared.started, "owned_by": "vigos",
            "root": base, "parent": parent, "max_model_len": shared.context,
        })
    };
    let adapters = shared.registry.adapters();
    let adapters = adapters.iter().map(|name| card(name, Some(base)));
    std::iter::once(card(base, None)).chain(adapters).collect()
}

/// `POST /v1/load_lora_adapter`
async fn load(State(shared): State<Arc<Shared>>, request: Request) -> Result<String, Refusal> {
    let bytes = body::bytes(request, SMALL_BODY, Instant::now() + shared.limits.time).await?;
    let loaded =
        tokio::task::spawn_blocking(move || shared.registry.load(&bytes, shared.model.as_ref())).await;
    loaded.map_err(|_| Refusal::failed("the adapter could not be read"))?
}

/// `POST /v1/unload_lora_adapter`
async fn unload(State(shared): State<Arc<Shared>>, request: Request) -> Result<String, Refusal> {
    let bytes = body::bytes(request, SMALL_BODY, Instant::now() + shared.limits.time).await?;
    shared.registry.unload(&bytes)
}
