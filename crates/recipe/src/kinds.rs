//! Recipes that are given to another command than theirs.

use std::path::Path;

use schemars::JsonSchema;
use toml::{Table, Value};

use crate::docs::Make;
use crate::document::{SET, read};
use crate::error::RecipeError;
use crate::schema::{Node, Takes, schema};

/// The error of reading a file as an `R`, which names the command whose recipe the file rather is: one that knows more
/// of its keys. `kinds` are the recipes' schemas by their commands, such as [`crate::docs::SCHEMAS`].
#[must_use]
pub fn explained<R: JsonSchema>(error: RecipeError, path: &Path, kinds: &[(&str, Make)]) -> RecipeError {
    let mut error = error;
    let (RecipeError::UnknownKey { origin, hint, .. } | RecipeError::WrongType { origin, hint, .. }) =
        &mut error
    else {
        return error;
    };
    // An override says nothing of the file.
    if *origin != SET
        && let Some(command) = written_for(&schema::<R>(), path, kinds)
    {
        *hint = format!("this looks like a recipe of `vigos {command}`");
        if let RecipeError::UnknownKey { nearest, .. } = &mut error {
            *nearest = None;
        }
    }
    error
}

/// The command that knows the most keys of a file, if it knows more than the one with the schema `own`.
fn written_for<'a>(own: &serde_json::Value, path: &Path, kinds: &'a [(&str, Make)]) -> Option<&'a str> {
    let table: Table = toml::from_str(&read(path).ok()?).ok()?;
    let foreign = |schema: &serde_json::Value| foreign(Node::new(schema), &table);
    let others = kinds.iter().map(|(command, make)| (foreign(&make()), *command));
    let (least, command) = others.min_by_key(|(count, _)| *count)?;
    (least < foreign(own)).then_some(command)
}

/// How many keys of a table a schema does not have, or has for something else.
fn foreign(node: Node, table: &Table) -> usize {
    let key = |(part, value): (&String, &Value)| match (node.property(part).map(Node::takes), value) {
        (None, Value::Table(inner)) => inner.len().max(1),
        (None, _) => 1,
        (Some(Takes::Table), Value::Table(inner)) => {
            node.property(part).map_or(0, |node| foreign(node, inner))
        }
        (Some(Takes::Table), _) | (Some(_), Value::Table(_)) => 1,
        (Some(Takes::List(item)), Value::Array(items)) if matches!(item.takes(), Takes::Table) => {
            items.iter().map(|value| value.as_table().map_or(1, |inner| foreign(item, inner))).sum()
        }
        (Some(_), _) => 0,
    };
    table.iter().map(key).sum()
}
