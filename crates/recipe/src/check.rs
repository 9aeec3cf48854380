//! Checking what a user wrote, in a file or an override, against the list of keys.

use toml::{Table, Value};

use crate::error::RecipeError;
use crate::kind::{Fault, Kind, describe, nearest};
use crate::schema::{Key, TEACHER_KEYS};

/// The table of a section (`""` for the whole file) with every key one of `keys` and every value in the form
/// the recipe keeps it in.
pub(crate) fn check_table(
    keys: &'static [Key],
    table: Table,
    section: &str,
    origin: &str,
) -> Result<Table, RecipeError> {
    let mut checked = Table::new();
    for (part, value) in table {
        let name = join(section, &part);
        let value = if let Some(key) = find(keys, section, &part) {
            check_value(key, value, origin)?
        } else if is_section(keys, section, &part) {
            match value {
                Value::Table(inner) => Value::Table(check_table(keys, inner, &name, origin)?),
                other => {
                    let wanted = format!("a table `[{name}]`");
                    return Err(wrong_type(origin, &name, &other, wanted, String::new()));
                }
            }
        } else {
            return Err(unknown(keys, origin, section, &part));
        };
        checked.insert(part, value);
    }
    Ok(checked)
}

/// One override, `key=value`, as the key it names and the checked value.
pub(crate) fn parse_override(keys: &'static [Key], text: &str) -> Result<(&'static Key, Value), RecipeError> {
    const ORIGIN: &str = "--set";
    let (name, written) = match text.split_once('=') {
        Some((name, written)) if !name.trim().is_empty() => (name.trim(), written.trim()),
        _ => return Err(RecipeError::Override { text: text.to_owned() }),
    };
    let (section, part) = name.rsplit_once('.').unwrap_or(("", name));
    let Some(key) = keys.iter().find(|key| key.name == name) else {
        return Err(unknown(keys, ORIGIN, section, part));
    };
    let value = match written.parse::<Value>() {
        Ok(value) if value.is_str() || !key.kind.takes_text() => value,
        _ => Value::from(written),
    };
    Ok((key, check_value(key, value, ORIGIN)?))
}

/// The error for a key that nothing was given for.
pub(crate) fn missing(origin: &str, name: &str, key: &Key) -> RecipeError {
    RecipeError::Missing {
        origin: origin.to_owned(),
        key: name.to_owned(),
        wanted: key.kind.to_string(),
        hint: key.doc.to_owned(),
    }
}

/// A parser's error with the line and the column it points to.
pub fn syntax(error: &toml::de::Error, text: &str, origin: &str) -> RecipeError {
    let start = error.span().map_or(0, |span| span.start).min(text.len());
    let before: String = String::from_utf8_lossy(text.as_bytes().get(..start).unwrap_or_default()).into();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    RecipeError::Syntax {
        origin: origin.to_owned(),
        line,
        column,
        message: error.message().trim().to_owned(),
    }
}

fn check_value(key: &Key, value: Value, origin: &str) -> Result<Value, RecipeError> {
    match key.kind.check(value.clone()) {
        Ok(Value::Array(teachers)) if key.kind == Kind::Teachers => check_teachers(teachers, key, origin),
        Ok(value) => Ok(value),
        Err(fault) => Err(refused(fault, origin, key.name, key, &value)),
    }
}

fn check_teachers(teachers: Vec<Value>, key: &Key, origin: &str) -> Result<Value, RecipeError> {
    let mut checked = Vec::with_capacity(teachers.len());
    for (index, teacher) in teachers.into_iter().enumerate() {
        // The kind lets arrays of tables through only.
        let Value::Table(teacher) = teacher else { continue };
        let mut fields = Table::new();
        for (part, value) in teacher {
            let name = format!("{}[{index}].{part}", key.name);
            let Some(known) = find(TEACHER_KEYS, key.name, &part) else {
                let nearest = nearest(TEACHER_KEYS.iter().map(Key::field), &part).map(str::to_owned);
                let hint = match &nearest {
                    Some(nearest) => format!("did you mean `{nearest}`?"),
                    None => format!("a teacher has {}", listed(TEACHER_KEYS.iter().map(Key::field))),
                };
                return Err(RecipeError::UnknownKey { origin: origin.to_owned(), key: name, nearest, hint });
            };
            let value = known
                .kind
                .check(value.clone())
                .map_err(|fault| refused(fault, origin, &name, known, &value))?;
            fields.insert(part, value);
        }
        checked.push(Value::Table(fields));
    }
    Ok(Value::Array(checked))
}

fn refused(fault: Fault, origin: &str, name: &str, key: &Key, value: &Value) -> RecipeError {
    let wanted = key.kind.to_string();
    match fault {
        Fault::Type { hint } => wrong_type(origin, name, value, wanted, hint),
        Fault::Range { hint } => RecipeError::OutOfRange {
            origin: origin.to_owned(),
            key: name.to_owned(),
            found: describe(value),
            wanted,
            hint,
        },
    }
}

fn wrong_type(origin: &str, name: &str, value: &Value, wanted: String, hint: String) -> RecipeError {
    RecipeError::WrongType {
        origin: origin.to_owned(),
        key: name.to_owned(),
        found: describe(value),
        wanted,
        hint,
    }
}

/// The error for a key that nobody knows, with the one that was probably meant: a key of that last part
/// in another section, or the most similar name.
fn unknown(keys: &[Key], origin: &str, section: &str, part: &str) -> RecipeError {
    let name = join(section, part);
    let names = || keys.iter().map(|key| key.name);
    let sections = || names().filter_map(|name| name.split_once('.')).map(|(section, _)| section);
    let elsewhere = || {
        let mut homes = keys.iter().filter(|key| key.field() == part);
        // A last part that several sections have says nothing.
        homes.next().filter(|_| homes.next().is_none()).map(|key| key.name)
    };
    let of_teacher = name.starts_with("method.teacher.");
    let nearest = match of_teacher || sections().any(|known| known == name) {
        true => None,
        false if section.is_empty() => elsewhere().or_else(|| nearest(sections(), part)),
        false => elsewhere().or_else(|| nearest(names(), &name)),
    };
    let hint = match nearest {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None if of_teacher => "the teacher table is set as a whole, `method.teacher = [{ … }, …]`".to_owned(),
        None => {
            let inside = |key: &&str| !section.is_empty() && key.starts_with(&format!("{section}."));
            let below = |key: &&str| key.starts_with(&format!("{name}."));
            let mut known: Vec<&str> = names().filter(|key| inside(key) || below(key)).collect();
            if known.is_empty() {
                known = sections().collect();
                known.dedup();
            }
            format!("known here: {}", listed(known.into_iter()))
        }
    };
    RecipeError::UnknownKey {
        origin: origin.to_owned(),
        key: name.chars().take(200).collect(),
        nearest: nearest.map(str::to_owned),
        hint,
    }
}

/// The key of a section by its last part. A quoted part with a dot in it is no path into a section.
fn find(keys: &'static [Key], section: &str, part: &str) -> Option<&'static Key> {
    keys.iter().find(|key| key.section() == section && key.field() == part)
}

fn is_section(keys: &[Key], section: &str, part: &str) -> bool {
    let name = join(section, part);
    let prefix = format!("{name}.");
    !part.contains('.') && keys.iter().any(|key| key.name.starts_with(&prefix))
}

fn join(section: &str, part: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let part = if part.bytes().all(bare) { part.to_owned() } else { format!("{part:?}") };
    if section.is_empty() { part } else { format!("{section}.{part}") }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
