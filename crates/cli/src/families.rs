//! The families of models that this program is built with. No crate below names one.

use vigos_models::Families;

/// All of them.
pub(crate) fn families() -> Families {
    vigos_qwen::families()
}
