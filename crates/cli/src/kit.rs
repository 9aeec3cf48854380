//! What this program is built with. No crate below names a family of models, or a data source with a scheme.

use vigos_rollout::Kit;

/// The families of models, the data sources and the divergences that recipes may name.
pub(crate) fn kit() -> Kit {
    Kit { families: vigos_qwen::families(), sources: vigos_sources::standard(), ..Kit::default() }
}
