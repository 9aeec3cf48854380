//! The student's rollouts: sampling, batched decoding and the span parser.
