//! The kernels as text or binary for each kind of GPU, made without one: what a device's compiler would be given.
//!
//! The devices described here are typical, not real: what the kernel asks of a device is its plane size, its
//! shared memory and its vector width.

use super::kernel::span_kl_separate::SpanKlSeparate;
use super::kernel::span_kl_stacked::SpanKlStacked;
use cubecl::WgpuCompilationOptions;
use cubecl::frontend::cmma::MatrixLayout;
use cubecl::ir::features::Plane;
use cubecl::ir::{
    ContiguousElements, DeviceIdentity, DeviceProperties, ElemType, FloatKind, HardwareProperties,
    MemoryDeviceProperties, MmaProperties, TargetProperties,
};
use cubecl::prelude::*;
use cubecl_common::profile::TimingMethod;
use cubecl_cpp::shared::{CompilationOptions, CppCompiler, CppSupportedFeatures};
use cubecl_cpp::target;
use cubecl_runtime::compiler::Compiler;
use cubecl_spirv::SpirvCompiler;
use std::sync::Arc;
use vigos_cubes::definitions;
use vigos_cubes::reduce::Blueprint;

/// Precisions with their names, and how many neighbours one load of 128 bits takes.
const PRECISIONS: [(FloatKind, &str, usize); 3] =
    [(FloatKind::F32, "f32", 4), (FloatKind::F16, "f16", 8), (FloatKind::BF16, "bf16", 8)];

/// Who reads the lowered kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// NVIDIA's runtime compiler: CUDA C++.
    Cuda,
    /// AMD's: HIP C++.
    Hip,
    /// Apple's: the Metal shading language.
    Metal,
    /// Vulkan drivers: SPIR-V.
    SpirV,
}

/// One kernel for one target.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// A file name that tells form, precision and reduction, with the target's usual ending.
    pub file: String,
    /// The target.
    pub target: Target,
    /// Source text, or little-endian words of SPIR-V.
    pub bytes: Vec<u8>,
}

impl Target {
    /// Every target.
    pub const ALL: [Self; 4] = [Self::Cuda, Self::Hip, Self::Metal, Self::SpirV];

    fn ending(self) -> &'static str {
        match self {
            Self::Cuda => "cu",
            Self::Hip => "hip",
            Self::Metal => "metal",
            Self::SpirV => "spv",
        }
    }

    fn plane_size(self) -> u32 {
        if self == Self::Hip { 64 } else { 32 }
    }

    /// Vulkan's vectors have four elements at most.
    fn vector(self, most: usize) -> usize {
        if self == Self::SpirV { 4 } else { most }
    }

    fn shared_memory(self) -> usize {
        match self {
            Self::Cuda => 227 << 10,
            Self::Hip => 64 << 10,
            Self::Metal | Self::SpirV => 32 << 10,
        }
    }
}

/// Lowers every kernel for one target: the loss's, and those of `vigos-cubes`.
///
/// # Errors
/// The compiler's message, with the kernel it is about.
pub fn lower(target: Target) -> Result<Vec<Lowered>, String> {
    let mut kernels = losses(target)?;
    kernels.extend(operators(target)?);
    Ok(kernels)
}

/// The operators, in every precision and with both reductions.
fn operators(target: Target) -> Result<Vec<Lowered>, String> {
    let mut kernels = Vec::new();
    for (precision, bits, vector) in PRECISIONS {
        for planes in [false, true] {
            let described = definitions::Target {
                device: Arc::new(device(target)),
                properties: Arc::new(properties(target)),
                planes,
                vector: target.vector(vector),
            };
            for (name, definition) in definitions::all(&described, ElemType::Float(precision)) {
                let reduction = if planes { "planes" } else { "shared" };
                let file = format!("{name}_{bits}_{reduction}.{}", target.ending());
                let bytes = compile(target, definition).map_err(|error| format!("{file}: {error}"))?;
                kernels.push(Lowered { file, target, bytes });
            }
        }
    }
    Ok(kernels)
}

/// Both forms of the loss's kernel, in every precision and with both reductions.
fn losses(target: Target) -> Result<Vec<Lowered>, String> {
    let mut kernels = Vec::new();
    for stacked in [false, true] {
        for (precision, bits, vector) in PRECISIONS {
            let vector = target.vector(vector);
            for vector in [1, vector] {
                for planes in [false, true] {
                    let plane = planes.then_some(target.plane_size());
                    let blueprint = Blueprint { units: 256, plane };
                    let form = if stacked { "stacked" } else { "separate" };
                    let reduction = if planes { "planes" } else { "shared" };
                    let file = format!("{form}_{bits}x{vector}_{reduction}.{}", target.ending());
                    let definition =
                        definition(stacked, target, ElemType::Float(precision), vector, blueprint);
                    let bytes = compile(target, definition).map_err(|error| format!("{file}: {error}"))?;
                    kernels.push(Lowered { file, target, bytes });
                }
            }
        }
    }
    Ok(kernels)
}

fn compile(target: Target, definition: KernelDefinition) -> Result<Vec<u8>, String> {
    let options = CompilationOptions {
        warp_size: target.plane_size() as usize,
        supports_features: CppSupportedFeatures {
            grid_constants: target == Target::Cuda,
            ..CppSupportedFeatures::default()
        },
        ..CompilationOptions::default()
    };
    match target {
        Target::Cuda => text(CppCompiler::<target::Cuda>::default(), definition, &options),
        Target::Hip => text(CppCompiler::<target::Hip>::default(), definition, &options),
        Target::Metal => text(CppCompiler::<target::Metal>::default(), definition, &options),
        Target::SpirV => {
            let kernel =
                SpirvCompiler.compile(definition, &vulkan()).map_err(|error| format!("{error:?}"))?;
            Ok(kernel.assembled_module.iter().flat_map(|word| word.to_le_bytes()).collect())
        }
    }
}

fn text<C: Compiler>(
    mut compiler: C,
    definition: KernelDefinition,
    options: &C::CompilationOptions,
) -> Result<Vec<u8>, String> {
    let source = compiler.compile(definition, options).map_err(|error| format!("{error:?}"))?;
    Ok(source.to_string().into_bytes())
}

/// A current driver.
fn vulkan() -> WgpuCompilationOptions {
    let mut options = WgpuCompilationOptions {
        supports_u64: true,
        supports_vulkan_compiler: true,
        ..WgpuCompilationOptions::default()
    };
    options.vulkan.supports_explicit_smem = true;
    options.vulkan.supports_uniform_standard_layout = true;
    options.vulkan.max_spirv_version = (1, 6);
    options.vulkan.max_vector_size = 4;
    options.vulkan.push_constant_size = 256;
    options
}

fn definition(
    stacked: bool,
    target: Target,
    precision: ElemType,
    vector: usize,
    blueprint: Blueprint,
) -> KernelDefinition {
    let device = Arc::new(device(target));
    let properties = Arc::new(properties(target));
    let units = CubeDim::new_1d(blueprint.units);
    let settings = KernelSettings::new(units.into(), ExecutionMode::Unchecked, AddressType::U32);
    let tensor = || TensorCompilationArg {
        meta: TensorMetaCompilationArg { len: (), rank: () },
        buffer: BufferCompilationArg { inplace: None },
    };
    if stacked {
        let (logits, rows, statistics) = (tensor(), tensor(), tensor());
        SpanKlStacked::new(
            settings,
            device,
            properties,
            logits,
            rows,
            statistics,
            (),
            vector,
            blueprint,
            precision,
        )
        .define()
    } else {
        let (student, teacher, rows, statistics) = (tensor(), tensor(), tensor(), tensor());
        SpanKlSeparate::new(
            settings,
            device,
            properties,
            student,
            teacher,
            rows,
            statistics,
            (),
            vector,
            blueprint,
            precision,
        )
        .define()
    }
}

fn properties(target: Target) -> TargetProperties {
    TargetProperties {
        mma: MmaProperties {
            register_size_bits: 32,
            const_plane_size: target.plane_size(),
            register_layout_a: MatrixLayout::RowMajor,
            register_layout_b: MatrixLayout::ColMajor,
            register_layout_acc: MatrixLayout::RowMajor,
            register_duplication_a: 1,
            register_duplication_b: 1,
            register_duplication_acc: 1,
            contiguous_elements: ContiguousElements::new(|_, _, _| 2),
        },
    }
}

fn device(target: Target) -> DeviceProperties {
    let plane = target.plane_size();
    let hardware = HardwareProperties {
        load_width: 128,
        vector_register_count: None,
        plane_size_min: plane,
        plane_size_max: plane,
        max_bindings: 1024,
        max_shared_memory_size: target.shared_memory(),
        max_cube_count: (i32::MAX as u32, 65_535, 65_535),
        max_units_per_cube: 1024,
        max_cube_dim: (1024, 1024, 64),
        num_streaming_multiprocessors: None,
        num_cpu_cores: None,
        last_level_cache_size: None,
        num_tensor_cores: None,
        min_tensor_cores_dim: None,
        max_vector_size: 16,
        cube_mma_reserved_shared_memory: 0,
    };
    let mut properties = DeviceProperties::new(
        Default::default(),
        MemoryDeviceProperties::new(1 << 34, 512),
        hardware,
        TimingMethod::Device,
        DeviceIdentity { name: "typical".into(), fingerprint: "typical".into(), physical: None },
    );
    cubecl_cpp::register_supported_types(&mut properties);
    for feature in [Plane::Ops, Plane::Sync, Plane::NonUniformControlFlow] {
        properties.features.plane.insert(feature);
    }
    properties
}
