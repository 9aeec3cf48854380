//! What a recipe may say, as JSON Schema: made from its structs, read by all that checks, documents and completes
//! a recipe.
//!
//! Two words are ours. `x-resume` lists the runs that may be resumed with another value of a key or of a whole
//! section, see [`crate::resume`]; `x-default` says in words where a key's default comes from.

use std::fmt;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// What a count takes at most unless its key says otherwise: more than any run needs.
const MOST: u64 = 1_000_000_000;

/// The schema of a recipe: every section inline, every key with the default that holds in this recipe.
pub fn schema<R: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<R>().to_value();
    finish(&mut schema, None);
    schema
}

/// Turns what serde and schemars say of a struct into what a TOML file may say. A section's default decides those of
/// its keys.
fn finish(node: &mut Value, default: Option<&Value>) {
    not_null(node);
    let Value::Object(node) = node else { return };
    if let Some(Value::String(doc)) = node.get_mut("description") {
        *doc = doc.replace('\n', " ");
    }
    if node.get("format").is_some_and(|format| format == "uint") {
        node.entry("maximum").or_insert(json!(MOST));
    }
    node.shift_remove("format");
    if let Some(items) = node.get_mut("items") {
        finish(items, None);
    }
    let default = default.cloned().or_else(|| node.get("default").cloned());
    if !node.contains_key("properties") {
        match default {
            Some(default) if !node.contains_key("x-default") => _ = node.insert("default".into(), default),
            _ => _ = node.shift_remove("default"),
        }
        return;
    }
    hoist(node);
    node.insert("additionalProperties".into(), json!(false));
    if default.is_some() {
        // The section may be left out; what then holds is written at its keys.
        node.insert("default".into(), json!({}));
    }
    // Of keys of which one has to be there none is there by default.
    let alternatives: Vec<String> =
        alternatives(node.get("oneOf").unwrap_or(&Value::Null)).map(str::to_owned).collect();
    let mut wanted = Vec::new();
    if let Some(Value::Object(properties)) = node.get_mut("properties") {
        for (name, property) in properties {
            let default = default.as_ref().filter(|_| !alternatives.contains(name));
            finish(property, default.and_then(|default| default.get(name)));
            if let Value::Object(property) = property
                && property.contains_key("properties")
                && property.contains_key("oneOf")
            {
                // A section with such keys has to be there for one of them.
                property.shift_remove("default");
                wanted.push(json!(name));
            }
        }
    }
    if !wanted.is_empty()
        && let Value::Array(required) = node.entry("required").or_insert(json!([]))
    {
        required.append(&mut wanted);
    }
}

/// TOML has no null: what is not set is left out.
fn not_null(node: &mut Value) {
    let Value::Object(map) = node else { return };
    if let Some(Value::Array(types)) = map.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            map.insert("type".into(), only);
        }
    }
}

/// Moves the keys of alternatives, of which one has to be there, to the other keys.
fn hoist(node: &mut Map<String, Value>) {
    let Some(Value::Array(alternatives)) = node.get_mut("oneOf") else { return };
    let mut properties = Map::new();
    for alternative in alternatives {
        let Value::Object(alternative) = alternative else { continue };
        let doc = alternative.shift_remove("description");
        alternative.shift_remove("type");
        let Some(Value::Object(keys)) = alternative.shift_remove("properties") else { continue };
        for (name, mut property) in keys {
            if let (Some(doc), Value::Object(property)) = (&doc, &mut property) {
                property.insert("description".into(), doc.clone());
            }
            properties.insert(name, property);
        }
    }
    if let Some(Value::Object(others)) = node.get_mut("properties") {
        properties.append(others);
        *others = properties;
    }
}

/// The keys that alternatives require.
fn alternatives(one_of: &Value) -> impl Iterator<Item = &str> {
    let required = |one| Node(one).list("required").filter_map(Value::as_str);
    one_of.as_array().into_iter().flatten().flat_map(required)
}

/// A section, a key or an item of a list in a finished schema.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node<'a>(&'a Value);

/// What a node takes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Takes<'a> {
    /// A section.
    Table,
    /// A list of these.
    List(Node<'a>),
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Whole,
    /// A finite number.
    Number,
    /// A text.
    Text,
}

impl<'a> Node<'a> {
    pub(crate) fn new(schema: &'a Value) -> Self {
        Self(schema)
    }

    pub(crate) fn takes(self) -> Takes<'a> {
        match self.text("type") {
            Some("object") => Takes::Table,
            Some("array") => Takes::List(Node(self.0.get("items").unwrap_or(&Value::Null))),
            Some("boolean") => Takes::Flag,
            Some("integer") => Takes::Whole,
            Some("number") => Takes::Number,
            _ => Takes::Text,
        }
    }

    /// The keys and sections of a section, in order.
    pub(crate) fn properties(self) -> impl Iterator<Item = (&'a str, Node<'a>)> {
        let properties = self.0.get("properties").and_then(Value::as_object);
        properties.into_iter().flatten().map(|(name, node)| (name.as_str(), Node(node)))
    }

    pub(crate) fn property(self, name: &str) -> Option<Node<'a>> {
        self.0.get("properties").and_then(|properties| properties.get(name)).map(Node)
    }

    /// Whether a key has to be there.
    pub(crate) fn requires(self, name: &str) -> bool {
        self.list("required").any(|required| required == name)
    }

    /// Keys of which exactly one has to be there.
    pub(crate) fn alternatives(self) -> Vec<&'a str> {
        alternatives(self.0.get("oneOf").unwrap_or(&Value::Null)).collect()
    }

    /// The value that holds where none is given.
    pub(crate) fn default(self) -> Option<&'a Value> {
        self.0.get("default")
    }

    /// Its documentation.
    pub(crate) fn doc(self) -> &'a str {
        self.text("description").unwrap_or_default()
    }

    /// The text of one of the schema's words.
    pub(crate) fn text(self, word: &str) -> Option<&'a str> {
        self.0.get(word).and_then(Value::as_str)
    }

    /// The number of one of the schema's words.
    pub(crate) fn number(self, word: &str) -> Option<f64> {
        self.0.get(word).and_then(Value::as_f64)
    }

    /// The whole number of one of the schema's words.
    pub(crate) fn whole(self, word: &str) -> Option<i64> {
        self.0.get(word).and_then(Value::as_i64)
    }

    /// The list of one of the schema's words.
    pub(crate) fn list(self, word: &str) -> impl Iterator<Item = &'a Value> {
        self.0.get(word).and_then(Value::as_array).into_iter().flatten()
    }

    pub(crate) fn is_set(self, word: &str) -> bool {
        self.0.get(word) == Some(&Value::Bool(true))
    }

    /// The words that a text has to be one of; none where it is free.
    pub(crate) fn words(self) -> Vec<&'a str> {
        let constants = self.list("oneOf").filter_map(|one| Node(one).text("const"));
        let any = self.list("anyOf").flat_map(|any| Node(any).words());
        self.list("enum").filter_map(Value::as_str).chain(constants).chain(any).collect()
    }

    /// The expression that a text has to match, if it is not one of the words.
    pub(crate) fn pattern(self) -> Option<&'a str> {
        self.text("pattern").or_else(|| self.list("anyOf").find_map(|any| Node(any).text("pattern")))
    }

    fn bounds(self) -> String {
        let bound = |word, what| self.number(word).map(|bound| format!("{what} {}", plain(bound)));
        let low = bound("minimum", "at least").or_else(|| bound("exclusiveMinimum", "above"));
        let high = bound("maximum", "at most").or_else(|| bound("exclusiveMaximum", "below"));
        low.into_iter().chain(high).collect::<Vec<_>>().join(" and ")
    }
}

/// What it takes, in words.
impl fmt::Display for Node<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let once = if self.is_set("uniqueItems") { ", none twice" } else { "" };
        let words = self.words();
        match self.takes() {
            _ if self.text("title").is_some() => write!(out, "{}", self.text("title").unwrap_or_default()),
            Takes::Table => write!(out, "a table"),
            Takes::Flag => write!(out, "`true` or `false`"),
            Takes::Whole => match (self.whole("minimum"), self.whole("maximum")) {
                (Some(low), Some(high)) => write!(out, "a whole number from {low} to {high}"),
                (Some(low), None) => write!(out, "a whole number, at least {low}"),
                _ => write!(out, "a whole number"),
            },
            Takes::Number if self.bounds().is_empty() => write!(out, "a finite number"),
            Takes::Number => write!(out, "a number {}", self.bounds()),
            Takes::Text if words.is_empty() => write!(out, "text"),
            Takes::Text => {
                let or_own = if self.pattern().is_some() { ", or `own:NAME`" } else { "" };
                write!(out, "one of {}{or_own}", quoted(&words))
            }
            Takes::List(item) => match (item.takes(), item.words(), self.whole("maxItems")) {
                (Takes::Table, ..) => write!(out, "an array of tables"),
                (Takes::Number, _, Some(2)) => write!(out, "a list of two numbers, each {}", item.bounds()),
                (Takes::Number, ..) => write!(out, "a list of finite numbers{once}"),
                (Takes::Whole, ..) => write!(out, "a list of whole numbers{once}"),
                (_, words, _) if !words.is_empty() => {
                    let or_own = if item.pattern().is_some() { " or `own:NAME`" } else { "" };
                    let least = self.whole("minItems").filter(|least| *least > 1);
                    let least = least.map_or(String::new(), |least| format!(", {least} at least"));
                    write!(out, "a list of some of {}{or_own}{once}{least}", quoted(&words))
                }
                _ => write!(out, "a list of {}{once}", item.text("x-several").unwrap_or("texts")),
            },
        }
    }
}

/// A number as people write it.
fn plain(number: f64) -> String {
    match number.abs() {
        size if size != 0.0 && !(1e-4..1e7).contains(&size) => format!("{number:e}"),
        _ => number.to_string(),
    }
}

pub(crate) fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
}
