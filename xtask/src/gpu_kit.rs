//! The GPU kit: a tarball that says of a machine with a card, in minutes, what there is to say of it. `tools/gpu/run.sh` is
//! what runs there, with nothing at hand but the driver.

use crate::shell::{cargo, emptied, root, succeed};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which backend the kit is for.
    backend: Backend,
    /// A built command, in place of building one.
    #[arg(long, value_name = "FILE")]
    command: Option<PathBuf>,
    /// For cuda: the toolkit whose headers and runtime compiler go along; CUDA_PATH or /usr/local/cuda unless given.
    #[arg(long, value_name = "DIR")]
    toolkit: Option<PathBuf>,
    /// Where the tarball goes; target/gpu-kit-BACKEND.tar.gz unless given.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Backend {
    /// NVIDIA.
    Cuda,
    /// AMD.
    Rocm,
    /// Any card with a Vulkan driver.
    Vulkan,
    /// The same by WGSL, which software drivers take too.
    Wgpu,
    /// The processor, which the others are compared with.
    Cpu,
}

/// What of the repository goes into a kit, and under which name.
const FILES: [(&str, &str); 3] = [
    ("tools/gpu/run.sh", "run.sh"),
    ("tools/gpu/model-100m/config.json", "models/100m/config.json"),
    ("configs/models/Qwen2.5-VL-3B-Instruct/config.json", "models/Qwen2.5-VL-3B-Instruct/config.json"),
];
/// What of CUDA's toolkit a program needs that compiles its kernels where it runs.
const LIBRARIES: [&str; 3] = ["libnvrtc", "libcudart", "libnvJitLink"];

pub(crate) fn run(args: &Args) -> Result<()> {
    let name = args.backend.name();
    let command = match &args.command {
        Some(command) => command.clone(),
        None => built(args.backend)?,
    };
    let kit = emptied(&format!("gpu-kit/vigos-gpu-kit-{name}"))?;
    put(&command, &kit.join("vigos"))?;
    for (from, to) in FILES {
        put(&root().join(from), &kit.join(to))?;
    }
    if args.backend == Backend::Cuda {
        toolkit(args.toolkit.as_deref(), &kit.join("cuda"))?;
    }
    let out = args.out.clone().unwrap_or_else(|| root().join(format!("target/gpu-kit-{name}.tar.gz")));
    let folder = kit.file_name().context("the kit has a name")?;
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(kit.parent().context("the kit lies in a folder")?).arg("-czf").arg(&out).arg(folder);
    succeed(&mut tar)?;
    let size = fs::metadata(&out).map(|about| about.len()).unwrap_or_default();
    println!("{}: {:.1} MB", out.display(), size as f64 / 1e6);
    println!("there: tar xzf {}; cd {}; ./run.sh", file_name(&out), file_name(&kit));
    Ok(())
}

impl Backend {
    fn name(self) -> &'static str {
        match self {
            Self::Cuda => "cuda",
            Self::Rocm => "rocm",
            Self::Vulkan => "vulkan",
            Self::Wgpu => "wgpu",
            Self::Cpu => "cpu",
        }
    }

    /// The command's features: with the CPU's backend beside, so that what a card computes can be compared there.
    fn features(self) -> &'static str {
        match self {
            Self::Cuda => "cuda,flex,fusion,autotune",
            Self::Rocm => "rocm,flex,fusion,autotune",
            Self::Vulkan => "vulkan,flex,fusion,autotune",
            Self::Wgpu => "wgpu,flex,fusion",
            Self::Cpu => "flex",
        }
    }
}

fn built(backend: Backend) -> Result<PathBuf> {
    succeed(cargo().args(["build", "--release", "--locked", "--package", "vigos-cli"]).args([
        "--no-default-features",
        "--features",
        backend.features(),
    ]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    Ok(target.join("release/vigos"))
}

/// Copies the headers and the runtime compiler of a toolkit: a driver brings neither.
fn toolkit(named: Option<&Path>, to: &Path) -> Result<()> {
    let known = named.map(Path::to_owned).or_else(|| std::env::var_os("CUDA_PATH").map(PathBuf::from));
    let from = known.unwrap_or_else(|| "/usr/local/cuda".into());
    let headers = from.join("include");
    if !headers.join("cuda_fp16.h").is_file() {
        bail!(
            "{} has no include/cuda_fp16.h; --toolkit names CUDA's toolkit, or CUDA_PATH does",
            from.display()
        );
    }
    for file in crate::shell::files(&headers)? {
        put(&headers.join(&file), &to.join("include").join(&file))?;
    }
    let mut libraries = 0;
    for folder in ["lib64", "lib"].map(|name| from.join(name)) {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if LIBRARIES.iter().any(|library| name.starts_with(library)) && name.contains(".so") {
                put(&entry.path(), &to.join("lib64").join(name))?;
                libraries += 1;
            }
        }
    }
    if libraries == 0 {
        bail!("{}: found none of {} in lib64", from.display(), LIBRARIES.join(", "));
    }
    Ok(())
}

/// Copies a file, with what may run.
fn put(from: &Path, to: &Path) -> Result<()> {
    let parent = to.parent().context("a file lies in a folder")?;
    fs::create_dir_all(parent).with_context(|| format!("{} cannot be made", parent.display()))?;
    fs::copy(from, to).with_context(|| format!("{} cannot be copied to {}", from.display(), to.display()))?;
    Ok(())
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_goes_into_a_kit_is_there_and_every_backend_is_a_feature() {
        for (from, _) in FILES {
            assert!(root().join(from).is_file(), "{from}");
        }
        let manifest = fs::read_to_string(root().join("crates/cli/Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        let known = manifest["features"].as_table().unwrap();
        for backend in [Backend::Cuda, Backend::Rocm, Backend::Vulkan, Backend::Wgpu, Backend::Cpu] {
            for feature in backend.features().split(',') {
                assert!(known.contains_key(feature), "{feature}");
            }
        }
    }

    #[test]
    fn a_folder_that_is_no_toolkit_is_refused_and_one_gives_its_headers_and_compiler() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("cuda"), folder.path().join("kit"));
        let refused = toolkit(Some(&from), &to).unwrap_err().to_string();
        assert!(refused.contains("--toolkit"), "{refused}");
        let write = |name: &str| {
            let path = from.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        };
        write("include/cuda_fp16.h");
        write("include/crt/host.h");
        assert!(toolkit(Some(&from), &to).unwrap_err().to_string().contains("libnvrtc"));
        for name in ["lib64/libnvrtc.so.12", "lib64/libcublas.so.12"] {
            write(name);
        }
        toolkit(Some(&from), &to).unwrap();
        let mut found = crate::shell::files(&to).unwrap();
        found.sort();
        let wanted = ["include/crt/host.h", "include/cuda_fp16.h", "lib64/libnvrtc.so.12"];
        assert_eq!(found, wanted.map(PathBuf::from));
    }
}
