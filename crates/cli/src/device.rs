//! From `--device` to a device. The one place that names backends.
//!
//! Which backends exist is decided when the command is built, by cargo features of the same names.

use burn::tensor::{Device, DeviceType};
use std::fmt::{self, Display};
use std::str::FromStr;
use vigos_ranks::Ranks;

/// Every backend that the command can be built with, best first.
const NAMES: [&str; 9] = ["cuda", "rocm", "metal", "vulkan", "wgpu", "webgpu", "flex", "tch", "cpu"];

/// A backend that is compiled in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backend {
    /// Its name, which is also its cargo feature.
    pub(crate) name: &'static str,
    kind: fn() -> DeviceType,
    /// Whether it computes in the machine's own memory.
    host: bool,
    /// What the backend takes where no index is given; it may look at the environment.
    default: fn() -> Device,
}

/// What is compiled in, best first.
const COMPILED: &[Backend] = &[
    #[cfg(feature = "cuda")]
    Backend {
        name: "cuda",
        kind: || DeviceType::Cuda,
        host: false,
        default: || Device::cuda(burn::tensor::DeviceIndex::Default),
    },
    #[cfg(feature = "rocm")]
    Backend {
        name: "rocm",
        kind: || DeviceType::Rocm,
        host: false,
        default: || Device::rocm(burn::tensor::DeviceIndex::Default),
    },
    #[cfg(feature = "metal")]
    Backend {
        name: "metal",
        kind: || DeviceType::Metal,
        host: false,
        default: || Device::metal(burn::tensor::DeviceKind::DefaultDevice),
    },
    #[cfg(feature = "vulkan")]
    Backend {
        name: "vulkan",
        kind: || DeviceType::Vulkan,
        host: false,
        default: || Device::vulkan(burn::tensor::DeviceKind::DefaultDevice),
    },
    #[cfg(feature = "wgpu")]
    Backend {
        name: "wgpu",
        kind: || DeviceType::Wgpu,
        host: false,
        default: || Device::wgpu(burn::tensor::DeviceKind::DefaultDevice),
    },
    #[cfg(feature = "webgpu")]
    Backend {
        name: "webgpu",
        kind: || DeviceType::WebGpu,
        host: false,
        default: || Device::webgpu(burn::tensor::DeviceKind::DefaultDevice),
    },
    #[cfg(feature = "flex")]
    Backend { name: "flex", kind: || DeviceType::Flex, host: true, default: Device::flex },
    #[cfg(feature = "tch")]
    Backend {
        name: "tch",
        kind: || DeviceType::LibTorch,
        host: true,
        default: || {
            #[allow(deprecated)] // Burn is about to drop LibTorch; until then it is offered.
            Device::libtorch()
        },
    },
    #[cfg(feature = "cpu")]
    Backend { name: "cpu", kind: || DeviceType::Cpu, host: true, default: Device::cpu },
];

/// A value of `--device`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The best that is compiled in and has a device; a GPU before a driver that only imitates one.
    Auto,
    /// One backend, and the device of it.
    Named {
        /// One of [`NAMES`].
        backend: &'static str,
        /// Counted from 0; the backend's own default where there is none.
        index: Option<usize>,
    },
}

/// Why there is no such device.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeviceError {
    /// The backend was not built in.
    #[error("--device: the backend `{backend}` is not compiled in, this build has {}", compiled_names())]
    NotCompiled {
        /// The backend asked for.
        backend: &'static str,
    },
    /// The backend has fewer devices.
    #[error("--device: found no device {backend}:{index}, `{backend}` has {count} on this machine")]
    OutOfRange {
        /// The backend asked for.
        backend: &'static str,
        /// The device asked for.
        index: usize,
        /// The devices that there are.
        count: usize,
    },
    /// Nothing to choose from.
    #[error("--device auto: no compiled-in backend has a device; this build has {}", compiled_names())]
    None,
}

impl DeviceError {
    /// A way out.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::NotCompiled { backend } => {
                format!("build it in with `cargo build --release -p vigos-cli --features {backend}`")
            }
            Self::OutOfRange { .. } => "`vigos doctor` lists the devices of this machine".into(),
            Self::None => {
                format!("build with a cargo feature out of {}; `flex` runs on any CPU", NAMES.join(", "))
            }
        }
    }
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let (name, index) = text.split_once(':').map_or((text, None), |(name, index)| (name, Some(index)));
        let backend = NAMES.into_iter().find(|known| *known == name);
        let backend = backend.ok_or_else(|| {
            format!("found backend `{name}`, wanted auto or one of {}, as in cuda:0", NAMES.join(", "))
        })?;
        let index = index
            .map(str::parse)
            .transpose()
            .map_err(|_| format!("wanted a number after the colon, as in {name}:0"))?;
        Ok(Self::Named { backend, index })
    }
}

impl Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Named { backend, index: None } => f.write_str(backend),
            Self::Named { backend, index: Some(index) } => write!(f, "{backend}:{index}"),
        }
    }
}

impl Choice {
    /// The device of one of several ranks: those of a machine take its devices in turn, unless one is named.
    ///
    /// # Errors
    /// As [`Choice::open`].
    pub(crate) fn of_rank(&self, ranks: &dyn Ranks) -> Result<Device, DeviceError> {
        let device = self.open()?;
        if ranks.on_machine() == 1 || matches!(self, Self::Named { index: Some(_), .. }) {
            return Ok(device);
        }
        let all = COMPILED.iter().map(Backend::devices).find(|devices| devices.contains(&device));
        let all = all.unwrap_or_default();
        Ok(all.get(ranks.local() % all.len().max(1)).cloned().unwrap_or(device))
    }

    /// The device chosen.
    ///
    /// # Errors
    /// If the backend is not compiled in or has no such device.
    pub(crate) fn open(&self) -> Result<Device, DeviceError> {
        let device = match *self {
            Self::Auto => {
                let has = |backend: &&Backend, software: bool| {
                    backend.devices().iter().any(|device| software || !is_software(&format!("{device:?}")))
                };
                let best = |software| COMPILED.iter().find(|backend| has(backend, software));
                (best(false).or_else(|| best(true)).ok_or(DeviceError::None)?.default)()
            }
            Self::Named { backend: name, index } => {
                let backend = COMPILED.iter().find(|backend| backend.name == name);
                let backend = backend.ok_or(DeviceError::NotCompiled { backend: name })?;
                let devices = backend.devices();
                let wanted = index.unwrap_or(0);
                let listed = devices.get(wanted).cloned().ok_or(DeviceError::OutOfRange {
                    backend: name,
                    index: wanted,
                    count: devices.len(),
                })?;
                if index.is_some() { listed } else { (backend.default)() }
            }
        };
        tracing::info!("device {device:?}");
        Ok(device)
    }
}

/// Memory that a new program can take on `device`, in bytes; `None` where the device does not tell.
pub(crate) fn available_memory(device: &Device) -> Option<u64> {
    let host = COMPILED.iter().any(|backend| backend.host && backend.devices().contains(device));
    match host {
        true => vigos_core::host::available_memory(),
        false => vigos_core::cards::free_memory(&vigos_kernels::identity(device)?.pci_address?),
    }
}

/// A device as it names itself; by its debug form, which is all that every backend has, where it does not.
pub(crate) fn described(device: &Device) -> String {
    let text = format!("{device:?}");
    let inner = text.strip_prefix("Device<").and_then(|text| text.strip_suffix('>'));
    vigos_kernels::identity(device)
        .map(|identity| identity.name)
        .unwrap_or_else(|| inner.unwrap_or(&text).to_owned())
}

/// The name of a device's backend.
pub(crate) fn name_of(device: &Device) -> String {
    let backend = COMPILED.iter().find(|backend| backend.devices().contains(device));
    backend.map_or_else(|| format!("{device:?}"), |backend| backend.name.to_owned())
}

impl Backend {
    /// Its devices on this machine.
    pub(crate) fn devices(&self) -> Vec<Device> {
        Device::enumerate((self.kind)()).to_vec()
    }
}

/// Whether a device is a graphics driver that computes on the CPU, which is slower than the CPU's own backend; by
/// its debug form, which is all that every backend has.
fn is_software(device: &str) -> bool {
    device.contains("kind: Cpu")
}

/// The backends that are compiled in, best first.
pub(crate) fn compiled() -> &'static [Backend] {
    COMPILED
}

/// Every backend that the command can be built with, best first.
pub(crate) fn known() -> &'static [&'static str] {
    &NAMES
}

fn compiled_names() -> String {
    let names: Vec<&str> = COMPILED.iter().map(|backend| backend.name).collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_indices_are_parsed_and_anything_else_is_refused() {
        assert_eq!("auto".parse(), Ok(Choice::Auto));
        assert_eq!("flex".parse(), Ok(Choice::Named { backend: "flex", index: None }));
        assert_eq!("cuda:3".parse(), Ok(Choice::Named { backend: "cuda", index: Some(3) }));
        for text in ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "auto:0", "CUDA"] {
            let message = text.parse::<Choice>().unwrap_err();
            assert!(message.contains("wanted"), "{message}");
        }
        for name in NAMES {
            assert_eq!(name.parse::<Choice>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn a_backend_that_is_not_there_says_how_to_get_it() {
        for &backend in known() {
            match (Choice::Named { backend, index: None }).open() {
                Ok(_) => assert!(compiled().iter().any(|b| b.name == backend)),
                Err(error @ DeviceError::NotCompiled { .. }) => {
                    assert!(error.to_string().contains(backend), "{error}");
                    assert!(error.hint().contains(&format!("--features {backend}")));
                }
                // Compiled in, and no hardware here.
                Err(error) => assert!(compiled().iter().any(|b| b.name == backend), "{error}"),
            }
        }
    }

    #[test]
    fn a_driver_that_computes_on_the_cpu_is_no_gpu() {
        assert!(is_software("Device<Cube(Wgpu(WgpuDevice { kind: Cpu, backend: Auto }))>"));
        for device in
            ["Device<Flex(Cpu)>", "Device<Cube(Wgpu(WgpuDevice { kind: DiscreteGpu(0), backend: Auto }))>"]
        {
            assert!(!is_software(device), "{device}");
        }
    }

    #[test]
    #[cfg(feature = "flex")]
    fn an_index_beyond_the_devices_is_refused_with_their_number() {
        assert!("flex:0".parse::<Choice>().unwrap().open().is_ok());
        let error = "flex:7".parse::<Choice>().unwrap().open().unwrap_err().to_string();
        assert!(error.contains("flex:7") && error.contains("has 1"), "{error}");
        assert!(Choice::Auto.open().is_ok());
    }
}
