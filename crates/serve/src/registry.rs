//! The names that a request may give as its model: the base, and adapters, which come and go while the server runs.

use crate::fields::Fields;
use crate::refusal::Refusal;
use axum::http::StatusCode;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use vigos_core::paths::contained;
use vigos_core::text::one_line;
use vigos_models::{Adapter, VisionLanguageModel, peft};

/// The most bytes of a name.
const LONGEST_NAME: usize = 200;

/// An adapter under its name.
#[derive(Clone, Debug)]
pub struct NamedAdapter {
    /// The name that requests give.
    pub name: String,
    /// The weights.
    pub adapter: Arc<Adapter>,
}

/// The base and its adapters.
#[derive(Debug)]
pub(crate) struct Registry {
    /// The base's name.
    base: String,
    adapters: RwLock<BTreeMap<String, Arc<Adapter>>>,
    /// The most adapters.
    most: usize,
    /// The folder that adapters may be loaded from.
    root: Option<PathBuf>,
    /// One is loaded at a time.
    loading: Mutex<()>,
}

impl Registry {
    /// A base with the adapters that it starts with.
    pub(crate) fn new(base: String, adapters: Vec<NamedAdapter>, most: usize, root: Option<PathBuf>) -> Self {
        let adapters: BTreeMap<_, _> =
            adapters.into_iter().map(|NamedAdapter { name, adapter }| (name, adapter)).collect();
        Self {
            base,
            most: most.max(adapters.len()),
            adapters: RwLock::new(adapters),
            root,
            loading: Mutex::new(()),
        }
    }

    /// The base's name.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// The adapter of a name; `None` is the base.
    ///
    /// # Errors
    /// If nothing has the name.
    pub(crate) fn find(&self, name: &str) -> Result<Option<Arc<Adapter>>, Refusal> {
        if name == self.base {
            return Ok(None);
        }
        let adapters = self.adapters.read().unwrap_or_else(PoisonError::into_inner);
        match adapters.get(name) {
            Some(found) => Ok(Some(Arc::clone(found))),
            None => Err(unknown(name)),
        }
    }

    /// The names of the adapters.
    pub(crate) fn adapters(&self) -> Vec<String> {
        self.adapters.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// Loads the adapter that a request names, in vLLM's shape.
    ///
    /// # Errors
    /// If that is not allowed, the name is taken, or there is no such adapter below the folder.
    pub(crate) fn load(&self, body: &[u8], model: &dyn VisionLanguageModel) -> Result<String, Refusal> {
        let root = self.root()?;
        let mut fields = Fields::parse(body)?;
        let name: String = fields.need("lora_name", "a name")?;
        let path: String = fields.need("lora_path", "a folder below the server's --adapter-root")?;
        let replaces: bool = fields.take("load_inplace", "true or false")?.unwrap_or_default();
        fields.end()?;
        if name.is_empty() || name.len() > LONGEST_NAME || name == self.base {
            return Err(Refusal::of("lora_name", name, "a name of its own, of 1 to 200 bytes"));
        }
        let _one_at_a_time = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let adapters = self.adapters.read().unwrap_or_else(PoisonError::into_inner);
            let is_there = adapters.contains_key(&name);
            if is_there && !replaces {
                let shown = one_line(&name, 120);
                return Err(Refusal::bad(format!(
                    "the adapter `{shown}` is loaded already; load_inplace = true puts another in its place"
                )));
            }
            if !is_there && adapters.len() >= self.most {
                return Err(Refusal::bad(format!(
                    "{} adapters are loaded, as many as may be",
                    adapters.len()
                )));
            }
        }
        let folder = below(root, &path)?;
        let adapter = peft::load(&folder, model.architecture(), model.device());
        let adapter = adapter.map_err(|error| Refusal::bad(format!("lora_path: {error}")))?;
        let words = format!("Success: LoRA adapter '{}' added successfully.", one_line(&name, 120));
        self.adapters.write().unwrap_or_else(PoisonError::into_inner).insert(name, Arc::new(adapter));
        Ok(words)
    }

    /// Takes away the adapter that a request names; completions under way keep it until they end.
    ///
    /// # Errors
    /// If that is not allowed, or there is none of the name.
    pub(crate) fn unload(&self, body: &[u8]) -> Result<String, Refusal> {
        self.root()?;
        let mut fields = Fields::parse(body)?;
        let name: String = fields.need("lora_name", "a name")?;
        fields.ignore(&["lora_int_id"]);
        fields.end()?;
        let removed = self.adapters.write().unwrap_or_else(PoisonError::into_inner).remove(&name);
        removed.ok_or_else(|| unknown(&name))?;
        Ok(format!("Success: LoRA adapter '{}' removed successfully.", one_line(&name, 120)))
    }

    fn root(&self) -> Result<&Path, Refusal> {
        self.root.as_deref().ok_or_else(|| {
            let message = "adapters are loaded at run time only where the server was given --adapter-root";
            Refusal::new(StatusCode::FORBIDDEN, message)
        })
    }
}

/// The path of `text` below `root`: relative to it, or absolute.
///
/// # Errors
/// If it leads elsewhere.
pub(crate) fn below(root: &Path, text: &str) -> Result<PathBuf, Refusal> {
    let path = Path::new(text);
    let relative = match path.strip_prefix(root) {
        Ok(rest) if path.is_absolute() => rest.to_str().unwrap_or_default(),
        _ => text,
    };
    // What lies elsewhere is not described.
    contained(root, relative).map_err(|_| {
        Refusal::bad(format!("{}: this is no path below the folder that may be read", one_line(text, 120)))
    })
}

fn unknown(name: &str) -> Refusal {
    let message =
        format!("the model `{}` does not exist; GET /v1/models lists those that do", one_line(name, 120));
    Refusal::new(StatusCode::NOT_FOUND, message).code("model_not_found")
}
