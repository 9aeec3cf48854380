//! What a build makes of its operators, and who a device is.

use burn::tensor::Device;

/// Whether this build makes one kernel of neighbouring operators, on backends of CubeCL.
pub const FUSES: bool = cfg!(feature = "fusion");
/// Whether this build chooses kernels by trial, on backends of CubeCL.
pub const AUTOTUNES: bool = cfg!(feature = "autotune");

/// A device as it names itself, and what its kernels are compiled for; None where its backend does not tell.
///
/// It opens the device.
pub fn identity(device: &Device) -> Option<String> {
    #[cfg(any(
        feature = "cpu",
        feature = "cuda",
        feature = "metal",
        feature = "rocm",
        feature = "vulkan",
        feature = "webgpu",
        feature = "wgpu"
    ))]
    return device.identity().map(|identity| format!("{}, {}", identity.name, identity.fingerprint));
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
