//! A server that answers as vLLM does, by a tiny model and the program's own sampler, and has the troubles of servers.

use crate::support::folder_of;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use burn::tensor::{DType, Device};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use vigos_models::adapter::BlockAdapter;
use vigos_models::{ActiveAdapter, Adapter, VisionLanguageModel, peft};
use vigos_processor::{DecodeLimits, ImagePatches, ImageSlot, Processor, Sequence, decode};
use vigos_qwen::Model;
use vigos_rollout::engine::{Engine, Finish, Request};
use vigos_rollout::sampler::Sampling;

/// What can be wrong with an answer to a question for a completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It comes after so long.
    Slow(Duration),
    /// The connection is closed without one.
    Gone,
    /// It has forgotten its adapters.
    Restarted,
    /// It is 500.
    Failed,
    /// It is no JSON.
    Garbled,
    /// It does not end.
    Huge,
    /// It is another model's.
    OtherModel,
    /// Its prompt is another one.
    OtherPrompt,
    /// A token of it is none.
    NoToken,
}

/// The server, as those see it who ask and those who trouble it.
pub struct Fake {
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    model: Model,
    processor: Processor,
    has_tower: bool,
    /// Taken off every log-probability that it tells.
    skew: f64,
    adapters: Mutex<BTreeMap<String, (String, Adapter)>>,
    /// Every name that was loaded.
    loaded: Mutex<Vec<String>>,
    /// The next answers' troubles.
    passing: Mutex<VecDeque<Trouble>>,
    /// The trouble of all answers.
    lasting: Mutex<Option<Trouble>>,
}

type Answer = (u16, Value);

impl Fake {
    pub fn of(family: &str) -> Self {
        Self::with(family, true, 0.0)
    }

    pub fn with(family: &str, has_tower: bool, skew: f64) -> Self {
        let folder = folder_of(family);
        let shared = Arc::new(Shared {
            model: Model::load(&folder, &Device::flex(), DType::F32).unwrap(),
            processor: Processor::from_dir(&folder).unwrap(),
            has_tower,
            skew,
            adapters: Mutex::default(),
            loaded: Mutex::default(),
            passing: Mutex::default(),
            lasting: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                thread::spawn(move || server.serve(stream));
            }
        });
        Self { url, shared }
    }

    pub fn troubles(&self, troubles: impl IntoIterator<Item = Trouble>) {
        self.shared.passing.lock().unwrap().extend(troubles);
    }

    pub fn lasting(&self, trouble: Option<Trouble>) {
        *self.shared.lasting.lock().unwrap() = trouble;
    }

    /// Troubles that nobody has met yet.
    pub fn left(&self) -> usize {
        self.shared.passing.lock().unwrap().len()
    }

    /// Every adapter that was ever there.
    pub fn loaded(&self) -> Vec<String> {
        self.shared.loaded.lock().unwrap().clone()
    }

    /// Those that are there.
    pub fn adapters(&self) -> Vec<String> {
        self.shared.adapters.lock().unwrap().keys().cloned().collect()
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) {
        let Some((path, body)) = request(&stream) else { return };
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let (status, answer) = match path.as_str() {
            "/v1/models" => self.models(),
            "/v1/load_lora_adapter" => self.load(&body),
            "/v1/unload_lora_adapter" => self.unload(&body),
            "/inference/v1/generate" => match self.generate(&body, &mut stream) {
                Some(answer) => answer,
                None => return,
            },
            other => (404, json!({"error": {"message": other}})),
        };
        say(&mut stream, status, answer.to_string().as_bytes());
    }

    fn models(&self) -> Answer {
        let adapters = self.adapters.lock().unwrap();
        let card = |(name, (root, _)): (&String, &(String, Adapter))| json!({"id": name, "root": root, "parent": "base"});
        let mut data = vec![json!({"id": "base", "root": "base", "parent": null})];
        data.extend(adapters.iter().map(card));
        (200, json!({"object": "list", "data": data}))
    }

    fn load(&self, body: &Value) -> Answer {
        let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        let (name, path) = (text("lora_name"), text("lora_path"));
        if !Path::new(&path).is_dir() {
            return (404, json!({"error": {"message": format!("No adapter found for {path}")}}));
        }
        let mut adapters = self.adapters.lock().unwrap();
        if adapters.contains_key(&name) {
            return (
                400,
                json!({"error": {"message": format!("The lora adapter '{name}' has already been loaded.")}}),
            );
        }
        let mut adapter =
            peft::load(Path::new(&path), self.model.architecture(), self.model.device()).unwrap();
        if !self.has_tower {
            adapter.vision.fill(BlockAdapter::new());
        }
        self.loaded.lock().unwrap().push(name.clone());
        adapters.insert(name, (path, adapter));
        (200, json!("Success"))
    }

    fn unload(&self, body: &Value) -> Answer {
        let name = body["lora_name"].as_str().unwrap_or_default();
        match self.adapters.lock().unwrap().remove(name) {
            Some(_) => (200, json!("Success")),
            None => {
                (404, json!({"error": {"message": format!("The lora adapter '{name}' cannot be found.")}}))
            }
        }
    }

    /// The answer, unless nobody is to get one.
    fn generate(&self, body: &Value, stream: &mut TcpStream) -> Option<Answer> {
        let trouble = (*self.lasting.lock().unwrap()).or_else(|| self.passing.lock().unwrap().pop_front());
        match trouble {
            Some(Trouble::Gone) => return None,
            Some(Trouble::Slow(time)) => thread::sleep(time),
            Some(Trouble::Restarted) => self.adapters.lock().unwrap().clear(),
            Some(Trouble::Failed) => return Some((500, json!({"error": {"message": "EngineCore died"}}))),
            Some(Trouble::Garbled) => {
                say(stream, 200, b"{\"choices\": [");
                return None;
            }
            Some(Trouble::Huge) => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[");
                while stream.write_all(&[b' '; 1 << 16]).is_ok() {}
                return None;
            }
            _ => {}
        }
        let model = body["model"].as_str().unwrap_or_default();
        let Some((_, adapter)) = self.adapters.lock().unwrap().get(model).cloned() else {
            return Some((
                404,
                json!({"error": {"message": format!("The model `{model}` does not exist.")}}),
            ));
        };
        let mut answer = self.complete(model, &adapter, body);
        match trouble {
            Some(Trouble::OtherModel) => answer["model"] = json!("base"),
            Some(Trouble::OtherPrompt) => answer["prompt_token_ids"][0] = json!(3),
            Some(Trouble::NoToken) => answer["choices"][0]["token_ids"][0] = json!(1_000_000),
            _ => {}
        }
        Some((200, answer))
    }

    fn complete(&self, model: &str, adapter: &Adapter, body: &Value) -> Value {
        let parts = body["content_parts"].as_array().map_or(&[][..], Vec::as_slice);
        let images: Vec<ImagePatches> =
            parts.iter().map(|part| self.picture(part["url"].as_str().unwrap())).collect();
        let prompt = self.expanded(&body["token_ids"], &images);
        let params = &body["sampling_params"];
        let number = |key: &str| params[key].as_f64().unwrap();
        let sampling = Sampling {
            temperature: number("temperature"),
            top_k: params["top_k"].as_i64().unwrap().max(0) as usize,
            top_p: number("top_p"),
            min_p: number("min_p"),
            repetition_penalty: number("repetition_penalty"),
            presence_penalty: number("presence_penalty"),
            frequency_penalty: number("frequency_penalty"),
        };
        let stops: Vec<u32> = serde_json::from_value(params["stop_token_ids"].clone()).unwrap();
        let engine = Engine {
            model: &self.model,
            adapter: Some(ActiveAdapter { adapter, dropout: None }),
            sampling,
            stops: &stops,
            max_new_tokens: params["max_tokens"].as_u64().unwrap() as usize,
            rows: 1,
            seed: params["seed"].as_u64().unwrap(),
            step: 0,
        };
        let request = Request { prompt: &prompt, images: &images, sample: 0 };
        let completion = engine.run(&[request], &mut |_| ControlFlow::Continue(())).unwrap().remove(0);
        let entry = |(token, logprob): (&u32, &f64)| json!({"token": format!("token_id:{token}"), "logprob": (logprob - self.skew).min(0.0), "top_logprobs": []});
        let content: Vec<Value> = completion.tokens.iter().zip(&completion.logprobs).map(entry).collect();
        let finish = if completion.finish == Finish::Stop { "stop" } else { "length" };
        // Only who asks is told.
        let told = body["return_token_ids"].as_bool() == Some(true);
        json!({
            "request_id": "r", "model": model, "prompt_token_ids": told.then_some(prompt.ids),
            "choices": [{
                "index": 0, "token_ids": completion.tokens, "finish_reason": finish, "logprobs": {"content": content}
            }],
        })
    }

    fn picture(&self, url: &str) -> ImagePatches {
        let png = STANDARD.decode(url.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
        self.processor.patches(&decode::decode(&png, &DecodeLimits::default()).unwrap()).unwrap()
    }

    /// A prompt with as many image tokens as its images have, which come with one each.
    fn expanded(&self, ids: &Value, images: &[ImagePatches]) -> Sequence {
        let merge = self.processor.image_config().merge_size as usize;
        let (mut sequence, mut rest) = (Sequence::default(), images.iter());
        for id in serde_json::from_value::<Vec<u32>>(ids.clone()).unwrap() {
            let count = match rest.len() {
                left if id == self.processor.image_token() && left > 0 => {
                    let grid = rest.next().unwrap().grid;
                    sequence.images.push(ImageSlot { start: sequence.ids.len(), grid });
                    grid.tokens(merge)
                }
                _ => 1,
            };
            sequence.ids.extend(vec![id; count]);
        }
        sequence
    }
}

/// The path and the body of a request.
fn request(stream: &TcpStream) -> Option<(String, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((path, body))
}

fn say(stream: &mut TcpStream, status: u16, body: &[u8]) {
    let head = format!(
        "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    // Who asked may be gone.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}
