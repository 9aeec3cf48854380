//! From images, messages and text to what a Qwen-VL model reads: patches, grids and token ids.
