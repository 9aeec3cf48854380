//! A configuration as written: TOML whose every key is known and every value of its key's kind, before
//! defaults and presets.

use std::path::Path;

use crate::method::Fidelity;
use serde::de::DeserializeOwned;
use toml::{Table, Value};
use vigos_core::files::read_limited;

use crate::Recipe;
use crate::check::{check_table, missing, parse_override, syntax};
use crate::error::RecipeError;
use crate::preset::Preset;
use crate::schema::{Default, Key, TEACHER_KEYS};

/// A configuration is a page of text; anything much larger is another file named by mistake.
const LARGEST_FILE: u64 = 1 << 20;

/// A configuration as written.
#[derive(Debug, Clone)]
pub struct Document {
    keys: &'static [Key],
    origin: String,
    table: Table,
}

impl Document {
    /// Read a configuration file that may have these keys.
    ///
    /// # Errors
    /// [`RecipeError`] when it cannot be read or is refused by [`Document::parse`].
    pub fn load(keys: &'static [Key], path: &Path) -> Result<Self, RecipeError> {
        let origin = path.display().to_string();
        let unreadable = |reason: String| RecipeError::Read { origin: origin.clone(), reason };
        let bytes = read_limited(path, LARGEST_FILE).map_err(|error| unreadable(error.to_string()))?;
        let text =
            String::from_utf8(bytes).map_err(|error| unreadable(format!("{origin} is not text: {error}")))?;
        Self::parse(keys, &text, &origin)
    }

    /// Read a configuration; `origin` stands for the file's name in errors.
    ///
    /// # Errors
    /// [`RecipeError`] when it is not TOML, has an unknown key or a value that its key does not take.
    pub fn parse(keys: &'static [Key], text: &str, origin: &str) -> Result<Self, RecipeError> {
        let table: Table = toml::from_str(text).map_err(|error| syntax(&error, text, origin))?;
        Ok(Self { keys, origin: origin.to_owned(), table: check_table(keys, table, "", origin)? })
    }

    /// Apply overrides, each `key=value` with a TOML value; a value that is no TOML is taken as text, so
    /// that a path needs no quotes. `train.steps` and `train.epochs` displace each other. A preset or
    /// fidelity given here takes the place of the file's with all that it stands for.
    ///
    /// # Errors
    /// [`RecipeError`] for what is not `key=value`, an unknown key and a value that its key does not take.
    pub fn set_all(&mut self, overrides: &[String]) -> Result<(), RecipeError> {
        let overrides =
            overrides.iter().map(|text| parse_override(self.keys, text)).collect::<Result<Vec<_>, _>>()?;
        let sets = |name: &str| overrides.iter().any(|(key, _)| key.name == name);
        if sets("method.preset") || sets("method.fidelity") {
            self.forget_expansion()?;
            if sets("method.preset") && !sets("method.teacher") && self.get("method.teacher").is_some() {
                return Err(RecipeError::Conflict {
                    origin: "--set".into(),
                    key: "method.preset".into(),
                    found: format!("a teacher table of its own in {}, which would stay", self.origin),
                    wanted: "a file without [[method.teacher]]".into(),
                    hint: "remove the table from the file to use a preset's".into(),
                });
            }
        }
        for (key, value) in overrides {
            if let Default::InsteadOf(other) = key.default {
                self.remove(other);
            }
            self.insert(key.name, value);
        }
        Ok(())
    }

    /// The recipe: defaults filled in, the preset expanded, contradictions refused.
    ///
    /// # Errors
    /// [`RecipeError`] for a missing key and for values that contradict each other.
    pub fn resolve(mut self) -> Result<Recipe, RecipeError> {
        self.fill_defaults()?;
        let expansion = self.expansion()?;
        for (name, value) in expansion {
            if self.get(name).is_none() {
                self.insert(name, value);
            }
        }
        self.fill_teachers()?;
        let origin = self.origin.clone();
        let recipe: Recipe = self.fields()?;
        recipe.method.check(&origin)?;
        Ok(recipe)
    }

    /// Whatever has these keys and no preset: defaults filled in.
    ///
    /// # Errors
    /// [`RecipeError`] for a missing key.
    pub(crate) fn resolve_plain<T: DeserializeOwned>(mut self) -> Result<T, RecipeError> {
        self.fill_defaults()?;
        self.fields()
    }

    /// Where it was written, for errors.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    fn fields<T: DeserializeOwned>(self) -> Result<T, RecipeError> {
        let origin = self.origin;
        Value::Table(self.table).try_into().map_err(|error: toml::de::Error| RecipeError::Encoding {
            origin,
            message: error.message().to_owned(),
        })
    }

    fn fill_defaults(&mut self) -> Result<(), RecipeError> {
        for key in self.keys {
            let present = self.get(key.name).is_some();
            match key.default {
                Default::Preset => {}
                Default::Required if !present => {
                    return Err(missing(&self.origin, key.name, key));
                }
                Default::InsteadOf(other) if present && self.get(other).is_some() => {
                    return Err(RecipeError::Conflict {
                        origin: self.origin.clone(),
                        key: key.name.into(),
                        found: format!("`{other}` as well"),
                        wanted: "one of the two".into(),
                        hint: String::new(),
                    });
                }
                Default::InsteadOf(other) if !present && self.get(other).is_none() => {
                    return Err(RecipeError::Missing {
                        origin: self.origin.clone(),
                        key: key.name.into(),
                        wanted: format!("this or `{other}`"),
                        hint: "for example `epochs = 1` under `[train]`".into(),
                    });
                }
                _ => {
                    if let (false, Some(value)) = (present, key.default.value()) {
                        self.insert(key.name, value);
                    }
                }
            }
        }
        Ok(())
    }

    fn fill_teachers(&mut self) -> Result<(), RecipeError> {
        let Some(Value::Array(teachers)) = self.get_mut("method.teacher") else { return Ok(()) };
        let mut absent = None;
        for (index, teacher) in teachers.iter_mut().enumerate() {
            let Value::Table(teacher) = teacher else { continue };
            for key in TEACHER_KEYS {
                let field = key.field();
                match key.default.value() {
                    _ if teacher.contains_key(field) => {}
                    Some(value) => _ = teacher.insert(field.to_owned(), value),
                    None => absent = absent.or(Some((format!("method.teacher[{index}].{field}"), key))),
                }
            }
        }
        match absent {
            Some((name, key)) => Err(missing(&self.origin, &name, key)),
            None => Ok(()),
        }
    }

    /// What the document's own preset and fidelity stand for, by key.
    fn expansion(&self) -> Result<[(&'static str, Value); 3], RecipeError> {
        let encoding = |message: String| RecipeError::Encoding { origin: self.origin.clone(), message };
        let preset: Preset = self.read("method.preset")?;
        let fidelity: Fidelity = self.read("method.fidelity")?;
        let expansion = preset.expand(fidelity);
        let teachers = Value::try_from(&expansion.teachers).map_err(|error| encoding(error.to_string()))?;
        Ok([
            ("method.student_prompt", Value::from(expansion.student_prompt)),
            ("method.student_prefill", Value::from(expansion.student_prefill)),
            ("method.teacher", teachers),
        ])
    }

    /// Remove what only repeats the document's own preset, as an effective configuration does, so that
    /// another preset can take its place. What the user wrote differently stays.
    fn forget_expansion(&mut self) -> Result<(), RecipeError> {
        for (name, value) in self.expansion()? {
            if self.get(name) == Some(&value) {
                self.remove(name);
            }
        }
        Ok(())
    }

    /// The value of a key, or its type's default where there is none.
    fn read<T: DeserializeOwned + std::default::Default>(&self, name: &str) -> Result<T, RecipeError> {
        let Some(value) = self.get(name) else { return Ok(T::default()) };
        value.clone().try_into().map_err(|error: toml::de::Error| RecipeError::Encoding {
            origin: self.origin.clone(),
            message: error.message().to_owned(),
        })
    }

    fn get(&self, name: &str) -> Option<&Value> {
        let (sections, field) = split(name);
        let mut table = &self.table;
        for section in sections {
            table = table.get(section)?.as_table()?;
        }
        table.get(field)
    }

    fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        let (sections, field) = split(name);
        let mut table = &mut self.table;
        for section in sections {
            table = table.get_mut(section)?.as_table_mut()?;
        }
        table.get_mut(field)
    }

    fn remove(&mut self, name: &str) {
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

    fn insert(&mut self, name: &str, value: Value) {
        let (sections, field) = split(name);
        let mut table = &mut self.table;
        for section in sections {
            let inner = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            // Sections were checked to be tables when the document was read.
            let Value::Table(inner) = inner else { return };
            table = inner;
        }
        table.insert(field.to_owned(), value);
    }
}

/// The sections that lead to a key, and the key's last part.
fn split(name: &str) -> (impl Iterator<Item = &str>, &str) {
    let (head, field) = name.rsplit_once('.').unwrap_or(("", name));
    (head.split('.').filter(|section| !section.is_empty()), field)
}
