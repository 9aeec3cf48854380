//! The kernels lower for every kind of GPU, without one.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use vigos_kernels::lowering::{Lowered, Target, lower};

/// What a target's compiler would be given, made once for all tests.
fn lowered(target: Target) -> &'static [Lowered] {
    static LOWERED: [OnceLock<Vec<Lowered>>; 4] = [const { OnceLock::new() }; 4];
    let number = Target::ALL.into_iter().position(|other| other == target).unwrap();
    LOWERED[number].get_or_init(|| lower(target).unwrap())
}

#[test]
fn every_form_precision_and_reduction_lowers_for_every_target() {
    for target in Target::ALL {
        let kernels = lowered(target);
        // Of the loss two forms and two vector widths, and seventeen operators; each in three precisions and two reductions.
        assert_eq!(kernels.len(), (2 * 2 + 17) * 6, "{target:?}");
        let mut files: Vec<&str> = kernels.iter().map(|kernel| kernel.file.as_str()).collect();
        files.sort_unstable();
        files.dedup();
        assert_eq!(files.len(), kernels.len(), "{target:?}: {files:?}");
    }
}

#[test]
fn reductions_use_shared_memory_or_planes_as_asked() {
    let cases = [(Target::Cuda, "__shared__", "__shfl"), (Target::Metal, "threadgroup", "simd_sum")];
    for (target, shared, planes) in cases {
        let all = lowered(target).iter();
        for kernel in
            all.filter(|kernel| kernel.file.starts_with("separate") || kernel.file.starts_with("stacked"))
        {
            let text = String::from_utf8(kernel.bytes.clone()).unwrap();
            assert!(text.contains(shared), "{target:?} {}", kernel.file);
            assert_eq!(text.contains(planes), kernel.file.contains("planes"), "{target:?} {}", kernel.file);
        }
    }
}

/// In f32 and f16: validators of before 2025 do not know bf16.
#[test]
fn the_spir_v_is_valid_for_vulkan() {
    for kernel in lowered(Target::SpirV).iter().filter(|kernel| !kernel.file.contains("bf16")) {
        let mut validator = Command::new("spirv-val")
            .args(["--target-env", "vulkan1.3", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this test needs spirv-val, from the package spirv-tools");
        validator.stdin.take().unwrap().write_all(&kernel.bytes).unwrap();
        let output = validator.wait_with_output().unwrap();
        let message = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {message}", kernel.file);
    }
}
