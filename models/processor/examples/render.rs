//! Chat templates rendered, for comparison with other libraries.
//!
//!     cargo run --release -p vigos-processor --example render < cases.jsonl > texts.jsonl
//!
//! Each input line is an object with `template`, `messages`, `variables` (whatever else the template knows) and
//! `tokens` (such as `eos_token`); each output line has `text` or `error`.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::error::Error;
use std::io::{BufRead, BufWriter, Write, stdin, stdout};
use vigos_processor::ChatTemplate;
use vigos_processor::template::{NamedTokens, TemplateError};

#[derive(Deserialize)]
struct Case {
    template: String,
    messages: Value,
    variables: Map<String, Value>,
    tokens: NamedTokens,
}

impl Case {
    fn render(self) -> Result<String, TemplateError> {
        let prompted = self.variables.get("add_generation_prompt") != Some(&Value::Bool(false));
        ChatTemplate::new(&self.template, self.tokens)?.render_with(self.messages, prompted, self.variables)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = BufWriter::new(stdout().lock());
    for line in stdin().lock().lines() {
        let case: Case = serde_json::from_str(&line?)?;
        let line = match case.render() {
            Ok(text) => json!({ "text": text }),
            Err(error) => json!({ "error": error.to_string() }),
        };
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    Ok(())
}
