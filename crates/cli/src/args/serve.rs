//! Arguments of `vigos serve`.

use super::model::{ModelArgs, Precision};
use clap::Args;
use clap::builder::RangedU64ValueParser;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use vigos_serve::Limits;

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Model folder in Hugging Face layout, or hf:ORG/NAME, with @REVISION if wanted.
    #[arg(long, value_name = "DIR")]
    pub(crate) model: PathBuf,
    /// An adapter folder in PEFT layout, or hf:ORG/NAME, under the name that requests give as their model. May be given
    /// several times.
    #[arg(long = "adapter", value_name = "NAME=DIR", value_parser = named)]
    pub(crate) adapters: Vec<(String, PathBuf)>,
    /// Number format of weights and activations.
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    pub(crate) precision: Precision,
    /// Where to listen. Another address than this machine's own lets others ask: give a key then.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    pub(crate) listen: SocketAddr,
    /// The base's name in requests; the folder's or repository's unless given.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The variable of the environment with the key that requests must have.
    #[arg(long, value_name = "NAME")]
    pub(crate) api_key_env: Option<String>,
    /// Folder whose image files requests may name. Without it images come as data URLs only.
    #[arg(long, value_name = "DIR")]
    pub(crate) media_root: Option<PathBuf>,
    /// Folder below which /v1/load_lora_adapter may load adapters. Without it none is loaded at run time.
    #[arg(long, value_name = "DIR")]
    pub(crate) adapter_root: Option<PathBuf>,
    /// Seed of the draws of requests that have none.
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

/// What the server takes on, at most.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArgs {
    /// Completions that decode together; each takes the memory of a context at most.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = from(1))]
    rows: usize,
    /// Tokens of a prompt with its completion; never more than the model's context.
    #[arg(long, value_name = "N", default_value_t = 8192, value_parser = from(2))]
    context: usize,
    /// Requests under way, those that wait included; the next one is told to come again (429).
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = from(1))]
    max_requests: usize,
    /// Megabytes (10^6 bytes) of a request.
    #[arg(long, value_name = "MB", default_value_t = 32, value_parser = from(1))]
    max_body: usize,
    /// Images of a request.
    #[arg(long, value_name = "N", default_value_t = 16)]
    max_images: usize,
    /// Megapixels (10^6 pixels) of an image.
    #[arg(long, value_name = "MP", default_value_t = 64)]
    max_pixels: u32,
    /// Seconds that a request may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..))]
    timeout: u32,
    /// Seconds that requests under way may go on after Ctrl-C or SIGTERM.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    grace: u32,
}

impl ServeArgs {
    /// The base by itself.
    pub(crate) fn base(&self) -> ModelArgs {
        ModelArgs { model: self.model.clone(), adapter: None, precision: self.precision }
    }
}

impl LimitArgs {
    /// The library's.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            rows: self.rows,
            context: self.context,
            requests: self.max_requests,
            body: self.max_body.saturating_mul(1_000_000),
            images: self.max_images,
            pixels: u64::from(self.max_pixels) * 1_000_000,
            time: Duration::from_secs(self.timeout.into()),
            grace: Duration::from_secs(self.grace.into()),
            ..Limits::default()
        }
    }
}

fn named(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, folder)) if !name.is_empty() && !folder.is_empty() => {
            Ok((name.to_owned(), folder.into()))
        }
        _ => Err(format!("found {text}, wanted NAME=DIR")),
    }
}

fn from(least: u64) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(least..)
}
