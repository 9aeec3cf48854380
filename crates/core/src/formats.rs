//! Files of weights by their names: the one format that is read, and what to do about the others.

/// Endings of weights in formats that are not read.
pub const OTHERS: [&str; 7] = ["bin", "gguf", "h5", "msgpack", "onnx", "pt", "pth"];

/// What to do about a model's.
pub const MODEL_ADVICE: &str = "weights in this format are not read, those in safetensors are; the publishers of most \
    models have both, and Transformers' `save_pretrained` writes them";

/// What to do about an adapter's.
pub const ADAPTER_ADVICE: &str = "tensors in this format are not read, adapter_model.safetensors is; PEFT's \
    `save_pretrained` of the adapter writes it";

/// What trainers leave beside weights, in files with the same endings.
const LEFTOVERS: [&str; 5] = ["optimizer", "scheduler", "rng_state", "random_states", "training_args"];

/// The first of some files of one folder that has weights in a format that is not read.
///
/// ```
/// use vigos_core::formats::foreign;
///
/// assert_eq!(foreign(["training_args.bin", "pytorch_model.bin", "config.json"]), Some("pytorch_model.bin"));
/// assert_eq!(foreign(["model.safetensors", "onnx/model.onnx"]), None);
/// ```
pub fn foreign<'a>(files: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let is_foreign = |file: &&str| {
        let ending = file.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
        ending.is_some_and(|ending| OTHERS.contains(&ending.as_str()))
            && !file.contains('/')
            && !LEFTOVERS.iter().any(|name| file.starts_with(name))
    };
    files.into_iter().filter(is_foreign).min()
}
