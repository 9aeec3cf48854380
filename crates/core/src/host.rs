//! What the machine itself says of its memory, known on Linux and elsewhere not claimed, and where it keeps what can be
//! had again.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

/// Memory that a new program can take without making others give way, in bytes; within a container no more than
/// the container has left.
pub fn available_memory() -> Option<u64> {
    let machine = available(&read_to_string("/proc/meminfo").ok()?)?;
    let groups = read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = left_in_group(&groups, Path::new("/sys/fs/cgroup"));
    let read = |file| read_to_string(file).unwrap_or_default();
    let process = left_in_process(&read("/proc/self/limits"), &read("/proc/self/status"));
    [group, process].into_iter().flatten().chain([machine]).min()
}

/// Bytes of memory that this process has now.
pub fn resident_memory() -> Option<u64> {
    process("VmRSS:")
}

/// The most bytes that it had at once, since it began or since `/proc/self/clear_refs` was told to begin anew.
pub fn peak_memory() -> Option<u64> {
    process("VmHWM:")
}

/// A line of `/proc/self/status`, in bytes.
fn process(line: &str) -> Option<u64> {
    let status = read_to_string("/proc/self/status").ok()?;
    let kilobytes = status.lines().find_map(|text| text.strip_prefix(line))?;
    kilobytes.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// What `/proc/self/limits` lets the process add to the address space that `/proc/self/status` says it has; nothing
/// without a limit.
fn left_in_process(limits: &str, status: &str) -> Option<u64> {
    let most = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    let most: u64 = most.split_whitespace().next()?.parse().ok()?;
    let taken = status.lines().find_map(|line| line.strip_prefix("VmSize:"))?;
    let taken: u64 = taken.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(most.saturating_sub(taken.saturating_mul(1024)))
}

/// `MemAvailable` of `/proc/meminfo`.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// What the control groups that `/proc/self/cgroup` names leave, the least of a group and those above it; nothing
/// without a limit. Version 2 has one line, `0::/PATH`; inside a container the path may be `/`.
fn left_in_group(groups: &str, root: &Path) -> Option<u64> {
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let number = |folder: &Path, name: &str| -> Option<u64> {
        read_to_string(folder.join(name)).ok()?.trim().parse().ok()
    };
    let left = |folder: &Path| {
        let most = number(folder, "memory.max")?;
        Some(most.saturating_sub(number(folder, "memory.current")?))
    };
    let folder = root.join(path);
    folder.ancestors().take_while(|folder| folder.starts_with(root)).filter_map(left).min()
}

/// The user's folder of what can be had again, as the variables of the environment that `get` gives say; none where they
/// do not.
pub fn caches(get: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let set = |name: &str| get(name).filter(|path| path.is_absolute());
    set("XDG_CACHE_HOME")
        .or_else(|| set("LOCALAPPDATA"))
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_available_memory_is_read_in_bytes_and_anything_else_is_none() {
        let text = "MemTotal:       24684232 kB\nMemFree:         7896600 kB\nMemAvailable:   22928384 kB\n";
        assert_eq!(available(text), Some(22_928_384 * 1024));
        for text in ["", "MemFree: 1 kB", "MemAvailable: x kB", "MemAvailable: 99999999999999999999 kB"] {
            assert_eq!(available(text), None, "{text}");
        }
    }

    #[test]
    fn a_limit_of_the_address_space_is_what_is_left_of_it() {
        let limits = |soft: &str| {
            format!(
                "Limit  Soft Limit  Hard Limit  Units\nMax address space         {soft}  unlimited  bytes\n"
            )
        };
        let status = "Name:\tvigos\nVmPeak:\t  900 kB\nVmSize:\t     100 kB\n";
        assert_eq!(left_in_process(&limits("204800"), status), Some(102_400));
        assert_eq!(left_in_process(&limits("1024"), status), Some(0));
        assert_eq!(left_in_process(&limits("unlimited"), status), None);
        assert_eq!(left_in_process("", ""), None);
    }

    #[test]
    fn of_nested_groups_the_tightest_counts_and_max_is_no_limit() {
        let root = tempfile::tempdir().unwrap();
        let group = |path: &str, most: &str, current: &str| {
            let folder = root.path().join(path);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("memory.max"), most).unwrap();
            fs::write(folder.join("memory.current"), current).unwrap();
        };
        group("a/b", "max\n", "5\n");
        assert_eq!(left_in_group("0::/a/b\n", root.path()), None);
        group("a", "1000\n", "300\n");
        assert_eq!(left_in_group("0::/a/b\n", root.path()), Some(700));
        group("a/b", "100", "400");
        assert_eq!(left_in_group("0::/a/b\n", root.path()), Some(0));
        assert_eq!(left_in_group("4:memory:/a\n", root.path()), None);
        assert_eq!(left_in_group("0::/../../etc\n", root.path()), None);
    }

    #[test]
    fn the_cache_is_where_the_system_has_caches() {
        let home = |name: &str| (name == "HOME").then(|| PathBuf::from("/home/a"));
        assert_eq!(caches(home), Some(PathBuf::from("/home/a/.cache")));
        assert_eq!(caches(|_| Some(PathBuf::from("/c"))), Some(PathBuf::from("/c")));
        assert_eq!(caches(|_| Some(PathBuf::from("relative"))), None);
        assert_eq!(caches(|_| None), None);
    }
}
