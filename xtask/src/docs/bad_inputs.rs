//! The page of what is refused, from the table that the end-to-end tests run.

use crate::shell::root;
use anyhow::{Context, Result};
use std::fmt::Write;
use std::fs;
use toml::{Table, Value};

/// The page.
pub(super) const PAGE: &str = "docs/bad-inputs.md";
/// The table.
const TABLE: &str = "tests/bad_inputs.toml";

/// The page's text.
pub(super) fn page() -> Result<String> {
    let text = fs::read_to_string(root().join(TABLE)).context(TABLE)?;
    let table: Table = text.parse().context(TABLE)?;
    let groups = list(&table, "group")?;
    let mut rows = String::new();
    let mut count = 0;
    for group in groups {
        let group = group.as_table().context("a group")?;
        write!(
            rows,
            "\n## {}\n\n| command | what it gets | what the message has |\n| --- | --- | --- |\n",
            word(group, "title")?
        )?;
        for input in list(group, "inputs")? {
            let input = input.as_table().context("an input")?;
            let says: Vec<String> =
                list(input, "says")?.iter().map(|part| code(part.as_str().unwrap_or_default())).collect();
            let command = code(&expanded(word(input, "command")?, &table));
            writeln!(rows, "| {command} | {} | {} |", word(input, "gets")?, says.join(", "))?;
            count += 1;
        }
    }
    Ok(format!(
        "# What is refused\n\n{count} bad inputs, each with the command that gets it. Every one ends with exit code 2 and one message of what is wrong,\n\
         where, what was found and what was wanted; nothing is written. The end-to-end test `bad_inputs` runs them all;\n\
         `cargo xtask docs` makes this page of its table, `tests/bad_inputs.toml`.\n{rows}"
    ))
}

/// A command with its short forms written out, named as from the repository.
fn expanded(command: &str, table: &Table) -> String {
    let forms = table.get("commands").and_then(Value::as_table).into_iter().flatten();
    let full = forms.fold(command.to_owned(), |text, (name, form)| {
        text.replace(&format!("{{{name}}}"), form.as_str().unwrap_or_default())
    });
    format!("vigos {}", full.replace("{root}/", "").replace("{long}", "…"))
}

/// Code in a cell of a table.
fn code(text: &str) -> String {
    let text = text.replace('|', "\\|");
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}

fn list<'a>(table: &'a Table, key: &str) -> Result<&'a Vec<Value>> {
    table.get(key).and_then(Value::as_array).with_context(|| format!("{TABLE}: no list {key}"))
}

fn word<'a>(table: &'a Table, key: &str) -> Result<&'a str> {
    table.get(key).and_then(Value::as_str).with_context(|| format!("{TABLE}: no text {key}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_bad_inputs_is_that_of_the_table() {
        let found = fs::read_to_string(root().join(PAGE)).unwrap();
        assert!(found == page().unwrap(), "{PAGE} is behind: cargo xtask docs");
    }
}
