//! What a build makes of its operators, and who a device is.

use burn::tensor::Device;

/// Whether this build makes one kernel of neighbouring operators, on backends of CubeCL.
pub const FUSES: bool = cfg!(feature = "fusion");
/// Whether this build chooses kernels by trial, on backends of CubeCL.
pub const AUTOTUNES: bool = cfg!(feature = "autotune");

/// Who a device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// As it names itself, and what its kernels are compiled for.
    pub name: String,
    /// Where on the bus the card is, such as `0000:65:00.0`; None for what is no card, or is not told.
    pub pci_address: Option<String>,
}

/// Who a device is; None where its backend does not tell. It opens the device.
pub fn identity(device: &Device) -> Option<Identity> {
    #[cfg(any(
        feature = "cpu",
        feature = "cuda",
        feature = "metal",
        feature = "rocm",
        feature = "vulkan",
        feature = "webgpu",
        feature = "wgpu"
    ))]
    return device.identity().map(|identity| Identity {
        name: format!("{}, {}", identity.name, identity.fingerprint),
        pci_address: identity.physical.and_then(|card| card.pci_address).map(|address| address.to_string()),
    });
    #[cfg(not(any(
        feature = "cpu",
        feature = "cuda",
        feature = "metal",
        feature = "rocm",
        feature = "vulkan",
        feature = "webgpu",
        feature = "wgpu"
    )))]
    {
        let _ = device;
        None
    }
}
