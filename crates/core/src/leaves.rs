//! The leaves of a tree of objects, each under its path.

use serde_json::Value;

/// Every value that is no object, with the keys that lead to it joined by `separator`, in order.
pub fn leaves(tree: &Value, separator: char) -> Vec<(String, &Value)> {
    let Value::Object(fields) = tree else { return vec![(String::new(), tree)] };
    let mut found = Vec::new();
    for (key, value) in fields {
        for (path, leaf) in leaves(value, separator) {
            let path = if path.is_empty() { key.clone() } else { format!("{key}{separator}{path}") };
            found.push((path, leaf));
        }
    }
    found
}
