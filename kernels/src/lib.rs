//! The span-masked KL operator on Burn tensors.
