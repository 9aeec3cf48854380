//! Token ids of many texts, for comparison with other libraries.
//!
//!     cargo run --release -p vigos-processor --example ids -- tokenizer.json < texts.jsonl > ids.jsonl
//!
//! Each input line is a JSON string; each output line has `encoded`, its ids with special tokens taken as such,
//! `plain`, its ids with none, and `decoded`, the text that the former stand for.

use std::error::Error;
use std::io::{BufRead, BufWriter, Write, stdin, stdout};
use std::path::PathBuf;
use vigos_processor::Tokenizer;

fn main() -> Result<(), Box<dyn Error>> {
    let path = PathBuf::from(std::env::args().nth(1).ok_or("name a tokenizer.json")?);
    let tokenizer = Tokenizer::from_file(&path)?;
    let mut out = BufWriter::new(stdout().lock());
    for line in stdin().lock().lines() {
        let text: String = serde_json::from_str(&line?)?;
        let encoded = tokenizer.encode(&text)?;
        let plain = tokenizer.encode_plain(&text)?;
        let decoded = tokenizer.decode(&encoded, false);
        let line = serde_json::json!({ "encoded": encoded, "plain": plain, "decoded": decoded });
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    Ok(())
}
