//! The phases of a step, for those who measure one: `tracing` spans of the target [`TARGET`].
//!
//! Where nobody listens for them they cost nothing. Where someone does, the device finishes a phase's work before
//! the phase ends, so that each is charged for its own.

use burn::tensor::Device;
use tracing::Span;
use tracing::span::EnteredSpan;

/// The target of the spans.
pub const TARGET: &str = "phase";

/// A phase under way. It ends when this is dropped.
#[must_use]
#[derive(Debug)]
pub struct Phase {
    /// What it computes on, if someone listens.
    device: Option<Device>,
    _span: EnteredSpan,
}

impl Phase {
    /// Begins the phase of this span; [`phase!`](crate::phase!) makes both.
    pub fn enter(span: Span, device: &Device) -> Self {
        let device = (!span.is_disabled()).then(|| device.clone());
        Self { device, _span: span.entered() }
    }
}

impl Drop for Phase {
    fn drop(&mut self) {
        if let Some(device) = &self.device {
            // A lost device shows in the phase's own results.
            let _ = device.sync();
        }
    }
}

/// Begins the phase of a name, which is a literal, on a device.
///
/// ```
/// use burn::tensor::Device;
///
/// let _prefill = vigos_models::phase!(&Device::flex(), "prefill");
/// ```
#[macro_export]
macro_rules! phase {
    ($device:expr, $name:literal) => {
        $crate::phase::Phase::enter(
            $crate::tracing::trace_span!(target: $crate::phase::TARGET, $name),
            $device,
        )
    };
}
