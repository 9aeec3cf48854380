//! Every key of a recipe by its full name: for messages, for documentation, and for what may change on resume.

use serde_json::Value;

use crate::schema::{Node, Takes};

/// One key of a recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its name with its section, such as `optim.lr`. Keys of a table in a list have the list's name:
    /// `method.teacher.weight`.
    pub name: String,
    /// Its section as a heading, such as `[optim]` or `[[method.teacher]]`; empty for a key outside all sections.
    pub section: String,
    /// The values it takes, in words.
    pub takes: String,
    /// What holds when it is left out.
    pub default: String,
    /// What it means.
    pub doc: String,
}

impl Key {
    /// The last part of its name.
    pub fn field(&self) -> &str {
        self.name.rsplit_once('.').map_or(&self.name, |(_, field)| field)
    }
}

/// Every key that a schema has, section by section.
pub fn keys(schema: &Value) -> Vec<Key> {
    let mut keys = Vec::new();
    list(Node::new(schema), "", "", &mut keys);
    keys
}

fn list(section: Node, name: &str, heading: &str, keys: &mut Vec<Key>) {
    let is_key = |node: &Node| !matches!(node.takes(), Takes::Table);
    for (part, node) in section.properties().filter(|(_, node)| is_key(node)) {
        keys.push(Key {
            name: join(name, part),
            section: heading.to_owned(),
            takes: node.to_string(),
            default: default(section, name, part, node),
            doc: node.doc().to_owned(),
        });
    }
    for (part, node) in section.properties() {
        let name = join(name, part);
        match node.takes() {
            Takes::Table => list(node, &name, &format!("[{name}]"), keys),
            Takes::List(item) => list(item, &name, &format!("[[{name}]]"), keys),
            _ => {}
        }
    }
}

/// What holds when a key is left out, in words.
fn default(section: Node, name: &str, part: &str, node: Node) -> String {
    let others: Vec<&str> = section.alternatives();
    if others.contains(&part) {
        let others = others.into_iter().filter(|other| *other != part);
        let others: Vec<String> = others.map(|other| format!("`{}`", join(name, other))).collect();
        return format!("give this or {}", others.join(", "));
    }
    match (node.text("x-default"), node.default()) {
        (Some(words), _) => words.to_owned(),
        (None, Some(value)) => format!("`{}`", literal(value, node)),
        (None, None) if section.requires(part) => "required".to_owned(),
        (None, None) => "none".to_owned(),
    }
}

/// A default as one would write it.
fn literal(value: &Value, node: Node) -> String {
    match (value, node.takes()) {
        // Debug prints a small number as 1e-8 where TOML would print every zero.
        (Value::Number(number), Takes::Number) => format!("{:?}", number.as_f64().unwrap_or_default()),
        (Value::Array(items), Takes::List(item)) => {
            let items: Vec<String> = items.iter().map(|value| literal(value, item)).collect();
            format!("[{}]", items.join(", "))
        }
        _ => value.to_string(),
    }
}

/// A section's name and a part of it as one name.
pub(crate) fn join(section: &str, part: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let part = if part.bytes().all(bare) { part.to_owned() } else { format!("{part:?}") };
    if section.is_empty() { part } else { format!("{section}.{part}") }
}
