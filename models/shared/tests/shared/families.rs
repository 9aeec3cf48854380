//! How the family of a model folder is found.

use std::sync::Arc;
use vigos_models::{ConfigFile, Families, Family, ModelConfig, ModelError};

/// A family that refuses every file in its own name.
#[derive(Debug)]
struct Refusing(&'static str);

impl Family for Refusing {
    fn model_type(&self) -> &'static str {
        self.0
    }

    fn read(&self, file: &ConfigFile) -> Result<Arc<dyn ModelConfig>, ModelError> {
        Err(file.fault("sizes", "none".into(), self.0))
    }
}

fn families() -> Families {
    let [one, two] =
        [&Refusing("one"), &Refusing("two")].map(|family| Families::new([family as &dyn Family]));
    one.and(&two)
}

fn error(text: &str) -> String {
    let parsed = ConfigFile::parse(text, "m/config.json".as_ref()).and_then(|file| families().parse(&file));
    parsed.unwrap_err().to_string()
}

#[test]
fn a_configuration_goes_to_the_family_that_it_names() {
    for name in ["one", "two"] {
        let found = error(&format!(r#"{{"model_type": "{name}"}}"#));
        assert_eq!(found, format!("m/config.json:sizes: found none, wanted {name}"));
    }
}

#[test]
fn what_names_no_known_family_is_refused_with_the_known_ones() {
    for (text, found) in [
        (r#"{"model_type": "three"}"#, "three"),
        ("{}", "(missing)"),
        ("[]", "(missing)"),
        ("{\"model_type\": 3}", "3"),
        ("\u{feff}{}", "(missing)"),
    ] {
        let wanted = format!("m/config.json:model_type: found {found}, wanted one of one, two");
        assert_eq!(error(text), wanted);
    }
    assert!(error("{").starts_with("m/config.json:(whole file): found "));
    let missing = families().read("m/nowhere".as_ref()).unwrap_err().to_string();
    assert!(missing.contains("nowhere/config.json: cannot be read"), "{missing}");
}
