//! The logits of a prompt with its images, as a safetensors file: for comparison with other libraries.
//!
//!     cargo run --release -p vigos-qwen --example logits -- --model assets/tiny-qwen2_5-vl \
//!         --image tests/fixtures/images/wide.png --prompt "What is it?" --out logits.safetensors
//!
//! `--adapter DIR` adds a PEFT adapter. The file holds `input_ids` (I64, `[L]`) and `logits` (F32, `[L, V]`).

use burn::tensor::{DType, Device};
use safetensors::tensor::{Dtype, TensorView};
use std::collections::HashMap;
use std::error::Error;
use std::path::Path;
use vigos_models::{ActiveAdapter, peft};
use vigos_processor::{DecodeLimits, Grid, ImagePatches, Message, Part, Processor, decode};

fn main() -> Result<(), Box<dyn Error>> {
    let mut options: HashMap<String, Vec<String>> = HashMap::new();
    let mut args = std::env::args().skip(1);
    while let (Some(name), Some(value)) = (args.next(), args.next()) {
        options.entry(name).or_default().push(value);
    }
    let one = |name: &str| {
        options.get(name).and_then(|values| values.first()).ok_or_else(|| format!("{name} is missing"))
    };
    let folder = Path::new(one("--model")?);
    let device = Device::flex();
    let processor = Processor::from_dir(folder)?;
    let model = vigos_qwen::families().load(folder, &device, DType::F32)?;
    let adapter = match one("--adapter") {
        Ok(path) => Some(peft::load(Path::new(path), model.architecture(), &device)?),
        Err(_) => None,
    };
    let active = adapter.as_ref().map(|adapter| ActiveAdapter { adapter, dropout: None });

    let images: Vec<ImagePatches> = options
        .get("--image")
        .into_iter()
        .flatten()
        .map(|path| Ok(processor.patches(&decode::open(Path::new(path), &DecodeLimits::default())?)?))
        .collect::<Result<_, Box<dyn Error>>>()?;
    let grids: Vec<Grid> = images.iter().map(|image| image.grid).collect();
    let mut parts = vec![Part::Image; images.len()];
    parts.push(Part::Text(one("--prompt")?.clone()));
    let sequence = processor.prompt(&[Message::user(parts)], "", &grids)?.sequence;

    let features = model.encode_images(&images.iter().collect::<Vec<_>>(), active);
    let hidden = model.forward(&model.pack(&[&sequence])?, &features, active, &mut ());
    let rows: Vec<usize> = (0..sequence.ids.len()).collect();
    let logits = model.logits_at(&hidden, &rows);
    let shape = logits.dims().to_vec();
    let logits: Vec<u8> = logits.try_into_vec_as::<f32>()?.into_iter().flat_map(f32::to_le_bytes).collect();
    let ids: Vec<u8> = sequence.ids.iter().flat_map(|id| i64::from(*id).to_le_bytes()).collect();
    let tensors = [
        ("input_ids", TensorView::new(Dtype::I64, vec![rows.len()], &ids)?),
        ("logits", TensorView::new(Dtype::F32, shape, &logits)?),
    ];
    std::fs::write(one("--out")?, safetensors::serialize(tensors, None)?)?;
    Ok(())
}
