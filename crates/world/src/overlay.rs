//! Changes laid over a table of defaults: every key has to be known, and every value of its default's type.

use toml::{Table, Value};

use crate::error::WorldError;

/// Lays `changes` over `base`. `known` is the table of defaults at the same place, `section` its name.
pub(crate) fn lay(
    base: &mut Table,
    changes: Table,
    known: &Table,
    section: &str,
    origin: &str,
) -> Result<(), WorldError> {
    for (name, value) in changes {
        let key = if section.is_empty() { name.clone() } else { format!("{section}.{name}") };
        let Some(default) = known.get(&name) else {
            return Err(WorldError::UnknownKey { origin: origin.into(), key, hint: hint(&name, known) });
        };
        match (default, value) {
            (Value::Table(known), Value::Table(changes)) => {
                if let Some(Value::Table(base)) = base.get_mut(&name) {
                    lay(base, changes, known, &key, origin)?;
                }
            }
            // A count that f64 cannot hold is out of every range anyway.
            (Value::Float(_), Value::Integer(whole)) => _ = base.insert(name, Value::Float(whole as f64)),
            (default, value) if default.same_type(&value) => _ = base.insert(name, value),
            (default, value) => {
                return Err(WorldError::Config {
                    origin: origin.into(),
                    key,
                    found: format!("{value}, {}", article(value.type_str())),
                    wanted: article(default.type_str()),
                });
            }
        }
    }
    Ok(())
}

/// An override `section.key=value` as a table. What is no TOML is taken as text, so that a path needs no quotes.
pub(crate) fn parse(text: &str) -> Result<Table, WorldError> {
    let malformed = || WorldError::Config {
        origin: format!("--set {text}"),
        key: "(an override)".into(),
        found: "no `=` after a key".into(),
        wanted: "`key=value`, such as `train.conflict=0.5`".into(),
    };
    let (key, value) = text.split_once('=').ok_or_else(malformed)?;
    let key = key.trim();
    if key.is_empty() || key.split('.').any(str::is_empty) {
        return Err(malformed());
    }
    let value = toml::from_str::<Table>(&format!("v = {value}"))
        .ok()
        .and_then(|mut table| if table.len() == 1 { table.remove("v") } else { None })
        .unwrap_or_else(|| Value::String(value.trim().to_owned()));
    let mut parts = key.rsplit('.');
    let mut table = Table::new();
    table.insert(parts.next().unwrap_or_default().to_owned(), value);
    for part in parts {
        let inner = std::mem::take(&mut table);
        table.insert(part.to_owned(), Value::Table(inner));
    }
    Ok(table)
}

/// The known key that resembles `name` most, or all of them.
fn hint(name: &str, known: &Table) -> String {
    let nearest = known
        .keys()
        .map(|key| (strsim::jaro_winkler(name, key), key))
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .filter(|(likeness, _)| *likeness > 0.8);
    match nearest {
        Some((_, key)) => format!("did you mean `{key}`?"),
        None => {
            format!("known here: {}", known.keys().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", "))
        }
    }
}

fn article(kind: &str) -> String {
    let an = kind.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {kind}", if an { "an" } else { "a" })
}
