//! The message for a key that nobody knows.

use crate::check::nearest;
use crate::error::RecipeError;
use crate::keys::join;
use crate::schema::{Node, Takes};

/// The error for a key of a section that has none of that name, with the one that was probably meant: a key of that
/// last part in another section, or the most similar name. `home` is the section where it is known.
pub(crate) fn unknown(root: Node, home: Node, origin: String, section: &str, part: &str) -> RecipeError {
    let name = join(section, part);
    let (nearest, hint) = match list_of(root, &name) {
        // In a table of a list.
        _ if section.contains('[') => {
            let near = nearest(home.properties().map(|(part, _)| part), part).map(|near| join(section, near));
            let known: Vec<String> = home.properties().map(|(part, _)| part.to_owned()).collect();
            (near, format!("known here: {}", listed(&known)))
        }
        Some(list) => (None, format!("`{list}` is set as a whole, `{list}=[{{ … }}, …]`")),
        None => plain(root, section, part, &name),
    };
    let hint = nearest.as_ref().map_or(hint, |near| format!("did you mean `{near}`?"));
    RecipeError::UnknownKey { origin, key: name.chars().take(200).collect(), nearest, hint }
}

/// The nearest key, and the keys that are known where there is none.
fn plain(root: Node, section: &str, part: &str, name: &str) -> (Option<String>, String) {
    let mut names = Vec::new();
    collect(root, "", &mut names);
    let sections: Vec<String> = root.properties().map(|(part, _)| part.to_owned()).collect();
    let below = |key: &&String| key.starts_with(&format!("{name}."));
    let elsewhere = || {
        let mut homes = names.iter().filter(|key| key.rsplit('.').next() == Some(part));
        // A last part that several sections have says nothing.
        homes.next().filter(|_| homes.next().is_none()).cloned()
    };
    let like =
        |known: &[String], text: &str| nearest(known.iter().map(String::as_str), text).map(str::to_owned);
    let near = match names.iter().any(|key| below(&key)) {
        true => None,
        false if section.is_empty() => elsewhere().or_else(|| like(&sections, part)),
        false => elsewhere().or_else(|| like(&names, name)),
    };
    let inside = |key: &&String| !section.is_empty() && key.starts_with(&format!("{section}."));
    let known: Vec<String> = names.iter().filter(|key| inside(key) || below(key)).cloned().collect();
    (near, format!("known here: {}", listed(if known.is_empty() { &sections } else { &known })))
}

/// Every key by its full name; the tables of a list count as one key.
fn collect(node: Node, section: &str, names: &mut Vec<String>) {
    for (part, node) in node.properties() {
        let name = join(section, part);
        match node.takes() {
            Takes::Table => collect(node, &name, names),
            _ => names.push(name),
        }
    }
}

/// The list of tables that a name points into.
fn list_of<'a>(root: Node, name: &'a str) -> Option<&'a str> {
    let mut node = root;
    let mut end = 0;
    for part in name.split('.') {
        node = node.property(part)?;
        end += part.len();
        if let Takes::List(item) = node.takes() {
            let is_inside = matches!(item.takes(), Takes::Table) && end < name.len();
            return name.get(..end).filter(|_| is_inside);
        }
        end += 1;
    }
    None
}

fn listed(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
