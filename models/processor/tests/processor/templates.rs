//! Chat templates render to what Transformers makes of them, see `fixtures/README.md`.

use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;
use vigos_processor::ChatTemplate;
use vigos_processor::template::{NamedTokens, TemplateError};

/// What `tools/template_check.py` wrote.
#[derive(Deserialize)]
struct Recorded {
    tokens: NamedTokens,
    templates: BTreeMap<String, String>,
    messages: BTreeMap<String, Value>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    template: String,
    messages: String,
    variables: Map<String, Value>,
    wanted: Wanted,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Wanted {
    Text(String),
    Error(String),
}

#[test]
fn what_transformers_renders_is_rendered_and_what_it_refuses_is_refused() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/templates.json");
    let recorded: Recorded = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert!(recorded.cases.len() >= 60);
    for case in recorded.cases {
        let source = &recorded.templates[&case.template];
        let template = ChatTemplate::new(source, recorded.tokens.clone()).unwrap();
        let prompted = case.variables.get("add_generation_prompt") != Some(&Value::Bool(false));
        let found = template.render_with(&recorded.messages[&case.messages], prompted, &case.variables);
        let what = format!("`{}` of {} with {:?}", case.template, case.messages, case.variables);
        match (found, case.wanted) {
            (Ok(found), Wanted::Text(wanted)) => assert_eq!(found, wanted, "{what}"),
            // In its own words, where it has some.
            (Err(TemplateError::Raised { message }), Wanted::Error(wanted)) => {
                assert_eq!(message, wanted, "{what}");
            }
            (Err(TemplateError::Render(_)), Wanted::Error(_)) => {}
            (found, _) => panic!("{what}: {found:?}"),
        }
    }
}
