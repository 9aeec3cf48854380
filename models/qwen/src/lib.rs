//! Qwen vision-language models in Burn: weights, vision tower, language model, adapters.
