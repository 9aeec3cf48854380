//! Chat templates, and what texts can do to a prompt.

use std::path::Path;

use serde_json::json;
use vigos_processor::template::{NamedTokens, TemplateError};
use vigos_processor::{ChatTemplate, Grid, Message, Part, Processor};

use crate::parts::{is_a_line, texts};

/// A template renders the same text again, and whatever its lines end with. `template \0 what the user says`
pub fn template(data: &[u8]) {
    let [source, said] = texts(data);
    let plain = source.replace("\r\n", "\n").replace('\r', "\n");
    let once = render(&source, &said);
    // The time goes on between two renders.
    if source.contains("strftime_now") {
        return;
    }
    assert_eq!(once, render(&source, &said), "rendered again");
    assert_eq!(once, render(&plain.replace('\n', "\r\n"), &said), "with other ends of lines");
}

/// The text, or what is wrong.
fn render(source: &str, said: &str) -> Result<String, String> {
    let tokens = NamedTokens { eos_token: Some("<|im_end|>".into()), ..NamedTokens::default() };
    let messages = json!([
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": said}]},
        {"role": "assistant", "content": said},
    ]);
    let text = ChatTemplate::new(source, tokens).and_then(|template| template.render(messages, true));
    text.map_err(|error| match error {
        // The engine counts lines and columns, which is all that may differ.
        TemplateError::Syntax(_) => "syntax".to_owned(),
        TemplateError::Render(_) => "render".to_owned(),
        other => other.to_string(),
    })
}

thread_local! {
    static TINY: Processor = {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        Processor::from_dir(&root.join("assets/tiny-qwen2_5-vl")).expect("the tiny model's files are sound")
    };
}

/// No text makes an image, hides one or ends a turn. `what the user says \0 how the answer begins`
pub fn prompt(data: &[u8]) {
    let [said, prefill] = texts(data);
    let grid = Grid { t: 1, h: 4, w: 2 };
    TINY.with(|processor| {
        let make = |said: &str, prefill: &str| {
            let parts = [Part::Text(said.to_owned()), Part::Image, Part::Text(said.to_owned())];
            processor.prompt(&[Message::user(parts)], prefill, &[grid])
        };
        let (quiet, made) = (make("a", "b").expect("a prompt"), make(&said, &prefill));
        let made = match made {
            Ok(made) => made,
            Err(error) => return assert!(is_a_line(&error.to_string()), "{error}"),
        };
        assert!(made.text.matches(&said).count() >= 1 && made.text.ends_with(&prefill), "a text was changed");
        let count = |ids: &[u32], id| ids.iter().filter(|found| **found == id).count();
        let tokenizer = processor.tokenizer();
        for token in ["<|image_pad|>", "<|vision_start|>", "<|im_start|>", "<|im_end|>"] {
            let id = tokenizer.id(token).expect("the tiny model has it");
            let [found, wanted] = [&made, &quiet].map(|prompt| count(&prompt.sequence.ids, id));
            assert_eq!(found, wanted, "{token}");
        }
        let [slot] = made.sequence.images[..] else { panic!("one image, one slot") };
        let tokens = &made.sequence.ids[slot.start..slot.start + grid.tokens(2)];
        assert!(slot.grid == grid && tokens.iter().all(|id| *id == processor.image_token()));
    });
}
