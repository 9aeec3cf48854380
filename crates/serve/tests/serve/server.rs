//! A server of the tiny model, and the same model to hold its answers against.

use burn::tensor::{DType, Device, Tensor};
use serde_json::{Value, json};
use std::net::{SocketAddr, TcpListener};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use vigos_models::generation::stop_tokens;
use vigos_models::{ActiveAdapter, Adapter, LoraConfig, Projection, VisionLanguageModel};
use vigos_processor::{DecodeLimits, Message, Part, Processor, decode};
use vigos_rollout::engine::{Completion, Engine, Request};
use vigos_rollout::sampler::Sampling;
use vigos_serve::{Limits, Options, ServeError, Served, serve};

pub const NAME: &str = "tiny";

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

pub fn images() -> PathBuf {
    root().join("tests/fixtures/images")
}

fn folder() -> PathBuf {
    root().join("assets/tiny-qwen2_5-vl")
}

pub fn model() -> Arc<dyn VisionLanguageModel> {
    vigos_qwen::families().load(&folder(), &Device::flex(), DType::F32).unwrap().into()
}

pub fn processor() -> Processor {
    Processor::from_dir(&folder()).unwrap()
}

/// An adapter that changes what the model says, another for every seed.
pub fn adapter(model: &dyn VisionLanguageModel, seed: u64) -> Adapter {
    let targets = vec![Projection::named("q_proj").unwrap(), Projection::named("down_proj").unwrap()];
    let config = LoraConfig { rank: 4, alpha: 8.0, dropout: 0.0, targets };
    let adapter = Adapter::init(&config, model.architecture(), seed, model.device());
    adapter.map(|name, tensor| match name.contains("lora_B") {
        true => Tensor::ones(tensor.dims(), (model.device(), DType::F32)).mul_scalar(0.3 + 0.1 * seed as f64),
        false => tensor.clone(),
    })
}

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
}

impl Server {
    /// The tiny model with these options.
    pub fn with(options: Options) -> Self {
        Self::of(
            Served {
                name: NAME.into(),
                model: model(),
                processor: processor(),
                stops: stop_tokens(&folder()).unwrap(),
                adapters: vec![],
            },
            options,
        )
    }

    pub fn of(served: Served, options: Options) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let raised = Arc::clone(&stop);
        let thread = std::thread::spawn(move || serve(served, options, listener, &raised));
        Self { address, stop, thread: Some(thread) }
    }

    pub fn limited(limits: Limits) -> Self {
        Self::with(Options { limits, ..Options::default() })
    }

    /// Tells it to end.
    pub fn end(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    /// Waits for its end.
    pub fn ended(mut self) -> Result<(), ServeError> {
        self.end();
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(std::thread::panicking() || matches!(ended, Ok(Ok(()))), "{ended:?}");
        }
    }
}

/// The test's own limits: nothing takes long.
pub fn limits() -> Limits {
    Limits { grace: Duration::from_secs(120), ..Limits::default() }
}

/// A question about an image of the fixtures, as a chat.
pub fn question(image: &str, text: &str) -> Value {
    json!([{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": image}},
        {"type": "text", "text": text},
    ]}])
}

/// Text alone.
pub fn words(text: &str) -> Value {
    json!([{"role": "user", "content": text}])
}

/// What `vigos generate` makes of a prompt: one row, nothing beside it.
pub struct Alone {
    pub model: Arc<dyn VisionLanguageModel>,
    pub processor: Processor,
    pub stops: Vec<u32>,
}

impl Alone {
    pub fn new() -> Self {
        Self { model: model(), processor: processor(), stops: stop_tokens(&folder()).unwrap() }
    }

    pub fn complete(
        &self,
        image: Option<&str>,
        text: &str,
        (sampling, seed, tokens): (Sampling, u64, usize),
        adapter: Option<&Adapter>,
    ) -> Completion {
        let image = image.map(|name| decode::open(&images().join(name), &DecodeLimits::default()).unwrap());
        let patches: Vec<_> = image.iter().map(|image| self.processor.patches(image).unwrap()).collect();
        let parts = patches.iter().map(|_| Part::Image).chain([Part::Text(text.into())]);
        let grids: Vec<_> = patches.iter().map(|patches| patches.grid).collect();
        let prompt = self.processor.prompt(&[Message::user(parts)], "", &grids).unwrap().sequence;
        let engine = Engine {
            model: self.model.as_ref(),
            adapter: adapter.map(|adapter| ActiveAdapter { adapter, dropout: None }),
            sampling,
            stops: &self.stops,
            max_new_tokens: tokens,
            rows: 1,
            seed,
            step: 0,
        };
        let request = Request { prompt: &prompt, images: &patches, sample: 0 };
        engine.run(&[request], &mut |_| ControlFlow::Continue(())).unwrap().remove(0)
    }

    pub fn text(&self, tokens: &[u32]) -> String {
        self.processor.tokenizer().decode(tokens, true)
    }
}

/// Sampling as the API has it by default.
pub fn neutral(temperature: f64) -> Sampling {
    Sampling { temperature, top_k: 0, top_p: 1.0, ..Sampling::default() }
}
