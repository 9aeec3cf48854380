//! A sound device passes.

use burn::tensor::Device;
use vigos_rollout::Kit;
use vigos_selftest::{Own, Verdict, operators, steps};

#[test]
fn every_operator_of_the_cpu_passes_with_room_to_spare() {
    let checks = operators(&Own, &Device::flex());
    for check in &checks {
        assert_eq!(check.verdict, Verdict::Passed, "{check}");
        // A result in bf16 is itself rounded by half of the bound.
        let share = if check.name.contains("bf16") { 0.75 } else { 0.25 };
        assert!(check.error.is_some_and(|error| error < check.bound * share), "{check}");
    }
    for what in [
        "product",
        "int8",
        "int4",
        "lora",
        "norm",
        "swiglu",
        "rotary",
        "attention",
        "decode",
        "loss",
        "adamw",
        "backward",
        "neighbours",
    ] {
        assert!(checks.iter().any(|check| check.name.contains(what)), "{what}");
    }
}

#[test]
fn a_step_and_a_completion_of_both_families_equal_the_recorded_numbers() {
    let kit = Kit { families: vigos_qwen::families(), ..Kit::default() };
    let checks = steps(&kit, &Device::flex());
    assert_eq!(checks.len(), 6);
    for check in &checks {
        assert_eq!(check.verdict, Verdict::Passed, "{check}");
        assert!(check.error.is_some_and(|error| error < check.bound / 2.0), "{check}");
    }
}

/// With whatever fusion and choice of kernels by trial this build has.
#[cfg(feature = "wgpu")]
#[test]
fn software_vulkan_passes_operators_and_steps() {
    let device = Device::wgpu(burn::tensor::DeviceKind::DefaultDevice);
    let kit = Kit { families: vigos_qwen::families(), ..Kit::default() };
    for check in operators(&Own, &device).into_iter().chain(steps(&kit, &device)) {
        assert_eq!(check.verdict, Verdict::Passed, "{check}");
    }
}

#[test]
fn a_device_that_cannot_compute_a_step_says_why() {
    // Of a family that nobody knows.
    let checks = steps(&Kit::default(), &Device::flex());
    for check in checks {
        assert_eq!(check.verdict, Verdict::Wrong, "{check}");
        assert!(check.failure.is_some(), "{check}");
    }
}
