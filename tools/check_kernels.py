#!/usr/bin/env python3
"""Compiles the lowered kernels with the GPU makers' own compilers; no GPU and no driver.

    cargo run --release -p vigos-kernels --features lowering --example lower -- /tmp/kernels
    python3 -m venv /tmp/venv
    /tmp/venv/bin/pip install 'nvidia-cuda-nvrtc-cu12==12.9.*' 'nvidia-cuda-runtime-cu12==12.9.*'
    /tmp/venv/bin/python tools/check_kernels.py /tmp/kernels

CUDA needs the two packages above; HIP needs ROCm's runtime (Debian: libamdhip64-dev, rocm-device-libs); SPIR-V needs
spirv-val (Debian: spirv-tools). A missing compiler is an error; name targets to check only those:

    tools/check_kernels.py /tmp/kernels cuda spirv
"""

import ctypes
import glob
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
            yield f"{path.name} {architecture}", compiled(nvrtc, "nvrtc", path, [b"--gpu-architecture=" + architecture.encode(), include])


def compiled(library, prefix, path, options):
    """None, or what the runtime compiler says is wrong. NVIDIA's and AMD's have the same functions."""

    def call(name, *arguments):
        return getattr(library, prefix + name)(*arguments)

    program = ctypes.c_void_p()
    call("CreateProgram", ctypes.byref(program), path.read_bytes(), path.name.encode(), 0, None, None)
    failed = call("CompileProgram", program, len(options), (ctypes.c_char_p * len(options))(*options))
    size = ctypes.c_size_t()
    if failed:
        call("GetProgramLogSize", program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value + 1)
        call("GetProgramLog", program, log)
        return log.value.decode()
    call("GetPTXSize" if prefix == "nvrtc" else "GetCodeSize", program, ctypes.byref(size))
    return None if size.value > 1 else "no code came out"


def hip(folder):
    """Every .hip file to device code for every architecture, as the HIP runtime would compile it."""
    library = next((p for p in glob.glob("/opt/rocm/lib/libhiprtc.so") + glob.glob("/usr/lib/*/libamdhip64.so*")), None)
    if library is None:
        raise SystemExit("hip: HIP's runtime compiler is not installed")
    hiprtc = ctypes.CDLL(library)
    header = any(glob.glob(f"{root}/include/hip/hip_bf16.h") for root in ["/opt/rocm", "/usr"])
    for path in sorted(folder.glob("*.hip")):
        if "bf16" in path.name and not header:
            print(f"hip: {path.name} left out: this ROCm is too old to have hip_bf16.h")
            continue
        for architecture in HIP_ARCHITECTURES:
            yield f"{path.name} {architecture}", compiled(hiprtc, "hiprtc", path, [b"--offload-arch=" + architecture.encode()])


def spirv(folder):
    """Every .spv file against the rules of Vulkan 1.3."""
    for path in sorted(folder.glob("*.spv")):
        message = run(["spirv-val", "--target-env", "vulkan1.3", str(path)])
        # BFloat16TypeKHR, which validators of before 2025 do not know.
        if message is not None and "Invalid capability operand: 5116" in message:
            print(f"spirv: {path.name} left out: this spirv-val is too old to know bf16")
            continue
        yield path.name, message


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
