//! A recipe as written: TOML whose every key is known and every value one that its key takes, before defaults.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};
use vigos_core::files::read_limited;
use vigos_core::text::one_line;

use crate::check::{Fault, check, describe};
use crate::error::RecipeError;
use crate::keys::join;
use crate::schema::{Node, Takes};
use crate::unknown::unknown;

/// A recipe is a page of text; anything much larger is another file named by mistake.
const LARGEST_FILE: u64 = 1 << 20;
/// What overrides are called in messages.
pub(crate) const SET: &str = "--set";

/// A recipe as written.
#[derive(Debug, Clone)]
pub struct Document {
    schema: Arc<Json>,
    origin: String,
    table: Table,
    /// Where keys and their values were written, by name.
    places: BTreeMap<String, Place>,
}

/// Where a key and its value were written, for messages.
#[derive(Debug, Clone)]
struct Place {
    key: String,
    value: String,
}

/// Values that are fine one by one and contradict each other.
#[derive(Debug)]
pub struct Contradiction {
    /// One of the keys, in full.
    pub key: String,
    /// What contradicts what.
    pub found: String,
    /// What would agree.
    pub wanted: String,
    /// A way out; may be empty.
    pub hint: String,
}

/// The text of a recipe's file.
pub(crate) fn read(path: &Path) -> Result<String, RecipeError> {
    let origin = path.display().to_string();
    let unreadable = |reason: String| RecipeError::Read { origin: origin.clone(), reason };
    let bytes = read_limited(path, LARGEST_FILE).map_err(|error| unreadable(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| {
        let error = error.utf8_error();
        unreadable(format!(
            "{origin} is not text in UTF-8 ({error}); convert it, for example with `iconv -f UTF-16 -t UTF-8`, or `-f LATIN1`"
        ))
    })
}

impl Document {
    /// Reads a recipe; `origin` stands for the file's name in messages.
    pub(crate) fn parse(schema: Json, text: &str, origin: &str) -> Result<Self, RecipeError> {
        let syntax = |error: toml::de::Error| {
            let at = error.span().map_or(0, |span| span.start);
            let (line, column) = line_and_column(text, at);
            let found = error.span().and_then(|span| text.get(span)).map(|found| one_line(found, 60));
            let message = match (error.message().trim(), found) {
                ("duplicate key", Some(key)) => format!("the key `{key}` is there twice, wanted it once"),
                (message, Some(found)) if message.contains("as i128") => {
                    format!("found {found}, wanted a whole number that 64 bits have")
                }
                (message, _) => message.to_owned(),
            };
            RecipeError::Syntax { origin: origin.to_owned(), line, column, message }
        };
        let table: Table = toml::from_str(text).map_err(syntax)?;
        let spans = DeTable::parse(text).map_err(syntax)?;
        let at = |offset: usize| {
            let (line, column) = line_and_column(text, offset);
            format!("{origin}:{line}:{column}")
        };
        let mut places = BTreeMap::new();
        note_places(spans.get_ref(), "", &at, &mut places);
        let document = Self { schema: Arc::new(schema), origin: origin.to_owned(), table, places };
        document.check_table(document.root(), &document.table, "")?;
        Ok(document)
    }

    /// Overrides, each `key=value` with a TOML value, checked; a value that is no TOML is taken as text, so that a
    /// path needs no quotes.
    pub(crate) fn overrides(&self, texts: &[String]) -> Result<Vec<(String, Value)>, RecipeError> {
        texts.iter().map(|text| self.parse_override(text)).collect()
    }

    /// Applies overrides, the last one of a key winning. Keys of which one has to be there displace each other.
    pub(crate) fn apply(&mut self, overrides: Vec<(String, Value)>) {
        for (name, value) in overrides {
            let (section, part) = name.rsplit_once('.').unwrap_or(("", &name));
            let others = find(self.root(), section).map(Node::alternatives).unwrap_or_default();
            let others: Vec<String> = match others.contains(&part) {
                true => others.into_iter().map(|other| join(section, other)).collect(),
                false => Vec::new(),
            };
            others.iter().for_each(|other| self.remove(other));
            let place = Place { key: SET.into(), value: SET.into() };
            // What was said of a list's tables is said no longer.
            let inside = format!("{name}[");
            self.places.retain(|known, _| !known.starts_with(&inside));
            self.places.insert(name.clone(), place);
            insert(&mut self.table, &name, value);
        }
    }

    /// Takes over what another document says and this one leaves open.
    pub(crate) fn lay_over(&mut self, below: &Self) {
        lay(&mut self.table, &below.table);
    }

    /// Removes what only repeats another document, as an effective configuration repeats its preset, so that
    /// something else can take its place. What was written differently stays.
    pub(crate) fn forget(&mut self, other: &Self) {
        let mut leaves = Vec::new();
        leaves_of(&other.table, "", &mut leaves);
        for (name, value) in leaves {
            let node = find(self.root(), &name);
            let (mine, others) = (self.get(&name).cloned(), Some(value.clone()));
            let [mine, others] =
                [mine, others].map(|value| node.and_then(|node| self.whole(node, value?, &name)));
            if let (Some(mine), Some(others)) = (mine, others)
                && same(&mine, &others)
            {
                self.remove(&name);
            }
        }
    }

    /// Fills in the defaults.
    pub(crate) fn fill_defaults(&mut self) -> Result<(), RecipeError> {
        let mut table = std::mem::take(&mut self.table);
        let filled = self.fill(self.root(), &mut table, "");
        self.table = table;
        filled
    }

    /// The recipe, once defaults are filled in.
    pub(crate) fn recipe<T: DeserializeOwned>(&self) -> Result<T, RecipeError> {
        serde_path_to_error::deserialize(Value::Table(self.table.clone())).map_err(|error| {
            let key = error.path().to_string();
            RecipeError::OutOfRange {
                origin: self.value_place(&key),
                found: self.get(&key).map_or_else(|| "nothing that fits".to_owned(), describe),
                wanted: error.inner().message().to_owned(),
                hint: String::new(),
                key,
            }
        })
    }

    /// The error for what contradicts itself.
    pub(crate) fn conflict(&self, fault: Contradiction) -> RecipeError {
        let Contradiction { key, found, wanted, hint } = fault;
        RecipeError::Conflict { origin: self.value_place(&key), key, found, wanted, hint }
    }

    /// The value of a key.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        let (sections, field) = split(name);
        let mut table = &self.table;
        for section in sections {
            table = table.get(section)?.as_table()?;
        }
        table.get(field)
    }

    pub(crate) fn remove(&mut self, name: &str) {
        let (sections, field) = split(name);
        let mut table = &mut self.table;
        for section in sections {
            match table.get_mut(section).and_then(Value::as_table_mut) {
                Some(inner) => table = inner,
                None => return,
            }
        }
        table.remove(field);
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    fn root(&self) -> Node<'_> {
        Node::new(&self.schema)
    }

    /// Where the value of a key was written; the document where it was not.
    fn value_place(&self, name: &str) -> String {
        let mut name = name;
        loop {
            match self.places.get(name) {
                Some(place) => return place.value.clone(),
                // A key that is not there is sought where its section or its list begins.
                None => match name.rsplit_once(['.', '[']) {
                    Some((section, _)) => name = section,
                    None => return self.origin.clone(),
                },
            }
        }
    }

    fn check_table(&self, node: Node, table: &Table, section: &str) -> Result<(), RecipeError> {
        for (part, value) in table {
            let name = join(section, part);
            let Some(node) = node.property(part) else {
                let origin =
                    self.places.get(&name).map_or_else(|| self.origin.clone(), |place| place.key.clone());
                return Err(unknown(self.root(), node, origin, section, part));
            };
            self.check_value(node, value, &name)?;
        }
        Ok(())
    }

    fn check_value(&self, node: Node, value: &Value, name: &str) -> Result<(), RecipeError> {
        let wrong_type = |wanted: String, hint: String| RecipeError::WrongType {
            origin: self.value_place(name),
            key: name.to_owned(),
            found: describe(value),
            wanted,
            hint,
        };
        match (node.takes(), value) {
            (Takes::Table, Value::Table(table)) => self.check_table(node, table, name),
            (Takes::Table, _) => Err(wrong_type(format!("a table `[{name}]`"), String::new())),
            (Takes::List(item), value) if matches!(item.takes(), Takes::Table) => {
                let tables = value.as_array().filter(|items| items.iter().all(Value::is_table));
                let Some(tables) = tables else {
                    let hint = format!("write each one under a heading `[[{name}]]`");
                    return Err(wrong_type(node.to_string(), hint));
                };
                let tables = tables.iter().filter_map(Value::as_table).enumerate();
                tables
                    .into_iter()
                    .try_for_each(|(index, table)| self.check_table(item, table, &format!("{name}[{index}]")))
            }
            _ => check(node, value).map_err(|fault| match fault {
                Fault::Type { hint } => wrong_type(node.to_string(), hint),
                Fault::Range { hint } => RecipeError::OutOfRange {
                    origin: self.value_place(name),
                    key: name.to_owned(),
                    found: describe(value),
                    wanted: node.to_string(),
                    hint,
                },
            }),
        }
    }

    fn parse_override(&self, text: &str) -> Result<(String, Value), RecipeError> {
        let (name, written) = match text.split_once('=') {
            Some((name, written)) if !name.trim().is_empty() => (name.trim(), written.trim()),
            _ => return Err(RecipeError::Override { text: text.to_owned() }),
        };
        let (section, part) = name.rsplit_once('.').unwrap_or(("", name));
        let home = find(self.root(), section);
        let key =
            home.and_then(|home| home.property(part)).filter(|key| !matches!(key.takes(), Takes::Table));
        let Some(key) = key else {
            return Err(unknown(self.root(), home.unwrap_or(self.root()), SET.into(), section, part));
        };
        let value = match written.parse::<Value>() {
            Ok(value) if value.is_str() || !matches!(key.takes(), Takes::Text) => value,
            _ => Value::from(written),
        };
        // The places are those of the file, whose value this one replaces.
        let override_alone = Self { places: BTreeMap::new(), origin: SET.into(), ..self.clone() };
        override_alone.check_value(key, &value, name)?;
        Ok((name.to_owned(), value))
    }

    fn fill(&self, node: Node, table: &mut Table, section: &str) -> Result<(), RecipeError> {
        self.fill_alternatives(node, table, section)?;
        for (part, property) in node.properties() {
            let name = join(section, part);
            let default = property.default();
            match (property.takes(), table.get_mut(part)) {
                (Takes::Table, Some(Value::Table(inner))) => self.fill(property, inner, &name)?,
                (Takes::Table, _) if default.is_some() || node.requires(part) => {
                    let mut inner = Table::new();
                    self.fill(property, &mut inner, &name)?;
                    table.insert(part.to_owned(), Value::Table(inner));
                }
                (Takes::List(item), Some(Value::Array(items))) => {
                    for (index, table) in items.iter_mut().enumerate() {
                        if let Value::Table(table) = table {
                            self.fill(item, table, &format!("{name}[{index}]"))?;
                        }
                    }
                }
                (_, Some(_)) => {}
                (_, None) => match default.and_then(|default| Value::try_from(default).ok()) {
                    Some(value) => _ = table.insert(part.to_owned(), value),
                    None if node.requires(part) && property.text("x-default").is_none() => {
                        return Err(RecipeError::Missing {
                            origin: self.value_place(section),
                            key: name,
                            wanted: property.to_string(),
                            hint: property.doc().to_owned(),
                        });
                    }
                    None => {}
                },
            }
        }
        Ok(())
    }

    /// A value with the defaults of its tables; none if one of them lacks a key.
    fn whole(&self, node: Node, value: Value, name: &str) -> Option<Value> {
        let Takes::List(item) = node.takes() else { return Some(value) };
        let mut value = value;
        for item_value in value.as_array_mut().into_iter().flatten() {
            if let Value::Table(table) = item_value {
                self.fill(item, table, name).ok()?;
            }
        }
        Some(value)
    }

    fn fill_alternatives(&self, node: Node, table: &Table, section: &str) -> Result<(), RecipeError> {
        let alternatives = node.alternatives();
        let Some(first) = alternatives.first().map(|first| join(section, first)) else { return Ok(()) };
        let there: Vec<&&str> = alternatives.iter().filter(|part| table.contains_key(**part)).collect();
        match there[..] {
            [_] => Ok(()),
            [] => {
                let others = alternatives.iter().skip(1).map(|other| format!("`{}`", join(section, other)));
                Err(RecipeError::Missing {
                    origin: self.origin.clone(),
                    key: first,
                    wanted: format!("this or {}", others.collect::<Vec<_>>().join(" or ")),
                    hint: format!(
                        "for example `{} = 1` under `[{section}]`",
                        alternatives.last().unwrap_or(&"")
                    ),
                })
            }
            [one, other, ..] => Err(self.conflict(Contradiction {
                key: join(section, one),
                found: format!("`{}` as well", join(section, other)),
                wanted: "one of the two".into(),
                hint: String::new(),
            })),
        }
    }
}

/// Line and column of a byte of a text, both from 1, the column in characters.
fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let bytes = text.as_bytes().get(..at.min(text.len())).unwrap_or_default();
    let before = String::from_utf8_lossy(bytes);
    let line = before.matches('\n').count() + 1;
    (line, before.rsplit('\n').next().unwrap_or_default().chars().count() + 1)
}

fn note_places(
    table: &DeTable,
    section: &str,
    at: &impl Fn(usize) -> String,
    places: &mut BTreeMap<String, Place>,
) {
    for (key, value) in table {
        let name = join(section, key.get_ref());
        let place = Place { key: at(key.span().start), value: at(value.span().start) };
        match value.get_ref() {
            DeValue::Table(inner) => note_places(inner, &name, at, places),
            DeValue::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let name = format!("{name}[{index}]");
                    if let DeValue::Table(inner) = item.get_ref() {
                        note_places(inner, &name, at, places);
                        let place = at(item.span().start);
                        places.insert(name, Place { key: place.clone(), value: place });
                    }
                }
            }
            _ => {}
        }
        places.insert(name, place);
    }
}

/// The section or key of a schema by its full name.
fn find<'a>(root: Node<'a>, name: &str) -> Option<Node<'a>> {
    let mut parts = name.split('.').filter(|part| !part.is_empty());
    parts.try_fold(root, |node, part| node.property(part))
}

/// The sections that lead to a key, and the key's last part.
fn split(name: &str) -> (impl Iterator<Item = &str>, &str) {
    let (head, field) = name.rsplit_once('.').unwrap_or(("", name));
    (head.split('.').filter(|section| !section.is_empty()), field)
}

fn insert(table: &mut Table, name: &str, value: Value) {
    let (sections, field) = split(name);
    let mut table = table;
    for section in sections {
        let inner = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
        // Sections were checked to be tables when the document was read.
        let Value::Table(inner) = inner else { return };
        table = inner;
    }
    table.insert(field.to_owned(), value);
}

fn leaves_of(table: &Table, section: &str, leaves: &mut Vec<(String, Value)>) {
    for (part, value) in table {
        let name = join(section, part);
        match value {
            Value::Table(inner) => leaves_of(inner, &name, leaves),
            _ => leaves.push((name, value.clone())),
        }
    }
}

/// Whether two values say the same: a whole number is also a number.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Integer(whole), Value::Float(number)) | (Value::Float(number), Value::Integer(whole)) => {
            *whole as f64 == *number
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Table(one), Value::Table(other)) => {
            let alike =
                |(key, value): (&String, &Value)| other.get(key).is_some_and(|other| same(value, other));
            one.len() == other.len() && one.iter().all(alike)
        }
        _ => one == other,
    }
}

fn lay(table: &mut Table, below: &Table) {
    for (part, value) in below {
        match (table.get_mut(part), value) {
            (Some(Value::Table(table)), Value::Table(below)) => lay(table, below),
            (Some(_), _) => {}
            (None, value) => _ = table.insert(part.clone(), value.clone()),
        }
    }
}
