#!/usr/bin/env python3
"""Compiles the lowered kernels with the GPU makers' own compilers; no GPU and no driver.

    cargo run --release -p vigos-kernels --features lowering --example lower -- /tmp/kernels
    python3 -m venv /tmp/venv
    /tmp/venv/bin/pip install 'nvidia-cuda-nvrtc-cu12==12.9.*' 'nvidia-cuda-runtime-cu12==12.9.*'
    /tmp/venv/bin/python tools/check_kernels.py /tmp/kernels

CUDA needs the two packages above; HIP needs hipcc (Debian: hipcc, libamdhip64-dev); SPIR-V needs spirv-val (Debian:
spirv-tools). A missing compiler is an error; name targets to check only those:

    tools/check_kernels.py /tmp/kernels cuda spirv
"""

import ctypes
import pathlib
import shutil
import site
import subprocess
import sys

CUDA_ARCHITECTURES = ["sm_80", "sm_90", "sm_120"]
HIP_ARCHITECTURES = ["gfx90a", "gfx1030"]


def cuda(folder):
    """Every .cu file to PTX for every architecture."""
    base = next((pathlib.Path(p) / "nvidia" for p in site.getsitepackages() if (pathlib.Path(p) / "nvidia/cuda_nvrtc").is_dir()), None)
    if base is None:
        raise SystemExit("cuda: nvidia-cuda-nvrtc-cu12 is not installed")
    libraries = base / "cuda_nvrtc/lib"
    for builtins in libraries.glob("libnvrtc-builtins*"):
        ctypes.CDLL(str(builtins), mode=ctypes.RTLD_GLOBAL)
    nvrtc = ctypes.CDLL(str(next(libraries.glob("libnvrtc.so.*"))))
    major, minor = ctypes.c_int(), ctypes.c_int()
    nvrtc.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    print(f"cuda: NVRTC {major.value}.{minor.value}")
    include = b"--include-path=" + str(base / "cuda_runtime/include").encode()
    for path in sorted(folder.glob("*.cu")):
        for architecture in CUDA_ARCHITECTURES:
            yield f"{path.name} {architecture}", ptx(nvrtc, path, [b"--gpu-architecture=" + architecture.encode(), include])


def ptx(nvrtc, path, options):
    """None, or what NVRTC says is wrong."""
    program = ctypes.c_void_p()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), path.read_bytes(), path.name.encode(), 0, None, None)
    failed = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    size = ctypes.c_size_t()
    if failed:
        nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        nvrtc.nvrtcGetProgramLog(program, log)
        return log.value.decode()
    nvrtc.nvrtcGetPTXSize(program, ctypes.byref(size))
    return None if size.value > 1 else "no PTX came out"


def hip(folder):
    """Every .hip file to device code for every architecture."""
    for path in sorted(folder.glob("*.hip")):
        for architecture in HIP_ARCHITECTURES:
            command = ["hipcc", "--cuda-device-only", f"--offload-arch={architecture}", "-x", "hip", "-c", str(path), "-o", "/dev/null"]
            yield f"{path.name} {architecture}", run(command)


def spirv(folder):
    """Every .spv file against the rules of Vulkan 1.3."""
    for path in sorted(folder.glob("*.spv")):
        yield path.name, run(["spirv-val", "--target-env", "vulkan1.3", str(path)])


def run(command):
    if shutil.which(command[0]) is None:
        raise SystemExit(f"{command[0]} is not installed")
    done = subprocess.run(command, capture_output=True, text=True)
    return None if done.returncode == 0 else done.stdout + done.stderr


def main():
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    checks = {"cuda": cuda, "hip": hip, "spirv": spirv}
    failures = 0
    for target in sys.argv[2:] or checks:
        folder = pathlib.Path(sys.argv[1]) / target
        passed = 0
        for name, message in checks[target](folder):
            if message is None:
                passed += 1
            else:
                failures += 1
                print(f"{target}: {name} FAILED\n{message[:2000]}")
        print(f"{target}: {passed} passed")
        failures += passed == 0
    raise SystemExit(1 if failures else 0)


if __name__ == "__main__":
    main()
