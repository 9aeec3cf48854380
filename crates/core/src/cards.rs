//! What a card's driver says of its memory, which backends do not tell. Known on Linux, for NVIDIA's and AMD's drivers.

use std::fs::read_to_string;
use std::path::Path;
use std::process::Command;

/// What every card on the bus is listed in.
const BUS: &str = "/sys/bus/pci/devices";
/// NVIDIA's number as a maker of cards.
const NVIDIA: &str = "0x10de";

/// Memory of the card at this place on the bus, such as `0000:65:00.0`, that nobody has taken, in bytes. It changes with
/// every process on the card.
pub fn free_memory(pci_address: &str) -> Option<u64> {
    let card = Path::new(BUS).join(pci_address);
    let maker = read_to_string(card.join("vendor")).ok()?;
    if maker.trim() == NVIDIA {
        return of_nvidia(&said_by_nvidia(pci_address)?);
    }
    of_amd(&card)
}

/// What NVIDIA's own tool, which comes with the driver, says of the free memory of a card.
fn said_by_nvidia(pci_address: &str) -> Option<String> {
    let query = ["--query-gpu=memory.free", "--format=csv,noheader,nounits", "-i", pci_address];
    let output = Command::new("nvidia-smi").args(query).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Its answer, in MiB.
fn of_nvidia(answer: &str) -> Option<u64> {
    answer.lines().next()?.trim().parse::<u64>().ok()?.checked_mul(1 << 20)
}

/// What amdgpu says in the folder of a card.
fn of_amd(card: &Path) -> Option<u64> {
    let bytes = |name: &str| -> Option<u64> { read_to_string(card.join(name)).ok()?.trim().parse().ok() };
    Some(bytes("mem_info_vram_total")?.saturating_sub(bytes("mem_info_vram_used")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nvidia_answers_in_mebibytes_and_anything_else_is_none() {
        assert_eq!(of_nvidia("80559\n"), Some(80_559 << 20));
        for answer in ["", "No devices were found", "[N/A]", "-1", "99999999999999999999"] {
            assert_eq!(of_nvidia(answer), None, "{answer}");
        }
    }

    #[test]
    fn amd_says_what_there_is_and_what_is_taken() {
        let card = tempfile::tempdir().unwrap();
        assert_eq!(of_amd(card.path()), None);
        std::fs::write(card.path().join("mem_info_vram_total"), "17163091968\n").unwrap();
        std::fs::write(card.path().join("mem_info_vram_used"), "1000000000\n").unwrap();
        assert_eq!(of_amd(card.path()), Some(16_163_091_968));
    }

    #[test]
    fn a_card_that_is_not_there_has_no_memory() {
        assert_eq!(free_memory("ffff:ff:1f.7"), None);
        assert_eq!(free_memory("../../../../etc"), None);
    }
}
