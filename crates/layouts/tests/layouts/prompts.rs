//! Prompts of rows in every layout against those that Transformers makes of the same messages; `tools/layout_prompts.py`
//! recorded them.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};
use vigos_layouts::{Reader, RowFields};
use vigos_processor::{DecodeLimits, ImagePatches, Processor, decode};
use vigos_recipe::prompts::Prompts;
use vigos_recipe::sample::conversation_prompt;
use vigos_recipe::{DataLayout, Fields, ImageSource, Row, Turns};

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    record: Map<String, Value>,
    turns: Turns,
    ids: Vec<Vec<u32>>,
}

#[test]
fn the_prompt_of_a_row_is_what_the_usual_library_makes_of_its_messages() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let golden = fs::read_to_string(root.join("tests/fixtures/layouts/prompts.json")).unwrap();
    let golden: Golden = serde_json::from_str(&golden).unwrap();
    let processor = Processor::from_dir(&root.join("assets/tiny-qwen2_5-vl")).unwrap();
    // A template of nothing but the question.
    let templates = tempfile::tempdir().unwrap();
    fs::write(templates.path().join("student.txt"), "{problem}").unwrap();
    let prompts = Prompts::load(Some(templates.path())).unwrap();
    let fields = RowFields::from(&Fields::default());
    for Case { name, record, turns, ids } in golden.cases {
        let reader =
            Reader { fields: fields.clone(), layout: DataLayout::Auto, turns, links: Default::default() };
        let rows = reader.rows(&record, &name, 1, &root.join("tests/fixtures/images"));
        assert_eq!(rows.len(), ids.len(), "{name}");
        for (row, ids) in rows.into_iter().zip(ids) {
            let row = row.unwrap_or_else(|bad| panic!("{name}: {}", bad.reason));
            let images = patches(&row, &processor);
            let text = prompts.turn("student", &row, &row.answer).unwrap();
            let prompt = conversation_prompt(&processor, &row.before, &images, &text, "").unwrap();
            assert_eq!(prompt.sequence.ids, ids, "{name}: {}", prompt.text);
        }
    }
}

fn patches(row: &Row, processor: &Processor) -> Vec<ImagePatches> {
    let each = row.images.iter().map(|image| match image {
        ImageSource::File(path) => {
            processor.patches(&decode::open(path, &DecodeLimits::default()).unwrap()).unwrap()
        }
        ImageSource::Bytes(_) => panic!("a picture within the row"),
        ImageSource::Link(link) => panic!("{link} was not fetched"),
    });
    each.collect()
}
